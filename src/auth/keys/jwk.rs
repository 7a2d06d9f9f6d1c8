//! Keys as JWK and JWKS (RFC 7517, RFC 7518 §6).

use std::path::Path;

use aws_lc_rs::encoding::{AsBigEndian, EcPrivateKeyBin};
use aws_lc_rs::signature::EcdsaKeyPair;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use pkcs1::der::asn1::UintRef;
use pkcs1::der::{Decode, Encode};
use serde_json::{Map, Value};

use super::public::encode;
use super::{Curve, Key, KeyError, PublicKey, pem};
use crate::profile::Algorithm;
use crate::words;

/// RFC 7515 has no padding; some tools write it all the same.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The keys of a JWK or JWKS. In a set, keys that cannot sign are passed over (RFC 7517 §5).
///
/// # Errors
/// A key cannot be used, or no key is left.
pub(super) fn read(path: &Path, text: &str) -> Result<Vec<Key>, KeyError> {
    let json: Map<String, Value> = serde_json::from_str(text).map_err(|error| {
        let what = words::of_json(&error);
        unusable(path, &format!("it is no JSON object: {what}"))
    })?;
    let Some(keys) = json.get("keys") else {
        return Ok(vec![key(path, &json)?]);
    };
    let entries = keys
        .as_array()
        .ok_or_else(|| unusable(path, "its `keys` is no list"))?;
    let mut keys = Vec::new();
    let mut passed_over = None;
    for entry in entries.iter().filter_map(Value::as_object) {
        match (not_for_signing(entry), key(path, entry)) {
            (None, read) => keys.push(read?),
            (Some(_), Err(error)) => {
                passed_over.get_or_insert(error);
            }
            (Some(_), Ok(_)) => {}
        }
    }
    if keys.is_empty() {
        return Err(passed_over.unwrap_or_else(|| unusable(path, "the set in it is empty")));
    }
    Ok(keys)
}

/// Why a JWK is not one to sign with, by what it says of itself.
fn not_for_signing(jwk: &Map<String, Value>) -> Option<String> {
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    match text("kty") {
        Some("RSA" | "EC") => {}
        Some("oct") => return Some("it is a symmetric key (kty oct)".into()),
        Some(kty) => {
            return Some(format!(
                "its key type {kty} is not supported; RSA and EC are"
            ));
        }
        None => return Some("it has no `kty`".into()),
    }
    if let Some(usage) = text("use").filter(|usage| *usage != "sig") {
        return Some(format!("it is not for signing (use {usage})"));
    }
    let operations = jwk.get("key_ops").and_then(Value::as_array);
    let signs = |operation: &Value| matches!(operation.as_str(), Some("sign" | "verify"));
    if operations.is_some_and(|operations| !operations.iter().any(signs)) {
        return Some("it is not for signing (key_ops)".into());
    }
    let algorithm = text("alg")?;
    let is_known = Algorithm::ALL.iter().any(|(name, _)| *name == algorithm);
    (!is_known).then(|| format!("its algorithm {algorithm} is not supported"))
}

fn key(path: &Path, jwk: &Map<String, Value>) -> Result<Key, KeyError> {
    if let Some(reason) = not_for_signing(jwk) {
        return Err(unusable(path, &reason));
    }
    let text = |name: &str| jwk.get(name).and_then(Value::as_str);
    let jwk_of = Jwk { path, jwk };
    let mut key = match text("kty") {
        Some("RSA") => jwk_of.rsa()?,
        _ => jwk_of.ec()?,
    };
    key.kid = text("kid").filter(|kid| !kid.is_empty()).map(str::to_owned);
    key.algorithm = text("alg").and_then(|name| name.parse().ok());
    Ok(key)
}

/// A JWK while it is read.
struct Jwk<'a> {
    path: &'a Path,
    jwk: &'a Map<String, Value>,
}

impl Jwk<'_> {
    fn rsa(&self) -> Result<Key, KeyError> {
        let (n, e) = (self.number("n")?, self.number("e")?);
        if !self.jwk.contains_key("d") {
            return Ok(Key::new(PublicKey::rsa(&n, &e), None));
        }
        if self.jwk.contains_key("oth") {
            return Err(unusable(
                self.path,
                "it is an RSA key of more than two primes",
            ));
        }
        let names = ["d", "p", "q", "dp", "dq", "qi"];
        let numbers = names
            .iter()
            .map(|name| self.number(name))
            .collect::<Result<Vec<_>, _>>()?;
        let damaged = || unusable(self.path, "its RSA numbers cannot be used");
        let number = |at: usize| UintRef::new(&numbers[at]).map_err(|_| damaged());
        let der = pkcs1::RsaPrivateKeyRef {
            modulus: UintRef::new(&n).map_err(|_| damaged())?,
            public_exponent: UintRef::new(&e).map_err(|_| damaged())?,
            private_exponent: number(0)?,
            prime1: number(1)?,
            prime2: number(2)?,
            exponent1: number(3)?,
            exponent2: number(4)?,
            coefficient: number(5)?,
            other_prime_infos: None,
        }
        .to_der()
        .map_err(|_| damaged())?;
        pem::rsa_private(self.path, &der)
    }

    fn ec(&self) -> Result<Key, KeyError> {
        let name = self
            .jwk
            .get("crv")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let curve = Curve::ALL.into_iter().find(|curve| curve.name() == name);
        let curve = curve.ok_or_else(|| {
            unusable(
                self.path,
                &format!("its curve {name} is not supported; P-256 and P-384 are"),
            )
        })?;
        let mut point = vec![4];
        for name in ["x", "y"] {
            point.extend(self.coordinate(curve, name)?);
        }
        if !self.jwk.contains_key("d") {
            let public = PublicKey::from_point(curve, &point);
            return public
                .map(|public| Key::new(public, None))
                .ok_or_else(|| unusable(self.path, "its x and y cannot be used"));
        }
        let private = self.coordinate(curve, "d")?;
        EcdsaKeyPair::from_private_key_and_public_key(pem::signing(curve), &private, &point)
            .ok()
            .and_then(|pair| pem::from_pair(curve, &pair))
            .ok_or_else(|| {
                unusable(
                    self.path,
                    "its d does not belong to its x and y, or they are on no curve",
                )
            })
    }

    /// A number in the full width of its curve, also when zeros in front were left out.
    fn coordinate(&self, curve: Curve, name: &str) -> Result<Vec<u8>, KeyError> {
        let bytes = self.number(name)?;
        let missing = curve.width().checked_sub(bytes.len());
        let missing =
            missing.ok_or_else(|| unusable(self.path, &format!("its `{name}` is too long")))?;
        Ok([vec![0; missing], bytes].concat())
    }

    fn number(&self, name: &str) -> Result<Vec<u8>, KeyError> {
        let text = self.jwk.get(name).and_then(Value::as_str);
        let text = text.ok_or_else(|| unusable(self.path, &format!("its JWK has no `{name}`")))?;
        BASE64URL
            .decode(text)
            .ok()
            .filter(|bytes| !bytes.is_empty())
            .ok_or_else(|| unusable(self.path, &format!("its `{name}` is not base64url")))
    }
}

/// A private key as JWK, for a file of its own; `None` for a public key.
pub(super) fn private(key: &Key) -> Option<Map<String, Value>> {
    let der = &key.private.as_ref()?.0;
    let mut jwk = key.public_jwk(None);
    let mut add = |name: &str, bytes: &[u8]| jwk.insert(name.to_owned(), encode(bytes).into());
    match &key.public {
        PublicKey::Rsa { .. } => {
            let numbers = pkcs1::RsaPrivateKeyRef::from_der(der).ok()?;
            add("d", numbers.private_exponent.as_bytes());
            add("p", numbers.prime1.as_bytes());
            add("q", numbers.prime2.as_bytes());
            add("dp", numbers.exponent1.as_bytes());
            add("dq", numbers.exponent2.as_bytes());
            add("qi", numbers.coefficient.as_bytes());
        }
        PublicKey::Ec { curve, .. } => {
            let pair = EcdsaKeyPair::from_pkcs8(pem::signing(*curve), der).ok()?;
            let number: EcPrivateKeyBin<'_> = pair.private_key().as_be_bytes().ok()?;
            add("d", number.as_ref());
        }
    }
    Some(jwk)
}

fn unusable(path: &Path, reason: &str) -> KeyError {
    KeyError::Unusable {
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7517 appendix A.2: an EC key for encryption and an RSA key for RS256.
    const SET: &str = r#"{"keys": [
        {"kty":"EC", "crv":"P-256", "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
         "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM",
         "d":"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE", "use":"enc", "kid":"1"},
        {"kty":"RSA", "n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
         "e":"AQAB",
         "d":"X4cTteJY_gn4FYPsXB8rdXix5vwsg1FLN5E3EaG6RJoVH-HLLKD9M7dx5oo7GURknchnrRweUkC7hT5fJLM0WbFAKNLWY2vv7B6NqXSzUvxT0_YSfqijwp3RTzlBaCxWp4doFk5N2o8Gy_nHNKroADIkJ46pRUohsXywbReAdYaMwFs9tv8d_cPVY3i07a3t8MN6TNwm0dSawm9v47UiCl3Sk5ZiG7xojPLu4sbg1U2jx4IBTNBznbJSzFHK66jT8bgkuqsk0GjskDJk19Z4qwjwbsnn4j2WBii3RL-Us2lGVkY8fkFzme1z0HbIkfz0Y6mqnOYtqc0X4jfcKoAC8Q",
         "p":"83i-7IvMGXoMXCskv73TKr8637FiO7Z27zv8oj6pbWUQyLPQBQxtPVnwD20R-60eTDmD2ujnMt5PoqMrm8RfmNhVWDtjjMmCMjOpSXicFHj7XOuVIYQyqVWlWEh6dN36GVZYk93N8Bc9vY41xy8B9RzzOGVQzXvNEvn7O0nVbfs",
         "q":"3dfOR9cuYq-0S-mkFLzgItgMEfFzB2q3hWehMuG0oCuqnb3vobLyumqjVZQO1dIrdwgTnCdpYzBcOfW5r370AFXjiWft_NGEiovonizhKpo9VVS78TzFgxkIdrecRezsZ-1kYd_s1qDbxtkDEgfAITAG9LUnADun4vIcb6yelxk",
         "dp":"G4sPXkc6Ya9y8oJW9_ILj4xuppu0lzi_H7VTkS8xj5SdX3coE0oimYwxIi2emTAue0UOa5dpgFGyBJ4c8tQ2VF402XRugKDTP8akYhFo5tAA77Qe_NmtuYZc3C3m3I24G2GvR5sSDxUyAN2zq8Lfn9EUms6rY3Ob8YeiKkTiBj0",
         "dq":"s9lAH9fggBsoFR8Oac2R_E2gw282rT2kGOAhvIllETE1efrA6huUUvMfBcMpn8lqeW6vzznYY5SSQF7pMdC_agI3nG8Ibp1BUb0JUiraRNqUfLhcQb_d9GF4Dh7e74WbRsobRonujTYN1xCaP6TO61jvWrX-L18txXw494Q_cgk",
         "qi":"GyM_p6JrXySiz1toFgKbWV-JdI3jQ4ypu9rbMWx3rQJBfmt0FoYzgUIZEVFEcOqwemRN81zoDAaa-Bk0KWNGDjJHZDdDmFhW3AN7lI-puxk_mHZGJ11rxyR8O55XLSe3SPmRfKwZI6yU24ZxvQKFYItdldUKGzO6Ia6zTKhAVRU",
         "alg":"RS256", "kid":"2011-04-29"},
        {"kty":"of the future"}]}"#;

    fn json(text: &str) -> Result<Vec<Key>, KeyError> {
        read(Path::new("set.json"), text)
    }

    fn members(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    fn entry(at: usize) -> Map<String, Value> {
        members(SET)["keys"][at].as_object().unwrap().clone()
    }

    fn with(at: usize, name: &str, value: Value) -> String {
        let mut jwk = entry(at);
        jwk.insert(name.into(), value);
        Value::Object(jwk).to_string()
    }

    #[test]
    fn of_the_set_in_rfc_7517_the_signing_key_is_taken_with_its_id_and_algorithm() {
        let keys = json(SET).unwrap();
        assert_eq!(keys.len(), 1);
        assert_eq!(
            (keys[0].kid().as_str(), keys[0].algorithm()),
            ("2011-04-29", Algorithm::Rs256)
        );
        assert!(keys[0].is_private());
        let again = Value::Object(private(&keys[0]).unwrap()).to_string();
        let mut expected = entry(1);
        expected.insert("use".into(), "sig".into());
        assert_eq!(members(&again), expected);
    }

    #[test]
    fn an_ec_key_comes_back_as_it_was_and_its_public_jwk_has_no_d() {
        let key = json(&with(0, "use", "sig".into())).unwrap().remove(0);
        let again = private(&key).unwrap();
        assert_eq!(again["d"], entry(0)["d"]);
        let names: Vec<String> = key.public_jwk(None).keys().cloned().collect();
        assert_eq!(names, ["kty", "crv", "x", "y", "kid", "use", "alg"]);
    }

    #[test]
    fn what_cannot_sign_is_refused_with_the_reason_and_without_the_key() {
        let d = entry(1)["d"].clone();
        for (text, reason) in [
            (Value::Object(entry(0)).to_string(), "use enc"),
            (
                with(1, "key_ops", Value::Array(vec!["decrypt".into()])),
                "key_ops",
            ),
            (with(1, "alg", "RSA-OAEP".into()), "RSA-OAEP"),
            (with(1, "kty", "oct".into()), "symmetric"),
            (with(1, "kty", "OKP".into()), "OKP"),
            (with(1, "p", Value::Null), "no `p`"),
            (with(1, "p", "!".into()), "`p` is not base64url"),
            (with(1, "p", entry(1)["q"].clone()), "refused"),
            (
                with(1, "oth", Value::Array(Vec::new())),
                "more than two primes",
            ),
            (r#"{"keys": []}"#.to_owned(), "empty"),
            (r#"{"keys": 1}"#.to_owned(), "no list"),
            (r#"{"kty": "EC", "crv": "P-521"}"#.to_owned(), "P-521"),
            ("{".to_owned(), "line 1"),
        ] {
            let error = json(&text).unwrap_err().to_string();
            assert!(
                error.contains(reason) && error.contains("set.json"),
                "{error}"
            );
            assert!(!error.contains(d.as_str().unwrap()), "{error}");
        }
        let foreign = with(0, "d", "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAF".into());
        let foreign = foreign.replace(r#""use":"enc","#, "");
        assert!(json(&foreign).is_err());
    }
}
