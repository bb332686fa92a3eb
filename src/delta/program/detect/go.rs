//! The tables of Go's runtime.

use super::Found;
use crate::delta::program::bytes::Bytes;
use crate::delta::program::image::Image;
use std::io::{Read, Seek};

/// Notes the fields of the function table and of types.
pub fn find<R: Read + Seek>(_image: &Image, _bytes: &mut Bytes<R>, _found: &mut Found) -> Option<()> {
    None
}
