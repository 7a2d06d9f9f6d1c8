//! Profiles, settings, and where secrets rest.

mod at_rest;
mod completion;
mod env_file;
mod env_file_keys;
mod env_file_said;
mod file;
mod login_server;
mod many;
mod moves;
mod rights;
mod secrets;
mod settings;
