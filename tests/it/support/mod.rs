//! What the tests stand on: the binary in a home of its own, and servers that record and misbehave on demand.
//! Plain threads and `std::net`, so that the servers share no code with the client they test.

pub mod answer;
pub mod assertions;
pub mod authorization;
pub mod backend;
pub mod browser;
pub mod bulk;
pub mod clinic;
pub mod doctor;
pub mod fhir;
pub mod gateway;
pub mod import_kills;
pub mod imported;
pub mod jwt;
pub mod keyring;
pub mod keys;
pub mod kills;
pub mod medplum;
pub mod mtls;
pub mod oauth;
pub mod peer;
pub mod plain_http;
pub mod profile_file;
pub mod request;
pub mod run;
pub mod sandbox;
pub mod server;
pub mod socks;
pub mod store;
pub mod synthea;
pub mod tls;

pub use answer::Answer;
pub use authorization::AuthorizationServer;
pub use backend::Backend;
pub use bulk::Bulk;
pub use clinic::Clinic;
pub use fhir::Site;
pub use medplum::Medplum;
pub use oauth::TokenEndpoint;
pub use peer::Peer;
pub use request::Request;
pub use run::Run;
pub use server::Server;
pub use store::Store;
