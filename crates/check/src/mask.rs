//! Where in 64 bytes the characters stand that give JSON its structure: a bit for each byte, the first one lowest.

use wide::u8x16;

/// One mask for each kind of character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Masks {
    pub quote: u64,
    pub backslash: u64,
    /// Less than a space, line ends among them.
    pub control: u64,
    pub space: u64,
    pub comma: u64,
    pub colon: u64,
    /// `{` and `[`.
    pub open: u64,
    /// `}` and `]`.
    pub close: u64,
    /// Has the bit 0x20: of the brackets `{` and `}` alone.
    pub curly: u64,
    /// `r`, with which `resourceType` begins.
    pub r: u64,
}

/// The bit in which `[` and `{` differ, and `]` and `}`.
pub(crate) const CURLY: u8 = 0x20;
const LAST_CONTROL: u8 = 0x1f;

/// Byte by byte: what the others must agree with.
pub(crate) fn scalar(block: &[u8; 64]) -> Masks {
    let mut masks = Masks::default();
    for (at, byte) in block.iter().enumerate() {
        let bit = |is: bool| u64::from(is) << at;
        masks.quote |= bit(*byte == b'"');
        masks.backslash |= bit(*byte == b'\\');
        masks.control |= bit(*byte <= LAST_CONTROL);
        masks.space |= bit(*byte == b' ');
        masks.comma |= bit(*byte == b',');
        masks.colon |= bit(*byte == b':');
        masks.open |= bit(matches!(byte, b'{' | b'['));
        masks.close |= bit(matches!(byte, b'}' | b']'));
        masks.curly |= bit(byte & CURLY != 0);
        masks.r |= bit(*byte == b'r');
    }
    masks
}

/// Sixteen bytes at a time, with whatever the target has for that: SSE2, NEON, or nothing.
#[inline(always)]
#[expect(clippy::inline_always, reason = "ten masks would go through memory")]
pub(crate) fn portable(block: &[u8; 64]) -> Masks {
    let mut masks = Masks::default();
    let (quarters, _) = block.as_chunks::<16>();
    for (at, quarter) in quarters.iter().enumerate() {
        let bytes = u8x16::new(*quarter);
        let folded = bytes | u8x16::splat(CURLY);
        let bits = |found: u8x16| u64::from(found.to_bitmask()) << (at * 16);
        let is = |byte: u8| bits(bytes.simd_eq(u8x16::splat(byte)));
        masks.quote |= is(b'"');
        masks.backslash |= is(b'\\');
        masks.control |= bits(bytes.min(u8x16::splat(LAST_CONTROL)).simd_eq(bytes));
        masks.space |= is(b' ');
        masks.comma |= is(b',');
        masks.colon |= is(b':');
        masks.open |= bits(folded.simd_eq(u8x16::splat(b'{')));
        masks.close |= bits(folded.simd_eq(u8x16::splat(b'}')));
        masks.curly |= bits(folded.simd_eq(bytes));
        masks.r |= is(b'r');
    }
    masks
}

/// Thirty-two bytes at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
#[inline]
pub(crate) fn avx2(block: &[u8; 64]) -> Masks {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set_epi64x, _mm256_set1_epi8,
    };
    let mut masks = Masks::default();
    let (words, _) = block.as_chunks::<8>();
    let (halves, _) = words.as_chunks::<4>();
    for (at, half) in halves.iter().enumerate() {
        let [a, b, c, d] = half.map(i64::from_le_bytes);
        let bytes = _mm256_set_epi64x(d, c, b, a);
        let all = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
        let folded = _mm256_or_si256(bytes, all(CURLY));
        let bits =
            |found: __m256i| u64::from(_mm256_movemask_epi8(found).cast_unsigned()) << (at * 32);
        let is = |byte: u8| bits(_mm256_cmpeq_epi8(bytes, all(byte)));
        masks.quote |= is(b'"');
        masks.backslash |= is(b'\\');
        let at_most = _mm256_min_epu8(bytes, all(LAST_CONTROL));
        masks.control |= bits(_mm256_cmpeq_epi8(at_most, bytes));
        masks.space |= is(b' ');
        masks.comma |= is(b',');
        masks.colon |= is(b':');
        masks.open |= bits(_mm256_cmpeq_epi8(folded, all(b'{')));
        masks.close |= bits(_mm256_cmpeq_epi8(folded, all(b'}')));
        masks.curly |= bits(_mm256_cmpeq_epi8(folded, bytes));
        masks.r |= is(b'r');
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AVX2 is asked of the processor by `Way`; here the twins are compared on every byte in every place.
    #[test]
    fn sixteen_bytes_at_a_time_are_told_apart_as_one_at_a_time() {
        for byte in 0..=u8::MAX {
            for at in 0..64 {
                for rest in [b'a', b' ', b'"', 0xff] {
                    let mut block = [rest; 64];
                    block[at] = byte;
                    assert_eq!(portable(&block), scalar(&block), "{byte:#x} at {at}");
                }
            }
        }
    }
}
