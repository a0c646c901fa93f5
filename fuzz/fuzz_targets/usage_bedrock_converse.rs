#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::usage_bedrock_converse(data));
