//! Requests, and what their answers say of each resource.

pub mod answer;
pub mod request;
mod unchanged;
