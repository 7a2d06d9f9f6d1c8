//! Sign-in: every auth type, the keys, the tokens and their end.

mod browser_login;
mod browser_security;
mod client_auth;
mod device_code;
mod docs_page_jwt;
mod docs_page_login;
mod endpoints;
mod foreign_words;
mod given;
mod hostile_discovery;
mod jwt;
mod jwt_renewal;
mod jwt_secrets;
mod key_rotation;
mod keys;
mod keys_text;
mod logout;
mod refresh;
mod secret_command;
mod signin;
mod token_bridges;
mod token_exchange;
mod token_requests;
mod tokens;
mod waiting;
