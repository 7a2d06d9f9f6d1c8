//! `bulk export` and what reads its folder.

mod attachments;
mod basics;
mod docs;
mod faults;
mod faults_disk;
mod faults_links;
mod files;
mod given_up;
mod jobs;
mod kills;
pub mod kills_calls;
mod kills_large;
mod log;
mod manifest;
mod ownership;
mod promises;
mod ranges;
mod report;
mod reports;
mod requester;
mod resume;
mod series;
mod tokens;
