//! A key that tokens are bound to, and its proofs.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::Method;
use serde_json::{Map, json};
use url::Url;

use super::super::keys::KeyError;
use crate::secret::Secret;

/// How far back `iat` lies, in seconds: a server whose clock is a little behind must not see it in its future.
const ISSUED_BEFORE: u64 = 2;

/// An EC key on P-256 that tokens are bound to. Every token has its own, and takes it along through its renewals.
#[derive(Clone)]
pub struct BoundKey(Arc<Pair>);

struct Pair {
    pkcs8: Secret,
    signing: EncodingKey,
    /// With the public key in it, which the server compares with the token's.
    header: Header,
    thumbprint: String,
}

impl fmt::Debug for BoundKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoundKey({})", self.0.thumbprint)
    }
}

impl BoundKey {
    /// A new key.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn generate() -> Result<Self, KeyError> {
        let failed = || KeyError::Signing("the DPoP key could not be made".into());
        let pair =
            EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| failed())?;
        let der = pair.to_pkcs8v1().map_err(|_| failed())?;
        Self::from_pkcs8(der.as_ref()).ok_or_else(failed)
    }

    /// A key as it is kept beside its token; `None` when it is none.
    pub fn parse(text: &str) -> Option<Self> {
        Self::from_pkcs8(&URL_SAFE_NO_PAD.decode(text).ok()?)
    }

    /// The private key, to be kept with its token.
    pub fn text(&self) -> &Secret {
        &self.0.pkcs8
    }

    /// The JWK thumbprint of the public key (RFC 7638, RFC 9449 §6.1).
    pub fn thumbprint(&self) -> &str {
        &self.0.thumbprint
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der).ok()?;
        // An uncompressed point: 4, x, y.
        let point = pair.public_key().as_ref();
        let (x, y) = point.get(1..)?.split_at_checked(32)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let public = public(&x, &y);
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("dpop+jwt".into());
        header.jwk = serde_json::from_str(&public).ok();
        Some(Self(Arc::new(Pair {
            pkcs8: Secret::new(URL_SAFE_NO_PAD.encode(der)),
            signing: EncodingKey::from_ec_der(der),
            header,
            thumbprint: URL_SAFE_NO_PAD.encode(digest(&SHA256, public.as_bytes())),
        })))
    }

    /// A proof for one request (RFC 9449 §4.2); with the token that goes along, if one does.
    pub(super) fn proof(
        &self,
        method: &Method,
        url: &Url,
        nonce: Option<&str>,
        access_token: Option<&Secret>,
    ) -> Result<Secret, KeyError> {
        let failed = |reason: &str| KeyError::Signing(reason.to_owned());
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_err(|_| failed("the clock stands before 1970"))?;
        let mut id = [0; 16];
        rand::fill(&mut id).map_err(|_| failed("no randomness"))?;
        let mut target = url.clone();
        target.set_query(None);
        target.set_fragment(None);
        let mut claims = Map::new();
        claims.insert("jti".into(), URL_SAFE_NO_PAD.encode(id).into());
        claims.insert("htm".into(), method.as_str().into());
        claims.insert("htu".into(), target.as_str().into());
        claims.insert(
            "iat".into(),
            json!(now.as_secs().saturating_sub(ISSUED_BEFORE)),
        );
        if let Some(token) = access_token {
            let hash = digest(&SHA256, token.expose().as_bytes());
            claims.insert("ath".into(), URL_SAFE_NO_PAD.encode(hash).into());
        }
        if let Some(nonce) = nonce {
            claims.insert("nonce".into(), nonce.into());
        }
        // Not remembered as a secret: there is one for every request, and its header is masked.
        jsonwebtoken::encode(&self.0.header, &claims, &self.0.signing)
            .map(Secret::public)
            .map_err(|error| failed(&error.to_string()))
    }
}

/// The public key as it is hashed for its thumbprint: these members, in this order, without a blank (RFC 7638 §3).
fn public(x: &str, y: &str) -> String {
    format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn part(proof: &Secret, index: usize) -> Value {
        let part = proof.expose().split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn a_proof_names_method_url_time_token_and_nonce_and_is_never_the_same() {
        let key = BoundKey::generate().unwrap();
        let url = Url::parse("https://Fhir.Example:443/r4/Patient?name=x#top").unwrap();
        let token = Secret::public("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
        let proof = |nonce| key.proof(&Method::GET, &url, nonce, Some(&token)).unwrap();
        let (one, two) = (proof(Some("n1")), proof(None));
        let claims = part(&one, 1);
        assert_eq!(claims["htm"], "GET");
        assert_eq!(claims["htu"], "https://fhir.example/r4/Patient");
        // The pair of token and hash in RFC 9449 §7.1.
        assert_eq!(claims["ath"], "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo");
        assert_eq!(claims["nonce"], "n1");
        assert!(part(&two, 1).get("nonce").is_none());
        assert_ne!(claims["jti"], part(&two, 1)["jti"]);
        let header = part(&one, 0);
        assert_eq!(
            (&header["typ"], &header["alg"]),
            (&json!("dpop+jwt"), &json!("ES256"))
        );
        assert!(header["jwk"]["x"].is_string() && header["jwk"].get("d").is_none());
    }

    #[test]
    fn the_thumbprint_is_the_one_of_the_rfc() {
        // The key of RFC 9449 §4.1 and its thumbprint in §6.1.
        let (x, y) = (
            "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs",
            "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA",
        );
        assert_eq!(
            URL_SAFE_NO_PAD.encode(digest(&SHA256, public(x, y).as_bytes())),
            "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
        );
    }

    #[test]
    fn a_key_comes_back_from_its_text_and_shows_itself_to_nobody() {
        let key = BoundKey::generate().unwrap();
        let again = BoundKey::parse(key.text().expose()).unwrap();
        assert_eq!(key.thumbprint(), again.thumbprint());
        assert!(!format!("{key:?}").contains(key.text().expose()));
        assert!(BoundKey::parse("bm9uc2Vuc2U").is_none() && BoundKey::parse("?").is_none());
    }
}
