//! Power cuts: what was not synced is thrown away at a random system call. What an exit code 0 or a DELETE promised is
//! there all the same, and whatever is left is gone on with.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::ownership::with_a_letter;
use crate::support::bulk::{PATIENTS, STATUS, ndjson, outcome};
use crate::support::lost_writes::{CALLS, Disk, Step, steps};
use crate::support::{Answer, Bulk};

const ARGS: [&str; 3] = ["--attachments", "download", "--parallel=2"];

/// E7: the record of the files was not on the disk when the server was told that its copy may go.
#[test]
fn the_record_of_all_files_is_synced_before_the_job_is_deleted() {
    let bulk = Bulk::with_three_files();
    let binary = crate::support::medplum::binary();
    let line = format!(
        "strace -f -y -s 200 -e trace=fdatasync,fsync,write,sendto,sendmsg,writev -o trace '{}' bulk export -p site -d out",
        binary.display(),
    );
    bulk.medplum.shell(&line).ok();
    let trace = bulk.medplum.read("trace");
    let mut open = BTreeSet::new();
    let mut deletes = 0;
    for call in trace.lines() {
        // `write(9</path/of/the/file>, "what is written"`
        let path = call.split(">,").next().unwrap_or_default();
        for name in ["done.ndjson", "/parts/", "job.json"] {
            if call.contains(" write(") && path.contains(name) {
                open.insert(name);
            } else if call.contains("sync(") && call.contains(name) {
                open.remove(name);
            }
        }
        if call.contains("DELETE /fhir") {
            assert!(open.is_empty(), "not synced: {open:?}\n{trace}");
            deletes += 1;
        }
    }
    assert_eq!(deletes, 1, "{trace}");
    assert!(trace.contains("done.ndjson"), "{trace}");
}

/// A server whose job is gone once that is set.
struct Site {
    bulk: Bulk,
    is_gone: Arc<AtomicBool>,
    /// When files of an export that is replaced were changed.
    before: Mutex<Times>,
}

/// Times by path and length.
type Times = BTreeMap<(PathBuf, u64), u64>;

impl Site {
    fn new() -> Self {
        let bulk = Bulk::with_three_files();
        with_a_letter(&bulk, "one");
        with_a_letter(&bulk, "two");
        let deleted = r#"{"resourceType":"Bundle","type":"transaction","entry":[]}"#;
        bulk.file(
            "deleted",
            "Bundle",
            "/files/d",
            ndjson(format!("{deleted}\n")),
        );
        bulk.file(
            "error",
            "OperationOutcome",
            "/files/e",
            ndjson(outcome("information")),
        );
        let is_gone = Arc::new(AtomicBool::new(false));
        let gone = Arc::clone(&is_gone);
        bulk.server.guard(move |request| {
            if request.method == "DELETE" {
                return Some(Answer::empty(202));
            }
            let is_job = request.path() == STATUS || request.path().starts_with("/files/");
            (is_job && gone.load(Ordering::SeqCst)).then(|| Answer::empty(404))
        });
        // No token request comes into a trace.
        bulk.medplum.run(["token", "-p", "site"]).ok();
        Self {
            bulk,
            is_gone,
            before: Mutex::default(),
        }
    }

    /// The changes of an export that nobody disturbs.
    fn trace(&self, args: &[&str]) -> (Vec<Step>, Vec<(String, Vec<u8>)>) {
        let trace = self.bulk.medplum.path("trace");
        let medplum = self.bulk.medplum.root().join("bin/medplum");
        let mut words = [
            "strace", "-f", "-qq", "-xx", "-y", "-s", "1000000", "-e", CALLS, "-o",
        ]
        .map(str::to_owned)
        .to_vec();
        words.push(trace.display().to_string());
        words.push(medplum.display().to_string());
        let export = [
            "bulk",
            "export",
            "-p",
            "site",
            "-d",
            "out",
            "--file-names",
            "medplum",
        ];
        words.extend(
            export
                .iter()
                .chain(&ARGS)
                .chain(args)
                .map(|word| (*word).to_owned()),
        );
        self.bulk.medplum.program(words).run().ok();
        let text = fs::read_to_string(&trace).unwrap();
        let folder = fs::canonicalize(self.bulk.medplum.path("")).unwrap();
        (steps(&text, &folder), self.bulk.files())
    }
}

/// When each file was changed last, as its record says: a disk keeps that, too.
fn times(out: &Path) -> Times {
    let mut times = BTreeMap::new();
    for list in ["done.ndjson", "ours.ndjson"] {
        let text = fs::read_to_string(out.join(".medplum-export").join(list)).unwrap_or_default();
        for line in text.lines() {
            let made: Value = serde_json::from_str(line).unwrap();
            let version = &made["version"];
            let version = (version["bytes"].as_u64(), version["modified"].as_u64());
            if let (Some(bytes), Some(modified)) = version {
                let name = made["path"].as_str().unwrap();
                for folder in [out.to_owned(), out.join(".medplum-export/new")] {
                    times.insert((folder.join(name), bytes), modified);
                }
            }
        }
    }
    times
}

/// `MEDPLUM_TEST_POWER_CUTS` says how many.
fn cuts(default: usize) -> usize {
    std::env::var("MEDPLUM_TEST_POWER_CUTS").map_or(default, |number| number.parse().unwrap())
}

#[test]
fn a_power_cut_at_any_system_call_costs_nothing_that_was_promised() {
    let site = Site::new();
    let (steps, whole) = site.trace(&[]);
    site.cuts_power(&Disk::default(), &steps, &whole, cuts(20), |_| {});
}

/// The old files are there or the new ones, whatever comes in between.
#[test]
fn a_power_cut_while_an_export_is_replaced_loses_neither_the_old_nor_the_new_one() {
    let site = Site::new();
    site.bulk.export(&ARGS).ok();
    let (old, mut before) = (Disk::of(&site.out()), times(&site.out()));
    let old_files = site.bulk.files();
    site.bulk
        .server
        .on("GET", "/files/p", ndjson(PATIENTS.repeat(3)));
    with_a_letter(&site.bulk, "three");
    let (steps, whole) = site.trace(&["--overwrite"]);
    before.extend(times(&site.out()));
    *site.before.lock().unwrap() = before;
    let names = |files: &[(String, Vec<u8>)]| {
        files
            .iter()
            .map(|(name, _)| name.clone())
            .collect::<BTreeSet<_>>()
    };
    let both: Vec<_> = names(&old_files)
        .intersection(&names(&whole))
        .cloned()
        .collect();
    site.cuts_power(&old, &steps, &whole, cuts(20), |at| {
        let now = site.bulk.files();
        for name in &both {
            let file = now.iter().find(|(other, _)| other == name);
            let file = file.unwrap_or_else(|| panic!("{at}: {name} is gone"));
            let is_known =
                old_files.contains(file) || whole.contains(file) || name == "attachments.ndjson";
            assert!(is_known, "{at}: {name} is neither");
        }
    });
}

impl Site {
    fn out(&self) -> PathBuf {
        fs::canonicalize(self.bulk.medplum.path(""))
            .unwrap()
            .join("out")
    }

    /// Cuts the power while these steps change a disk, as often as that, and lets the export be gone on with.
    fn cuts_power(
        &self,
        disk: &Disk,
        steps: &[Step],
        whole: &[(String, Vec<u8>)],
        cuts: usize,
        look: impl Fn(&str),
    ) {
        let is_delete = |step: &Step| matches!(step, Step::Delete);
        let deleted = steps.iter().position(is_delete).unwrap();
        let out = self.out();
        let mut times = times(&out);
        times.extend(self.before.lock().unwrap().clone());
        let replaces = !disk.is_empty();
        let mut rng = fastrand::Rng::with_seed(7);
        // The end and the DELETE promise most; the others come by chance.
        let mut places = vec![(steps.len(), 0), (deleted + 1, 0), (deleted, 0)];
        places.extend((0..cuts).map(|_| {
            let cut = rng.usize(0..=steps.len());
            // The system may have written back by itself what came up to here.
            (cut, if rng.bool() { 0 } else { rng.usize(0..=cut) })
        }));
        for (cut, written_back) in places {
            let mut disk = disk.clone();
            for (number, step) in steps[..cut].iter().enumerate() {
                if number == written_back {
                    disk.write_back();
                }
                disk.take(step);
            }
            fs::remove_dir_all(&out).unwrap();
            disk.leave(out.parent().unwrap(), &times);
            let count = steps.len();
            let at = format!("cut before step {cut} of {count}, written back up to {written_back}");
            let is_promised = cut > deleted;
            if is_promised {
                assert_names(&self.bulk, whole, &at);
            }
            look(&at);
            self.is_gone.store(is_promised, Ordering::SeqCst);
            self.goes_on(replaces, whole, &at);
        }
    }

    /// The same command, or the one that it names, ends the export.
    fn goes_on(&self, replaces: bool, whole: &[(String, Vec<u8>)], at: &str) {
        let is_gone = self.is_gone.load(Ordering::SeqCst);
        // A job that is gone brings no second export; the first one has to be there.
        let overwrite: &[&str] = if replaces && !is_gone {
            &["--overwrite"]
        } else {
            &[]
        };
        let args = [&ARGS[..], overwrite].concat();
        let mut run = self.bulk.export(&args);
        if run.code == 1 && run.stderr.contains("--restart") && !is_gone {
            run = self.bulk.export(&[&args[..], &["--restart"]].concat());
        }
        let is_finished = run.code == 2 && run.stderr.contains("finished export");
        assert!(run.code == 0 || is_finished, "{at}\n{run}");
        assert_names(&self.bulk, whole, at);
    }
}

/// All files are there, each whole.
fn assert_names(bulk: &Bulk, whole: &[(String, Vec<u8>)], at: &str) {
    let mut files = bulk.files();
    files.retain(|(name, _)| !name.starts_with('.'));
    let names: Vec<_> = files.iter().map(|(name, _)| name).collect();
    assert!(files == whole, "{at}: {names:?}");
}
