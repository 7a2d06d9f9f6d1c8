//! Requests, and what their answers say of each resource.

pub mod answer;
pub mod outcome;
pub mod request;
mod unchanged;
