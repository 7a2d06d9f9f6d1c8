//! Where files lie. Knows no FHIR.

pub mod output;
