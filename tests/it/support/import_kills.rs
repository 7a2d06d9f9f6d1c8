//! An import that is killed: its server notes what came and what it did, and says when a chosen request is there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use super::medplum::Invocation;
use super::store::{Rules, references};
use super::{Answer, Medplum, Request, Run, Store};

/// How the server answers the chosen request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// It does what it was asked to, and says so.
    Whole,
    /// It does nothing and says nothing.
    Nothing,
    /// It does what it was asked to and does not say so.
    DoneInSilence,
}

/// How resources are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    Put,
    Post,
    Conditional,
}

impl How {
    fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Post => "post",
            Self::Conditional => "conditional",
        }
    }
}

/// An import of patients, and as many observations that point at them.
pub struct Victim {
    pub store: Store,
    pub medplum: Medplum,
    pub sprung: Receiver<()>,
    how: How,
    lines: BTreeMap<String, String>,
    refused: BTreeSet<String>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// The chosen reply, and how many requests are answered before.
    trap: Mutex<Option<(Reply, usize)>>,
    /// How often each identifier came, and how often it was written.
    sent: Mutex<BTreeMap<String, usize>>,
    done: Mutex<BTreeMap<String, usize>>,
}

fn line(kind: &str, name: &str, more: &str) -> String {
    format!(
        r#"{{"resourceType":"{kind}","id":"{name}","identifier":[{{"system":"http://example.com/x","value":"{name}"}}],"value":1.00{more}}}"#
    )
}

impl Victim {
    /// So many patients and observations; every twentieth is refused.
    pub fn new(how: How, pairs: usize) -> Self {
        let mut lines = BTreeMap::new();
        let mut refused = BTreeSet::new();
        let mut text = String::new();
        for (kind, letter) in [("Observation", "o"), ("Patient", "p")] {
            for number in 0..pairs {
                let name = format!("{letter}{number}");
                let subject = format!(r#","subject":{{"reference":"Patient/p{number}"}}"#);
                // Where the server gives the ids, some point at each other.
                let is_circle = how == How::Conditional && number % 4 == 0;
                let back = format!(r#","link":{{"reference":"Observation/o{number}"}}"#);
                let more = match kind {
                    "Observation" => subject.as_str(),
                    _ if is_circle => back.as_str(),
                    _ => "",
                };
                let line = line(kind, &name, more);
                text.push_str(&line);
                text.push('\n');
                lines.insert(name.clone(), line);
                if number % 20 == 3 {
                    refused.insert(format!("{kind}/{name}"));
                }
            }
        }
        // A conditional write carries no id, so the rules cannot name it.
        if how == How::Conditional {
            refused.clear();
        }
        let store = Store::with(Rules {
            refused: refused.clone(),
            ..Rules::default()
        });
        let medplum = Medplum::new();
        medplum.file("a.ndjson", text);
        let (sender, sprung) = channel();
        let shared = Arc::new(Shared::default());
        let (guarding, does) = (Arc::clone(&shared), store.does());
        let sender = Mutex::new(sender);
        store
            .server
            .guard(move |request| guarding.guard(request, &does, &sender.lock().unwrap()));
        Self {
            store,
            medplum,
            sprung,
            how,
            lines,
            refused,
            shared,
        }
    }

    /// The import of which all is about: it begins, or goes on where it was ended.
    pub fn command(&self, source: &str) -> Invocation<'_> {
        let words = ["bulk", "import", source, "-o", "json", "--parallel", "3"];
        let is_begun = self.medplum.path(".medplum-import/request.json").exists();
        let resume = is_begun.then_some("--resume");
        let method = ["--bundle-size", "5", "--method", self.how.name()];
        let flags = self.store.flags();
        let words = words
            .into_iter()
            .chain(resume)
            .chain(method)
            .map(str::to_owned);
        self.medplum.command(words.chain(flags))
    }

    /// From now on the server replies like that, once `skip` requests went by.
    pub fn set_trap(&self, reply: Reply, skip: usize) {
        while self.sprung.try_recv().is_ok() {}
        *self.shared.trap.lock().unwrap() = Some((reply, skip));
    }

    /// Nothing is disturbed any more.
    pub fn take_the_trap_away(&self) {
        *self.shared.trap.lock().unwrap() = None;
    }

    /// Whether the trap sprang within this time.
    pub fn sprung_within(&self, time: Duration) -> bool {
        self.sprung.recv_timeout(time).is_ok()
    }

    /// No POST came twice.
    #[track_caller]
    pub fn assert_nothing_is_sent_twice(&self) {
        if self.how == How::Post {
            let sent = self.shared.sent.lock().unwrap();
            let twice: Vec<_> = sent.iter().filter(|(_, times)| **times > 1).collect();
            assert!(twice.is_empty(), "{twice:?}");
        }
    }

    /// At the end: every line is there, or refused, or unknown where a POST got no answer, and the report says which.
    #[track_caller]
    pub fn assert_complete(&self, run: &Run) {
        self.assert_nothing_is_sent_twice();
        let rejects = self.rejects();
        let is_partial = !rejects.is_empty();
        assert_eq!(run.code, if is_partial { 5 } else { 0 }, "{run}");
        let done = self.shared.done.lock().unwrap();
        let mut unknown = 0;
        for name in self.lines.keys() {
            let full = format!("{}/{name}", kind_of(name));
            let times = done.get(name).copied().unwrap_or(0);
            match rejects.get(name).map(String::as_str) {
                None => assert!(times > 0, "{name} is nowhere\n{run}"),
                Some("refused") => {
                    // Nobody can say where that lies what it points at, when that got no answer.
                    let target = name.replacen('o', "p", 1);
                    let is_lost = self.how == How::Post && rejects.contains_key(&target);
                    assert!(is_lost || self.refused.contains(&full), "{name}\n{run}");
                }
                Some("unknown") => unknown += 1,
                Some(other) => panic!("{name} is {other}\n{run}"),
            }
            let is_refused = rejects.get(name).is_some_and(|result| result == "refused");
            assert!(
                is_refused || !self.refused.contains(&full) || self.how == How::Post,
                "{name} counts as done\n{run}"
            );
        }
        assert!(unknown == 0 || self.how == How::Post, "{run}");
        let report = run.json();
        let count = |name: &str| usize::try_from(report[name].as_u64().unwrap()).unwrap();
        assert_eq!(count("resources"), self.lines.len(), "{run}");
        assert_eq!(count("unknown"), unknown, "{run}");
        assert_eq!(count("refused"), rejects.len() - unknown, "{run}");
        let written = count("created") + count("updated") + count("unchanged");
        assert_eq!(written, self.lines.len() - rejects.len(), "{run}");
        self.assert_contents(&rejects);
    }

    /// What is refused or unknown by name, each once in both files.
    fn rejects(&self) -> BTreeMap<String, String> {
        if !self.medplum.path("rejects.ndjson").exists() {
            return BTreeMap::new();
        }
        let lines = |name: &str| -> Vec<Value> {
            let text = self.medplum.read(name);
            assert!(text.ends_with('\n'), "{name}: {text}");
            let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
            lines.collect()
        };
        let said = lines("rejects.outcomes.ndjson");
        let results: BTreeMap<String, String> = said
            .iter()
            .map(|said| (text_of(&said["id"]), text_of(&said["result"])))
            .collect();
        assert_eq!(results.len(), said.len(), "{said:?}");
        let names: Vec<String> = lines("rejects.ndjson")
            .iter()
            .map(|line| text_of(&line["id"]))
            .collect();
        assert_eq!(
            names,
            said.iter()
                .map(|said| text_of(&said["id"]))
                .collect::<Vec<_>>()
        );
        results
    }

    fn assert_contents(&self, rejects: &BTreeMap<String, String>) {
        let names: Vec<String> = self.store.names();
        if self.how == How::Put {
            for name in names {
                let id = name.split_once('/').unwrap().1;
                assert_eq!(self.store.text(&name), self.lines[id], "{name}");
            }
            return;
        }
        // One resource for each line, and references follow the ids that the server gave.
        if self.how == How::Conditional {
            assert!(rejects.is_empty());
            assert_eq!(names.len(), self.lines.len());
        }
        let mut links = 0;
        for name in &names {
            let json: Value = serde_json::from_str(&self.store.text(name)).unwrap();
            for target in references(&json) {
                let other: Value = serde_json::from_str(&self.store.text(&target)).unwrap();
                let [own, other] =
                    [&json, &other].map(|json| text_of(&json["identifier"][0]["value"]));
                assert!(
                    own[1..] == other[1..] && own != other,
                    "{name} points at {target}"
                );
                links += 1;
            }
        }
        let pairs = self.lines.len() / 2;
        if self.how == How::Conditional {
            assert_eq!(links, pairs + pairs.div_ceil(4));
        } else {
            assert!(links > 0 || !rejects.is_empty());
        }
    }
}

fn kind_of(name: &str) -> &'static str {
    if name.starts_with('p') {
        "Patient"
    } else {
        "Observation"
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

impl Shared {
    fn guard(
        &self,
        request: &Request,
        does: &dyn Fn(&Request) -> Option<Answer>,
        sprung: &Sender<()>,
    ) -> Option<Answer> {
        if request.target != "/fhir/R4" {
            return None;
        }
        let bundle = request.json();
        let entries = bundle["entry"].as_array().unwrap().iter();
        let names: Vec<String> = entries
            .map(|entry| text_of(&entry["resource"]["identifier"][0]["value"]))
            .collect();
        let count = |counts: &Mutex<BTreeMap<String, usize>>| {
            let mut counts = counts.lock().unwrap();
            for name in &names {
                *counts.entry(name.clone()).or_default() += 1;
            }
        };
        count(&self.sent);
        let reply = self.reply();
        let answer = if reply == Some(Reply::Nothing) {
            Some(Answer::silence())
        } else {
            let answer = does(request);
            count(&self.done);
            answer
        };
        if reply.is_some() {
            let _ = sprung.send(());
        }
        match reply {
            Some(Reply::DoneInSilence) => Some(Answer::silence()),
            _ => answer,
        }
    }

    fn reply(&self) -> Option<Reply> {
        match &mut *self.trap.lock().unwrap() {
            Some((reply, 0)) => Some(*reply),
            Some((_, skip)) => {
                *skip -= 1;
                None
            }
            None => None,
        }
    }
}
