//! Makes or applies one delta, for `benches/bytes.sh`.
//!
//! `delta encode OLD NEW DELTA`, `delta encode-files OLD NEW DELTA` without the mode for archives,
//! `delta apply OLD DELTA NEW`.

#![forbid(unsafe_code)]

use manifest_tool::delta::encode::{encode, encode_files};
use manifest_tool::hashing_sink::HashingSink;
use patcher::internal::delta::{DeltaHeader, FileSizes, apply};
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter, Write};

/// The default memory limit of `sign`.
const MEMORY_BYTES: u64 = 2 << 30;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [command @ ("encode" | "encode-files"), old, new, delta] => {
            let sizes = FileSizes { old: fs::metadata(old)?.len(), new: fs::metadata(new)?.len() };
            let mut out = BufWriter::new(File::create(delta)?);
            let (mut old, mut new) = (File::open(old)?, File::open(new)?);
            match command {
                "encode" => encode(&mut old, &mut new, &sizes, MEMORY_BYTES, &mut out)?,
                _ => encode_files(&mut old, &mut new, &sizes, MEMORY_BYTES, &mut out)?,
            };
            out.flush()?;
        }
        ["apply", old, delta, new] => {
            let header = DeltaHeader::read(&mut BufReader::new(File::open(delta)?))?;
            let mut made = HashedFile { file: BufWriter::new(File::create(new)?), hash: HashingSink::default() };
            let sizes = FileSizes { old: header.old, new: header.new };
            apply(File::open(old)?, File::open(delta)?, &sizes, |_| tempfile::tempfile(), &mut made)?;
            made.flush()?;
            // Printed, so that the compiler keeps the hash.
            let (sha256, _) = made.hash.0.finish();
            println!("{} {sha256}", header.mode.method());
        }
        _ => {
            return Err(
                "usage: delta encode OLD NEW DELTA, delta encode-files OLD NEW DELTA, delta apply OLD DELTA NEW".into(),
            );
        }
    }
    Ok(())
}

/// Hashes the file while writing it, as a client does.
struct HashedFile {
    file: BufWriter<File>,
    hash: HashingSink,
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.hash.write_all(bytes)?;
        self.file.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}
