#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| engine_laws::bundle::holds(input));
