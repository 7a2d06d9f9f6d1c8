//! `kill -9` at every step of an import, then the same command with `--resume`, until it ends: each line is on the
//! server, or refused, or unknown where a POST got no answer, and no POST was sent twice.
//!
//! Seeded, quick here. `benches/import --kills 50` runs it longer: `MEDPLUM_KILLS`, `MEDPLUM_KILL_SEED`.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::import_kills::{How, Reply, Victim};
use crate::support::run::Running;

/// When the kill comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Before anything is sent, mostly.
    Begin,
    /// A request is there, and nothing was done.
    Sent,
    /// What it asked for was done, and the client does not know.
    Done,
    /// The answer is on its way, or read, or being noted down.
    Answered,
    Random,
}

const PHASES: [Phase; 5] = [
    Phase::Answered,
    Phase::Sent,
    Phase::Done,
    Phase::Random,
    Phase::Begin,
];

struct Ordeal {
    victim: Victim,
    rng: fastrand::Rng,
    kills: BTreeMap<Phase, usize>,
}

impl Ordeal {
    /// One run that ends by a kill in this phase, unless all was settled before.
    fn kill(&mut self, phase: Phase) {
        let (reply, skip) = match phase {
            Phase::Sent => (Reply::Nothing, self.rng.usize(0..4)),
            Phase::Done => (Reply::DoneInSilence, self.rng.usize(0..4)),
            // Whatever comes after the kill's time is not answered, so that no run gets to its end.
            Phase::Answered => (Reply::Whole, self.rng.usize(0..4)),
            Phase::Random | Phase::Begin => (Reply::Nothing, 4),
        };
        self.victim.set_trap(reply, skip);
        let mut running = self.victim.command("a.ndjson").spawn();
        let time = match phase {
            Phase::Begin => Duration::from_micros(self.rng.u64(0..15_000)),
            Phase::Random => Duration::from_micros(self.rng.u64(0..60_000)),
            _ => Duration::from_secs(30),
        };
        let has_sprung = self.wait(&running, time);
        if phase == Phase::Answered {
            thread::sleep(Duration::from_micros(self.rng.u64(0..4000)));
        }
        running.kill_at_once();
        let run = running.finish();
        assert!(
            run.code == 137 || run.code == 0 || run.code == 5,
            "{phase:?}\n{run}"
        );
        if run.code == 137 {
            let by_time = matches!(phase, Phase::Begin | Phase::Random);
            assert!(has_sprung || by_time, "{phase:?} did not come\n{run}");
            *self.kills.entry(phase).or_default() += 1;
        }
        self.victim.assert_nothing_is_sent_twice();
    }

    fn wait(&self, running: &Running, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let has_sprung = self
                .victim
                .sprung_within(left.min(Duration::from_millis(20)));
            if has_sprung || left.is_zero() || running.has_ended() {
                return has_sprung;
            }
        }
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn survives(how: How) {
    let kills = setting("MEDPLUM_KILLS", 10);
    let seed = setting("MEDPLUM_KILL_SEED", 1);
    eprintln!("seed {seed}, {kills} kills, {how:?}");
    let mut ordeal = Ordeal {
        // A run settles up to five bundles of five.
        victim: Victim::new(how, 10 + 8 * kills),
        rng: fastrand::Rng::with_seed(seed as u64),
        kills: BTreeMap::new(),
    };
    for phase in PHASES.iter().cycle().take(kills) {
        ordeal.kill(*phase);
    }
    ordeal.victim.take_the_trap_away();
    let run = ordeal.victim.command("a.ndjson").run();
    ordeal.victim.assert_complete(&run);
    // Once more sends nothing and says the same.
    ordeal.victim.store.server.forget();
    let again = ordeal.victim.command("a.ndjson").run();
    assert!(ordeal.victim.store.bundles().is_empty());
    ordeal.victim.assert_complete(&again);
    eprintln!("kills by phase: {:?}", ordeal.kills);
    for phase in PHASES.iter().take(kills) {
        assert!(ordeal.kills.contains_key(phase), "{phase:?} never came");
    }
}

#[test]
fn an_import_by_put_that_is_killed_at_every_step_loses_nothing() {
    survives(How::Put);
}

#[test]
fn an_import_by_post_that_is_killed_at_every_step_sends_nothing_twice() {
    survives(How::Post);
}

#[test]
fn references_of_a_conditional_import_hold_however_often_it_is_killed() {
    survives(How::Conditional);
}
