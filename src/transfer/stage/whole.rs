//! The fourth way to a content: fetches the whole `.gz`, then decompresses and verifies it.
//!
//! The object is verified before it is decompressed: no unverified byte reaches the decompressor.
//! The second pass over the object reads from the page cache.

use super::object::{FetchedObject, ObjectRequest};
use super::worker::{Worker, mode};
use super::writer::Writer;
use crate::disk::inventory::PathContent;
use crate::disk::layout::ObjectKind;
use crate::error::{Refused, Result};
use crate::formats::gunzip::{GunzipError, gunzip};
use crate::formats::manifest::Object;
use std::io::{BufReader, Seek as _};
use url::Url;

impl Worker<'_, '_> {
    /// Fetches the `.gz` and stages its content.
    pub fn fetch_whole(&self, gz: Object, name: &str, content: &PathContent) -> Result<()> {
        let size = self.job.content_plan.size;
        let wanted = ObjectRequest { kind: ObjectKind::Gz, object: gz, decompressed: Some((self.job.hash, size)) };
        self.objects().fetch(wanted, |url, fetched| match fetched {
            FetchedObject::Original(object) => {
                self.decompress(url, &object, name, content)?;
                object.discard()
            }
            // The content has the signed hash and needs no decompression.
            FetchedObject::Decompressed(object) => {
                let object_name = gz.sha256.to_string();
                object.finish(&object_name, mode(content))?;
                self.stage.objects.rename(&object_name, &self.stage.files, name)
            }
        })
    }

    /// Decompresses a verified object into the stage and hashes the content in the same pass.
    fn decompress(&self, url: &Url, object: &Writer<'_>, name: &str, content: &PathContent) -> Result<()> {
        let mut file = &object.file;
        file.rewind().map_err(|error| object.read_error(error))?;
        let mut writer = Writer::new(&self.stage.files, name)?;
        let size = self.job.content_plan.size;
        let unpacked = gunzip(BufReader::with_capacity(128 * 1024, file), size, |bytes| writer.write(bytes));
        let refuse = |detail: String| Refused::Gzip { url: url.to_string(), path: self.job.path.to_string(), detail };
        match unpacked {
            Err(GunzipError::Object(detail)) => return Err(refuse(detail).into()),
            Err(GunzipError::Sink(error)) => return Err(writer.write_error(error)),
            Ok(()) => {}
        }
        let (hash, _) = writer.digest();
        if hash != self.job.hash {
            return Err(refuse(format!("its content has the SHA-256 {hash}, not {}", self.job.hash)).into());
        }
        writer.finish(name, mode(content))
    }
}
