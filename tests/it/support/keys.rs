//! The test keys in `data/keys`, made by OpenSSL and Node.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// What opens the encrypted ones.
pub const PASSPHRASE: &str = "test-passphrase";

/// A key file.
pub fn key_file(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/data/keys");
    path.join(name)
}

/// The same as text, for arguments.
pub fn key(name: &str) -> String {
    key_file(name).to_string_lossy().into_owned()
}

/// A JWK file as Node wrote it.
pub fn jwk(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(key_file(name)).unwrap()).unwrap()
}

/// The public members of a JWK, with an id.
pub fn public_jwk(name: &str, kid: &str) -> Value {
    let jwk = jwk(name);
    let mut public = serde_json::Map::new();
    for member in ["kty", "n", "e", "crv", "x", "y"] {
        if let Some(value) = jwk.get(member) {
            public.insert(member.to_owned(), value.clone());
        }
    }
    public.insert("kid".to_owned(), kid.into());
    Value::Object(public)
}
