//! How much of a foreign text may be read before its next part begins, and how it began, for words.

use std::cell::Cell;
use std::io::{self, BufRead, Read};

/// The most that one entry or one member may have.
pub(super) const LARGEST_ENTRY: usize = 64 << 10;
/// The most of a text that an error may quote from.
const HEAD: usize = 4 << 10;

/// What may be read before the next thing begins.
pub(super) struct Meter {
    room: Cell<usize>,
    what: Cell<&'static str>,
    pub(super) exceeded: Cell<Option<&'static str>>,
}

impl Default for Meter {
    fn default() -> Self {
        let meter = Self {
            room: Cell::new(0),
            what: Cell::new(""),
            exceeded: Cell::new(None),
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

/// A source of which no more is read than its meter allows. A byte order mark is passed over.
pub(super) struct Metered<'a, R> {
    source: R,
    meter: &'a Meter,
    /// How it begins.
    head: Vec<u8>,
    /// Bytes of a byte order mark that have come, or all of them once there can be none.
    mark: usize,
}

const MARK: &[u8] = b"\xef\xbb\xbf";

impl<'a, R: BufRead> Metered<'a, R> {
    /// A source that has not been read.
    pub(super) fn new(source: R, meter: &'a Meter) -> Self {
        Self {
            source,
            meter,
            head: Vec::new(),
            mark: 0,
        }
    }

    /// How the page begins, also where reading ended before.
    pub(super) fn head(mut self) -> Vec<u8> {
        let room = HEAD.saturating_sub(self.head.len());
        // What cannot be read is not shown.
        let _ = self
            .source
            .by_ref()
            .take(room as u64)
            .read_to_end(&mut self.head);
        self.head
    }
}

impl<R: BufRead> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.meter.room.get();
        if room == 0 {
            self.meter.exceeded.set(Some(self.meter.what.get()));
            return Err(io::Error::other(self.meter.what.get()));
        }
        loop {
            let chunk = self.source.fill_buf()?;
            if self.mark < MARK.len() {
                if chunk.first() == Some(&MARK[self.mark]) {
                    self.mark += 1;
                    self.source.consume(1);
                    continue;
                }
                self.mark = MARK.len();
            }
            let read = chunk.len().min(buffer.len()).min(room);
            buffer[..read].copy_from_slice(&chunk[..read]);
            self.source.consume(read);
            self.meter.room.set(room - read);
            if self.head.len() < HEAD {
                self.head.extend_from_slice(&buffer[..read]);
            }
            return Ok(read);
        }
    }
}
