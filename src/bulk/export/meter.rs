//! How much of a foreign text may be read before its next part begins, and how it began, for words.

use std::cell::{Cell, RefCell};
use std::io::{self, Read};

/// The most that one entry or one member may have.
pub(super) const LARGEST_ENTRY: usize = 64 << 10;
/// The most of a text that an error may quote from.
const HEAD: usize = 4 << 10;

/// What may be read before the next thing begins.
pub(super) struct Meter {
    room: Cell<usize>,
    what: Cell<&'static str>,
    pub(super) exceeded: Cell<Option<&'static str>>,
    /// How the page begins, for words.
    head: RefCell<Vec<u8>>,
}

impl Default for Meter {
    fn default() -> Self {
        let meter = Self {
            room: Cell::new(0),
            what: Cell::new(""),
            exceeded: Cell::new(None),
            head: RefCell::default(),
        };
        meter.allow(LARGEST_ENTRY, "it begins with more than 64 KiB of blanks");
        meter
    }
}

impl Meter {
    /// Lets so much be read of what begins now; what it is when it is more.
    pub(super) fn allow(&self, bytes: usize, what: &'static str) {
        self.room.set(bytes);
        self.what.set(what);
    }
}

/// A source of which no more is read than its meter allows.
pub(super) struct Metered<'a, R> {
    pub(super) source: R,
    pub(super) meter: &'a Meter,
}

impl<R: Read> Metered<'_, R> {
    /// How the page begins, also where reading ended before.
    pub(super) fn head(mut self) -> Vec<u8> {
        let mut head = self.meter.head.take();
        let room = HEAD.saturating_sub(head.len());
        // What cannot be read is not shown.
        let _ = self
            .source
            .by_ref()
            .take(room as u64)
            .read_to_end(&mut head);
        head
    }
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let meter = self.meter;
        let mut head = meter.head.borrow_mut();
        let room = meter.room.get();
        if room == 0 {
            meter.exceeded.set(Some(meter.what.get()));
            return Err(io::Error::other(meter.what.get()));
        }
        let most = buffer.len().min(room);
        let read = self.source.read(&mut buffer[..most])?;
        meter.room.set(room - read);
        if head.len() < HEAD {
            head.extend_from_slice(&buffer[..read]);
        }
        Ok(read)
    }
}

/// Passes over a byte order mark.
pub(super) fn without_mark(mut source: impl Read) -> impl Read {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    let mut first = Vec::new();
    let read = source
        .by_ref()
        .take(MARK.len() as u64)
        .read_to_end(&mut first);
    if first == MARK {
        first.clear();
    }
    let failed = read.err().map(Failing);
    io::Cursor::new(first).chain(Maybe(failed)).chain(source)
}

/// A source whose first bytes could not be read.
struct Failing(io::Error);

struct Maybe(Option<Failing>);

impl Read for Maybe {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(Failing(error)) => Err(error),
            None => Ok(0),
        }
    }
}
