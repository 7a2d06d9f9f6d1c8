//! The flags that many commands take, in tables by group: a command takes the groups that it uses (`taken.rs`), and its
//! help shows its own flags. They stand before a command's name or after it.

mod attach;
pub mod chain;
pub mod complete;
pub mod elsewhere;
pub mod flag;
mod given;
pub mod group;
pub mod keys;
mod meant;
pub mod network;
pub mod output;
pub mod sign_in;
pub mod taken;

pub use attach::attach;
pub use given::Given;
