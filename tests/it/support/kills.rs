//! An export that is killed: its server knows the step the client is at and says when it is a chosen one.

use std::collections::HashMap;
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::bulk::{STATUS, gzip, ndjson, outcome};
use super::medplum::{Invocation, tree};
use super::{Answer, Bulk, Request, Run};

const SECOND_PAGE: &str = "/fhir/R4/bulkstatus/1?page=2";

/// A request of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    KickOff,
    Status,
    Page,
    File,
    Delete,
}

/// How the server answers at the chosen step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Whole,
    Half,
    Nothing,
    /// It does what it was asked to and does not say so.
    DoneInSilence,
}

/// Files by name.
pub type Files = Vec<(String, Vec<u8>)>;

/// An export of many small files in two pages.
pub struct Victim {
    pub bulk: Bulk,
    pub sprung: Receiver<Request>,
    shared: Arc<Shared>,
}

struct Shared {
    /// What springs the trap, after how many of the kind; a DELETE always does while it is set.
    trap: Mutex<Option<(Step, Reply, usize)>>,
    files: HashMap<String, Answer>,
    sprung: Mutex<Sender<Request>>,
    kick_offs: AtomicUsize,
    deletes: AtomicUsize,
}

impl Victim {
    /// A server with so many files, what is in them by chance.
    pub fn new(files: usize, rng: &mut fastrand::Rng) -> Self {
        let bulk = Bulk::open();
        let mut answers = HashMap::new();
        let mut add =
            |list: &str, resource_type: &str, number: usize, body: String, packed: bool| {
                let target = format!("/files/{number}");
                let answer = if packed {
                    ndjson(gzip(body.as_bytes())).header("Content-Encoding", "gzip")
                } else {
                    ndjson(body)
                };
                bulk.file(list, resource_type, &target, answer.clone());
                answers.insert(target, answer);
            };
        for number in 0..files {
            let resource_type = ["Patient", "Observation"][number % 2];
            let line = |id| json!({"resourceType": resource_type, "id": format!("{number}-{id}")});
            let lines = (0..rng.u32(0..60)).fold(String::new(), |lines, id| {
                lines + &line(id).to_string() + "\n"
            });
            add("output", resource_type, number, lines, rng.bool());
        }
        let deleted = json!({"resourceType": "Bundle", "type": "transaction", "entry": []});
        add("deleted", "Bundle", files, format!("{deleted}\n"), false);
        let said = outcome("information");
        add("error", "OperationOutcome", files + 1, said, false);
        second_page(&bulk);

        let (sender, sprung) = channel();
        let shared = Arc::new(Shared {
            trap: Mutex::new(None),
            files: answers,
            sprung: Mutex::new(sender),
            kick_offs: AtomicUsize::new(0),
            deletes: AtomicUsize::new(0),
        });
        let guarding = Arc::clone(&shared);
        bulk.server.guard(move |request| guarding.guard(request));
        // No token request comes between a kill and its step.
        bulk.medplum.run(["token", "-p", "site"]).ok();
        Self {
            bulk,
            sprung,
            shared,
        }
    }

    /// What an export that nobody disturbs leaves.
    pub fn undisturbed(&self) -> Files {
        let args = ["bulk", "export", "-p", "site", "-d", "whole", "--keep"];
        self.bulk.medplum.run(args).ok();
        self.shared.kick_offs.store(0, Ordering::SeqCst);
        self.bulk.files_in("whole")
    }

    /// The server has a new job, with other patients: what an export of it leaves.
    pub fn renewed(&self) -> Files {
        for target in self.shared.files.keys() {
            let number = target.replace("/files/", "");
            let line = json!({"resourceType": "Patient", "id": format!("{number}-new")});
            let answer = ndjson(format!("{line}\n"));
            self.bulk.server.on("GET", target, answer);
        }
        self.bulk.manifest(|manifest| {
            let files = manifest["output"].as_array_mut().unwrap();
            for file in files {
                file["type"] = json!("Patient");
            }
            (manifest["link"], manifest["deleted"], manifest["error"]) =
                (json!([]), json!([]), json!([]));
        });
        let args = ["bulk", "export", "-p", "site", "-d", "renewed", "--keep"];
        self.bulk.medplum.run(args).ok();
        self.bulk.files_in("renewed")
    }

    /// The export of which all is about.
    pub fn command(&self, args: &[&str]) -> Invocation<'_> {
        let args = [&["--parallel", "3"], args].concat();
        self.bulk.command(&args)
    }

    /// From now on this step springs the trap, once `skip` of its kind went by.
    pub fn set_trap(&self, step: Step, reply: Reply, skip: usize) {
        while self.sprung.try_recv().is_ok() {}
        *self.shared.trap.lock().unwrap() = Some((step, reply, skip));
    }

    /// Nothing is disturbed any more.
    pub fn take_the_trap_away(&self) {
        *self.shared.trap.lock().unwrap() = None;
    }

    /// The request that sprang the trap, if it did within this time.
    pub fn sprung_within(&self, time: Duration) -> Option<Request> {
        self.sprung.recv_timeout(time).ok()
    }

    /// How often an export was kicked off, the undisturbed one apart.
    pub fn kick_offs(&self) -> usize {
        self.shared.kick_offs.load(Ordering::SeqCst)
    }

    /// How often the job of the last kick-off was deleted at the server.
    pub fn deletes(&self) -> usize {
        self.shared.deletes.load(Ordering::SeqCst)
    }

    /// The files of the last run, and of all before it, that the server was asked for since the requests were
    /// forgotten, as names.
    pub fn asked_for(&self) -> Vec<String> {
        let requests = self.bulk.server.requests().into_iter();
        let targets = requests.filter(|request| request.method == "GET");
        targets
            .filter_map(|request| Some(request.path().strip_prefix("/files/")?.to_owned()))
            .collect()
    }

    /// Every file there is whole; none of those that were there is gone or was asked for again.
    #[track_caller]
    pub fn assert_unharmed(&self, before: &Files, whole: &Files, run: &Run) -> Files {
        let mut now = self.bulk.files();
        now.retain(|(name, _)| !is_temporary(name));
        for file in &now {
            assert!(whole.contains(file), "{} is not whole\n{run}", file.0);
        }
        let asked_for = self.asked_for();
        for (name, _) in before {
            assert!(
                now.iter().any(|(other, _)| other == name),
                "{name} is gone\n{run}"
            );
            let number = name.split("_files_").nth(1).unwrap().replace(".ndjson", "");
            assert!(
                !asked_for.contains(&number),
                "{name} was there and is fetched again\n{run}"
            );
        }
        for line in run
            .stdout
            .lines()
            .filter_map(|line| line.strip_suffix(" is created"))
        {
            assert!(
                fs::exists(line).unwrap(),
                "{line} is said to be there\n{run}"
            );
        }
        now
    }

    /// At the end: all files, nothing else, and the job is gone at the server.
    #[track_caller]
    pub fn assert_complete(&self, whole: &Files, run: &Run) {
        let names = |files: &Files| {
            files
                .iter()
                .map(|(name, _)| name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&self.bulk.files()), names(whole), "{run}");
        assert!(self.bulk.files() == *whole, "{run}");
        for (path, _) in tree(&self.bulk.medplum.path("out")) {
            let name = path.to_str().unwrap();
            assert!(!is_temporary(name), "{name} is left\n{run}");
        }
        assert!(self.deletes() > 0, "the job is left at the server\n{run}");
    }
}

/// The state's folder apart, names that begin with a dot are of files that are not whole.
fn is_temporary(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap();
    (name.starts_with('.') && name != ".medplum-export") || name.contains(".part")
}

impl Shared {
    fn guard(&self, request: &Request) -> Option<Answer> {
        let step = match (request.method.as_str(), request.target.as_str()) {
            ("GET", target) if target.contains("$export") => Step::KickOff,
            ("GET", STATUS) => Step::Status,
            ("GET", SECOND_PAGE) => Step::Page,
            ("GET", target) if target.starts_with("/files/") => Step::File,
            ("DELETE", STATUS) => Step::Delete,
            _ => return None,
        };
        if step == Step::KickOff {
            self.kick_offs.fetch_add(1, Ordering::SeqCst);
            self.deletes.store(0, Ordering::SeqCst);
        }
        let reply = self.reply(step);
        if reply.is_some() {
            let _ = self.sprung.lock().unwrap().send(request.clone());
        }
        if step == Step::Delete && matches!(reply, None | Some(Reply::Whole | Reply::DoneInSilence))
        {
            self.deletes.fetch_add(1, Ordering::SeqCst);
        }
        match reply {
            Some(Reply::Nothing | Reply::DoneInSilence) => Some(Answer::silence()),
            Some(Reply::Half) => {
                let answer = self.files[&request.target].clone();
                let half = answer.length() / 2;
                Some(answer.stall_at(half))
            }
            _ if step == Step::Delete => Some(Answer::empty(202)),
            _ if self.deletes.load(Ordering::SeqCst) > 0 => {
                Some(Answer::outcome(404, "not-found", "the job was deleted"))
            }
            _ => None,
        }
    }

    fn reply(&self, step: Step) -> Option<Reply> {
        let mut trap = self.trap.lock().unwrap();
        match &mut *trap {
            Some((chosen, reply, 0)) if *chosen == step => Some(*reply),
            Some((chosen, _, skip)) if *chosen == step => {
                *skip -= 1;
                None
            }
            // All other files are there, so the step will not come.
            Some(_) if step == Step::Delete => Some(Reply::Nothing),
            _ => None,
        }
    }
}

/// Moves the second half of the output to another page.
fn second_page(bulk: &Bulk) {
    let mut page: Value = serde_json::from_str(&bulk.manifest_text()).unwrap();
    let half = page["output"].as_array().unwrap().len() / 2;
    page["output"].as_array_mut().unwrap().drain(..half);
    (page["deleted"], page["error"]) = (json!([]), json!([]));
    bulk.manifest(|manifest| {
        manifest["output"].as_array_mut().unwrap().truncate(half);
        manifest["link"] = json!([{"relation": "next", "url": SECOND_PAGE}]);
    });
    let page = Answer::new(200, "application/json", page.to_string());
    bulk.server.on("GET", SECOND_PAGE, page);
}
