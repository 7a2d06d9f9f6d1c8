//! One file of an export on its way to the disk: unwrapped, checked, hashed, compressed, and kept when it breaks off.

pub mod binary;
pub mod checksum;
pub mod ongoing;
pub mod part;
pub mod target;
