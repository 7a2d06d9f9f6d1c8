//! What nobody can guess: states, nonces, verifiers.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// So many random bytes of the operating system's quality, in base64url without padding, which needs no encoding in a URL.
pub(super) fn unguessable<const BYTES: usize>() -> String {
    let mut bytes = [0; BYTES];
    aws_lc_rs::rand::fill(&mut bytes)
        .expect("the library ends the process itself where no randomness is to be had");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The `S256` challenge of a code verifier (RFC 7636 §4.2).
pub(super) fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_challenge_is_that_of_the_rfc() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn no_two_are_the_same_and_a_verifier_has_the_length_of_the_rfc() {
        let (one, other) = (unguessable::<32>(), unguessable::<32>());
        assert_ne!(one, other);
        assert_eq!(one.len(), 43, "{one}");
    }
}
