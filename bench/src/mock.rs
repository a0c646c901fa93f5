//! A provider that answers at once with fixed bytes: the limit that every gateway is measured against.
//!
//! A streamed answer's shape is asked for in the prompt, which every gateway carries: `[events=100 gap=2000]` means 100
//! events of text, 2,000 microseconds apart.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::http::{Framing, head};

/// The shape of a streamed answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pace {
    /// Events of text, besides those that open and close the stream.
    events: usize,
    /// Pause between two events.
    gap: Duration,
}

impl Pace {
    /// What the prompt asks for; 100 events at once where it says nothing.
    fn asked(request: &[u8]) -> Self {
        let number = |word: &[u8]| -> Option<u64> {
            let at = memchr::memmem::find(request, word)? + word.len();
            let digits = request.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit());
            Some(digits.fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
        };
        Self {
            events: number(b"[events=").and_then(|n| usize::try_from(n).ok()).unwrap_or(100),
            gap: Duration::from_micros(number(b" gap=").unwrap_or(0)),
        }
    }
}

type Events = Rc<Vec<Vec<u8>>>;

struct Answers {
    chat: Vec<u8>,
    messages: Vec<u8>,
    /// Streams by dialect and number of events, made when first asked for.
    streams: RefCell<BTreeMap<(bool, usize), Events>>,
}

impl Answers {
    fn stream(&self, messages: bool, events: usize) -> Events {
        let mut streams = self.streams.borrow_mut();
        let made = streams.entry((messages, events)).or_insert_with(|| {
            Rc::new(if messages { messages_events(events) } else { chat_events(events) })
        });
        Rc::clone(made)
    }
}

/// Serves for ever.
pub(crate) async fn serve(address: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.context("bind the mock's address")?;
    let answers = Rc::new(answers());
    loop {
        let (socket, _) = listener.accept().await.context("accept a connection")?;
        socket.set_nodelay(true)?;
        let answers = Rc::clone(&answers);
        tokio::task::spawn_local(async move {
            // A client that goes away ends its connection and nothing else.
            let _ended = connection(socket, &answers).await.is_ok();
        });
    }
}

async fn connection(mut socket: TcpStream, answers: &Answers) -> anyhow::Result<()> {
    let mut buffer = Vec::with_capacity(16 * 1024);
    loop {
        let head = loop {
            if let Some(head) = head(&buffer) {
                break head;
            }
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        };
        let Framing::Length(length) = head.framing else {
            anyhow::bail!("the mock takes bodies with a length only");
        };
        let whole = head.len + length;
        while buffer.len() < whole {
            if socket.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
        }
        let request = buffer.get(..whole).unwrap_or_default();
        let messages =
            memchr::memmem::find(request.get(..64.min(whole)).unwrap_or_default(), b"/messages")
                .is_some();
        let stream = memchr::memmem::find(request, b"\"stream\":true").is_some()
            || memchr::memmem::find(request, b"\"stream\": true").is_some();
        let pace = stream.then(|| Pace::asked(request));
        answer(&mut socket, answers, messages, pace).await?;
        buffer.drain(..whole);
    }
}

async fn answer(
    socket: &mut TcpStream,
    answers: &Answers,
    messages: bool,
    pace: Option<Pace>,
) -> anyhow::Result<()> {
    let Some(pace) = pace else {
        let whole = if messages { &answers.messages } else { &answers.chat };
        return Ok(socket.write_all(whole).await?);
    };
    socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n").await?;
    // By absolute times: a late wake-up is made up for, so that the rate asked for is the rate that flows.
    let mut due = tokio::time::Instant::now();
    for event in answers.stream(messages, pace.events).iter() {
        if !pace.gap.is_zero() {
            tokio::time::sleep_until(due).await;
            due += pace.gap;
        }
        socket.write_all(event).await?;
    }
    Ok(socket.write_all(b"0\r\n\r\n").await?)
}

fn answers() -> Answers {
    // About 1 KB of answer, as the request is.
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(16);
    let chat = serde_json::json!({
        "id": "chatcmpl-bench", "object": "chat.completion", "created": 1_700_000_000, "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null}, "logprobs": null, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 220, "completion_tokens": 180, "total_tokens": 400},
        "system_fingerprint": null
    });
    let messages = serde_json::json!({
        "id": "msg_bench", "type": "message", "role": "assistant", "model": "bench",
        "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 220, "output_tokens": 180}
    });
    Answers { chat: whole(&chat), messages: whole(&messages), streams: RefCell::default() }
}

fn whole(body: &serde_json::Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

fn chat_events(count: usize) -> Vec<Vec<u8>> {
    let base = |delta: serde_json::Value, finish: serde_json::Value| {
        serde_json::json!({"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "bench",
            "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}], "usage": null})
    };
    let mut events = vec![base(
        serde_json::json!({"role": "assistant", "content": ""}),
        serde_json::Value::Null,
    )];
    events.extend((0..count).map(|at| {
        base(serde_json::json!({"content": format!("word{at} ")}), serde_json::Value::Null)
    }));
    events.push(base(serde_json::json!({}), "stop".into()));
    events.push(serde_json::json!({"id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "bench",
        "choices": [], "usage": {"prompt_tokens": 220, "completion_tokens": count, "total_tokens": 220 + count}}));
    let mut out: Vec<Vec<u8>> =
        events.iter().map(|event| chunk(&format!("data: {event}\n\n"))).collect();
    out.push(chunk("data: [DONE]\n\n"));
    out
}

fn messages_events(count: usize) -> Vec<Vec<u8>> {
    let mut events = vec![
        serde_json::json!({"type": "message_start", "message": {"id": "msg_bench", "type": "message", "role": "assistant", "model": "bench",
            "content": [], "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 220, "output_tokens": 1}}}),
        serde_json::json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
    ];
    events.extend((0..count).map(|at| {
        serde_json::json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": format!("word{at} ")}})
    }));
    events.push(serde_json::json!({"type": "content_block_stop", "index": 0}));
    events.push(serde_json::json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null}, "usage": {"output_tokens": count}}));
    events.push(serde_json::json!({"type": "message_stop"}));
    let line = |event: &serde_json::Value| {
        let name = event.get("type").and_then(serde_json::Value::as_str).unwrap_or_default();
        chunk(&format!("event: {name}\ndata: {event}\n\n"))
    };
    events.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prompt_says_how_a_stream_flows() {
        let pace = Pace::asked(br#"{"content":"[events=400 gap=2000] Summarise"}"#);
        assert_eq!(pace, Pace { events: 400, gap: Duration::from_millis(2) });
        assert_eq!(Pace::asked(b"{}"), Pace { events: 100, gap: Duration::ZERO });
    }
}
