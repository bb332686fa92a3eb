//! Access lists: who owns a folder, who can write to it, and folders that only one user can write.
//!
//! A user is an id (`PSID`). Trusted users are this process's user and those who may do anything
//! anyway: the administrators and the system itself.

#![expect(unsafe_code, reason = "calls into the system; each says why it is sound")]

use super::calls::{done, wide};
use crate::disk::fs::FolderWriters;
use std::fs::File;
use std::io;
use std::os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle};
use std::path::Path;
use std::ptr;
use windows_sys::Win32::Foundation::{GENERIC_ALL, GENERIC_EXECUTE, GENERIC_READ, GENERIC_WRITE, LocalFree};
use windows_sys::Win32::Security::Authorization::{GetSecurityInfo, SE_FILE_OBJECT};
use windows_sys::Win32::Security::{
    ACCESS_ALLOWED_ACE, ACE_HEADER, ACL, ACL_REVISION, AddAccessAllowedAceEx, CONTAINER_INHERIT_ACE,
    CreateWellKnownSid, DACL_SECURITY_INFORMATION, EqualSid, GetAce, GetTokenInformation, InitializeAcl,
    InitializeSecurityDescriptor, IsWellKnownSid, OBJECT_INHERIT_ACE, OWNER_SECURITY_INFORMATION, PSID,
    SE_DACL_PROTECTED, SECURITY_ATTRIBUTES, SECURITY_DESCRIPTOR, SetSecurityDescriptorControl,
    SetSecurityDescriptorDacl, TOKEN_OWNER, TOKEN_QUERY, TOKEN_USER, TokenOwner, TokenUser, WELL_KNOWN_SID_TYPE,
    WinBuiltinAdministratorsSid, WinCreatorOwnerRightsSid, WinCreatorOwnerSid, WinLocalSystemSid,
};
use windows_sys::Win32::Storage::FileSystem::{
    CreateDirectoryW, DELETE, FILE_ADD_FILE, FILE_ADD_SUBDIRECTORY, FILE_ALL_ACCESS, FILE_DELETE_CHILD,
    FILE_GENERIC_EXECUTE, FILE_GENERIC_READ, WRITE_DAC, WRITE_OWNER,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

/// The rights to change a folder's entries, the folder itself, or its access list.
const WRITE: u32 = FILE_ADD_FILE
    | FILE_ADD_SUBDIRECTORY
    | FILE_DELETE_CHILD
    | DELETE
    | WRITE_DAC
    | WRITE_OWNER
    | GENERIC_WRITE
    | GENERIC_ALL;
/// The rights to read files and to start programs.
const READ: u32 = FILE_GENERIC_READ | FILE_GENERIC_EXECUTE | GENERIC_READ | GENERIC_EXECUTE;
/// The types of entries that allow something: the usual one, and one with a condition.
const ALLOWING: [u8; 2] = [0, 9];
/// The size of a buffer for one id, which has at most 68 bytes, and for a structure that points to
/// it. Eight bytes are aligned for both.
type IdBuffer = [u64; 16];

/// Returns the users who can change the entries of an open folder.
pub fn writers(folder: &File) -> io::Result<FolderWriters> {
    with_security(folder, |owner, list| {
        let own = OwnIds::new()?;
        if !own.is_trusted(owner) {
            return Ok(FolderWriters::OtherOwner);
        }
        // Without a list, all users may do anything.
        let Some(list) = list else { return Ok(FolderWriters::Others) };
        // Creator and owner of an entry are users who may write for another reason.
        let is_owner = |id| is_well_known(id, WinCreatorOwnerSid) || is_well_known(id, WinCreatorOwnerRightsSid);
        let others_write = allowed(list)?
            .iter()
            .any(|entry| entry.rights & WRITE != 0 && !own.is_trusted(entry.id) && !is_owner(entry.id));
        Ok(if others_write { FolderWriters::Others } else { FolderWriters::Owner })
    })
}

/// Creates a folder in the open folder `parent` that only trusted users can write.
///
/// The users who can read the parent's entries can read those of the folder: a staged file keeps
/// its access list when it becomes a file of the program. Nothing that changes the parent's list
/// later changes the folder's.
pub fn create_folder(path: &Path, parent: &File) -> io::Result<()> {
    with_security(parent, |_, above| {
        let own = OwnIds::new()?;
        let readers = above.map_or(Ok(Vec::new()), allowed)?;
        // Each entry is one of the parent's, or has one of three ids.
        let size = above.map_or(0, |list| usize::from(list.AclSize)) + 4 * size_of::<IdBuffer>();
        let mut buffer = vec![0_u64; size.div_ceil(size_of::<u64>())];
        let list = buffer.as_mut_ptr().cast::<ACL>();
        // SAFETY: the buffer has the given size, and is aligned for a list.
        done(unsafe { InitializeAcl(list, size as u32, ACL_REVISION) })?;
        let inherited = OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE;
        let add = |rights, id| {
            // SAFETY: `list` was initialized above, and `id` is valid.
            done(unsafe { AddAccessAllowedAceEx(list, ACL_REVISION, inherited, rights, id) })
        };
        let (mut administrators, mut system) = (IdBuffer::default(), IdBuffer::default());
        for id in [
            own.user(),
            well_known(WinBuiltinAdministratorsSid, &mut administrators)?,
            well_known(WinLocalSystemSid, &mut system)?,
        ] {
            add(FILE_ALL_ACCESS, id)?;
        }
        let is_reader = |entry: &&Allowed| {
            entry.is_inherited && !own.is_trusted(entry.id) && !is_well_known(entry.id, WinCreatorOwnerSid)
        };
        for entry in readers.iter().filter(is_reader) {
            let all = if entry.rights & GENERIC_ALL != 0 { FILE_GENERIC_READ | FILE_GENERIC_EXECUTE } else { 0 };
            add(entry.rights & READ | all, entry.id)?;
        }
        // SAFETY: plain data, for which zeros are a value.
        let mut descriptor: SECURITY_DESCRIPTOR = unsafe { std::mem::zeroed() };
        let descriptor = (&raw mut descriptor).cast();
        // SAFETY: the descriptor and the list live until the folder is made.
        unsafe {
            done(InitializeSecurityDescriptor(descriptor, 1))?;
            done(SetSecurityDescriptorDacl(descriptor, 1, list, 0))?;
            done(SetSecurityDescriptorControl(descriptor, SE_DACL_PROTECTED, SE_DACL_PROTECTED))?;
        }
        let attributes = SECURITY_ATTRIBUTES {
            nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
            lpSecurityDescriptor: descriptor,
            bInheritHandle: 0,
        };
        let path = wide(path);
        // SAFETY: the string ends in a zero, and the attributes are complete.
        done(unsafe { CreateDirectoryW(path.as_ptr(), &attributes) })
    })
}

/// Returns `true` if an open file or folder belongs to the administrators or the system itself.
#[cfg(feature = "client")]
pub fn belongs_to_administrators(file: &File) -> io::Result<bool> {
    with_security(file, |owner, _| Ok(is_administrator(owner)))
}

/// Calls `answer` with the id of the owner and the access list of an open file or folder.
fn with_security<T>(file: &File, answer: impl FnOnce(PSID, Option<&ACL>) -> io::Result<T>) -> io::Result<T> {
    let (mut owner, mut list, mut descriptor) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: the handle is open and allows it. `owner` and `list` point into `descriptor`, which
    // is freed below.
    let error = unsafe {
        GetSecurityInfo(
            file.as_raw_handle(),
            SE_FILE_OBJECT,
            OWNER_SECURITY_INFORMATION | DACL_SECURITY_INFORMATION,
            &mut owner,
            ptr::null_mut(),
            &mut list,
            ptr::null_mut(),
            &mut descriptor,
        )
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error as i32));
    }
    // SAFETY: a list that is not null is valid as long as the descriptor.
    let answer = answer(owner, unsafe { list.as_ref() });
    // SAFETY: the system allocated it for the caller to free, and it is not used any more.
    unsafe { LocalFree(descriptor) };
    answer
}

/// An entry of an access list that allows something.
struct Allowed {
    rights: u32,
    /// Points into the list.
    id: PSID,
    /// The files or folders below have the entry too.
    is_inherited: bool,
}

/// Returns the entries of a list that allow something. Entries that deny something are left out, as
/// they give no right.
fn allowed(list: &ACL) -> io::Result<Vec<Allowed>> {
    let mut found = Vec::new();
    for number in 0..u32::from(list.AceCount) {
        let mut entry = ptr::null_mut();
        // SAFETY: the list is valid and has that many entries.
        done(unsafe { GetAce(list, number, &mut entry) })?;
        // SAFETY: each entry begins with a header.
        let header = unsafe { *entry.cast::<ACE_HEADER>() };
        if !ALLOWING.contains(&header.AceType) {
            continue;
        }
        let entry = entry.cast::<ACCESS_ALLOWED_ACE>();
        // SAFETY: entries of both types begin with the rights and the id.
        let (rights, id) = unsafe { ((*entry).Mask, (&raw mut (*entry).SidStart).cast()) };
        let is_inherited = u32::from(header.AceFlags) & (OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE) != 0;
        found.push(Allowed { rights, id, is_inherited });
    }
    Ok(found)
}

/// The user of this process, and the group or user that owns the files which it makes.
///
/// Each buffer holds a structure that points into the buffer, so the buffers must not move.
struct OwnIds(Box<[IdBuffer; 2]>);

impl OwnIds {
    fn new() -> io::Result<Self> {
        let mut token = ptr::null_mut();
        // SAFETY: the pseudo handle of this process needs no closing; `token` is written to before
        // this returns.
        done(unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token) })?;
        // SAFETY: it was opened above, and is closed here only.
        let token = unsafe { OwnedHandle::from_raw_handle(token) };
        let mut own = Self(Box::new([IdBuffer::default(); 2]));
        for (kind, buffer) in [TokenUser, TokenOwner].into_iter().zip(own.0.iter_mut()) {
            let size = size_of_val(buffer) as u32;
            let mut used = 0;
            // SAFETY: the buffer has the given size.
            done(unsafe {
                GetTokenInformation(token.as_raw_handle(), kind, buffer.as_mut_ptr().cast(), size, &mut used)
            })?;
        }
        Ok(own)
    }

    /// Returns the id of the user.
    fn user(&self) -> PSID {
        // SAFETY: the system has filled the buffer with this structure.
        unsafe { (*self.0[0].as_ptr().cast::<TOKEN_USER>()).User.Sid }
    }

    /// Returns the id that owns the files which this process makes.
    fn owner(&self) -> PSID {
        // SAFETY: the system has filled the buffer with this structure.
        unsafe { (*self.0[1].as_ptr().cast::<TOKEN_OWNER>()).Owner }
    }

    /// Returns `true` for this process's user, the administrators and the system.
    fn is_trusted(&self, id: PSID) -> bool {
        // SAFETY: all ids are valid.
        is_administrator(id) || [self.user(), self.owner()].into_iter().any(|own| unsafe { EqualSid(id, own) } != 0)
    }
}

fn is_administrator(id: PSID) -> bool {
    is_well_known(id, WinBuiltinAdministratorsSid) || is_well_known(id, WinLocalSystemSid)
}

fn is_well_known(id: PSID, kind: WELL_KNOWN_SID_TYPE) -> bool {
    // SAFETY: the caller's id is valid.
    (unsafe { IsWellKnownSid(id, kind) }) != 0
}

/// Writes a well-known id to a buffer.
fn well_known(kind: WELL_KNOWN_SID_TYPE, buffer: &mut IdBuffer) -> io::Result<PSID> {
    let mut size = size_of_val(buffer) as u32;
    let id: PSID = buffer.as_mut_ptr().cast();
    // SAFETY: the buffer has the given size.
    done(unsafe { CreateWellKnownSid(kind, ptr::null_mut(), id, &mut size) })?;
    Ok(id)
}
