//! How the mock deviates: faults on the wire, holds, and the rules that say when.

use serde_json::{Value, json};

use crate::lorem;
use crate::openai::hosts::Host;
use crate::tweak::Tweak;

/// What to do with one request. All off: answer normally.
#[derive(Debug, Clone, Default)]
pub(crate) struct Behaviour {
    pub(crate) tweak: Tweak,
    pub(crate) fault: Option<Fault>,
    /// Byte of the body (or event, for `stall_mid_event`) at which the fault strikes.
    pub(crate) at: usize,
    /// Repetitions, for floods; 0 is without end.
    pub(crate) count: u64,
    /// Keep the answer back until released.
    pub(crate) hold: bool,
    /// Answer with this status (an error in the dialect's shape unless `body` is given).
    pub(crate) status: Option<u16>,
    pub(crate) body: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    /// Body written in pieces of so many bytes, each its own write.
    pub(crate) split: Option<usize>,
    /// Whole answer in one write, however many events.
    pub(crate) coalesce: bool,
}

/// Faults below the dialect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Close (FIN) without an answer.
    Close,
    /// Reset without an answer.
    Rst,
    StallBeforeHeaders,
    StallAfterHeaders,
    /// Stall in the middle of event number `at`.
    StallMidEvent,
    /// Stall after `at` bytes of the body.
    StallAt,
    RstAfterHeaders,
    /// Reset after `at` bytes of the body.
    RstAt,
    /// Close after `at` bytes of the body, at a chunk's end.
    Cut,
    /// Close in the middle of a chunk, after `at` bytes.
    TruncatedChunked,
    /// content-length promises 100 bytes more than come.
    LengthTooLong,
    /// content-length is 10 bytes short.
    LengthTooShort,
    Html200,
    /// Status 200 with an error object.
    Error200,
    Empty200,
    BadJson,
    GzipBomb,
    InfiniteHeaders,
    Flood1xx,
    Redirect,
    /// Bytes that are no HTTP.
    Garbage,
    /// A second answer that nobody asked for follows on the connection.
    DoubleAnswer,
    /// No length and no chunks: the end of the connection is the end of the body.
    CloseDelimited,
}

const FAULTS: [(&str, Fault); 23] = [
    ("close", Fault::Close),
    ("rst", Fault::Rst),
    ("stall_before_headers", Fault::StallBeforeHeaders),
    ("stall_after_headers", Fault::StallAfterHeaders),
    ("stall_mid_event", Fault::StallMidEvent),
    ("stall_at", Fault::StallAt),
    ("rst_after_headers", Fault::RstAfterHeaders),
    ("rst_at", Fault::RstAt),
    ("cut", Fault::Cut),
    ("truncated_chunked", Fault::TruncatedChunked),
    ("length_too_long", Fault::LengthTooLong),
    ("length_too_short", Fault::LengthTooShort),
    ("html_200", Fault::Html200),
    ("error_200", Fault::Error200),
    ("empty_200", Fault::Empty200),
    ("bad_json", Fault::BadJson),
    ("gzip_bomb", Fault::GzipBomb),
    ("infinite_headers", Fault::InfiniteHeaders),
    ("flood_1xx", Fault::Flood1xx),
    ("redirect", Fault::Redirect),
    ("garbage", Fault::Garbage),
    ("double_answer", Fault::DoubleAnswer),
    ("close_delimited", Fault::CloseDelimited),
];

/// The names of all faults, for the control API.
pub(crate) fn fault_names() -> Vec<&'static str> {
    FAULTS.iter().map(|(name, _)| *name).collect()
}

const FIELDS: [&str; 25] = [
    "fault",
    "at",
    "count",
    "hold",
    "status",
    "body",
    "headers",
    "split",
    "coalesce",
    "text",
    "usage",
    "exact",
    "first_ms",
    "gap_ms",
    "no_usage",
    "usage_twice",
    "missing_done",
    "error_first",
    "error_after",
    "reasoning_field",
    "as",
    "lax",
    "retry_after",
    "retry_after_ms",
    "comment",
];

impl Behaviour {
    /// Reads a behaviour: a JSON object, or a bare fault name. Unknown names are errors, so that a test with a
    /// misspelt fault fails instead of passing for no reason.
    pub(crate) fn parse(v: &Value) -> Result<Self, String> {
        if let Some(name) = v.as_str() {
            return Self::parse(&json!({"fault": name}));
        }
        let Value::Object(map) = v else {
            return Err("a behaviour is an object or a fault's name".to_owned());
        };
        if let Some(unknown) = map.keys().find(|k| !FIELDS.contains(&k.as_str())) {
            return Err(format!("unknown behaviour field {unknown}; known: {}", FIELDS.join(", ")));
        }
        let fault = match v.get("fault").and_then(Value::as_str) {
            None => None,
            Some(name) => match FAULTS.iter().find(|(n, _)| *n == name) {
                Some((_, fault)) => Some(*fault),
                None => {
                    return Err(format!(
                        "unknown fault {name}; known: {}",
                        fault_names().join(", ")
                    ));
                }
            },
        };
        if let Some(host) = v.get("as")
            && host.as_str().and_then(Host::parse).is_none()
        {
            return Err(format!("unknown host {host}; known: {}", Host::words().join(", ")));
        }
        let num = |k: &str| v.get(k).and_then(Value::as_u64);
        let size = |k: &str| num(k).and_then(|n| usize::try_from(n).ok());
        let flag = |k: &str| v.get(k).and_then(Value::as_bool).unwrap_or(false);
        let status = num("status").and_then(|n| u16::try_from(n).ok());
        if v.get("status").is_some() && !status.is_some_and(|s| (200..600).contains(&s)) {
            return Err("status must be between 200 and 599".to_owned());
        }
        Ok(Behaviour {
            tweak: Tweak::from_json(v),
            fault,
            at: size("at").unwrap_or(0),
            count: num("count").unwrap_or(0),
            hold: flag("hold"),
            status,
            body: v.get("body").map(|b| b.as_str().map_or_else(|| b.to_string(), str::to_owned)),
            headers: extra_headers(v),
            split: size("split").filter(|n| *n > 0),
            coalesce: flag("coalesce"),
        })
    }
}

fn extra_headers(v: &Value) -> Vec<(String, String)> {
    let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
    let mut out: Vec<(String, String)> = v
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(k, v)| (k.clone(), text(v)))
        .collect();
    for (field, header) in [("retry_after", "retry-after"), ("retry_after_ms", "retry-after-ms")] {
        if let Some(value) = v.get(field) {
            out.push((header.to_owned(), text(value)));
        }
    }
    out
}

/// When a behaviour applies.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    path: Option<String>,
    model: Option<String>,
    stream: Option<bool>,
    /// Text that the body must hold.
    contains: Option<String>,
    /// Presented key.
    key: Option<String>,
    /// Matches to let pass first.
    skip: u64,
    /// Matches to act on; `None` is all.
    times: Option<u64>,
    /// Of the rest, act on so many in a hundred, in a seeded order.
    percent: u64,
    seen: u64,
    acted: u64,
    behaviour: Behaviour,
}

/// What a rule looks at.
pub(crate) struct Facts<'a> {
    pub(crate) path: &'a str,
    pub(crate) model: &'a str,
    pub(crate) stream: bool,
    pub(crate) body: &'a [u8],
    pub(crate) key: &'a str,
}

impl Rule {
    /// `{"match": {path, model, stream, contains, key}, "skip": n, "times": n, "percent": n, "do": behaviour}`.
    pub(crate) fn parse(v: &Value) -> Result<Self, String> {
        let Value::Object(map) = v else { return Err("a rule is an object".to_owned()) };
        if let Some(unknown) =
            map.keys().find(|k| !["match", "skip", "times", "percent", "do"].contains(&k.as_str()))
        {
            return Err(format!(
                "unknown rule field {unknown}; known: match, skip, times, percent, do"
            ));
        }
        let known = ["path", "model", "stream", "contains", "key"];
        if let Some(unknown) = v
            .get("match")
            .and_then(Value::as_object)
            .and_then(|m| m.keys().find(|k| !known.contains(&k.as_str())))
        {
            return Err(format!("unknown match field {unknown}; known: {}", known.join(", ")));
        }
        let text = |k: &str| {
            v.get("match").and_then(|m| m.get(k)).and_then(Value::as_str).map(str::to_owned)
        };
        let num = |k: &str| v.get(k).and_then(Value::as_u64);
        Ok(Rule {
            path: text("path"),
            model: text("model"),
            stream: v.get("match").and_then(|m| m.get("stream")).and_then(Value::as_bool),
            contains: text("contains"),
            key: text("key"),
            skip: num("skip").unwrap_or(0),
            times: num("times"),
            percent: num("percent").unwrap_or(100),
            seen: 0,
            acted: 0,
            behaviour: Behaviour::parse(v.get("do").unwrap_or(&Value::Null))?,
        })
    }

    /// The behaviour, if this request is one the rule acts on. Counts it.
    pub(crate) fn take(&mut self, facts: &Facts<'_>) -> Option<Behaviour> {
        let path = self.path.as_deref().is_none_or(|p| p == facts.path);
        let model = self.model.as_deref().is_none_or(|m| m == facts.model);
        let stream = self.stream.is_none_or(|s| s == facts.stream);
        let key = self.key.as_deref().is_none_or(|k| k == facts.key);
        let inside = self.contains.as_deref().is_none_or(|t| holds(facts.body, t.as_bytes()));
        if !(path && model && stream && key && inside) {
            return None;
        }
        self.seen += 1;
        let spent = self.times.is_some_and(|t| self.acted >= t);
        if self.seen <= self.skip || spent || lorem::mix(self.seen) % 100 >= self.percent {
            return None;
        }
        self.acted += 1;
        Some(self.behaviour.clone())
    }

    /// How often it was looked at and acted on.
    pub(crate) fn counts(&self) -> Value {
        json!({"seen": self.seen, "acted": self.acted})
    }
}

fn holds(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|w| w == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_acts_on_the_requests_it_names_and_no_others() {
        let mut rule = Rule::parse(&json!({"match": {"model": "echo"}, "skip": 1, "times": 2, "do": {"status": 429, "retry_after": 2}})).unwrap();
        let facts =
            |model| Facts { path: "/v1/messages", model, stream: false, body: b"{}", key: "" };
        let acts: Vec<bool> = (0..5).map(|_| rule.take(&facts("echo")).is_some()).collect();
        assert_eq!(acts, [false, true, true, false, false]);
        assert!(rule.take(&facts("lorem")).is_none());
    }

    #[test]
    fn misspelt_faults_are_errors() {
        assert!(Behaviour::parse(&json!("rset")).is_err());
        assert!(Behaviour::parse(&json!({"statsu": 500})).is_err());
        assert!(Rule::parse(&json!({"match": {"modle": "x"}, "do": {}})).is_err());
        assert_eq!(Behaviour::parse(&json!("rst")).unwrap().fault, Some(Fault::Rst));
    }
}
