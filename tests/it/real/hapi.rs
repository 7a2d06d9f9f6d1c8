//! HAPI's JPA server, the open FHIR server that most people run: started once, shared by all tests named `hapi_…`.

use std::sync::OnceLock;

use crate::support::tls::Authority;
use crate::support::{Medplum, Peer};

/// The bases that the one process serves, each with a database of its own.
pub const SHARED: &str = "fhir";
pub const STRICT: &str = "strict";
/// Whose system export holds nothing of other tests; five resources in a file.
pub const EXPORTED: &str = "exported";
pub const COPY: &str = "copy";
pub const SECOND: &str = "second";
/// Where ids of digits alone are taken.
pub const NUMERIC: &str = "numeric";

/// The server, with which every test keeps to resources of its own; `None`, said on stderr, on a machine without Java.
pub fn hapi() -> Option<&'static Peer> {
    static HAPI: OnceLock<Peer> = OnceLock::new();
    Peer::has_java().then(|| {
        HAPI.get_or_init(|| {
            let mut words = vec!["--retry-after", "1"];
            words.extend(["--also", STRICT, "--integrity", "--retry-after", "1"]);
            words.extend(["--also", EXPORTED, "--retry-after", "1"]);
            words.extend(["--file-capacity", "5"]);
            for copy in [COPY, SECOND] {
                words.extend(["--also", copy, "--integrity", "--retry-after", "1"]);
                words.extend(["--file-capacity", "5000"]);
            }
            words.extend(["--also", NUMERIC, "--numeric-ids"]);
            let folder = tempfile::tempdir().unwrap();
            let trusted = folder.path().join("trusted.pem");
            std::fs::write(&trusted, authority().pem()).unwrap();
            let trusted = trusted.display().to_string();
            words.extend(["--trust", &trusted]);
            Peer::hapi(&words)
        })
    })
}

/// Whose servers HAPI believes when it fetches files itself.
pub fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(Authority::new)
}

/// A user of one of its bases.
pub fn user_of(hapi: &Peer, base: &str) -> Medplum {
    Medplum::new()
        .env("MEDPLUM_BASE_URL", hapi.url("/"))
        .env("MEDPLUM_FHIR_URL_PATH", base)
}
