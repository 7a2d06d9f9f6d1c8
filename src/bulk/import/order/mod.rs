//! What goes first, what waits, and where references lead.

pub mod deferred;
pub mod extensions;
pub mod feed;
pub mod links;
pub mod matching;
pub mod names;
pub mod own;
pub mod rank;
pub mod references;
pub mod survey;
mod table;
