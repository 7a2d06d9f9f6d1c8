//! What goes first, what waits, and where references lead.

pub mod deferred;
pub mod extensions;
pub mod feed;
pub mod links;
mod making;
pub mod matching;
pub mod names;
pub mod own;
mod packer;
pub mod rank;
mod reading;
pub mod references;
pub mod survey;
mod table;
pub mod way;
