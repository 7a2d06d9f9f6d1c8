//! Signatures that other programs made: raw or DER, as bytes or base64, brought into the form of a JWS (RFC 7518 §3.3, §3.4).

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use pkcs1::der::asn1::UintRef;
use pkcs1::der::{Decode, Header, Reader, SliceReader, Tag};

use super::{Curve, PublicKey};
use crate::profile::Algorithm;

/// RSA moduli of 2048 to 8192 bits.
const RSA_LENGTHS: std::ops::RangeInclusive<usize> = 256..=1024;

const LOOSE: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LOOSE);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LOOSE);

/// The signature in what a program printed, as a JWS holds it. Its words on failure end a sentence that begins with "it
/// printed".
///
/// # Errors
/// What was printed instead.
pub(super) fn read(
    algorithm: Algorithm,
    public: Option<&PublicKey>,
    printed: &[u8],
) -> Result<Vec<u8>, String> {
    if printed.trim_ascii().is_empty() {
        return Err("nothing".into());
    }
    let text = from_base64(printed);
    let forms = [text.as_deref(), Some(printed)];
    forms
        .into_iter()
        .flatten()
        .find_map(|bytes| fitting(algorithm, public, bytes))
        .ok_or_else(|| {
            let (what, length) = match &text {
                Some(bytes) => ("base64 of ", bytes.len()),
                None => ("", printed.len()),
            };
            let wanted = wanted(algorithm, public);
            format!("{what}{length} bytes, and a signature with {algorithm} is {wanted}")
        })
}

/// Whether the key made the signature of this text.
pub(super) fn is_of(
    public: &PublicKey,
    algorithm: Algorithm,
    text: &[u8],
    signature: &[u8],
) -> bool {
    match public {
        PublicKey::Rsa { n, e } => {
            let way = match algorithm {
                Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
                Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
                Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
                Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
                Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
                Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
                _ => return false,
            };
            RsaPublicKeyComponents { n, e }
                .verify(way, text, signature)
                .is_ok()
        }
        PublicKey::Ec { curve, x, y } => {
            let way: &dyn VerificationAlgorithm = match (curve, algorithm) {
                (Curve::P256, Algorithm::Es256) => &ECDSA_P256_SHA256_FIXED,
                (Curve::P384, Algorithm::Es384) => &ECDSA_P384_SHA384_FIXED,
                _ => return false,
            };
            let point = [&[4][..], x, y].concat();
            UnparsedPublicKey::new(way, point)
                .verify(text, signature)
                .is_ok()
        }
    }
}

/// Bytes that have the length and shape of a signature.
fn fitting(algorithm: Algorithm, public: Option<&PublicKey>, bytes: &[u8]) -> Option<Vec<u8>> {
    match width(algorithm) {
        Some(width) if bytes.len() == 2 * width => Some(bytes.to_vec()),
        Some(width) => from_der(bytes, width),
        None => {
            let fits = match public {
                Some(public) => bytes.len() == public.bits().div_ceil(8),
                None => RSA_LENGTHS.contains(&bytes.len()) && bytes.len().is_multiple_of(8),
            };
            fits.then(|| bytes.to_vec())
        }
    }
}

fn wanted(algorithm: Algorithm, public: Option<&PublicKey>) -> String {
    match (width(algorithm), public) {
        (Some(width), _) => format!("one of {} bytes, or DER", 2 * width),
        (None, Some(public)) => format!("one of {} bytes", public.bits().div_ceil(8)),
        (None, None) => "as long as its key: 256 bytes or more".to_owned(),
    }
}

/// The length of the numbers of an ECDSA signature.
fn width(algorithm: Algorithm) -> Option<usize> {
    match algorithm {
        Algorithm::Es256 => Some(Curve::P256.width()),
        Algorithm::Es384 => Some(Curve::P384.width()),
        _ => None,
    }
}

/// `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279 §2.2.3) as the two numbers in full width.
fn from_der(bytes: &[u8], width: usize) -> Option<Vec<u8>> {
    let mut reader = SliceReader::new(bytes).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    header.tag().assert_eq(Tag::Sequence).ok()?;
    let mut signature = Vec::with_capacity(2 * width);
    for _ in 0..2 {
        let number = UintRef::decode(&mut reader).ok()?;
        let number = number.as_bytes();
        let zeros = width.checked_sub(number.len())?;
        signature.resize(signature.len() + zeros, 0);
        signature.extend_from_slice(number);
    }
    reader.finish().ok()?;
    Some(signature)
}

/// Base64 of either alphabet, in one line or several, with or without padding.
fn from_base64(printed: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = printed
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    STANDARD
        .decode(&text)
        .or_else(|_| URL_SAFE.decode(&text))
        .ok()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

    use super::*;

    const TEXT: &[u8] = b"header.claims";

    fn ec() -> (PublicKey, Vec<u8>) {
        let pair = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).unwrap();
        let public = PublicKey::from_point(Curve::P384, pair.public_key().as_ref()).unwrap();
        let der = pair.sign(&SystemRandom::new(), TEXT).unwrap();
        (public, der.as_ref().to_vec())
    }

    #[test]
    fn der_and_raw_as_bytes_and_as_base64_are_the_same_signature() {
        // Short numbers are one signature in 256.
        for _ in 0..600 {
            let (public, der) = ec();
            let raw = read(Algorithm::Es384, Some(&public), &der).unwrap();
            assert_eq!(raw.len(), 96);
            assert!(is_of(&public, Algorithm::Es384, TEXT, &raw));
            assert!(!is_of(&public, Algorithm::Es384, b"other", &raw));
            let mut lines = STANDARD.encode(&der);
            lines.insert(64, '\n');
            lines.push('\n');
            for printed in [
                raw.clone(),
                lines.into_bytes(),
                STANDARD.encode(&raw).into_bytes(),
                URL_SAFE
                    .encode(&raw)
                    .trim_end_matches('=')
                    .as_bytes()
                    .to_vec(),
            ] {
                assert_eq!(read(Algorithm::Es384, None, &printed).unwrap(), raw);
            }
        }
    }

    #[test]
    fn what_is_too_long_too_short_or_something_else_is_refused() {
        let (_, der) = ec();
        let longer = [&der[..], &[0]].concat();
        for (algorithm, printed, words) in [
            (Algorithm::Es384, &b""[..], "nothing"),
            (Algorithm::Es384, b" \n", "nothing"),
            (Algorithm::Es384, &[7; 64], "64 bytes"),
            (Algorithm::Es384, &der[..der.len() - 1], "or DER"),
            (Algorithm::Es384, &longer, "or DER"),
            (Algorithm::Es256, &der, "64 bytes"),
            (Algorithm::Rs384, &[7; 48], "48 bytes"),
            (Algorithm::Rs384, &[7; 257], "257 bytes"),
            (Algorithm::Rs384, b"{\"Signature\":\"AAAA\"}", "20 bytes"),
        ] {
            let error = read(algorithm, None, printed).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(read(Algorithm::Rs384, None, &[7; 256]).unwrap().len(), 256);
    }

    proptest::proptest! {
        #[test]
        fn no_output_makes_it_panic(printed in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let _ = read(Algorithm::Es256, None, &printed);
        }
    }
}
