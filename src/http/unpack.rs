//! Gzip undone with all its members, and no more of it than is allowed.

use std::io::Write;

use flate2::write::MultiGzDecoder;

/// Bytes up to a limit. The write that would go beyond it fails, so that what unpacks them stops there: a few kilobytes
/// of gzip can hold gigabytes.
#[derive(Debug)]
pub(super) struct Bounded {
    pub(super) bytes: Vec<u8>,
    limit: usize,
}

impl Bounded {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
        }
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() > self.limit - self.bytes.len() {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Where body bytes go: straight through, or through a gzip decoder that takes several members.
#[derive(Debug)]
pub struct Sink<W: Write>(Option<Stage<W>>);

#[derive(Debug)]
enum Stage<W: Write> {
    Plain(W),
    /// Gzip of which no byte has come: an empty body needs no gzip header.
    Waiting(W),
    Gzip(Box<MultiGzDecoder<W>>),
}

impl<W: Write> Sink<W> {
    /// A sink before `target`.
    pub fn new(gzip: bool, target: W) -> Self {
        Self(Some(if gzip {
            Stage::Waiting(target)
        } else {
            Stage::Plain(target)
        }))
    }

    /// Takes the next bytes from the wire.
    ///
    /// # Errors
    /// The target's, or bad gzip.
    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.0 = match self.0.take() {
            Some(Stage::Waiting(target)) if !bytes.is_empty() => {
                Some(Stage::Gzip(Box::new(MultiGzDecoder::new(target))))
            }
            stage => stage,
        };
        match &mut self.0 {
            Some(Stage::Plain(target)) => target.write_all(bytes),
            Some(Stage::Gzip(decoder)) => decoder.write_all(bytes),
            _ => Ok(()),
        }
    }

    /// The target.
    pub fn get_mut(&mut self) -> &mut W {
        match &mut self.0 {
            Some(Stage::Plain(target) | Stage::Waiting(target)) => target,
            Some(Stage::Gzip(decoder)) => decoder.get_mut(),
            None => unreachable!("the stage is only taken within one call"),
        }
    }

    /// Ends the body; gzip that was cut short is an error.
    ///
    /// # Errors
    /// The target's, or gzip that is not complete.
    pub fn finish(self) -> std::io::Result<W> {
        match self.0 {
            Some(Stage::Plain(target) | Stage::Waiting(target)) => Ok(target),
            Some(Stage::Gzip(decoder)) => decoder.finish(),
            None => unreachable!("the stage is only taken within one call"),
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn several_members_and_an_empty_last_one_are_one_body() {
        let mut wire = gzip(b"one\n");
        wire.extend(gzip(b"two\n"));
        wire.extend(gzip(b""));
        for size in [1, 7, 4096] {
            let mut sink = Sink::new(true, Vec::new());
            for chunk in wire.chunks(size) {
                sink.write(chunk).unwrap();
            }
            assert_eq!(sink.finish().unwrap(), b"one\ntwo\n");
        }
    }

    #[test]
    fn unpacking_stops_at_the_limit() {
        let wire = gzip(&vec![b' '; 50_000_000]);
        let mut sink = Sink::new(true, Bounded::new(1000));
        let error = sink.write(&wire).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
        assert!(sink.get_mut().bytes.len() <= 1000);
        let mut exact = Sink::new(false, Bounded::new(4));
        exact.write(b"four").unwrap();
        assert_eq!(exact.finish().unwrap().bytes, b"four");
    }

    #[test]
    fn gzip_that_is_cut_short_is_an_error_wherever_it_is_cut() {
        let wire = gzip(b"some text that is long enough to be cut in the middle");
        for end in 1..wire.len() {
            let mut sink = Sink::new(true, Vec::new());
            let result = sink
                .write(&wire[..end])
                .and_then(|()| sink.finish().map(drop));
            assert!(result.is_err(), "cut at {end}");
        }
    }
}
