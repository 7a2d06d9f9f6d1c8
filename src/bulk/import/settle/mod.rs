//! Every line is settled once: in the journal, among the rejects, in the report.

pub mod deliver;
pub mod engine;
pub mod ledger;
pub mod rejects;
pub mod report;
pub mod state;
