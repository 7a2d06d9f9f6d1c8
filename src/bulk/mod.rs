//! Bulk Data: export (kick-off, manifest, files, check, record) and import. Events go to observers; nothing here prints.

pub mod digest;
pub mod export;
pub mod import;
pub mod listed;
pub mod requester;
