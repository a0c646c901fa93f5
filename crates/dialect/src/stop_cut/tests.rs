use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::wire::UpstreamFault;

/// Gives these events, one a byte that is fed.
struct Told(std::vec::IntoIter<StreamEvent>);

impl StreamReader for Told {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        out.extend(self.0.by_ref().take(bytes.len()));
        Ok(())
    }

    fn end(&mut self, out: &mut Vec<StreamEvent>) -> Result<(), BadAnswer> {
        out.extend(self.0.by_ref());
        Ok(())
    }
}

fn cut(events: Vec<StreamEvent>, stops: &[String]) -> Vec<StreamEvent> {
    let mut reader = StopCut::around(Box::new(Told(events.into_iter())), stops);
    let mut out = Vec::new();
    for _ in 0..64 {
        reader.feed(b"x", &mut out).expect("good");
    }
    reader.end(&mut out).expect("good");
    out
}

fn said(events: &[StreamEvent]) -> String {
    let text = |event: &StreamEvent| match event {
        StreamEvent::Delta { delta: Delta::Text(text), .. } => Some(text.clone()),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

fn streamed(pieces: &[&str]) -> Vec<StreamEvent> {
    let (choice, block) = (0, 0);
    let mut events = vec![StreamEvent::BlockStart { choice, block, kind: BlockKind::Text }];
    events.extend(pieces.iter().map(|piece| StreamEvent::Delta {
        choice,
        block,
        delta: Delta::Text((*piece).to_owned()),
    }));
    events.push(StreamEvent::BlockEnd { choice, block });
    events.push(StreamEvent::Finish { choice, reason: FinishReason::Length });
    events.push(StreamEvent::Usage(domain::Usage { output: 9, ..domain::Usage::default() }));
    events.push(StreamEvent::End);
    events
}

fn stops(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn a_stream_ends_before_its_stop_and_keeps_its_usage() {
    let out = cut(streamed(&["one S", "TO", "P two", " three"]), &stops(&["STOP"]));
    let (choice, block) = (0, 0);
    let reason = FinishReason::StopSequence("STOP".to_owned());
    let usage = domain::Usage { output: 9, ..domain::Usage::default() };
    assert_eq!(
        out,
        [
            StreamEvent::BlockStart { choice, block, kind: BlockKind::Text },
            StreamEvent::Delta { choice, block, delta: Delta::Text("one ".to_owned()) },
            StreamEvent::BlockEnd { choice, block },
            StreamEvent::Finish { choice, reason },
            StreamEvent::Usage(usage),
            StreamEvent::End,
        ]
    );
}

#[test]
fn what_only_looked_like_a_stop_is_said_and_the_reason_stays() {
    let out = cut(streamed(&["one S", "T", "one ST"]), &stops(&["STOP"]));
    assert_eq!(said(&out), "one STone ST");
    assert!(out.contains(&StreamEvent::Finish { choice: 0, reason: FinishReason::Length }));
    // Held text comes out before the stream's error does.
    let fault = UpstreamFault {
        class: domain::ErrorClass::ServerError,
        hint: domain::RateHint::default(),
        message: String::new(),
        code: None,
    };
    let mut events = streamed(&["one S"]);
    events.truncate(2);
    events.push(StreamEvent::Error(fault));
    let out = cut(events, &stops(&["STOP"]));
    assert_eq!(said(&out), "one S");
    assert!(matches!(out.last(), Some(StreamEvent::Error(_))));
}

#[test]
fn the_stop_that_is_whole_first_counts() {
    let cases = [
        (["xabc", "ab"], "1 xabc", "1 x", "ab"),
        (["ab", "abc"], "1 abc", "1 ", "ab"),
        (["b", "ab"], "1 ab", "1 ", "ab"),
    ];
    for (words, text, kept, met) in cases {
        let out = cut(streamed(&[text]), &stops(&words));
        let reason = FinishReason::StopSequence(met.to_owned());
        assert_eq!(said(&out), kept);
        assert!(out.contains(&StreamEvent::Finish { choice: 0, reason }), "{text}");
    }
}

#[test]
fn reasoning_and_calls_before_the_stop_stay_and_what_follows_goes() {
    let call = |block| StreamEvent::BlockStart {
        choice: 0,
        block,
        kind: BlockKind::ToolUse { id: "c".into(), name: "f".into(), custom: false },
    };
    let thinking = BlockKind::Thinking { signed: false };
    let thought = Delta::Text("STOP to think".to_owned());
    let mut events = vec![
        StreamEvent::BlockStart { choice: 0, block: 7, kind: thinking },
        StreamEvent::Delta { choice: 0, block: 7, delta: thought },
        StreamEvent::BlockEnd { choice: 0, block: 7 },
        call(8),
        StreamEvent::BlockEnd { choice: 0, block: 8 },
    ];
    let before = events.clone();
    events.extend(streamed(&["STOP"]));
    events.insert(8, call(9));
    let out = cut(events, &stops(&["STOP"]));
    assert_eq!(&out[..5], before);
    assert!(!out.contains(&call(9)));
}

#[test]
fn a_whole_answer_loses_what_follows_and_its_tokens() {
    let token = |text: &str| json!({"token": text, "logprob": -1.0});
    let logprobs = json!({"content": [token("one"), token(" ST"), token("OP two")]});
    let part = |text: &str| Part::text(text);
    let choice = Choice {
        parts: vec![part("one STOP two"), part("three")],
        finish: FinishReason::Stop,
        logprobs: Some(logprobs),
    };
    let mut answer = Answer { choices: vec![choice.clone(), choice], ..Answer::default() };
    answer.choices[1].parts = vec![part("none")];
    StopCut::whole(&mut answer, &stops(&["STOP"]));
    let [cut, whole] = answer.choices.as_slice() else { panic!("two") };
    assert_eq!(cut.parts, [part("one ")]);
    assert_eq!(cut.finish, FinishReason::StopSequence("STOP".to_owned()));
    assert_eq!(cut.logprobs, Some(json!({"content": [token("one")]})));
    assert_eq!((&whole.parts[..], &whole.finish), (&[part("none")][..], &FinishReason::Stop));
}

proptest! {
    /// In any pieces a stream says what the whole answer says, cut or not.
    #[test]
    fn pieces_change_nothing(
        text in "[abé]{0,12}",
        words in prop::collection::vec("[abé]{1,4}", 1..4),
        places in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let choice = Choice {
            parts: vec![Part::text(text.as_str())], finish: FinishReason::Length, logprobs: None,
        };
        let mut answer = Answer { choices: vec![choice], ..Answer::default() };
        StopCut::whole(&mut answer, &words);
        let places: Vec<usize> =
            places.iter().map(|at| text.floor_char_boundary(at.index(text.len() + 1))).collect();
        let mut all = [places, vec![0, text.len()]].concat();
        all.sort_unstable();
        let pieces: Vec<&str> = all.windows(2).map(|pair| text.get(pair[0]..pair[1]).expect("whole letters")).collect();
        let out = cut(streamed(&pieces), &words);
        prop_assert_eq!(vec![Part::text(said(&out))], answer.choices[0].parts.clone());
        let reason = answer.choices[0].finish.clone();
        let finish = StreamEvent::Finish { choice: 0, reason };
        prop_assert!(out.contains(&finish));
    }
}
