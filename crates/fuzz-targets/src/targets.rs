//! The targets, by what they try.

mod kept;
mod others;
mod requests;
mod streams;

pub use kept::keep_responses;
pub use others::{canary, config_yaml, error_body, key_parse, ledger_record, retry_after};
pub use requests::{
    image_size, json_gate, peek_anthropic_messages, peek_bedrock_converse, peek_cohere_chat,
    peek_gemini, peek_openai_chat, peek_openai_responses, realtime_events,
    translate_chat_to_messages, translate_converse, translate_from_cohere, translate_from_gemini,
    translate_messages_to_chat, translate_responses, translate_to_cohere, translate_to_gemini,
    translate_to_oci, translate_to_responses,
};
pub use streams::{
    answer_and_stream, event_stream, sse_bytes, sse_rechunk, usage_anthropic_messages,
    usage_bedrock_converse, usage_cohere_chat, usage_gemini, usage_openai_chat,
    usage_openai_responses,
};
