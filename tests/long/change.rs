//! Inputs made of others: cut, doubled, mixed, and with words put in that a reader looks for.

use fastrand::Rng;

/// Numbers and texts that readers of every kind trip over.
const ODD: [&[u8]; 24] = [
    b"0",
    b"-1",
    b"1e19",
    b"9223372036854775807",
    b"18446744073709551616",
    b"1e400",
    b"-0.0",
    b"NaN",
    b"null",
    b"true",
    b"\"\"",
    b"[]",
    b"{}",
    b"[[[[[[[[",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b"\0",
    b"\\ud800",
    b"\r\n",
    b"\xe2\x80\xae",
    b"\x1b[2J",
    b"%00",
    b"\\",
];
const LONGEST: usize = 4096;
const MOST_CHANGES: usize = 6;

/// A seed with some changes.
pub(crate) fn changed(seeds: &[&str], words: &[Vec<u8>], random: &mut Rng) -> Vec<u8> {
    let mut bytes = one_of(seeds, random).as_bytes().to_vec();
    for _ in 0..random.usize(0..=MOST_CHANGES) {
        let (from, to) = range(bytes.len(), random);
        match random.u8(0..9) {
            0 => drop(bytes.drain(from..to)),
            1 => bytes.truncate(from),
            2 => insert(&mut bytes, from, one_of(&ODD, random)),
            3 => insert(&mut bytes, from, &words[random.usize(0..words.len())]),
            4 => {
                let piece = bytes[from..to].to_vec();
                insert(&mut bytes, to, &piece);
            }
            5 => {
                let other = one_of(seeds, random).as_bytes();
                let (start, end) = range(other.len(), random);
                insert(&mut bytes, from, &other[start..end]);
            }
            6 if from < bytes.len() => bytes[from] = random.u8(..),
            7 if from < bytes.len() => bytes[from] ^= 1 << random.u8(0..8),
            _ => {
                bytes.splice(from..to, one_of(&ODD, random).iter().copied());
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}

fn one_of<'a, T: ?Sized>(list: &[&'a T], random: &mut Rng) -> &'a T {
    list[random.usize(0..list.len())]
}

/// A range of up to 32 bytes.
fn range(length: usize, random: &mut Rng) -> (usize, usize) {
    let from = random.usize(0..=length);
    (from, (from + random.usize(0..=32)).min(length))
}

fn insert(bytes: &mut Vec<u8>, at: usize, piece: &[u8]) {
    bytes.splice(at..at, piece.iter().copied());
}
