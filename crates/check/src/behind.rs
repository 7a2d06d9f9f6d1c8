//! The grammar of JSON (RFC 8259 §4, §5) as a rule for each kind of token: what may stand behind it.

use crate::mask::Masks;
use crate::strings::Found;
use crate::walk::{Nesting, Tokens};

/// For each kind of token, 1 when the first token of the next word is the one behind it.
#[derive(Default)]
pub(crate) struct Behind {
    curly: u64,
    square: u64,
    comma: u64,
    colon: u64,
    key: u64,
    value: u64,
    newline: u64,
    /// Behind the object of a line.
    end: u64,
    /// 1, when the last byte was one of a number or a word.
    scalar: u64,
    /// 1, when a name is open.
    in_key: u64,
    /// 1, when the last byte was the quote that opens a name.
    key_quote: u64,
}

/// What a word turned out to be.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// Not nothing, when something stands where it may not.
    pub wrong: u64,
    /// The first byte of each number or word.
    pub scalars: u64,
    /// The first byte of each name.
    pub keys: u64,
}

impl Behind {
    pub(crate) fn at_line_start() -> Self {
        Self {
            newline: 1,
            ..Self::default()
        }
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its state stays in registers")]
    pub(crate) fn next(
        &mut self,
        masks: &Masks,
        strings: &Found,
        tokens: &Tokens,
        nesting: &Nesting,
    ) -> Seen {
        let Tokens {
            comma,
            colon,
            open,
            close,
            newline,
            space,
            scalar,
        } = *tokens;
        let (open_curly, close_curly) = (open & masks.curly, close & masks.curly);

        let behind_curly = next(open_curly, space, &mut self.curly);
        let behind_square = next(open ^ open_curly, space, &mut self.square);
        let behind_comma = next(comma, space, &mut self.comma);
        let behind_colon = next(colon, space, &mut self.colon);
        let behind_newline = next(newline, space, &mut self.newline);
        let behind_end = next(nesting.ends, space, &mut self.end);

        // A string behind `{`, or behind a `,` of an object, is a name.
        let key_quotes = strings.opening & (behind_curly | behind_comma & nesting.object);
        let (not_in_keys, key_ends) = self.keys(key_quotes, strings);
        let keys = key_quotes << 1 | self.key_quote;
        self.key_quote = key_quotes >> 63;
        let behind_key = next(key_ends, space, &mut self.key);

        let behind_scalar = scalar << 1 | self.scalar;
        self.scalar = scalar >> 63;
        let scalars = scalar & !behind_scalar;
        let values = strings.closing ^ key_ends | close | scalar;
        let behind_value = next(values, space, &mut self.value);

        let starts = strings.opening | open | scalars;
        let wrong = nesting.wrong
            | masks.control & strings.inside
            // The judge knows names that are written with escapes.
            | masks.backslash & strings.inside & !not_in_keys
            | colon ^ behind_key
            | behind_curly & !(strings.opening | close_curly)
            | behind_square & !(starts | close ^ close_curly)
            | (behind_colon | behind_comma) & !starts
            | behind_comma & nesting.object & !strings.opening
            | behind_value & !(comma | close | newline | scalar & behind_scalar)
            | behind_end & !newline
            | behind_newline & !(open_curly | newline)
            | nesting.outermost ^ behind_newline & open_curly;
        Seen {
            wrong,
            scalars,
            keys,
        }
    }

    /// What is in strings that are no names, and the quotes that close names: an addition at the opening quote carries
    /// through the whole name to them.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its state stays in registers")]
    fn keys(&mut self, key_quotes: u64, strings: &Found) -> (u64, u64) {
        let (sum, over) = strings.inside.overflowing_add(key_quotes);
        let (sum, over_too) = sum.overflowing_add(self.in_key);
        self.in_key = u64::from(over | over_too);
        (sum, sum & strings.closing)
    }
}

/// Each bit moved to the next byte that is no space; what goes over the end is kept for the next word.
#[inline(always)]
#[expect(clippy::inline_always, reason = "seven times in a word")]
fn next(bits: u64, space: u64, over_the_end: &mut u64) -> u64 {
    let behind = bits << 1 | *over_the_end;
    *over_the_end = bits >> 63;
    if space == 0 {
        return behind;
    }
    // An addition carries a bit through a run of spaces.
    let (through, over) = space.overflowing_add(behind & space);
    *over_the_end |= u64::from(over);
    (behind | through) & !space
}
