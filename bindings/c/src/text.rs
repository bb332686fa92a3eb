//! Texts: UTF-8 that ends with 0.

use crate::boundary::infallible;
use crate::failure::Failure;
use std::ffi::{CStr, CString, c_char};

/// Reads a text of the caller; `name` is for the error.
///
/// # Safety
/// `text` is null or a text that ends with 0.
pub unsafe fn read<'a>(name: &str, text: *const c_char) -> Result<&'a str, Failure> {
    if text.is_null() {
        return Err(Failure::bad_argument(name, "it is NULL"));
    }
    // SAFETY: the caller promises that it ends with 0.
    unsafe { CStr::from_ptr(text) }.to_str().map_err(|_| Failure::bad_argument(name, "it is not UTF-8"))
}

/// Reads a list of texts.
///
/// # Safety
/// `texts` leads to `count` texts that end with 0, or `count` is 0.
pub unsafe fn read_list(name: &str, texts: *const *const c_char, count: usize) -> Result<Vec<String>, Failure> {
    if count == 0 {
        return Ok(Vec::new());
    }
    if texts.is_null() {
        return Err(Failure::bad_argument(name, "it is NULL"));
    }
    // SAFETY: the caller promises the number.
    let texts = unsafe { std::slice::from_raw_parts(texts, count) };
    // SAFETY: the caller promises that each ends with 0.
    texts.iter().map(|text| unsafe { read(name, *text) }.map(str::to_owned)).collect()
}

/// Makes a text; a 0 inside of it is left out.
pub fn owned(text: &str) -> CString {
    CString::new(text.replace('\0', "")).unwrap_or_default()
}

/// Gives a text to the caller.
///
/// # Safety
/// `place` is null or may be written.
pub unsafe fn hand_out(place: *mut *mut c_char, text: &str) {
    if !place.is_null() {
        // SAFETY: the caller promises that it may be written.
        unsafe { place.write(owned(text).into_raw()) };
    }
}

/// Frees a text that a function of this library has filled in. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn patcher_text_free(text: *mut c_char) {
    infallible((), || {
        if !text.is_null() {
            // SAFETY: the caller promises that it was made by `hand_out`.
            drop(unsafe { CString::from_raw(text) });
        }
    });
}
