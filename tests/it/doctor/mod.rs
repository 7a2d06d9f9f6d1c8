//! `doctor`.

mod basics;
mod causes;
mod tls;
