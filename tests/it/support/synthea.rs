//! The data set beside the checkout: one real Bulk Data export, 38,378 resources of 100 synthetic patients.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::Deserialize;

/// Ids by resource type; a type's ids are a set, since an export has no order.
pub type Ids = BTreeMap<String, BTreeSet<String>>;

/// The folder of the data set; `None`, said on stderr, when it is not there and need not be.
pub fn folder() -> Option<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/synthea");
    let folder = std::env::var_os("MEDPLUM_TEST_DATA").map_or_else(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let missing = format!("the data set is not in {}", folder.display());
    assert!(
        std::env::var_os("MEDPLUM_REQUIRE_DATA").is_none_or(|value| value != "1"),
        "{missing}, and MEDPLUM_REQUIRE_DATA=1"
    );
    eprintln!("left out: {missing}");
    None
}

/// The data set's files, in the order of their names.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".ndjson") && !path.ends_with("log.ndjson"))
        .collect();
    paths.sort();
    paths
}

/// The lines of one NDJSON file, plain or packed.
pub fn lines(path: &Path) -> impl Iterator<Item = String> {
    let file = File::open(path).unwrap();
    let is_packed = path.extension().is_some_and(|extension| extension == "gz");
    let bytes: Box<dyn Read> = if is_packed {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    };
    let lines = BufReader::new(bytes).lines().map(Result::unwrap);
    lines.filter(|line| !line.is_empty())
}

/// The ids of resources; none may come twice.
#[track_caller]
pub fn ids(lines: impl IntoIterator<Item = String>) -> Ids {
    let mut ids = Ids::new();
    for line in lines {
        let (resource_type, id) = name(&line);
        let name = format!("{resource_type}/{id}");
        let is_new = ids.entry(resource_type).or_default().insert(id);
        assert!(is_new, "{name} came twice");
    }
    ids
}

/// Type and id of a resource. Where they come first, as they do in the data set, the rest is not parsed: it is much.
#[track_caller]
pub fn name(line: &str) -> (String, String) {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Name {
        resource_type: String,
        id: String,
    }
    let parts: Vec<&str> = line.splitn(9, '"').collect();
    if let [
        "{",
        "resourceType",
        ":",
        resource_type,
        ",",
        "id",
        ":",
        id,
        _,
    ] = parts[..]
    {
        return (resource_type.to_owned(), id.to_owned());
    }
    let name: Name = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    (name.resource_type, name.id)
}
