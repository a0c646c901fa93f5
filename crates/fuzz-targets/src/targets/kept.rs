//! Kept responses: requests that build on them, and answers that say so.

use std::collections::VecDeque;

use bytes::Bytes;
use dialect::gate::{GateLimits, scan};
use dialect::openai_responses::kept::{Asked, Keeper, Told, Turn, state};
use serde_json::{Map, Value};

const EARLIER: Turn<'static> = Turn {
    input: br#"[{"role":"user","content":"1"}]"#,
    output: br#"[{"type":"reasoning","encrypted_content":"x"},{"type":"message","id":"a"}]"#,
    provider: "p",
};

/// A body as a request and as a response, and any bytes as a stream.
pub fn keep_responses(data: &[u8]) {
    passes_unchanged(data);
    if scan(data, GateLimits::default()).is_err() {
        return;
    }
    let body = Bytes::copy_from_slice(data);
    let told = Told { previous: Some("p\"".to_owned()), kept: Some(true) };
    let said = object(&state(&body, &told));
    assert_eq!((&said["previous_response_id"], &said["store"]), (&"p\"".into(), &true.into()));
    same_but_for(&object(data), &said, &["previous_response_id", "store"]);

    let Ok(asked) = Asked::of(&body) else { return };
    let whole = asked.whole(&body, &[EARLIER]);
    let (before, after) = (object(data), object(&whole.body));
    same_but_for(&before, &after, &["previous_response_id", "store", "input", "include"]);
    if asked.previous.is_some() {
        assert!(!after.contains_key("previous_response_id"));
    }
    if asked.keeps {
        assert_eq!(after["store"], Value::Bool(false));
    }
    for (place, _) in &whole.bound {
        let item = whole.body.get(place.clone()).unwrap_or_default();
        assert_eq!(object(item)["encrypted_content"], Value::from("x"));
    }
    let own: Option<Value> = serde_json::from_slice(&asked.input(&body)).ok();
    assert!(own.is_some(), "items are JSON");
    let items = after.get("input").and_then(Value::as_array).filter(|_| asked.previous.is_some());
    if let (Some(items), Some(own)) = (items, own.as_ref().and_then(Value::as_array)) {
        assert!(items.ends_with(own) && items.len() == 3 + own.len());
    }
}

fn object(text: &[u8]) -> Map<String, Value> {
    let read = serde_json::from_slice(text);
    assert!(read.is_ok(), "still a JSON object");
    read.unwrap_or_default()
}

fn same_but_for(before: &Map<String, Value>, after: &Map<String, Value>, names: &[&str]) {
    let rest = |map: &Map<String, Value>| -> Map<String, Value> {
        let kept = map.iter().filter(|(name, _)| !names.contains(&name.as_str()));
        kept.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    assert_eq!(rest(before), rest(after));
}

/// A stream of which nothing else is true passes as it came, in any pieces.
fn passes_unchanged(data: &[u8]) {
    let (left, right) = data.split_at(data.len() / 3);
    let mut keeper = Keeper::new(Told::default());
    let mut out = VecDeque::new();
    for piece in [left, right] {
        keeper.feed(&Bytes::copy_from_slice(piece), &mut out);
    }
    keeper.end(&mut out);
    keeper.close(true, &mut out);
    let passed: Vec<u8> = out.into_iter().flatten().collect();
    assert_eq!(passed, data);
}
