//! How servers are reached: times, tries, certificates.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::pace::Pace;

/// How to reach servers.
#[derive(Clone, Debug)]
pub struct Network {
    /// Longest time to connect.
    pub connect_timeout: Duration,
    /// Longest time without a byte.
    pub read_timeout: Duration,
    /// Longest time for one request with its answer.
    pub timeout: Option<Duration>,
    /// How often a request that may be repeated is repeated.
    pub retries: u32,
    /// Certificates to trust besides the system's, as PEM.
    pub ca_cert: Option<PathBuf>,
    /// Accept any certificate.
    pub insecure: bool,
    /// What all requests of the process keep to.
    pub pace: Option<Arc<Pace>>,
    /// What the client shows in TLS, for requests that say so.
    pub client_cert: Option<ClientCertificate>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            read_timeout: Duration::from_secs(60),
            timeout: None,
            retries: 3,
            ca_cert: None,
            insecure: false,
            pace: None,
            client_cert: None,
        }
    }
}

/// A client's certificate with its chain and its key.
#[derive(Clone)]
pub struct ClientCertificate {
    /// The file it is from.
    pub(super) path: PathBuf,
    pub(super) pem: Vec<u8>,
}

impl ClientCertificate {
    /// A certificate from this file; `pem` holds certificates and a key that is not encrypted.
    pub fn new(path: &Path, pem: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            pem,
        }
    }
}

impl std::fmt::Debug for ClientCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientCertificate({})", self.path.display())
    }
}
