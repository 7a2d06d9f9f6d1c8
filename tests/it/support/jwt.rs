//! A JWT as a server reads it (RFC 7515, RFC 7519), to the letter.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

/// The three parts of a JWT.
#[derive(Clone, Debug)]
pub struct Jwt {
    pub header: Value,
    pub claims: Value,
    signed: String,
    signature: Vec<u8>,
}

impl Jwt {
    /// Reads a compact JWS; base64url without padding, nothing else.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(format!("{} parts instead of 3", parts.len()));
        };
        let decode = |part: &str| {
            URL_SAFE_NO_PAD
                .decode(part)
                .map_err(|error| format!("not base64url: {error}"))
        };
        let json = |part: &str| {
            serde_json::from_slice(&decode(part)?).map_err(|error| format!("not JSON: {error}"))
        };
        Ok(Self {
            header: json(header)?,
            claims: json(claims)?,
            signed: format!("{header}.{claims}"),
            signature: decode(signature)?,
        })
    }

    /// The signature as it stands in the text.
    pub fn signature_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.signature)
    }

    /// Whether this public JWK made the signature, by the algorithm in the header.
    pub fn is_signed_by(&self, jwk: &Value) -> bool {
        let member = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
        let message = self.signed.as_bytes();
        let rsa = match self.header["alg"].as_str() {
            Some("RS256") => &RSA_PKCS1_2048_8192_SHA256,
            Some("RS384") => &RSA_PKCS1_2048_8192_SHA384,
            Some("RS512") => &RSA_PKCS1_2048_8192_SHA512,
            name => {
                let (curve, algorithm) = match name {
                    Some("ES256") => ("P-256", &ECDSA_P256_SHA256_FIXED),
                    Some("ES384") => ("P-384", &ECDSA_P384_SHA384_FIXED),
                    _ => return false,
                };
                let point = [vec![4], member("x"), member("y")].concat();
                let key = UnparsedPublicKey::new(algorithm, point);
                return jwk["crv"] == curve && key.verify(message, &self.signature).is_ok();
            }
        };
        jwk["kty"] == "RSA"
            && RsaPublicKeyComponents {
                n: member("n"),
                e: member("e"),
            }
            .verify(rsa, message, &self.signature)
            .is_ok()
    }

    /// Whether this secret made the signature, by the algorithm in the header.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let algorithm = match self.header["alg"].as_str() {
            Some("HS256") => hmac::HMAC_SHA256,
            Some("HS384") => hmac::HMAC_SHA384,
            Some("HS512") => hmac::HMAC_SHA512,
            _ => return false,
        };
        let key = hmac::Key::new(algorithm, secret.as_bytes());
        hmac::verify(&key, self.signed.as_bytes(), &self.signature).is_ok()
    }
}
