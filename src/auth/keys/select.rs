//! Which key of a file signs, and how.

use std::path::Path;

use super::{Key, KeyError};
use crate::profile::Algorithm;

/// The key that signs: of several the one with this id, else the only private one. The id also names a key that
/// stands alone, whatever the file calls it.
///
/// # Errors
/// No private key fits, or more than one; the key cannot sign with the algorithm asked for.
pub fn select(
    path: &Path,
    mut keys: Vec<Key>,
    kid: Option<&str>,
    algorithm: Option<Algorithm>,
) -> Result<(Key, Algorithm), KeyError> {
    if keys.len() > 1 {
        keys = fitting(path, &keys, kid, algorithm)?;
    }
    let key = keys
        .into_iter()
        .find(Key::is_private)
        .ok_or_else(|| KeyError::Public {
            path: path.to_owned(),
        })?
        .with_kid(kid);
    let algorithm = algorithm.unwrap_or_else(|| key.algorithm());
    if !key.public.algorithms().contains(&algorithm) {
        return Err(KeyError::WrongAlgorithm {
            path: path.to_owned(),
            key: key.public.describe(),
            algorithm,
            usable: key.public.algorithms(),
        });
    }
    Ok((key, algorithm))
}

fn fitting(
    path: &Path,
    keys: &[Key],
    kid: Option<&str>,
    algorithm: Option<Algorithm>,
) -> Result<Vec<Key>, KeyError> {
    let kids = |keys: &[Key]| keys.iter().map(Key::kid).collect::<Vec<_>>();
    let is_named = |key: &Key| kid.is_none_or(|kid| key.kid() == kid);
    let private: Vec<Key> = keys
        .iter()
        .filter(|key| key.is_private())
        .cloned()
        .collect();
    if let (Some(kid), false) = (kid, keys.iter().any(is_named)) {
        // The only private key may go by a name that the file does not give.
        if private.len() == 1 && private[0].kid.is_none() {
            return Ok(private);
        }
        return Err(KeyError::UnknownKid {
            path: path.to_owned(),
            kid: kid.to_owned(),
            kids: kids(&private),
        });
    }
    let mut fitting: Vec<Key> = private.into_iter().filter(is_named).collect();
    if let Some(algorithm) = algorithm.filter(|_| fitting.len() > 1) {
        let signs = |key: &Key| key.public.algorithms().contains(&algorithm);
        if fitting.iter().any(signs) {
            fitting.retain(signs);
        }
    }
    if fitting.len() > 1 {
        return Err(KeyError::Several {
            path: path.to_owned(),
            kids: kids(&fitting),
        });
    }
    Ok(fitting)
}
