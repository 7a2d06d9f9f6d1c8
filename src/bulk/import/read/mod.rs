//! Inputs, and the pieces that they hold.

pub mod bundle;
pub mod folder;
pub mod input;
pub mod line;
