//! Requests to a FHIR server, and the network under them.

mod asynchronous;
mod basics;
mod docs_page;
mod errors;
mod network;
