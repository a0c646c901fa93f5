#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::translate_chat_to_messages(data));
