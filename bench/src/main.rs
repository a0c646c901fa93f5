//! The benchmark's parts: a mock provider and a load generator, each on one thread.
//!
//! `bench mock ADDRESS` serves. `bench load ADDRESS PATH [WORD=VALUE..]` sends requests and prints one JSON line;
//! `bench hold ADDRESS PATH [WORD=VALUE..]` opens streams, prints a line once each has begun, and keeps them until its
//! input ends. `cargo xtask bench` puts these together with gateways in between. Words: `connections`, `seconds`,
//! `stream` (events of each answer; absent for a whole one), `gap` (microseconds between events), `key`, `model`,
//! `header` (`name: value`, any number).

mod http;
mod load;
mod mock;

use std::fmt::Write as _;
use std::io::Read as _;
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
            local.block_on(&runtime, mock::serve(address))
        }
        Some("load") => report(&local.block_on(&runtime, load::run(load(&arguments)?))),
        Some("hold") => {
            let held = local.block_on(&runtime, load::hold(load(&arguments)?))?;
            say(&serde_json::json!({"held": held.len()}));
            std::io::stdin().read_to_end(&mut Vec::new())?;
            Ok(())
        }
        _ => {
            anyhow::bail!("usage: bench mock ADDRESS | bench load|hold ADDRESS PATH [WORD=VALUE..]")
        }
    }
}

fn load(arguments: &[String]) -> anyhow::Result<load::Load> {
    let address = arguments.get(1).context("an address is needed")?.parse()?;
    let path = arguments.get(2).context("a path is needed")?;
    let mut asked = Asked::default();
    let (mut connections, mut seconds) = (1, 3.0);
    for argument in arguments.iter().skip(3) {
        let (name, value) = argument.split_once('=').context("a word=value is needed")?;
        match name {
            "connections" => connections = value.parse()?,
            "seconds" => seconds = value.parse()?,
            "stream" => asked.stream = Some(value.parse()?),
            "gap" => asked.gap = value.parse()?,
            "key" => asked.headers.push(format!("authorization: Bearer {value}")),
            "model" => value.clone_into(&mut asked.model),
            "header" => asked.headers.push(value.to_owned()),
            _ => anyhow::bail!("unknown word {name}"),
        }
    }
    let request = asked.request(path)?;
    Ok(load::Load { address, request, connections, duration: Duration::from_secs_f64(seconds) })
}

/// What a request asks for.
#[derive(Debug, Default)]
struct Asked {
    stream: Option<u64>,
    gap: u64,
    model: String,
    headers: Vec<String>,
}

impl Asked {
    /// A request of about 1 KB.
    fn request(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let pace = self
            .stream
            .map(|events| format!("[events={events} gap={}] ", self.gap))
            .unwrap_or_default();
        let text =
            "Summarise the following minutes in three sentences and keep every figure. ".repeat(11);
        let messages = path.ends_with("/messages");
        let responses = path.ends_with("/responses");
        let text = format!("{pace}{text}");
        let mut body = if responses {
            serde_json::json!({
                "model": self.model, "max_output_tokens": 256, "input": text, "store": false,
            })
        } else {
            serde_json::json!({
                "model": self.model,
                "max_tokens": 256,
                "messages": [{"role": "user", "content": text}],
            })
        };
        if self.stream.is_some()
            && let Some(fields) = body.as_object_mut()
        {
            fields.insert("stream".to_owned(), true.into());
            if !messages && !responses {
                fields.insert(
                    "stream_options".to_owned(),
                    serde_json::json!({"include_usage": true}),
                );
            }
        }
        let body = body.to_string();
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        );
        if messages {
            head.push_str("anthropic-version: 2023-06-01\r\n");
        }
        for header in &self.headers {
            write!(head, "{header}\r\n")?;
        }
        write!(head, "content-length: {}\r\n\r\n{body}", body.len())?;
        Ok(head.into_bytes())
    }
}

fn report(outcome: &load::Outcome) -> anyhow::Result<()> {
    say(&serde_json::json!({
        "ok": outcome.ok,
        "failed": outcome.failed,
        "events": outcome.events,
        "seconds": outcome.seconds,
        "p50_us": load::percentile(&outcome.latencies, 50),
        "p99_us": load::percentile(&outcome.latencies, 99),
        "first_p50_us": load::percentile(&outcome.firsts, 50),
        "first_p99_us": load::percentile(&outcome.firsts, 99),
        "pause_p50_us": load::percentile(&outcome.pauses, 50),
        "pause_p99_us": load::percentile(&outcome.pauses, 99),
        "cpu_us": own_cpu_micros(),
    }));
    anyhow::ensure!(outcome.ok > 0, "no request succeeded");
    Ok(())
}

/// Processor time of this one thread, where the system tells it.
fn own_cpu_micros() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<u64>().ok()? / 1000)
}

#[expect(clippy::print_stdout, reason = "the result is this program's output")]
fn say(line: &serde_json::Value) {
    println!("{line}");
}
