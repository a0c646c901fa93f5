//! `outrigger try "hello"`: does it work?

use std::time::{Duration, Instant};

use clap_complete::engine::ArgValueCandidates;
use domain::Money;
use serde_json::{Value, json};

use super::snippet::{Asked, Snippet};
use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
use crate::http::{self, Answer, Call};
use crate::output::Output;
use crate::{client_env, names, overlay, surroundings};

/// How long an answer may take to begin.
const PATIENCE: Duration = Duration::from_mins(2);

/// Send one message through the gateway and show what it cost.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger try \"hello\"\n  outrigger try \"12 words\" --model demo/lorem --jq .answer\n  outrigger try \"hello\" --snippet python"
)]
pub(crate) struct Args {
    /// The message.
    message: String,
    /// A capability, or provider/model.
    #[arg(long, short, default_value = "demo/echo", add = ArgValueCandidates::new(names::models))]
    model: String,
    /// Most output tokens.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    max_tokens: u64,
    /// Say whom it would go to and what it could cost; send nothing.
    #[arg(long, conflicts_with = "snippet")]
    dry_run: bool,
    /// Print how to do the same from elsewhere; send nothing.
    #[arg(long, value_enum)]
    snippet: Option<Snippet>,
    #[command(flatten)]
    target: client_env::Target,
}

/// Where to send, as whom, what.
struct Message {
    base: String,
    key: Option<String>,
    body: Value,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let output = global.output();
    let base = client_env::base(&args.target, global)?;
    if let Some(snippet) = args.snippet {
        let asked = Asked { base: &base, model: &args.model, message: &args.message };
        let text = asked.written(snippet);
        return output.either(&json!({"snippet": text}), || output.data(&text));
    }
    // The Messages API, because its limit has one name everywhere: the gateway writes the provider's own.
    let body = json!({"model": args.model, "max_tokens": args.max_tokens, "stream": true,
        "messages": [{"role": "user", "content": args.message}]});
    let message = Message { base, key: client_env::key(&args.target)?, body };
    let named = |failure: Failure| suggested(failure, &args.model, global);
    let plan = message.plan().map_err(named)?;
    if args.dry_run {
        return show(&plan, &output);
    }
    agreed(&plan, global)?;
    let told = message.send(&output).map_err(named)?;
    let account = message.account(&told.request);
    let summary = told.summary(&account);
    output.either(&told.json(&account), || {
        output.say(&summary);
        Ok(())
    })
}

impl Message {
    fn call(&self) -> Call<'_> {
        let mut call = Call::post(&self.base, "/v1/messages", &self.body).key(self.key.as_deref());
        call.headers.push(("anthropic-version", "2023-06-01".into()));
        call.patience = PATIENCE;
        call
    }

    /// What the gateway would do with it.
    fn plan(&self) -> Result<Value, Failure> {
        let mut call = self.call();
        call.headers.push(("x-outrigger-dry-run", "true".into()));
        let answer = http::send(call, |_| ()).map_err(|failure| match failure.hint {
            Some(_) => failure,
            None => failure.hint("start a gateway in another terminal: outrigger serve"),
        })?;
        let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status == 200 { Ok(value) } else { Err(refused(answer.status, &value["error"])) }
    }

    /// Sends it and prints the answer as it comes.
    fn send(&self, output: &Output) -> Result<Told, Failure> {
        let mut reader = Reader::new();
        let mut printed = Ok(());
        let sent = http::send(self.call(), |bytes| {
            let piece = reader.feed(bytes);
            if printed.is_ok() && !output.is_json() {
                printed = output.piece(&piece);
            }
        });
        printed?;
        if !reader.text.is_empty() && !output.is_json() {
            output.line("")?;
        }
        // What the gateway said last tells more than that the stream then broke off.
        if let Some(error) = &reader.error {
            return Err(refused(502, error));
        }
        let answer = sent?;
        if answer.status != 200 {
            let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            return Err(refused(answer.status, &value["error"]));
        }
        Ok(Told::new(reader, &answer))
    }

    /// What the ledger says of it; null where it can't be had.
    fn account(&self, request: &str) -> Value {
        let path = format!("/v1/outrigger/requests/{request}");
        let answer = http::send(Call::get(&self.base, &path).key(self.key.as_deref()), |_| ());
        let answer = answer.ok().filter(|it| it.status == 200);
        answer.and_then(|it| serde_json::from_slice(&it.body).ok()).unwrap_or_default()
    }
}

fn show(plan: &Value, output: &Output) -> Done {
    output.either(plan, || {
        for it in plan["candidates"].as_array().into_iter().flatten() {
            output.line(it["why"].as_str().unwrap_or_default())?;
        }
        output.line(&match plan["cost_at_most_usd"].as_str() {
            Some(cost) => format!("it would cost at most {cost} USD; nothing was sent"),
            None => "what it could cost is not known; nothing was sent".into(),
        })
    })
}

/// What costs money is sent only on a yes.
fn agreed(plan: &Value, global: &Global) -> Done {
    let Some(offer) = plan["attempts"][0].as_str() else { return Ok(()) };
    match plan["cost_at_most_usd"].as_str() {
        Some(cost) if cost == Money::ZERO.to_string() => Ok(()),
        Some(cost) => global.sure(&format!("this may cost up to {cost} USD at {offer}")),
        None => global.sure(&format!("nobody knows what this may cost at {offer}")),
    }
}

/// An answer and what is known of it without the ledger.
struct Told {
    text: String,
    offer: String,
    request: String,
    first_token: Option<Duration>,
    total: Duration,
}

impl Told {
    fn new(reader: Reader, answer: &Answer) -> Self {
        Self {
            text: reader.text,
            offer: answer.header("x-outrigger-offer").to_owned(),
            request: answer.header("x-outrigger-request-id").to_owned(),
            first_token: reader.first_token,
            total: answer.total,
        }
    }

    fn json(&self, account: &Value) -> Value {
        let (provider, model) = self.offer.split_once('/').unwrap_or((&self.offer, ""));
        let usage = &account["attempts"].as_array().and_then(|it| it.last()).map(|it| &it["usage"]);
        let tokens = |name: &str| usage.map(|it| it[name].clone()).unwrap_or_default();
        json!({
            "answer": self.text, "offer": self.offer, "provider": provider, "model": model,
            "input_tokens": tokens("input_total"), "output_tokens": tokens("output_total"),
            "cost_usd": account["cost_usd"], "cost_quality": account["cost_quality"],
            "first_token_ms": self.first_token.map(|it| it.as_millis() as u64),
            "total_ms": self.total.as_millis() as u64, "request_id": self.request,
            "attempts": account["attempts"].as_array().map(Vec::len),
        })
    }

    /// One line: who, how many tokens, what it cost, how long it took, where to look it up.
    fn summary(&self, account: &Value) -> String {
        let facts = self.json(account);
        let tokens =
            |name: &str| facts[name].as_u64().map_or_else(|| "?".into(), |it| it.to_string());
        let cost = match (facts["cost_usd"].as_str(), account.is_null()) {
            (Some(cost), _) => format!("{cost} USD"),
            (None, false) => "unknown price".to_owned(),
            (None, true) => "cost in the ledger".to_owned(),
        };
        let first = self.first_token.map(|it| format!("first token {} ms, ", it.as_millis()));
        let attempts = match facts["attempts"].as_u64() {
            Some(count) if count > 1 => format!(" · attempt {count}"),
            _ => String::new(),
        };
        format!(
            "{} · {} tokens in, {} out · {cost} · {}total {} ms{attempts} · {}",
            self.offer,
            tokens("input_tokens"),
            tokens("output_tokens"),
            first.unwrap_or_default(),
            self.total.as_millis(),
            self.request,
        )
    }
}

/// Reads the text out of a stream of events.
struct Reader {
    began: Instant,
    pending: Vec<u8>,
    text: String,
    first_token: Option<Duration>,
    error: Option<Value>,
}

impl Reader {
    fn new() -> Self {
        let began = Instant::now();
        Self { began, pending: Vec::new(), text: String::new(), first_token: None, error: None }
    }

    /// The text in the next bytes.
    fn feed(&mut self, bytes: &[u8]) -> String {
        let mut piece = String::new();
        for byte in bytes {
            if *byte != b'\n' {
                self.pending.push(*byte);
                continue;
            }
            let line = std::mem::take(&mut self.pending);
            let event = line.strip_prefix(b"data: ").and_then(|it| serde_json::from_slice(it).ok());
            let Some(event): Option<Value> = event else { continue };
            piece.push_str(event["delta"]["text"].as_str().unwrap_or_default());
            if event["type"] == "error" {
                self.error = Some(event["error"].clone());
            }
        }
        if !piece.is_empty() && self.first_token.is_none() {
            self.first_token = Some(self.began.elapsed());
        }
        self.text.push_str(&piece);
        piece
    }
}

/// A provider that does not know a model names no other; the nearest of ours is named here.
fn suggested(failure: Failure, model: &str, global: &Global) -> Failure {
    let listed = || {
        let config = surroundings::quietly(global)?.config;
        let catalog = overlay::catalog(global).ok()?;
        Some(names::of_models(&config, &catalog))
    };
    if failure.hint.is_some() {
        return failure;
    }
    let names = listed().unwrap_or_default();
    if names.iter().any(|it| it == model) {
        return failure;
    }
    match catalog::nearest(model, names.iter().map(String::as_str), 1).first() {
        Some(near) => {
            failure.hint(format!("did you mean `{near}`? `outrigger model ls` lists what there is"))
        }
        None => failure,
    }
}

/// What the gateway said instead of an answer.
fn refused(status: u16, error: &Value) -> Failure {
    let said = error["message"].as_str().map_or_else(|| format!("HTTP {status}"), Into::into);
    let ours = &error["outrigger"];
    let exit = match status {
        401..=403 => Exit::Denied,
        400..=499 => Exit::Failed,
        _ => Exit::Network,
    };
    let code = ours["code"].as_str().or_else(|| error["code"].as_str());
    let fix = ours["fix"].as_str().map(Into::into);
    let hint = fix.or_else(|| code.map(|code| format!("outrigger explain {code}")));
    let failure = Failure::new(exit, said);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_read_however_the_stream_is_cut() {
        let stream = "event: message_start\ndata: {\"type\":\"message_start\"}\n\n\
                      data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"hé\"}}\n\n\
                      data: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"llo\"}}\n\n";
        for size in 1..stream.len() {
            let mut reader = Reader::new();
            let pieces: String = stream.as_bytes().chunks(size).map(|it| reader.feed(it)).collect();
            assert_eq!((pieces.as_str(), reader.text.as_str()), ("héllo", "héllo"));
            assert!(reader.first_token.is_some() && reader.error.is_none());
        }
    }
}
