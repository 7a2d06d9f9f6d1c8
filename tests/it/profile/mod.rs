//! Profiles, settings, and where secrets rest.

mod at_rest;
mod env_file;
mod file;
mod login_server;
mod many;
mod secrets;
mod settings;
