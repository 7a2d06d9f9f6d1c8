//! One file per command: its arguments, which are its help, and what it does.

pub mod bulk;
pub mod completions;
pub mod demo;
pub mod login;
pub mod profile;
pub mod rest;
pub mod sandbox;
pub mod token;
pub mod whoami;
