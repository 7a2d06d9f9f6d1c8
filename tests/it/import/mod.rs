//! `bulk import`.

pub mod basics;
mod changed;
mod faults;
mod identity;
mod inputs;
mod kills;
mod kills_calls;
mod methods;
mod resume;
