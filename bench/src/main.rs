//! The benchmark's parts: a mock provider and a load generator, each on one thread.
//!
//! `bench mock ADDRESS [EVENTS] [GAP_MICROS]` serves; `bench load ADDRESS PATH CONNECTIONS SECONDS [stream] [KEY] [MODEL]`
//! prints one JSON line. `cargo xtask bench` puts them together with gateways in between.

mod http;
mod load;
mod mock;

use std::time::Duration;

use anyhow::Context as _;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    let word = |at: usize| arguments.get(at).map(String::as_str);
    match word(0) {
        Some("mock") => {
            let address = word(1).context("an address is needed")?.parse()?;
            let options = mock::MockOptions {
                events: word(2).unwrap_or("100").parse()?,
                gap: Duration::from_micros(word(3).unwrap_or("0").parse()?),
            };
            local.block_on(&runtime, mock::serve(address, options))
        }
        Some("load") => {
            let load = load::Load {
                address: word(1).context("an address is needed")?.parse()?,
                request: request(
                    word(2).context("a path is needed")?,
                    word(5) == Some("stream"),
                    word(6).unwrap_or(""),
                    word(7).unwrap_or("bench/bench"),
                ),
                connections: word(3).context("a number of connections is needed")?.parse()?,
                duration: Duration::from_secs_f64(
                    word(4).context("a number of seconds is needed")?.parse()?,
                ),
            };
            report(&local.block_on(&runtime, load::run(load)))
        }
        _ => anyhow::bail!(
            "usage: bench mock ADDRESS [EVENTS] [GAP_MICROS] | bench load ADDRESS PATH CONNECTIONS SECONDS [stream|whole] [KEY] [MODEL]"
        ),
    }
}

/// A request of about 1 KB.
fn request(path: &str, stream: bool, key: &str, model: &str) -> Vec<u8> {
    let text =
        "Summarise the following minutes in three sentences and keep every figure. ".repeat(11);
    let mut body = serde_json::json!({
        "model": model,
        "max_tokens": 256,
        "messages": [{"role": "user", "content": text}],
    });
    if stream && let Some(fields) = body.as_object_mut() {
        fields.insert("stream".to_owned(), true.into());
        if !path.ends_with("/messages") {
            fields.insert("stream_options".to_owned(), serde_json::json!({"include_usage": true}));
        }
    }
    let body = body.to_string();
    let version =
        if path.ends_with("/messages") { "anthropic-version: 2023-06-01\r\n" } else { "" };
    let key =
        if key.is_empty() { String::new() } else { format!("authorization: Bearer {key}\r\n") };
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{version}{key}content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

#[expect(clippy::print_stdout, reason = "the result is this program's output")]
fn report(outcome: &load::Outcome) -> anyhow::Result<()> {
    let line = serde_json::json!({
        "ok": outcome.ok,
        "failed": outcome.failed,
        "events": outcome.events,
        "seconds": outcome.seconds,
        "p50_us": outcome.percentile(50),
        "p99_us": outcome.percentile(99),
    });
    println!("{line}");
    anyhow::ensure!(outcome.ok > 0, "no request succeeded");
    Ok(())
}
