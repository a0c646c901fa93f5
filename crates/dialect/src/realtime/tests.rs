use domain::{ErrorClass, Usage};
use proptest::prelude::*;

use super::*;
use crate::wire::{ClientError, FinishReason};

fn does(text: &str) -> Does {
    client_event(text).unwrap().does
}

#[test]
fn only_what_makes_no_response_is_plain() {
    assert_eq!(does(r#"{"type":"response.create"}"#), Does::Asks);
    assert_eq!(does(r#"{"type":"response.cre\u0061te"}"#), Does::Asks);
    assert_eq!(does(r#"{"type":"session.update","session":{"type":"realtime"}}"#), Does::Nothing);
    assert_eq!(does(r#"{"type":"response.cancel"}"#), Does::Nothing);
    assert_eq!(does(r#"{"type":"input_audio_buffer.append","audio":"AAAA"}"#), Does::Feeds);
    assert_eq!(does(r#"{"type":"something.new"}"#), Does::Feeds);
}

#[test]
fn what_could_be_read_in_two_ways_is_refused() {
    for text in [
        "",
        "[]",
        r#"{"type":"response.cancel","type":"response.create"}"#,
        r#"{"type":"response.cancel","typ\u0065":"response.create"}"#,
        r#"{"typ":"response.create"}"#,
        r#"{"type":["response.create"]}"#,
        r#"{"type":"session.update","session":{"model":"a","model":"b"}}"#,
        r#"{"type":"session.update","session":{"model":7}}"#,
        r#"{"type":"session.update","session":"x"}"#,
        r#"{"type":"response.create","session":{"model":"a"},"response":{"model":"b"}}"#,
    ] {
        assert!(client_event(text).is_err(), "{text}");
    }
}

#[test]
fn a_model_is_found_with_its_place() {
    let text = r#"{ "type": "session.update", "session": {"x": "\"model\"", "model" : "gpt\u002drealtime" } }"#;
    let event = client_event(text).unwrap();
    let (name, place) = event.model.unwrap();
    assert_eq!((&*name, text.get(place)), ("gpt-realtime", Some(r#""gpt\u002drealtime""#)));
    let null = r#"{"type":"session.update","event_id":"e1","session":{"model":null}}"#;
    let event = client_event(null).unwrap();
    assert_eq!((event.model, event.id.as_deref()), (None, Some("e1")));
}

/// The example of the API reference.
const DONE: &str = r#"{"event_id":"event_3132","type":"response.done","response":{"id":"resp_001","object":
    "realtime.response","status":"completed","status_details":null,"output":[{"id":"msg_006","content":[{"type":
    "output_audio","transcript":"usage \"response.done\""}]}],"usage":{"total_tokens":275,"input_tokens":127,
    "output_tokens":148,"input_token_details":{"cached_tokens":64,"text_tokens":60,"audio_tokens":67,
    "cached_tokens_details":{"text_tokens":24,"audio_tokens":40,"image_tokens":0}},"output_token_details":
    {"text_tokens":30,"audio_tokens":118}}}}"#;

#[test]
fn usage_falls_into_disjoint_buckets() {
    let ProviderEvent::Done { response, seen } = provider_event(DONE) else { panic!("not done") };
    assert_eq!(response, "resp_001");
    assert!(seen.complete);
    assert_eq!(seen.finish, Some(FinishReason::Stop));
    let usage = seen.usage.unwrap();
    // 127 of input: 64 from the cache (40 of them sound), 27 more of sound, 36 more of text.
    let expected = Usage {
        input: 36,
        cache_read: 64,
        audio_input: 27,
        output: 30,
        audio_output: 118,
        ..Usage::default()
    };
    assert_eq!((usage, usage.total()), (expected, 275));
}

#[test]
fn a_response_that_failed_says_why() {
    let text = r#"{"type":"response.done","response":{"id":"r","status":"failed","status_details":{"type":"failed",
        "error":{"type":"insufficient_quota","code":"insufficient_quota","message":"You exceeded your quota"}},
        "usage":null}}"#;
    let ProviderEvent::Done { seen, .. } = provider_event(text) else { panic!("not done") };
    assert_eq!(seen.error.unwrap().class, ErrorClass::Quota);
    assert!(!seen.complete && seen.usage.is_none());
    let cut = r#"{"type":"response.done","response":{"id":"r","status":"incomplete",
        "status_details":{"reason":"max_output_tokens"},"usage":{"input_tokens":3,"output_tokens":4}}}"#;
    let ProviderEvent::Done { seen, .. } = provider_event(cut) else { panic!("not done") };
    assert_eq!(seen.finish, Some(FinishReason::Length));
    assert_eq!(seen.usage, Some(Usage { input: 3, output: 4, ..Usage::default() }));
}

#[test]
fn settings_are_read_in_both_forms() {
    let settings = |session: &str| {
        let text = format!(r#"{{"type":"session.updated","session":{session}}}"#);
        let ProviderEvent::Session(settings) = provider_event(&text) else { panic!("{session}") };
        (settings.answers_by_itself, settings.transcriber)
    };
    let spoken = r#"{"audio":{"input":{"turn_detection":{"type":"server_vad","create_response":true},
        "transcription":{"model":"whisper-1"}}}}"#;
    assert_eq!(settings(spoken), (true, Some("whisper-1".to_owned())));
    assert_eq!(settings(r#"{"turn_detection":{"type":"server_vad"}}"#), (true, None));
    let asked = r#"{"audio":{"input":{"turn_detection":{"create_response":false}}}}"#;
    assert_eq!(settings(asked), (false, None));
    assert_eq!(settings(r#"{"turn_detection":null}"#), (false, None));
}

#[test]
fn parts_name_their_response_and_refusals_their_event() {
    let delta = r#"{"type":"response.output_audio.delta","response_id":"r1","delta":"AAAA"}"#;
    assert!(matches!(provider_event(delta), ProviderEvent::Part { response } if response == "r1"));
    let error = r#"{"type":"error","event_id":"e2","error":{"type":"x","event_id":"mine"}}"#;
    let ProviderEvent::Refused { event } = provider_event(error) else { panic!("no refusal") };
    assert_eq!(event.as_deref(), Some("mine"));
    assert!(matches!(provider_event("no json"), ProviderEvent::Other));
    assert!(matches!(provider_event(r#"{"type":"rate_limits.updated"}"#), ProviderEvent::Other));
}

#[test]
fn our_own_error_reads_like_the_provider_s() {
    let error = ClientError {
        code: "budget_exceeded",
        status: 402,
        message: "the budget is used up",
        fix: "wait",
        request_id: "req_1",
        provider: None,
        attempts: 0,
        field: None,
        retry_after_ms: None,
    };
    let text = error_event(&error, Some("mine"));
    let ProviderEvent::Refused { event } = provider_event(&text) else { panic!("no refusal") };
    assert_eq!(event.as_deref(), Some("mine"));
    assert!(text.contains(r#""code":"insufficient_quota""#), "{text}");
}

proptest! {
    #[test]
    fn nothing_that_is_said_breaks_the_readers(text in any::<String>()) {
        let _: ProviderEvent = provider_event(&text);
        drop(client_event(&text));
    }

    #[test]
    fn buckets_add_up_to_the_totals(numbers in proptest::collection::vec(0_u64..1_000, 8)) {
        let [input, output, cached, audio, image, cached_audio, spoken, thought] = numbers[..] else {
            return Ok(());
        };
        let text = format!(
            r#"{{"type":"response.done","response":{{"id":"r","status":"completed","usage":{{"input_tokens":{input},
            "output_tokens":{output},"input_token_details":{{"cached_tokens":{cached},"audio_tokens":{audio},
            "image_tokens":{image},"cached_tokens_details":{{"audio_tokens":{cached_audio}}}}},
            "output_token_details":{{"audio_tokens":{spoken},"reasoning_tokens":{thought}}}}}}}}}"#
        );
        let ProviderEvent::Done { seen, .. } = provider_event(&text) else {
            return Err(TestCaseError::fail("not done"));
        };
        let usage = seen.usage.unwrap_or_default();
        prop_assert_eq!((usage.input_total(), usage.output_total()), (input, output));
    }
}
