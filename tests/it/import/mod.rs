//! `bulk import`.

mod again;
mod answers;
mod asked;
mod attacked;
pub mod basics;
mod changed;
mod digests;
mod escaped;
mod faults;
mod foreign_folder;
mod full_disk;
mod identity;
mod inputs;
mod kills;
mod kills_calls;
mod memory;
mod methods;
mod odd_names;
mod outputs;
mod principles;
mod quoted;
mod references;
mod resume;
mod retried;
mod said;
mod shapes;
mod transactions;
