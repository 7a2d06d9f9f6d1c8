//! `kill -9` at every step of an export, then the same command again, until it ends: the files are byte for byte those
//! of an export that nobody disturbed, and none that had its final name was fetched again.
//!
//! Seeded, quick here. `benches/export --kills 100` runs it longer: `MEDPLUM_KILLS`, `MEDPLUM_KILL_FILES`, `MEDPLUM_KILL_SEED`.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::kills::{Files, Reply, Step, Victim};
use crate::support::run::Running;
use crate::support::{Request, Run};

/// When the kill comes. Those after an answer come at once or a moment later: the client is at what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    KickOff,
    Accepted,
    Poll,
    Page,
    Plan,
    Download,
    Check,
    Rename,
    Record,
    Random,
    Delete,
    Deleted,
    End,
}

/// What comes again and again while files are missing.
const MIDDLE: [Phase; 8] = [
    Phase::Download,
    Phase::Record,
    Phase::Poll,
    Phase::Check,
    Phase::Random,
    Phase::Page,
    Phase::Rename,
    Phase::Plan,
];

/// Every phase, those in the middle as often as `kills` allows.
fn schedule(kills: usize) -> Vec<Phase> {
    let few = kills / 25 + 1;
    let middle = kills.saturating_sub(2 * few + 3);
    let mut phases = vec![Phase::KickOff; few];
    phases.push(Phase::Accepted);
    phases.extend(MIDDLE.iter().cycle().take(middle));
    phases.extend(vec![Phase::Delete; few]);
    phases.extend([Phase::Deleted, Phase::End]);
    phases
}

/// One export through all its kills.
struct Ordeal {
    victim: Victim,
    whole: Files,
    rng: fastrand::Rng,
    /// The files that were there after the last kill.
    there: Files,
    /// Whether a kill may have come between a kick-off and its record.
    unsure: bool,
    /// Whether the next run starts anew.
    restart: bool,
    restarts: usize,
    /// The kills by the step they came at.
    kills: BTreeMap<Phase, usize>,
}

impl Ordeal {
    fn new(files: usize, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let victim = Victim::new(files, &mut rng);
        let whole = victim.undisturbed();
        assert_eq!(whole.len(), files + 2);
        Self {
            victim,
            whole,
            rng,
            there: Vec::new(),
            unsure: false,
            restart: false,
            restarts: 0,
            kills: BTreeMap::new(),
        }
    }

    /// One run that ends by a kill in this phase, or where the phase does not come any more, at the DELETE.
    fn kill(&mut self, phase: Phase) {
        let (step, reply) = match phase {
            Phase::KickOff => (Step::KickOff, Reply::Nothing),
            Phase::Accepted => (Step::KickOff, Reply::Whole),
            Phase::Poll => (Step::Status, Reply::Nothing),
            Phase::Page => (Step::Page, Reply::Nothing),
            Phase::Plan => (Step::Page, Reply::Whole),
            Phase::Download => (Step::File, Reply::Half),
            Phase::Check | Phase::Rename | Phase::Record => (Step::File, Reply::Whole),
            Phase::Random | Phase::Delete => (Step::Delete, Reply::Nothing),
            Phase::Deleted => (Step::Delete, Reply::DoneInSilence),
            Phase::End => (Step::Delete, Reply::Whole),
        };
        let skip = usize::from(step == Step::File) * self.rng.usize(0..3);
        self.victim.set_trap(step, reply, skip);
        let mut running = self.spawn();
        let time = match phase {
            Phase::Random => Duration::from_micros(self.rng.u64(0..60_000)),
            _ => Duration::from_secs(30),
        };
        let sprung = self.wait(&running, time);
        match &sprung {
            Some(request) => self.wait_a_moment(phase, request),
            None => assert!(
                phase == Phase::Random || running.has_ended(),
                "{phase:?} did not come"
            ),
        }
        running.kill_at_once();
        let run = running.finish();
        if self.is_unsure(&run) {
            return self.kill(phase);
        }
        let finished = phase == Phase::End && run.code == 0;
        assert!(run.code == 137 || finished, "{phase:?}\n{run}");
        let came = match sprung.as_ref().map(|request| request.method.as_str()) {
            Some("DELETE") if step != Step::Delete || phase == Phase::Random => Phase::Delete,
            _ => phase,
        };
        *self.kills.entry(came).or_default() += 1;
        self.unsure = matches!(phase, Phase::KickOff | Phase::Accepted);
        self.there = self.victim.assert_unharmed(&self.there, &self.whole, &run);
        if phase == Phase::KickOff {
            // Certain here: no answer was given.
            let run = self.spawn().finish();
            assert!(self.is_unsure(&run), "{run}");
        }
    }

    fn spawn(&mut self) -> Running {
        self.victim.bulk.server.forget();
        let args: &[&str] = if std::mem::take(&mut self.restart) {
            &["--restart"]
        } else {
            &[]
        };
        self.victim.command(args).spawn()
    }

    /// The request that sprang the trap; `None` when the time was over or the run ended before.
    fn wait(&self, running: &Running, time: Duration) -> Option<Request> {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let request = self
                .victim
                .sprung_within(left.min(Duration::from_millis(20)));
            if request.is_some() || left.is_zero() || running.has_ended() {
                return request;
            }
        }
    }

    /// What comes after an answer takes a moment: the kill comes into it.
    fn wait_a_moment(&mut self, phase: Phase, request: &Request) {
        match phase {
            Phase::Accepted | Phase::Plan | Phase::Rename | Phase::End => {
                thread::sleep(Duration::from_micros(self.rng.u64(0..4000)));
            }
            Phase::Record if request.method == "GET" => {
                let number = request.path().replace("/files/", "_files_") + ".ndjson";
                let name = self.whole.iter().find(|(name, _)| name.ends_with(&number));
                let path = self.victim.bulk.medplum.path("out").join(&name.unwrap().0);
                let end = Instant::now() + Duration::from_secs(10);
                while !path.exists() && Instant::now() < end {
                    std::hint::spin_loop();
                }
            }
            _ => {}
        }
    }

    /// Whether a run ended because nobody can know of the kick-off; the next one then starts anew.
    fn is_unsure(&mut self, run: &Run) -> bool {
        if !self.unsure || run.code != 1 {
            return false;
        }
        assert!(run.stderr.contains("--restart"), "{run}");
        assert!(self.victim.bulk.server.lines().is_empty(), "{run}");
        self.unsure = false;
        self.restart = true;
        self.restarts += 1;
        true
    }

    /// The last run, which nothing disturbs.
    fn end(mut self) -> BTreeMap<Phase, usize> {
        self.victim.take_the_trap_away();
        let mut run = self.spawn().finish();
        if self.is_unsure(&run) {
            run = self.spawn().finish();
        }
        // The kill after the DELETE may have come after the end.
        let finished = run.code == 2 && run.stderr.contains("finished export");
        assert!(run.code == 0 || finished, "{run}");
        let _ = self.victim.assert_unharmed(&self.there, &self.whole, &run);
        self.victim.assert_complete(&self.whole, &run);
        assert_eq!(self.victim.kick_offs(), 1 + self.restarts, "{run}");
        self.kills
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn an_export_that_is_killed_at_every_step_ends_as_if_nobody_had_disturbed_it() {
    let kills = setting("MEDPLUM_KILLS", 22);
    let files = setting("MEDPLUM_KILL_FILES", 100);
    let seed = setting("MEDPLUM_KILL_SEED", 1);
    eprintln!("seed {seed}, {files} files, {kills} kills");
    let mut ordeal = Ordeal::new(files, seed as u64);
    for phase in schedule(kills) {
        ordeal.kill(phase);
    }
    let kills = ordeal.end();
    // Every phase was reached, so that a change of the schedule does not hide one.
    for phase in MIDDLE.iter().filter(|phase| **phase != Phase::Random) {
        assert!(kills.contains_key(phase), "{phase:?} among {kills:?}");
    }
    eprintln!("kills by step: {kills:?}");
}
