//! See tests/long/targets.rs, which says what is read and what must hold.
#![no_main]

#[path = "../../tests/long/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let _ = (targets::ALL[4].read)(input);
});
