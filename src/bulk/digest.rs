//! The digest of a file's lines, as they are before they are packed: made while they stream past, recorded by the export, and
//! compared by whoever reads its folder.

use std::fmt::{self, Display, Formatter, Write};
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

const LENGTH: usize = 32;

/// How a digest is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// Costs little on every processor.
    Blake3,
    /// What servers promise.
    Sha256,
}

impl Algorithm {
    const ALL: [Self; 2] = [Self::Blake3, Self::Sha256];

    /// Its name in files.
    fn name(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
        }
    }

    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }

    /// Begins one.
    pub fn begin(self) -> Running {
        match self {
            Self::Blake3 => Running(Inner::Blake3(Box::default())),
            Self::Sha256 => Running(Inner::Sha256(Context::new(&SHA256))),
        }
    }
}

impl Display for Algorithm {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blake3 => "BLAKE3",
            Self::Sha256 => "SHA-256",
        })
    }
}

/// A digest that is made.
pub struct Running(Inner);

enum Inner {
    Blake3(Box<blake3::Hasher>),
    Sha256(Context),
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("Running")
    }
}

impl Running {
    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Blake3(hasher) => drop(hasher.update(bytes)),
            Inner::Sha256(context) => context.update(bytes),
        }
    }

    /// The digest of all that came.
    pub fn finish(self) -> Digest {
        match self.0 {
            Inner::Blake3(hasher) => Digest {
                algorithm: Algorithm::Blake3,
                value: *hasher.finalize().as_bytes(),
            },
            Inner::Sha256(context) => {
                let mut value = [0; LENGTH];
                value.copy_from_slice(context.finish().as_ref());
                Digest {
                    algorithm: Algorithm::Sha256,
                    value,
                }
            }
        }
    }
}

/// The digest of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    pub algorithm: Algorithm,
    value: [u8; LENGTH],
}

impl Digest {
    /// Reads 64 digits of hex, in either case.
    pub fn of_hex(algorithm: Algorithm, hex: &str) -> Option<Self> {
        let (digits, rest) = hex.as_bytes().as_chunks::<2>();
        if digits.len() != LENGTH || !rest.is_empty() {
            return None;
        }
        let mut value = [0; LENGTH];
        for (byte, [high, low]) in value.iter_mut().zip(digits) {
            let digit = |text: u8| char::from(text).to_digit(16);
            *byte = u8::try_from(digit(*high)? << 4 | digit(*low)?).ok()?;
        }
        Some(Self { algorithm, value })
    }

    /// In lower-case hex.
    pub fn hex(&self) -> String {
        self.value.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    /// Half of it, for telling files apart.
    pub fn half(&self) -> u128 {
        let (half, _) = self.value.as_chunks::<16>();
        half.first().map_or(0, |half| u128::from_be_bytes(*half))
    }

    /// As it stands in `manifest.json`.
    pub fn as_json(&self) -> Value {
        json!({"algorithm": self.algorithm.name(), "value": self.hex()})
    }
}

/// As it stands in the state of an export: `blake3:HEX`.
impl Display for Digest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl FromStr for Digest {
    type Err = String;

    /// Versions before the choice wrote the hex of a SHA-256 alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, hex) = text.split_once(':').unwrap_or(("sha256", text));
        let algorithm = Algorithm::named(name);
        algorithm
            .and_then(|algorithm| Self::of_hex(algorithm, hex))
            .ok_or_else(|| "it is no digest that is known here".to_owned())
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Digests that were promised, beside those of what streams past.
#[derive(Debug, Default)]
pub struct Compared(Vec<(Digest, Running)>);

impl Compared {
    /// With these.
    pub fn with(promised: Vec<Digest>) -> Self {
        let begun = |promised: Digest| (promised, promised.algorithm.begin());
        Self(promised.into_iter().map(begun).collect())
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        for (_, running) in &mut self.0 {
            running.feed(bytes);
        }
    }

    /// Compares them.
    ///
    /// # Errors
    /// What differs, in words.
    pub fn finish(self) -> Result<(), String> {
        for (promised, running) in self.0 {
            let found = running.finish();
            if found != promised {
                return Err(format!(
                    "its {} is {}, and the manifest says {}",
                    found.algorithm,
                    found.hex(),
                    promised.hex()
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: [(Algorithm, &str); 2] = [
        (
            Algorithm::Sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        ),
        (
            Algorithm::Blake3,
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
        ),
    ];

    #[test]
    fn digests_are_those_of_the_standards_and_read_as_they_are_written() {
        for (algorithm, hex) in ABC {
            let mut running = algorithm.begin();
            running.feed(b"a");
            running.feed(b"bc");
            let digest = running.finish();
            assert_eq!(digest.hex(), hex);
            assert_eq!(digest.to_string().parse(), Ok(digest));
            let upper = hex.to_uppercase();
            assert_eq!(Digest::of_hex(algorithm, &upper), Some(digest));
            assert_eq!(u128::from_str_radix(&hex[..32], 16), Ok(digest.half()));
        }
    }

    #[test]
    fn what_is_no_digest_is_refused() {
        let (_, hex) = ABC[0];
        assert!(hex.parse::<Digest>().is_ok(), "as older versions wrote it");
        for text in [
            String::new(),
            "blake3:".to_owned(),
            hex[1..].to_owned(),
            format!("{hex}0"),
            format!("md5:{hex}"),
            format!("BLAKE3:{hex}"),
            format!("blake3:{hex}\n"),
            format!("blake3:+{}", &hex[1..]),
            format!("blake3:é{}", &hex[2..]),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
