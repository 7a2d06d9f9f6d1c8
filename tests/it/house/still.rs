//! What is not yet as it shall be: circles of imports, long files and functions. Nothing is added to these lists, and what is mended
//! leaves them.

use std::path::Path;

use super::imports::Imports;

/// The circles of imports that there are still.
pub const CIRCLES: &[&[&str]] = &[];

/// The files over 400 lines that do not say why in a line `//! Long because …` at their top.
pub const LONG: &[&str] = &[];

/// The functions over 60 lines that do not say why in a line `// Long because …`.
pub const LONG_FUNCTIONS: &[(&str, &str)] = &[];

/// What half of the files may have in lines.
pub const MEDIAN: usize = 130;

#[test]
fn a_circle_that_is_gone_leaves_the_list() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = Imports::of(&src).circles();
    for known in CIRCLES {
        assert!(
            found.iter().any(|circle| circle == known),
            "this circle is gone or smaller, so change CIRCLES in tests/it/house/still.rs: {known:?}"
        );
    }
}
