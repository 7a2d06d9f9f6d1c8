//! One file compared with what is written of it.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::bulk::digest::Compared;
use crate::bulk::listed::Listed;
use crate::fhir::ndjson::Checker;
use crate::place;

const BUFFER: usize = 256 << 10;

/// A file as it is.
#[derive(Default)]
pub(super) struct Checked {
    pub(super) bytes: u64,
    /// The resources in it, when they were counted.
    pub(super) resources: Option<u64>,
    /// Whether more than its length was compared.
    pub(super) was_read: bool,
    pub(super) has_digest: bool,
}

/// Compares a file of resources with all that is written of it.
///
/// # Errors
/// What differs, in words.
pub(super) fn resources(listed: &Listed, folder: &Path) -> Result<Checked, String> {
    let (file, bytes, promised) = looked_at(listed, folder)?;
    let has_digest = !promised.is_empty();
    if listed.resources.is_none() && !has_digest {
        return Ok(Checked {
            bytes,
            ..Checked::default()
        });
    }
    let is_gzip = file.extension().is_some_and(|extension| extension == "gz");
    let file = place::open_plain(&file).map_err(|error| error.to_string())?;
    let file = BufReader::with_capacity(BUFFER, file);
    let compared = Compared::with(promised);
    let (resources, compared) = if is_gzip {
        lines(MultiGzDecoder::new(file), compared)?
    } else {
        lines(file, compared)?
    };
    listed.check_count(resources)?;
    compared.finish()?;
    Ok(Checked {
        bytes,
        resources: Some(resources),
        was_read: true,
        has_digest,
    })
}

/// Compares a file of any bytes with what is written of it.
///
/// # Errors
/// What differs, in words.
pub(super) fn contents(listed: &Listed, folder: &Path) -> Result<Checked, String> {
    let (file, bytes, promised) = looked_at(listed, folder)?;
    let has_digest = !promised.is_empty();
    if !has_digest {
        return Ok(Checked {
            bytes,
            ..Checked::default()
        });
    }
    let mut file = place::open_plain(&file).map_err(|error| error.to_string())?;
    let mut compared = Compared::with(promised);
    each_piece(&mut file, |piece| {
        compared.feed(piece);
        Ok(())
    })?;
    compared.finish()?;
    Ok(Checked {
        bytes,
        resources: None,
        was_read: true,
        has_digest,
    })
}

/// Its place, its length, which is compared, and the digests that it should have.
fn looked_at(
    listed: &Listed,
    folder: &Path,
) -> Result<(std::path::PathBuf, u64, Vec<crate::bulk::digest::Digest>), String> {
    let file = listed.place(folder)?;
    let bytes = listed.check_length(&file)?;
    let promised = listed.digests()?;
    Ok((file, bytes, promised))
}

/// The resources in some lines, which are compared too.
fn lines(mut source: impl Read, mut compared: Compared) -> Result<(u64, Compared), String> {
    let mut checker = Checker::new(None);
    each_piece(&mut source, |piece| {
        compared.feed(piece);
        checker.feed(piece).map_err(|error| error.to_string())
    })?;
    let lines = checker.finish().map_err(|error| error.to_string())?;
    Ok((lines.resources, compared))
}

fn each_piece(
    source: &mut impl Read,
    mut take: impl FnMut(&[u8]) -> Result<(), String>,
) -> Result<(), String> {
    let mut buffer = vec![0; BUFFER];
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => take(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(format!("it cannot be read: {error}")),
        }
    }
}
