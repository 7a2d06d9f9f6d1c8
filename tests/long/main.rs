//! The readers of what servers and files say, each tried with millions of inputs: `long TARGET RUNS SEED`.
//!
//! An input is one of the target's seeds, changed by a generator, so that the same numbers try the same inputs. A panic,
//! or an input that takes a second each time, ends it with the input as an escaped string.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own, which tells whoever runs it how it went"
)]

mod book;
mod change;
mod lines;
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_secs(1);
/// So often an input is read that took longer.
const SLOW_TRIES: u32 = 3;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    let (Some(name), Some(runs)) = (arguments.first(), number(1)) else {
        println!(
            "{}",
            targets::ALL.each_ref().map(|target| target.name).join("\n")
        );
        return ExitCode::SUCCESS;
    };
    let seed = number(2).unwrap_or(20_261_128);
    let Some(target) = targets::named(name) else {
        eprintln!("no target {name}");
        return ExitCode::from(2);
    };
    let words = (target.words)();
    let mut random = fastrand::Rng::with_seed(seed);
    let (started, mut accepted) = (Instant::now(), 0_u64);
    for run in 0..runs {
        let input = change::changed(target.seeds, &words, &mut random);
        let mut slow = 0;
        loop {
            let begun = Instant::now();
            let read = catch_unwind(AssertUnwindSafe(|| target.read(&input)));
            let Ok(is_accepted) = read else {
                return failed(name, run, &input, "it panicked");
            };
            if begun.elapsed() < LONGEST {
                accepted += u64::from(is_accepted);
                break;
            }
            // The machine may have been busy with something else.
            slow += 1;
            if slow == SLOW_TRIES {
                return failed(name, run, &input, "it took longer than a second, each time");
            }
        }
    }
    println!(
        "{name}: {runs} runs with seed {seed}, {accepted} accepted, no failure, {} s",
        started.elapsed().as_secs()
    );
    ExitCode::SUCCESS
}

fn failed(name: &str, run: u64, input: &[u8], how: &str) -> ExitCode {
    eprintln!("{name}: run {run}: {how}: b\"{}\"", input.escape_ascii());
    ExitCode::FAILURE
}
