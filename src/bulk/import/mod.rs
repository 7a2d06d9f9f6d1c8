//! Bulk import: files → batches → requests → a report, with every line accounted for. Events go to an [`Observer`].
//!
//! It reads as its phases: `read` (inputs and their pieces), `order` (what goes first, where references lead), `send` (requests
//! and what their answers say) and `settle` (every line once, in the journal, the rejects and the report).

pub mod any_name;
pub mod batch;
mod dry_run;
mod error;
mod event;
pub mod intervals;
pub mod long;
mod options;
pub mod order;
pub mod piece;
pub mod read;
pub mod run;
pub mod send;
pub mod server_side;
pub mod settle;
mod source;

pub use dry_run::dry_run;
pub use error::{ImportError, Then};
pub use event::{Observer, Progress};
pub use options::{BundleKind, Chosen, Method, Options, Order, Wanted};
pub use run::{Ended, run};
