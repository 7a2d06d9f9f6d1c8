//! Which bytes of a word stand in strings.

use crate::mask::Masks;
use crate::token;
use crate::walk::Doubt;

/// What goes over from one word to the next.
#[derive(Default)]
pub(crate) struct Strings {
    /// All bits, when a string is open.
    inside: u64,
    /// 1, when the first byte stands behind a backslash.
    escaped: u64,
}

/// The strings of a word.
#[derive(Clone, Copy)]
pub(crate) struct Found {
    /// From the quote that opens one to the byte before the quote that closes it.
    pub inside: u64,
    pub opening: u64,
    pub closing: u64,
}

impl Found {
    /// Neither in a string nor a quote of one.
    pub(crate) fn outside(&self) -> u64 {
        !(self.inside | self.closing)
    }
}

impl Strings {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its state stays in registers")]
    pub(crate) fn next(&mut self, text: &[u8], at: usize, masks: &Masks) -> Result<Found, Doubt> {
        let mut quotes = masks.quote;
        if masks.backslash | self.escaped != 0 {
            let escaped = self.escaped(masks.backslash);
            quotes &= !escaped;
            // A backslash outside of strings is no token, so that it is found out there.
            if !are_escapes(text, at, escaped) {
                return Err(Doubt);
            }
        }
        let inside = odd(quotes) ^ self.inside;
        self.inside = (inside >> 63).wrapping_neg();
        Ok(Found {
            inside,
            opening: quotes & inside,
            closing: quotes & !inside,
        })
    }

    /// Bytes that stand behind a backslash that is none itself. A run of backslashes begins at an even place or an odd one;
    /// an addition carries a bit from there to its end, and the place of that says how long the run is.
    fn escaped(&mut self, backslash: u64) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let backslash = backslash & !self.escaped;
        let behind = backslash << 1 | self.escaped;
        let odd_starts = backslash & !EVEN & !behind;
        let (ends, over) = odd_starts.overflowing_add(backslash);
        self.escaped = u64::from(over);
        (EVEN ^ (ends << 1)) & behind
    }
}

/// The bits at and behind an odd number of bits: with the quotes, what stands in strings.
#[inline(always)]
#[expect(clippy::inline_always, reason = "a dozen instructions")]
pub(crate) fn odd(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cold]
fn are_escapes(text: &[u8], base: usize, mut escaped: u64) -> bool {
    while escaped != 0 {
        let at = base + escaped.trailing_zeros() as usize;
        escaped &= escaped - 1;
        if !text.get(at..).is_some_and(token::is_escape) {
            return false;
        }
    }
    true
}
