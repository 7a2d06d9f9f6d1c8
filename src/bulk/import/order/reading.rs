//! The reading side: files become batches, rank after rank, a little ahead of what is sent.

use tokio::sync::mpsc::Sender;

use crate::bulk::import::order::deferred::Stage;
use crate::bulk::import::order::feed::{Event, Feed};
use crate::bulk::import::order::packer::{Gone, Packer};
use crate::bulk::import::order::rank;
use crate::bulk::import::piece::Piece;
use crate::bulk::import::read::line;
use crate::bulk::import::{BundleKind, ImportError, Method};

impl Feed {
    /// Reads everything and sends it on; ends quietly when nobody listens any more.
    pub fn run(self, events: &Sender<Event>) {
        let mut packer = Packer::new(&self, events);
        let result = self
            .pass(&mut packer)
            .and_then(|()| packer.flush().map_err(|Gone| ImportError::Interrupted))
            .and_then(|()| self.what_waited(&mut packer));
        match result {
            Ok(()) | Err(ImportError::Interrupted) => {}
            Err(error) => {
                let _ = events.blocking_send(Event::Failed(error));
            }
        }
    }

    fn pass(&self, packer: &mut Packer) -> Result<(), ImportError> {
        match &self.ranks {
            Some(ranks) => self.in_order(ranks, packer, true),
            None => self.in_files(packer),
        }
    }

    fn in_files(&self, packer: &mut Packer) -> Result<(), ImportError> {
        (0..self.inputs.len()).try_for_each(|file| self.file(file, None, packer))
    }

    /// Reads again what pointed at what came later, as long as less and less is left, and then in spite of it.
    fn what_waited(&self, packer: &mut Packer) -> Result<(), ImportError> {
        let Some(deferred) = &self.deferred else {
            return Ok(());
        };
        let (mut stage, mut before) = (Stage::Wait, u64::MAX);
        loop {
            packer.barrier().map_err(|Gone| ImportError::Interrupted)?;
            let waited = deferred.next(|waited| {
                stage = match stage {
                    Stage::Wait if waited.count() < before => Stage::Wait,
                    Stage::Wait if self.options.method == Method::Conditional => Stage::Provisional,
                    _ => Stage::Last,
                };
                stage
            });
            if waited.is_empty() {
                return Ok(());
            }
            before = waited.count();
            packer.again(waited);
            // What points at each other can go in one transaction, whatever its rank.
            let is_led_within = (self.options.method, self.options.bundle)
                == (Method::Post, BundleKind::Transaction);
            match &self.ranks {
                // The order is the same, for items are known by their number.
                Some(ranks) if is_led_within => self.in_order(ranks, packer, false)?,
                _ => self.pass(packer)?,
            }
        }
    }

    fn in_order(
        &self,
        ranks: &[u64],
        packer: &mut Packer,
        one_by_one: bool,
    ) -> Result<(), ImportError> {
        let all = ranks.iter().fold(0, |all, ranks| all | ranks);
        for rank in (0..=rank::LAST).filter(|rank| all >> rank & 1 == 1) {
            for file in (0..self.inputs.len()).filter(|file| ranks[*file] >> rank & 1 == 1) {
                self.file(file, Some(rank), packer)?;
            }
            if one_by_one {
                packer.barrier().map_err(|Gone| ImportError::Interrupted)?;
            }
        }
        Ok(())
    }

    fn file(&self, file: usize, rank: Option<u8>, packer: &mut Packer) -> Result<(), ImportError> {
        self.inputs[file].visit(&mut |number, piece| {
            if rank.is_some_and(|rank| rank != rank_of(&piece)) {
                return Ok(());
            }
            packer.take(file, number, piece)
        })
    }
}

fn rank_of(piece: &Piece) -> u8 {
    match piece {
        Piece::Resource { text, .. } => rank::rank(&line::type_name(text)),
        Piece::Bad { .. } => 0,
        Piece::Deletion { url } => rank::rank_of_deletion(line::type_of_url(url)),
    }
}
