//! One file per command: its arguments, which are its help, and what it does.

pub mod auth_help;
pub mod bulk;
pub mod completions;
pub mod demo;
pub mod doctor;
mod given_back;
pub mod keys;
pub mod login;
pub mod logout;
pub mod manual;
pub mod options;
pub mod profile;
pub mod rest;
pub mod sandbox;
pub mod token;
pub mod whoami;

pub use crate::profile::network::duration;
