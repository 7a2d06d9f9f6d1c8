//! Ctrl-C and what a CI system sends: once to stop with the state saved, twice to end at once.

/// Listens, from this call on, for what ends a command early. A second signal ends the process at once.
#[cfg(unix)]
pub(super) fn interrupts() -> std::io::Result<impl Future<Output = ()>> {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::Poll;

    use tokio::signal::unix::{SignalKind, signal};

    const INTERRUPT: i32 = 2;
    const TERMINATE: i32 = 15;
    crate::signals::are_handled();
    let was_told = Arc::new(AtomicBool::new(false));
    for number in [INTERRUPT, TERMINATE] {
        let exit = i32::from(crate::exit::INTERRUPTED);
        // In this order the first signal only notes that it came, within its handler: the second one works also when
        // this program is stuck, such as in a pipe that nobody reads.
        signal_hook::flag::register_conditional_shutdown(number, exit, Arc::clone(&was_told))?;
        signal_hook::flag::register(number, Arc::clone(&was_told))?;
    }
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
    );
    // The flag is there before the runtime knows: nothing more is begun in between.
    let came = std::future::poll_fn(move |_| {
        if was_told.load(Ordering::SeqCst) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    });
    Ok(async move {
        tokio::select! {
            () = came => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens, from this call on, for Ctrl-C.
#[cfg(not(unix))]
pub(super) fn interrupts() -> std::io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// A write beyond the limit of `ulimit -f` kills a process that does not handle SIGXFSZ; handled, it is an error
/// like a full disk.
pub(super) fn report_file_size_limit_as_an_error() {
    #[cfg(unix)]
    {
        const SIGXFSZ: i32 = 25;
        let _ = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::from_raw(SIGXFSZ));
    }
}
