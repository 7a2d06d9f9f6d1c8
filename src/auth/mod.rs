//! A token for a profile: who asks for it, how the client proves itself, and when to ask again.

mod applicant;
mod assertion;
mod authorization;
pub mod browser;
pub mod cache;
pub mod client_auth;
pub mod device;
pub mod discovery;
pub mod dpop;
pub mod endpoints;
mod error;
mod exchange;
pub mod grant;
pub mod id_token;
pub mod keys;
mod refusal;
mod request;
pub mod revocation;
pub mod scope;
pub mod secret_command;
mod signed_in;
mod source;
mod stored_login;
mod token;
mod token_answer;
mod way;

pub use assertion::SigningKey;
pub use authorization::Authorization;
pub use endpoints::Endpoints;
pub use error::AuthError;
pub use refusal::TokenRefusal;
pub use request::TokenRequest;
pub use signed_in::SignedIn;
pub use source::TokenSource;
pub use token::Token;
pub use way::Way;
