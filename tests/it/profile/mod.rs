//! Profiles, settings, and where secrets rest.

mod at_rest;
mod file;
mod many;
mod secrets;
mod settings;
