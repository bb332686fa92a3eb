//! Values that are valid by their type: a hash, a point in time, a name, a path inside a component.

pub mod digest;
pub mod names;
pub mod plain_text;
pub mod rel_path;
pub mod release_order;
pub mod timestamp;
