//! The reader `device-answer` of tests/long/targets.rs, which says what must hold.
#![no_main]

#[path = "../../tests/long/book.rs"]
mod book;
#[path = "../../tests/long/lines.rs"]
mod lines;
#[path = "../../tests/long/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    targets::named("device-answer")
        .expect("a target")
        .read(input);
});
