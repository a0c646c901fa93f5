//! Each fixture in each direction, as it goes out. The snapshots are read against protocols.

use dialect::{Quirks, dialect as find};
use serde_json::Value;

use crate::support::{
    ALL, NEW, OLD, PROVIDERS, asked, context, events, fixtures, read_request, target,
    write_request, written,
};

/// The snapshot's name: `request.openai-chat.anthropic-messages.agent` is from the first to the second.
fn label(words: &[&str]) -> String {
    words.join(".")
}

#[test]
fn requests() {
    for from in ALL {
        for (name, body) in fixtures(from, "request") {
            let exchange = read_request(from, &body);
            for &to in PROVIDERS {
                let quirks = Quirks::default();
                let (body, headers, loss) = write_request(to, &exchange, &target(&quirks, OLD));
                let losses: Vec<String> = loss
                    .losses()
                    .iter()
                    .map(|it| format!("{} {}: {}", it.field, it.fate.as_str(), it.note))
                    .collect();
                let shown = serde_json::json!({
                    "features": exchange.features().to_string(),
                    "headers": headers.iter().map(|(k, v)| format!("{k}: {v}")).collect::<Vec<_>>(),
                    "body": body,
                    "loss": losses,
                });
                insta::assert_json_snapshot!(
                    label(&["request", from.as_str(), to.as_str(), &name]),
                    shown
                );
            }
        }
    }
}

/// A compatible host that knows the least, and a current Messages model of the new API version.
#[test]
fn requests_to_peculiar_targets() {
    let words = [
        "completion_limit",
        "no_openai_fields",
        "no_json_schema",
        "no_messages_json_schema",
        "no_custom_tools",
        "no_allowed_tools",
        "no_strict_tools",
        "no_parallel_tool_calls",
        "no_logprobs",
        "no_logit_bias",
        "single_answer",
        "no_penalties",
        "no_stop",
        "random_seed",
        "tool_id_nine_alphanumeric",
        "text_content",
        "reasoning_content_field",
        "reasoning_content_required_back",
        "no_thinking_budget",
        "no_stream_options",
        "thinking_budget",
        "mid_system",
        "tool_choice_any",
    ];
    let poor = Quirks::from_words(words).expect("known words");
    let rich = Quirks::from_words([
        "max_completion_tokens",
        "developer_role",
        "cache_breakpoints",
        "cohere_request",
        "reasoning_details",
        "mid_system",
    ]);
    let rich = rich.expect("known words");
    for from in ALL {
        for (name, body) in fixtures(from, "request") {
            let exchange = read_request(from, &body);
            for &to in PROVIDERS {
                for (host, quirks, version) in [("poor", &poor, OLD), ("rich", &rich, NEW)] {
                    let (body, _, loss) = write_request(to, &exchange, &target(quirks, version));
                    let shown = serde_json::json!({"body": body, "loss": loss.to_string()});
                    let name = label(&["request", from.as_str(), to.as_str(), host, &name]);
                    insta::assert_json_snapshot!(name, shown);
                }
            }
        }
    }
}

#[test]
fn answers() {
    for &from in PROVIDERS {
        for (name, body) in fixtures(from, "answer") {
            let answer = find(from).read_answer(&body).expect("a good fixture");
            for to in ALL {
                let exchange = asked(to);
                let body = find(to).write_answer(&answer, &context(&exchange));
                let body: Value = serde_json::from_slice(&body).expect("JSON");
                insta::assert_json_snapshot!(
                    label(&["answer", from.as_str(), to.as_str(), &name]),
                    body
                );
            }
        }
    }
}

#[test]
fn streams() {
    for &from in PROVIDERS {
        for (name, body) in fixtures(from, "stream") {
            let (events, _) = events(from, [body.as_slice()]);
            for to in ALL {
                let text = written(to, &events);
                insta::assert_snapshot!(
                    label(&["stream", from.as_str(), to.as_str(), &name]),
                    text
                );
            }
        }
    }
}
