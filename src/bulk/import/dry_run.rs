//! All is read and counted, and nothing is sent.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::bulk::import::order::feed::Event;
use crate::bulk::import::piece::Unsent;
use crate::bulk::import::run::read;
use crate::bulk::import::settle::report::Report;
use crate::bulk::import::source::Source;
use crate::bulk::import::{ImportError, Observer, Options};

/// Reads everything and counts, without a server.
///
/// # Errors
/// An input cannot be read.
pub async fn dry_run(options: Options, observer: &dyn Observer) -> Result<Report, ImportError> {
    let started = Instant::now();
    let source = Source::open(options, None, observer)?;
    let mut known = source.look().await?;
    let index = Arc::new(Mutex::new(std::mem::take(&mut known.index)));
    let feed = source.feed(&known, &index);
    let tally = feed.tally.clone();
    let mut report = Report::default();
    let mut events = read(feed);
    while let Some(event) = events.recv().await {
        match event {
            Event::Failed(error) => return Err(error),
            Event::Barrier(sender) => drop(sender.send(())),
            Event::Batch(batch) => {
                for item in &batch.items {
                    let kind = item.resource_type.to_string();
                    let counts = report.types.entry(kind).or_default();
                    match &item.unsent {
                        None => counts.not_sent += 1,
                        Some(Unsent::Bad(problem)) => {
                            counts.refused += 1;
                            counts.held_back += 1;
                            let place = source.inputs[item.file].place_of(item);
                            observer.rejected(&place, problem);
                        }
                        Some(Unsent::Lost) => counts.unknown += 1,
                    }
                }
            }
        }
    }
    source.report(&mut report, known.survey.map(|survey| survey.links), &tally);
    report.elapsed = started.elapsed();
    Ok(report)
}
