//! Bodies of the fuzz targets. The same functions run under libFuzzer (`fuzz/`, nightly) and, replayed and mutated,
//! on the stable toolchain (`fuzz-stable`, part of `cargo xtask test`).
//!
//! A target takes any bytes. It fails by panicking: each `assert!` states what must hold whatever comes in.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod reference;
mod targets;

pub use targets::{
    answer_and_stream, canary, config_yaml, error_body, image_size, json_gate, key_parse,
    ledger_record, peek_anthropic_messages, peek_openai_chat, retry_after, sse_bytes, sse_rechunk,
    translate_chat_to_messages, translate_messages_to_chat, usage_anthropic_messages,
    usage_openai_chat,
};

/// A target: its name, its body, and words that mutation puts in.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Names its corpus folder too.
    pub name: &'static str,
    /// Takes any bytes; panics when something does not hold.
    pub run: fn(&[u8]),
    /// What inputs are made of.
    pub words: &'static [&'static str],
}

const JSON: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u0061",
    "\\ud83d\\ude00",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "1e308",
    "1e999",
    "18446744073709551616",
    "\"\"",
    "{}",
    "[]",
    "\"model\":",
    "\"mod\\u0065l\":\"x\",",
    "\"stream\":true,",
    "\"stream_options\":{\"include_usage\":false},",
    "\"n\":2,",
    "\"max_tokens\":5,",
    "\"role\":\"user\"",
    "\"role\":\"assistant\"",
    "\"role\":\"tool\"",
    "\"content\":",
    "\"type\":\"text\"",
    "\"tools\":[]",
    "\"tool_calls\":[]",
    "\"text\":\"x\"",
    "\u{e9}",
    "\u{1f600}",
];
const STREAM: &[&str] = &[
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "\r\n\r\n",
    "data:",
    "data: ",
    "event: ",
    "event: error\n",
    ": ping\n\n",
    "data: [DONE]\n\n",
    "\u{feff}",
    "\u{2028}",
    "{",
    "}",
    "[]",
    "null",
    "\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2},",
    "\"choices\":[],",
    "\"error\":{\"message\":\"x\"},",
    "\"finish_reason\":\"stop\"",
    "\"input_tokens\":3,",
    "data: {\"type\":\"message_stop\"}\n\n",
    "id: 1\n",
    "18446744073709551616",
    "-1",
];
const ERROR: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "\"error\":",
    "\"message\":",
    "\"code\":",
    "\"type\":",
    "\"details\":[",
    "\"retryDelay\":\"34s\"",
    "429",
    "insufficient_quota",
    "context_length_exceeded",
    "sk-0123456789abcdef",
    "\u{202e}",
    "\0",
    "\n",
];
const WAIT: &[&str] = &[
    "0",
    "1",
    "120",
    "0.5",
    "-1",
    "+1",
    "1e400",
    "18446744073709551616",
    "NaN",
    "inf",
    "s",
    "ms",
    "\n",
    " ",
    ",",
    "Sun, 06 Nov 1994 08:49:37 GMT",
    "Thu, 31 Dec 9999 23:59:60 GMT",
    "Mon, 01 Jan 1970 00:00:00 GMT",
    ":",
];
const KEY: &[&str] = &["or-", "-", "0", "z", "Z", "\u{e9}", " "];
const YAML: &[&str] = &[
    "providers:\n",
    "  - ",
    "name: ",
    "type: openai\n",
    "base_url: ",
    "capabilities:\n",
    "limits:\n",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "|\n",
    ">\n",
    "env:KEY",
    "file:/x",
    "1e999",
    "0x",
    "~",
    "\t",
    "  ",
    "\n",
    "# ",
    "'",
    "\"",
    "---\n",
    "\u{feff}",
];
const IMAGE: &[&str] = &[
    "\0",
    "\0\0\0\0",
    "\0\u{10}",
    "\u{2c}",
    "\u{21}\u{7f}",
    "GIF87a",
    "GIF89a",
    "RIFF",
    "WEBP",
    "VP8 ",
    "VP8L",
    "VP8X",
    "PNG\r\n\u{1a}\n",
    "IHDR",
    "Exif",
];
const BYTES: &[&str] = &["\0", "\0\0\0\0", "\u{7f}", "\u{1}", "\u{2}", "\u{3}"];

/// Every target but the canary.
pub const TARGETS: &[Target] = &[
    Target { name: "json_gate", run: json_gate, words: JSON },
    Target { name: "sse_bytes", run: sse_bytes, words: STREAM },
    Target { name: "sse_rechunk", run: sse_rechunk, words: STREAM },
    Target { name: "peek_openai_chat", run: peek_openai_chat, words: JSON },
    Target { name: "peek_anthropic_messages", run: peek_anthropic_messages, words: JSON },
    Target { name: "image_size", run: image_size, words: IMAGE },
    Target { name: "usage_openai_chat", run: usage_openai_chat, words: STREAM },
    Target { name: "usage_anthropic_messages", run: usage_anthropic_messages, words: STREAM },
    Target { name: "translate_chat_to_messages", run: translate_chat_to_messages, words: JSON },
    Target { name: "translate_messages_to_chat", run: translate_messages_to_chat, words: JSON },
    Target { name: "answer_and_stream", run: answer_and_stream, words: STREAM },
    Target { name: "error_body", run: error_body, words: ERROR },
    Target { name: "retry_after", run: retry_after, words: WAIT },
    Target { name: "key_parse", run: key_parse, words: KEY },
    Target { name: "config_yaml", run: config_yaml, words: YAML },
    Target { name: "ledger_record", run: ledger_record, words: BYTES },
];

/// The target that must be found to fail: what proves that failures are found.
pub const CANARY: Target = Target { name: "canary", run: canary, words: &["boom"] };
