//! Parallel calls as one turn after another, for hosts that refuse two tool messages in a row.

use serde_json::{Value, json};

use crate::json::str_at;

/// Each call in a turn of the model's own, directly before its result. Calls without a result stay where they are.
pub(super) fn write(messages: Vec<Value>) -> Vec<Value> {
    let mut out = Vec::with_capacity(messages.len());
    let mut rest = messages.into_iter().peekable();
    while let Some(mut message) = rest.next() {
        let mut results = Vec::new();
        while let Some(result) = rest.next_if(|it| str_at(it, "role") == Some("tool")) {
            results.push(result);
        }
        let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut).map(std::mem::take);
        let mut calls = calls.unwrap_or_default();
        if results.len() < 2 || calls.len() < 2 {
            if !calls.is_empty() {
                message["tool_calls"] = calls.into();
            }
            out.push(message);
            out.extend(results);
            continue;
        }
        let mut turn = Some(message);
        for result in results {
            let id = str_at(&result, "tool_call_id");
            let Some(at) = calls.iter().position(|call| str_at(call, "id") == id) else {
                out.push(result);
                continue;
            };
            let mut turn =
                turn.take().unwrap_or_else(|| json!({"role": "assistant", "content": null}));
            turn["tool_calls"] = json!([calls.remove(at)]);
            out.push(turn);
            out.push(result);
        }
        // A call without a result stays in the last of these turns.
        let last = out.iter_mut().rev().find_map(|it: &mut Value| it.get_mut("tool_calls"));
        if let Some(last) = last.and_then(Value::as_array_mut) {
            last.append(&mut calls);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_call_stands_before_its_result() {
        let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}});
        let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": id});
        let user = json!({"role": "user", "content": "x"});
        let said = |text: Value, calls: Vec<Value>| json!({"role": "assistant", "content": text, "tool_calls": calls});
        let before = vec![
            user.clone(),
            said(json!("Two at once"), vec![call("a"), call("b")]),
            result("b"),
            result("a"),
            said(Value::Null, vec![call("c")]),
            result("c"),
        ];
        let after = vec![
            user,
            said(json!("Two at once"), vec![call("b")]),
            result("b"),
            said(Value::Null, vec![call("a")]),
            result("a"),
            said(Value::Null, vec![call("c")]),
            result("c"),
        ];
        assert_eq!(write(before), after);
    }

    #[test]
    fn nothing_is_lost_of_what_does_not_fit() {
        let call = |id: &str| json!({"id": id});
        let result = |id: &str| json!({"role": "tool", "tool_call_id": id});
        let turn = json!({"role": "assistant", "tool_calls": [call("a"), call("b"), call("c")]});
        let out = write(vec![turn, result("a"), result("z"), result("b")]);
        let calls: Vec<&Value> =
            out.iter().filter_map(|it| it["tool_calls"].as_array()).flatten().collect();
        assert_eq!(calls, [&call("a"), &call("b"), &call("c")]);
        let results: Vec<_> = out.iter().filter_map(|it| it["tool_call_id"].as_str()).collect();
        assert_eq!(results, ["a", "z", "b"]);
    }
}
