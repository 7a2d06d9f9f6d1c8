//! How the masks are made: with the best that the processor has.

use std::sync::OnceLock;

use crate::walk::walk;
use crate::{Good, Wanted, mask};

/// A way to make the masks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Byte by byte.
    Scalar,
    /// Sixteen bytes at a time with SSE2 or NEON, by the crate `wide`.
    Portable,
    /// Thirty-two bytes at a time, on x86-64 that has AVX2.
    Avx2,
}

impl Way {
    /// All of them, each with its name.
    pub const ALL: [(&str, Self); 3] = [
        ("scalar", Self::Scalar),
        ("portable", Self::Portable),
        ("avx2", Self::Avx2),
    ];

    /// The best one here.
    pub fn best() -> Self {
        static BEST: OnceLock<Way> = OnceLock::new();
        *BEST.get_or_init(|| {
            named().unwrap_or(if Self::Avx2.is_here() {
                Self::Avx2
            } else {
                Self::Portable
            })
        })
    }

    /// Whether this processor can go it.
    pub fn is_here(self) -> bool {
        match self {
            Self::Scalar | Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("bmi1")
                    && is_x86_feature_detected!("bmi2")
                    && is_x86_feature_detected!("lzcnt")
                    && is_x86_feature_detected!("popcnt")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 => false,
        }
    }

    pub(crate) fn walk(self, text: &[u8], wanted: Wanted) -> Good {
        match self {
            Self::Scalar => walk(text, wanted, mask::scalar),
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "the processor has what the function needs")]
            // SAFETY: all features of `with_avx2` were found just now.
            Self::Avx2 if self.is_here() => unsafe { with_avx2(text, wanted) },
            Self::Portable | Self::Avx2 => walk(text, wanted, mask::portable),
        }
    }
}

/// The way that a measurement wants (`benches/export`). All ways say the same, so what is shipped does not ask.
fn named() -> Option<Way> {
    if cfg!(not(feature = "measure")) {
        return None;
    }
    let wanted = std::env::var("MEDPLUM_CHECK_WAY").ok()?;
    let (_, way) = Way::ALL.into_iter().find(|(name, _)| *name == wanted)?;
    way.is_here().then_some(way)
}

/// The whole walk is compiled for AVX2, so that the masks stay in registers.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn with_avx2(text: &[u8], wanted: Wanted) -> Good {
    walk(text, wanted, |block| mask::avx2(block))
}
