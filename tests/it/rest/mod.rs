//! Requests to a FHIR server, and the network under them.

mod asynchronous;
mod basics;
mod conditions;
mod count;
mod docs_page;
mod errors;
mod interim;
mod judged;
mod network;
mod odd_answers;
mod redirects;
mod search;
mod searched;
