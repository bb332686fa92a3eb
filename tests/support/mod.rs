//! The parts of end-to-end tests: real programs, real servers, trees from seeds, a publisher and a
//! user.

pub mod archive;
pub mod deadline;
pub mod github;
pub mod key;
pub mod left_out;
pub mod programs;
pub mod proxy;
pub mod publisher;
pub mod run;
pub mod schema;
pub mod scripted;
pub mod server;
pub mod tree;
pub mod user;
pub mod world;
