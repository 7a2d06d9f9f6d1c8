//! The walk over a text, a word of masks at a time: strings, then brackets, then what may stand behind what. Only brackets,
//! numbers, types and line ends are looked at one by one.

use crate::behind::Behind;
use crate::mask::Masks;
use crate::strings::{Strings, odd};
use crate::token;
use crate::{Good, Wanted};

/// The line is for the judge.
pub(crate) struct Doubt;

/// The containers around a place: a bit for each, set for an object, the innermost lowest. Around a line there is the
/// lower bit of this, which is no object; the bit above marks the end.
const AROUND_LINES: u64 = 0b10;

/// Walks over whole lines as far as there is no doubt.
#[inline(always)]
#[expect(clippy::inline_always, reason = "compiled anew for each kind of masks")]
pub(crate) fn walk(text: &[u8], wanted: Wanted, masks: impl Fn(&[u8; 64]) -> Masks) -> Good {
    let mut walk = Walk {
        text,
        wanted,
        strings: Strings::default(),
        behind: Behind::at_line_start(),
        containers: AROUND_LINES,
        line: Line::default(),
        good: Good::default(),
    };
    let (blocks, rest) = text.as_chunks::<64>();
    for (at, block) in blocks.iter().enumerate() {
        if walk.step(at * 64, &masks(block)).is_err() {
            return walk.good;
        }
    }
    if !rest.is_empty() {
        // Spaces end no line, so nothing is good that the text does not hold.
        let mut block = [b' '; 64];
        block[..rest.len()].copy_from_slice(rest);
        // Nothing comes behind a doubt here either.
        let _ = walk.step(blocks.len() * 64, &masks(&block));
    }
    walk.good
}

struct Walk<'a> {
    text: &'a [u8],
    wanted: Wanted<'a>,
    strings: Strings,
    behind: Behind,
    containers: u64,
    line: Line,
    good: Good,
}

/// What the line holds so far.
#[derive(Clone, Copy, Default)]
struct Line {
    has_object: bool,
    types: u32,
}

/// The tokens of a word: what is outside of strings, kind by kind.
#[derive(Clone, Copy)]
pub(crate) struct Tokens {
    pub comma: u64,
    pub colon: u64,
    pub open: u64,
    pub close: u64,
    pub newline: u64,
    /// White space but newlines.
    pub space: u64,
    /// All else: numbers and words, or nothing that JSON knows.
    pub scalar: u64,
}

/// What the brackets say of a word.
#[derive(Clone, Copy)]
pub(crate) struct Nesting {
    /// Where the innermost container is an object. It holds for what stands between brackets.
    pub object: u64,
    /// Brackets that stand in no container.
    pub outermost: u64,
    /// Brackets that close the object of a line.
    pub ends: u64,
    /// Not nothing, when a bracket closes another kind.
    pub wrong: u64,
}

impl Walk<'_> {
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its state stays in registers")]
    fn step(&mut self, at: usize, masks: &Masks) -> Result<(), Doubt> {
        let strings = self.strings.next(self.text, at, masks)?;
        let tokens = self.tokens(at, masks, strings.outside())?;
        let before = self.containers;
        let nesting = self.brackets(&tokens, masks.curly)?;
        let seen = self.behind.next(masks, &strings, &tokens, &nesting);
        if seen.wrong != 0 || !self.are_scalars(at, seen.scalars) {
            return Err(Doubt);
        }
        let depth = |bit: u64| {
            let below = bit - 1;
            before.ilog2() + (tokens.open & below).count_ones()
                - (tokens.close & below).count_ones()
                - AROUND_LINES.ilog2()
        };
        let mut types = 0;
        let mut keys = seen.keys & masks.r;
        while keys != 0 {
            let bit = keys & keys.wrapping_neg();
            keys ^= bit;
            let text = &self.text[at + bit.trailing_zeros() as usize..];
            if token::is_type_key(text) && depth(bit) == 1 {
                if !token::is_wanted(text, self.wanted) {
                    return Err(Doubt);
                }
                types |= bit;
            }
        }
        let mut events = types | nesting.outermost | tokens.newline;
        while events != 0 {
            let bit = events & events.wrapping_neg();
            events ^= bit;
            if types & bit != 0 {
                self.line.types += 1;
            } else if nesting.outermost & bit != 0 {
                self.line.has_object = true;
            } else if depth(bit) == 0 {
                self.end_line(at + bit.trailing_zeros() as usize + 1)?;
            } else {
                return Err(Doubt);
            }
        }
        Ok(())
    }

    /// A line ends before this place: it holds one object with one type, or nothing.
    fn end_line(&mut self, end: usize) -> Result<(), Doubt> {
        let line = std::mem::take(&mut self.line);
        if line.types != u32::from(line.has_object) {
            return Err(Doubt);
        }
        self.good = Good {
            bytes: end,
            lines: self.good.lines + 1,
            resources: self.good.resources + u64::from(line.types),
        };
        Ok(())
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its state stays in registers")]
    fn tokens(&self, at: usize, masks: &Masks, outside: u64) -> Result<Tokens, Doubt> {
        let mut tokens = Tokens {
            comma: masks.comma & outside,
            colon: masks.colon & outside,
            open: masks.open & outside,
            close: masks.close & outside,
            newline: 0,
            space: masks.space & outside,
            scalar: 0,
        };
        let mut controls = masks.control & outside;
        while controls != 0 {
            let bit = controls & controls.wrapping_neg();
            controls ^= bit;
            match self.text[at + bit.trailing_zeros() as usize] {
                b'\n' => tokens.newline |= bit,
                b'\t' | b'\r' => tokens.space |= bit,
                _ => return Err(Doubt),
            }
        }
        let Tokens {
            comma,
            colon,
            open,
            close,
            newline,
            space,
            ..
        } = tokens;
        tokens.scalar = outside & !(comma | colon | open | close | newline | space);
        Ok(tokens)
    }

    /// Follows the brackets of a word.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its state stays in registers")]
    fn brackets(&mut self, tokens: &Tokens, curly: u64) -> Result<Nesting, Doubt> {
        let before = self.containers;
        // A tower of brackets has no room here.
        if before.leading_zeros() <= tokens.open.count_ones() {
            return Err(Doubt);
        }
        let (mut changes, mut outermost, mut ends, mut wrong) = (0, 0, 0, 0);
        let mut around = before;
        let mut brackets = tokens.open | tokens.close;
        while brackets != 0 {
            let bit = brackets & brackets.wrapping_neg();
            brackets ^= bit;
            let is_curly = u64::from(curly & bit != 0);
            let is_open = tokens.open & bit != 0;
            outermost |= if around == AROUND_LINES { bit } else { 0 };
            let was = around & 1;
            wrong |= if is_open { 0 } else { was ^ is_curly };
            around = if is_open {
                around << 1 | is_curly
            } else {
                around >> 1
            };
            ends |= if around == AROUND_LINES { bit } else { 0 };
            changes |= bit << 1 & ((was ^ around) & 1).wrapping_neg();
        }
        self.containers = around;
        Ok(Nesting {
            object: odd(changes) ^ (before & 1).wrapping_neg(),
            outermost,
            ends,
            wrong,
        })
    }

    /// Whether a number or a word begins at each of these bits.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "its state stays in registers")]
    fn are_scalars(&self, at: usize, mut scalars: u64) -> bool {
        while scalars != 0 {
            let start = at + scalars.trailing_zeros() as usize;
            scalars &= scalars - 1;
            if !self.text.get(start..).is_some_and(token::is_scalar) {
                return false;
            }
        }
        true
    }
}
