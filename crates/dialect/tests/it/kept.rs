//! A request that builds on kept responses, as each provider gets it.

use bytes::Bytes;
use dialect::openai_responses::kept::{Asked, Packed, pack};
use dialect::{DialectId, Incoming, Quirks, dialect as find};
use serde_json::{Value, json};

use crate::support::{NEW, target, write_request};

/// What was kept of a first turn that called a tool after reasoning, and of a second one, each by another vendor.
fn kept() -> Vec<Vec<u8>> {
    let first = json!({"id": "resp_1", "object": "response", "store": true, "output": [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAAA"},
        {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "arguments": "{\"city\":\"Bern\"}",
            "status": "completed"}]});
    let second = json!({"id": "resp_2", "object": "response", "store": true, "output": [
        {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": null},
        {"type": "message", "id": "msg_2", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "Rain.", "annotations": [], "logprobs": []}]}]});
    let result = json!([{"type": "function_call_output", "call_id": "call_1", "output": "rain"}]);
    let asked = json!([{"role": "user", "content": "Weather in Bern?"}]);
    [("openai", asked, first), ("anthropic", result, second)]
        .into_iter()
        .map(|(provider, input, response)| {
            let (input, response) = (input.to_string(), response.to_string());
            pack(provider, input.as_bytes(), response.as_bytes(), None).expect("fit to be kept")
        })
        .collect()
}

#[test]
fn a_chained_request_is_whole_for_every_provider() {
    let kept = kept();
    let packed: Vec<Packed<'_>> = kept.iter().map(|it| Packed::of(it).expect("packed")).collect();
    let turns: Vec<_> =
        packed.iter().zip(["openai", "anthropic"]).map(|(it, by)| it.turn(by)).collect();
    let body = json!({"model": "m", "instructions": "Be brief.", "previous_response_id": "resp_2",
        "input": "And in Rome?", "max_output_tokens": 100});
    let body = Bytes::from(body.to_string());
    let whole = Asked::of(&body).expect("a good request").whole(&body, &turns);
    assert!(whole.lost_reasoning, "the second turn's can't be had back");
    let sent: Value = serde_json::from_slice(&whole.body).expect("JSON");
    insta::assert_json_snapshot!("chained.openai-responses.forwarded", sent);
    let incoming = Incoming::new(&whole.body, &());
    let mut exchange =
        find(DialectId::OpenaiResponses).read_request(&incoming).expect("a good request");
    // As the server does.
    exchange.extras.remove("store");
    for to in [
        DialectId::OpenaiChat,
        DialectId::AnthropicMessages,
        DialectId::Gemini,
        DialectId::BedrockConverse,
        DialectId::CohereChat,
    ] {
        let (body, _, loss) = write_request(to, &exchange, &target(&Quirks::default(), NEW));
        let name = format!("chained.{}", to.as_str());
        insta::assert_json_snapshot!(name, json!({"body": body, "loss": loss.to_string()}));
    }
}
