//! A JSON list read element by element: however many there are, none is kept.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Calls `visit` with each element of a list, as text. Anything else has none; what is wrong behind an element ends it.
pub(super) fn each<'a>(list: Option<&'a RawValue>, mut visit: impl FnMut(&'a RawValue)) {
    let Some(list) = list.map(RawValue::get).filter(|text| text.starts_with('[')) else {
        return;
    };
    let mut reader = serde_json::Deserializer::from_str(list);
    // A raw value was read as JSON before, so that nothing can be wrong with it.
    let _ = reader.deserialize_seq(Elements(&mut visit));
}

struct Elements<'v, F>(&'v mut F);

impl<'de, F: FnMut(&'de RawValue)> Visitor<'de> for Elements<'_, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(element) = list.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}
