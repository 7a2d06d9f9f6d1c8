//! UTF-8 over the borders of chunks.

/// What is known of the UTF-8 so far.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    /// A character that the last chunk ended in.
    open: Vec<u8>,
}

impl Utf8 {
    /// Takes the next bytes; on bad ones, how many bytes from the end of the chunk they begin.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), usize> {
        let mut rest = bytes;
        while !self.open.is_empty() && !rest.is_empty() {
            self.open.push(rest[0]);
            rest = &rest[1..];
            match std::str::from_utf8(&self.open) {
                Ok(_) => self.open.clear(),
                Err(error) if error.error_len().is_some() => return Err(bytes.len()),
                Err(_) => {}
            }
        }
        match std::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(rest.len() - error.valid_up_to()),
            Err(error) => {
                self.open.extend_from_slice(&rest[error.valid_up_to()..]);
                Ok(())
            }
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.open.is_empty()
    }
}
