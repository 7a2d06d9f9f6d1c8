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

/// The key that checks what somebody else signs: of several the one with this id.
///
/// # Errors
/// No key has the id, or there are several and none is named.
pub fn public(path: &Path, mut keys: Vec<Key>, kid: Option<&str>) -> Result<Key, KeyError> {
    if keys.len() > 1 {
        let kids = keys.iter().map(Key::kid).collect();
        let path = path.to_owned();
        let Some(kid) = kid else {
            return Err(KeyError::Several { path, kids });
        };
        keys.retain(|key| key.kid() == kid);
        if keys.is_empty() {
            let kid = kid.to_owned();
            return Err(KeyError::UnknownKid { path, kid, kids });
        }
    }
    keys.into_iter().next().ok_or_else(|| KeyError::NoKey {
        path: path.to_owned(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::generate::{Kind, NewKey};

    fn ec(kid: Option<&str>) -> Key {
        NewKey::generate(Kind::Es384, Path::new("new-key"))
            .unwrap()
            .key
            .with_kid(kid)
    }

    fn public(key: &Key) -> Key {
        let mut key = key.clone();
        key.private = None;
        key
    }

    fn chosen(keys: &[Key], kid: Option<&str>) -> Result<String, String> {
        select(Path::new("set"), keys.to_vec(), kid, None)
            .map(|(key, _)| key.kid())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_key_that_stands_alone_goes_by_the_id_it_is_given() {
        let key = ec(Some("its own"));
        assert_eq!(chosen(std::slice::from_ref(&key), None).unwrap(), "its own");
        assert_eq!(chosen(&[key], Some("another")).unwrap(), "another");
        let key = ec(None);
        let thumbprint = key.public.thumbprint();
        assert_eq!(chosen(&[key], None).unwrap(), thumbprint);
    }

    #[test]
    fn of_several_keys_the_id_chooses_else_the_only_private_one() {
        let (one, two) = (ec(Some("one")), ec(Some("two")));
        let both = [one.clone(), two.clone()];
        assert_eq!(chosen(&both, Some("two")).unwrap(), "two");
        let error = chosen(&both, None).unwrap_err();
        assert!(
            error.contains("one, two") && error.contains("set"),
            "{error}"
        );
        assert!(
            chosen(&both, Some("three"))
                .unwrap_err()
                .contains("no key `three`")
        );
        let half = [public(&one), two.clone()];
        assert_eq!(chosen(&half, None).unwrap(), "two");
        assert!(
            chosen(&half, Some("one"))
                .unwrap_err()
                .contains("public key only")
        );
        assert!(chosen(&[public(&one), public(&two)], None).is_err());
        assert_eq!(
            chosen(&[public(&one), ec(None)], Some("new")).unwrap(),
            "new"
        );
    }

    #[test]
    fn an_algorithm_of_another_kind_of_key_is_refused() {
        for algorithm in [Algorithm::Rs384, Algorithm::Es256, Algorithm::Hs256] {
            let error = select(Path::new("k"), vec![ec(None)], None, Some(algorithm)).unwrap_err();
            assert!(error.to_string().contains("it can with ES384"), "{error}");
        }
    }
}
