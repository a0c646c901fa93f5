#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::translate_to_oci(data));
