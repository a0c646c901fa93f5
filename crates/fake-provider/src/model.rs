//! The fake models: what each answers. README of the behaviours: the crate's documentation.

use serde_json::{Value, json};

use crate::agent;
use crate::ask::{Answer, Ask, Call, Choice, End, Format};
use crate::lorem;
use crate::schema;
use crate::tokens;

/// The models that are listed; `agent`, `embed`, `refusal` and `status-NNN` also answer.
pub const MODELS: [&str; 6] = ["echo", "lorem", "slow", "flaky", "tools", "json"];
const HIDDEN: [&str; 11] = [
    "agent",
    "embed",
    "refusal",
    "image",
    "voice",
    "transcribe",
    "moderation",
    "rerank",
    "whisper",
    "per-image",
    "per-character",
];

/// Most input tokens that any model takes.
pub(crate) const CONTEXT: u64 = 200_000;

/// The behaviour's name: what follows the last `/` of the model.
pub(crate) fn base(model: &str) -> &str {
    model.rsplit('/').next().unwrap_or(model)
}

/// Whether a fake of this name exists.
pub(crate) fn known(model: &str) -> bool {
    let name = base(model);
    MODELS.contains(&name) || HIDDEN.contains(&name) || status_of(model).is_some()
}

/// `status-429` -> 429: a model that always fails so.
pub(crate) fn status_of(model: &str) -> Option<u16> {
    base(model).strip_prefix("status-")?.parse().ok().filter(|s| (400..600).contains(s))
}

/// The answer number `index` (of `n`).
pub(crate) fn answer(ask: &Ask, index: u64) -> Answer {
    let seed = lorem::mix(ask.seed.wrapping_add(index));
    let mut out = Answer::default();
    let mut left = ask.max_output.unwrap_or(u64::MAX);
    if ask.thinking > 0 {
        out.thinking_tokens = ask.thinking.min(left);
        out.thinking = lorem::text(seed, out.thinking_tokens);
        left -= out.thinking_tokens;
    }
    if base(&ask.model) == "refusal" {
        "I can't help with that.".clone_into(&mut out.text);
        out.tokens = tokens::count(&out.text).min(left);
        out.end = End::Refusal;
        return out;
    }
    if let Some(calls) = calls(ask, seed) {
        out.tokens = calls.iter().map(call_tokens).sum();
        if out.tokens <= left {
            out.calls = calls;
            out.end = End::Tools;
            return out;
        }
        out.tokens = left;
        out.end = End::Length;
        return out;
    }
    out.text = text(ask, seed);
    cut_at_stop(ask, &mut out);
    cut_at_limit(left, &mut out);
    out
}

/// Output tokens of a tool call: its name and its arguments as JSON.
fn call_tokens(call: &Call) -> u64 {
    tokens::count(&call.name) + tokens::count(&call.input.to_string())
}

fn cut_at_stop(ask: &Ask, out: &mut Answer) {
    let hit = ask
        .stop
        .iter()
        .filter_map(|s| out.text.find(s.as_str()).map(|at| (at, s)))
        .min_by_key(|(at, _)| *at);
    if let Some((at, sequence)) = hit {
        out.text.truncate(at);
        out.end = End::Sequence(sequence.clone());
    }
}

fn cut_at_limit(left: u64, out: &mut Answer) {
    let pieces = tokens::pieces(&out.text);
    out.tokens = pieces.len() as u64;
    if out.tokens > left {
        let keep: usize =
            pieces.iter().take(usize::try_from(left).unwrap_or(usize::MAX)).map(|p| p.len()).sum();
        out.text.truncate(keep);
        out.tokens = left;
        out.end = End::Length;
    }
}

fn text(ask: &Ask, seed: u64) -> String {
    if !ask.results.is_empty() && base(&ask.model) != "lorem" {
        let lines: Vec<String> =
            ask.results.iter().map(|(name, text)| format!("{name}: {text}")).collect();
        return lines.join("\n");
    }
    match &ask.format {
        Format::Schema(schema) => return schema::instance(schema, "value").to_string(),
        Format::Object => return json!({"echo": ask.text}).to_string(),
        Format::Text if base(&ask.model) == "json" => return json!({"echo": ask.text}).to_string(),
        Format::Text => {}
    }
    if base(&ask.model) == "lorem" {
        return lorem::text(seed, first_number(&ask.text).unwrap_or(64).min(200_000));
    }
    let mut out = ask.text.clone();
    for (at, line) in ask.attachments.iter().enumerate() {
        if !out.is_empty() {
            out.push('\n');
        }
        out.extend(["[", &(at + 1).to_string(), " ", line, "]"]);
    }
    if out.is_empty() { "(nothing was said)".to_owned() } else { out }
}

/// The first run of digits in a text.
fn first_number(text: &str) -> Option<u64> {
    text.split(|c: char| !c.is_ascii_digit()).find(|s| !s.is_empty())?.parse().ok()
}

/// The tools to call: those asked for by `tool_choice`, and, for the model `tools`, all that are given, once.
fn calls(ask: &Ask, seed: u64) -> Option<Vec<Call>> {
    if base(&ask.model) == "agent" && ask.choice == Choice::Auto {
        let (tool, input) =
            agent::reading(&ask.text, &ask.tools).filter(|_| ask.results.is_empty())?;
        let (id, name) = (format!("{seed:016x}"), tool.name.clone());
        return Some(vec![Call { id, name, input, custom: false }]);
    }
    let all: Vec<_> = match &ask.choice {
        Choice::Named(name) => ask.tools.iter().filter(|t| t.name == *name).collect(),
        Choice::Any => ask.tools.iter().collect(),
        Choice::Auto if base(&ask.model) == "tools" && ask.results.is_empty() => {
            ask.tools.iter().collect()
        }
        Choice::Auto | Choice::None => return None,
    };
    let most = if ask.parallel && base(&ask.model) == "tools" { usize::MAX } else { 1 };
    let calls: Vec<Call> = all
        .into_iter()
        .take(most)
        .enumerate()
        .map(|(at, tool)| Call {
            id: format!("{:016x}", lorem::mix(seed ^ at as u64)),
            name: tool.name.clone(),
            input: if tool.custom {
                Value::String(ask.text.clone())
            } else {
                schema::instance(&tool.schema, "value")
            },
            custom: tool.custom,
        })
        .collect();
    if calls.is_empty() { None } else { Some(calls) }
}
