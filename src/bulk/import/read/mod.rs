//! Inputs, and the pieces that they hold.

pub mod asked;
pub mod bundle;
pub mod export;
pub mod folder;
pub mod input;
pub mod line;
pub mod manifest;
pub mod pattern;
pub mod promise;
mod splitter;
