use std::collections::VecDeque;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::wire::{Edits, Incoming};
use crate::{Dialect as _, openai_responses::OpenaiResponses};

const NOBODY: &str = "";

fn turn<'a>(input: &'a str, output: &'a str) -> Turn<'a> {
    Turn { input: input.as_bytes(), output: output.as_bytes(), provider: NOBODY }
}

fn whole(body: &str, turns: &[Turn<'_>]) -> (String, Whole) {
    let body = Bytes::copy_from_slice(body.as_bytes());
    let whole = Asked::of(&body).unwrap().whole(&body, turns);
    (String::from_utf8(whole.body.to_vec()).unwrap(), whole)
}

#[test]
fn a_request_that_builds_on_nothing_is_kept_here_and_not_there() {
    for (body, expected) in [
        (r#"{"model": "m", "input": "x"}"#, r#"{"store":false,"model": "m", "input": "x"}"#),
        (
            r#"{"model":"m","store" : true,"input":"x"}"#,
            r#"{"model":"m","store" : false,"input":"x"}"#,
        ),
        (r#"{"store":null,"input":"x"}"#, r#"{"store":false,"input":"x"}"#),
        (r#"{ "store": false, "input": "x" }"#, r#"{ "store": false, "input": "x" }"#),
    ] {
        assert_eq!(whole(body, &[]).0, expected);
    }
}

#[test]
fn earlier_items_come_before_this_ones_and_every_other_byte_stays() {
    let turns = [
        turn(
            r#"[ {"role":"user","content":"1"} ]"#,
            r#"[{"type":"message","id":"a"}, {"type":"function_call","call_id":"c"}]"#,
        ),
        turn(r#"[{"type":"function_call_output","call_id":"c","output":"é\u00e9"}]"#, "[]"),
    ];
    let earlier = r#"{"role":"user","content":"1"},{"type":"message","id":"a"},{"type":"function_call","call_id":"c"},{"type":"function_call_output","call_id":"c","output":"é\u00e9"}"#;
    for (body, before, after) in [
        (
            r#"{ "model":"m", "previous_response_id": "resp_1" , "input": [ {"role":"user","content":"2"} ],"x":1.0}"#,
            r#"{"store":false, "model":"m" , "input": ["#,
            r#",{"role":"user","content":"2"}],"x":1.0}"#,
        ),
        (
            r#"{"previous_response_id":"resp_1","store":false,"input":"2"}"#,
            r#"{"store":false,"input":["#,
            r#",{"role":"user","content":"2"}]}"#,
        ),
        (
            r#"{"model":"m","previous_response_id":"resp_1"}"#,
            r#"{"store":false,"input":["#,
            r#"],"model":"m"}"#,
        ),
        (r#"{"previous_response_id":"resp_1"}"#, r#"{"store":false,"input":["#, "]}"),
        (
            r#"{"input":[],"store":true,"previous_response_id":"resp_1"}"#,
            r#"{"input":["#,
            r#"],"store":false}"#,
        ),
    ] {
        assert_eq!(whole(body, &turns).0, format!("{before}{earlier}{after}"), "{body}");
    }
    // What is no input is left to be refused by name.
    let (body, _) = whole(r#"{"store":false,"previous_response_id":"r","input":{"a":1}}"#, &turns);
    assert_eq!(body, r#"{"store":false,"input":{"a":1}}"#);
}

#[test]
fn reasoning_goes_back_if_its_provider_can_read_it_and_is_asked_for_then() {
    let encrypted = r#"{"type":"reasoning","id":"rs_1","summary":[],"encrypted_content":"gAAAA"}"#;
    let foreign =
        r#"{"type":"reasoning","id":"rs_2","summary":[],"encrypted_content":"orx.signature.x:y"}"#;
    let shown = r#"{"type":"reasoning","id":"rs_3","summary":[],"content":[{"type":"reasoning_text","text":"t"}]}"#;
    let bare = r#"{"type":"reasoning","id":"rs_4","summary":[],"encrypted_content":null}"#;
    let output = format!("[{bare},{encrypted},{foreign},{shown}]");
    let turns = [Turn { provider: "openai", ..turn("[]", &output) }];
    let (body, found) = whole(r#"{"previous_response_id":"r","model":"m","input":"x"}"#, &turns);
    assert_eq!(
        body,
        format!(
            r#"{{"store":false,"include":["reasoning.encrypted_content"],"model":"m","input":[{encrypted},{foreign},{shown},{{"role":"user","content":"x"}}]}}"#
        )
    );
    assert!(found.lost_reasoning);
    assert_eq!(found.bound.len(), 1);
    let (at, provider) = &found.bound[0];
    assert_eq!((body.get(at.clone()), provider.as_str()), (Some(encrypted), "openai"));

    // Another provider of the dialect gets it without.
    let request = Incoming::new(&found.body, &());
    let peek = OpenaiResponses.peek(domain::Endpoint::Chat, &request).unwrap();
    let peek = without(&found.body, &peek, std::slice::from_ref(at));
    let edits = Edits { model: Some("other"), ask_usage: false };
    let sent = OpenaiResponses.forward(&found.body, &peek, &edits);
    let sent: Value = serde_json::from_slice(&sent).unwrap();
    let ids: Vec<_> = sent["input"].as_array().unwrap().iter().map(|it| it["id"].clone()).collect();
    assert_eq!(ids, [json!("rs_3"), Value::Null]);

    for (body, expected) in [
        (
            r#"{"input":"x","reasoning":{"effort":"low"},"include":["a"]}"#,
            json!(["reasoning.encrypted_content", "a"]),
        ),
        (
            r#"{"input":"x","reasoning":{"effort":"low"},"include":null}"#,
            json!(["reasoning.encrypted_content"]),
        ),
        (r#"{"input":"x","reasoning":{"effort":"none"}}"#, Value::Null),
        (
            r#"{"input":"x","include":["reasoning.encrypted_content"],"reasoning":{"effort":"low"}}"#,
            json!(["reasoning.encrypted_content"]),
        ),
        (r#"{"input":"x","store":false,"reasoning":{"effort":"low"}}"#, Value::Null),
    ] {
        let body: Value = serde_json::from_str(&whole(body, &[]).0).unwrap();
        assert_eq!(body["include"], expected, "{body}");
    }
}

#[test]
fn a_previous_id_that_is_no_text_is_refused() {
    let refused = Asked::of(br#"{"input":"x","previous_response_id":5}"#).unwrap_err();
    assert_eq!((refused.field.as_str(), refused.offset), ("previous_response_id", Some(36)));
    assert_eq!(Asked::of(br#"{"store":"no"}"#).unwrap_err().field, "store");
    assert!(Asked::of(br#"{"previous_response_id":null}"#).unwrap().previous.is_none());
}

fn told(previous: Option<&str>, kept: Option<bool>) -> Told {
    Told { previous: previous.map(str::to_owned), kept }
}

#[test]
fn a_response_says_what_is_true_of_it() {
    for (response, told, expected) in [
        (
            r#"{"id":"r","previous_response_id":null,"store" : false}"#,
            told(Some("p\""), Some(true)),
            r#"{"id":"r","previous_response_id":"p\"","store" : true}"#,
        ),
        (
            r#"{"id":"r"}"#,
            told(Some("p"), Some(false)),
            r#"{"store":false,"previous_response_id":"p","id":"r"}"#,
        ),
        (r"{}", told(Some("p"), Some(true)), r#"{"store":true,"previous_response_id":"p"}"#),
        (
            r#"{"store":true,"previous_response_id":"up"}"#,
            told(None, None),
            r#"{"store":true,"previous_response_id":"up"}"#,
        ),
        ("[1]", told(Some("p"), Some(true)), "[1]"),
    ] {
        let response = Bytes::copy_from_slice(response.as_bytes());
        assert_eq!(state(&response, &told), expected);
    }
    assert_eq!(id_of(br#"{"id":"resp_1"}"#).as_deref(), Some("resp_1"));
    assert_eq!(id_of(br#"{"id":""}"#), None);
    assert_eq!(output_of(br#"{"output": [1 ]}"#), b"[1 ]");
    assert_eq!(output_of(br#"{"output":null}"#), b"[]");
}

const STREAM: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"store\":false,\"previous_response_id\":null}}\n\n\
    data: {\"type\":\"response.output_text.delta\",\"delta\":\"store\\\":false\"}\n\n: ping\n\n\
    event: response.output_item.done\r\ndata: {\"item\":{\"type\":\"message\",\"id\":\"m\"}}\r\n\r\n\
    event: response.completed\ndata: {\"response\":{\"id\":\"r\",\"output\":OUTPUT,\"store\":false}}\n\ndata: [DONE]\n\n";

/// What the client gets of a stream in pieces, and what is to be kept; `kept` is how that went.
fn pass(stream: &str, cuts: &[usize], kept: bool) -> (String, String, Option<(String, String)>) {
    let mut keeper = Keeper::new(told(Some("p"), Some(true)));
    let mut out = VecDeque::new();
    let mut from = 0;
    let mut cuts: Vec<usize> = cuts.iter().map(|at| at % (stream.len() + 1)).collect();
    cuts.sort_unstable();
    for at in cuts.into_iter().chain([stream.len()]) {
        keeper.feed(&Bytes::copy_from_slice(&stream.as_bytes()[from..at]), &mut out);
        from = at;
    }
    keeper.end(&mut out);
    let text = |out: &mut VecDeque<Bytes>| {
        let bytes: Vec<u8> = out.drain(..).flatten().collect();
        String::from_utf8(bytes).unwrap()
    };
    let before = text(&mut out);
    let response = keeper.response().map(|(response, output)| {
        let output = output.unwrap_or_else(|| output_of(&response).to_vec());
        (String::from_utf8(response.to_vec()).unwrap(), String::from_utf8(output).unwrap())
    });
    keeper.close(kept, &mut out);
    (before, text(&mut out), response)
}

proptest! {
    #[test]
    fn a_stream_in_any_pieces_passes_with_the_truth_and_its_end_waits(cuts: [usize; 4], kept: bool) {
        let stream = STREAM.replace("OUTPUT", "[]");
        let (before, after, response) = pass(&stream, &cuts, kept);
        let said = stream
            .replacen("\"store\":false,\"previous_response_id\":null", "\"store\":true,\"previous_response_id\":\"p\"", 1)
            .replace("{\"id\":\"r\",\"output\":[],\"store\":false}", &format!("{{\"previous_response_id\":\"p\",\"id\":\"r\",\"output\":[],\"store\":{kept}}}"));
        prop_assert!(!before.contains("response.completed"), "{}", before);
        prop_assert_eq!(before + &after, said);
        let (response, output) = response.unwrap();
        prop_assert!(response.contains("\"store\":true"), "{}", response);
        prop_assert_eq!(output, "[{\"type\":\"message\",\"id\":\"m\"}]", "done items stand in for an output that isn't repeated");
    }

    #[test]
    fn a_stream_that_is_cut_keeps_nothing(at in 0..STREAM.len()) {
        let stream = STREAM.replace("OUTPUT", "[1]");
        let end = stream.find("event: response.completed").unwrap();
        let at = at.min(end + 20);
        let (before, after, response) = pass(stream.get(..at).unwrap(), &[], true);
        prop_assert!(response.is_none());
        prop_assert_eq!(after, "");
        // The two words that were made true are shorter.
        prop_assert!(before.len() + 2 >= at, "something of what came is held back at the end");
    }

    #[test]
    fn the_spliced_request_is_the_request_with_its_history(
        earlier in proptest::collection::vec("[a-z\"\\\\é]{0,6}", 0..4),
        own in "[a-z\"\\\\é ]{0,6}",
        as_text: bool,
        order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
        spaced: bool,
    ) {
        let items: Vec<Value> = earlier.iter().map(|text| json!({"role": "user", "content": text})).collect();
        let item = json!({"role": "user", "content": own});
        let input = if as_text { json!(own) } else { json!([item]) };
        let members = [("previous_response_id", json!("resp_x")), ("input", input), ("model", json!("m")), ("store", json!(true))];
        let (colon, comma) = if spaced { (" : ", " ,\n") } else { (":", ",") };
        let members: Vec<String> = order.iter().map(|at| format!("\"{}\"{colon}{}", members[*at].0, members[*at].1)).collect();
        let body = format!("{{{}}}", members.join(comma));
        let inputs: Vec<String> = items.iter().map(|it| format!("[ {it} ]")).collect();
        let turns: Vec<Turn<'_>> = inputs.iter().map(|input| turn(input, "[]")).collect();
        let (body, _) = whole(&body, &turns);
        let mut all = items.clone();
        all.push(item);
        let read: Value = serde_json::from_str(&body).unwrap();
        prop_assert_eq!(read, json!({"model": "m", "store": false, "input": all}));
    }
}

#[test]
fn what_is_packed_comes_back_as_it_was_written() {
    let text = pack("a\"b", b"[ 1 ]", br#"{"id":"r","output":[2 ]}"#, None).unwrap();
    let packed = Packed::of(&text).unwrap();
    let provider = packed.provider();
    assert_eq!(provider, "a\"b");
    let turn = packed.turn(&provider);
    assert_eq!((turn.input, turn.output), (&b"[ 1 ]"[..], &b"[2 ]"[..]));
    assert_eq!(packed.response, br#"{"id":"r","output":[2 ]}"#);
    let text = pack("p", b"[]", br#"{"output":[]}"#, Some(b"[3]")).unwrap();
    assert_eq!(Packed::of(&text).unwrap().turn("p").output, b"[3]");
    assert!(pack("p", b"[]", br#"{"a":1,"a":2}"#, None).is_none());
    assert!(pack("p", b"[]", b"{", None).is_none());
}

#[test]
fn the_items_of_a_request_are_listed_in_pages() {
    let inputs: [&[u8]; 2] = [
        br#"[{"role":"user","content":"1","id":null},{"type":"function_call_output","call_id":"c","output":"2"}]"#,
        br#"[{"id":"mine","role":"assistant","content":"3"}]"#,
    ];
    let list = |page: &Page| -> Value {
        serde_json::from_slice(&super::list("resp_7", &inputs, page).unwrap()).unwrap()
    };
    let ids = |list: &Value| -> Vec<String> {
        let items = list["data"].as_array().unwrap();
        items.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = list(&Page { ascending: true, ..Page::default() });
    assert_eq!(ids(&all), ["msg_7_in0", "fco_7_in1", "mine"]);
    assert_eq!(all["has_more"], false);
    assert_eq!(
        all["data"][0],
        json!({"type": "message", "id": "msg_7_in0", "role": "user", "status": "completed",
        "content": [{"type": "input_text", "text": "1"}]})
    );
    let first = list(&Page { limit: 2, ..Page::default() });
    assert_eq!(
        (ids(&first), &first["has_more"]),
        (vec!["mine".to_owned(), "fco_7_in1".to_owned()], &json!(true))
    );
    assert_eq!(first["last_id"], "fco_7_in1");
    let after = Page { limit: 2, after: Some("fco_7_in1".to_owned()), ..Page::default() };
    let rest = list(&after);
    assert_eq!((ids(&rest), &rest["has_more"]), (vec!["msg_7_in0".to_owned()], &json!(false)));
    let lost = Page { after: Some("x".to_owned()), ..Page::default() };
    assert_eq!(super::list("resp_7", &inputs, &lost), Err(PageError::After));
}
