//! Requests, and what their answers say of each resource.

pub mod answer;
mod entries;
pub mod outcome;
pub mod request;
mod unchanged;
pub mod verdict;
