//! What becomes of a whole answer that does not come whole.

use std::time::Duration;

use dialect::{DialectId, TeeOptions};
use domain::{Endpoint, ErrorClass, Money, OutcomeClass, UsageQuality};
use ledger::Settlement;

use super::*;
use crate::testing::{Trial, reply};

const CONFIG: &str = "
providers:
  there:
    type: openai-compatible
    base_url: 'http://127.0.0.1:1/v1'
    models: [some]
    timeouts: {idle: 30s, total: 60ms}
prices: {overrides: {there/some: {input: 1 USD per 1M, output: 10 USD per 1M}}}
budgets: {all: 1 USD per day}
";

/// 2 bytes of text for 500 tokens at most.
const ASKED: &str =
    r#"{"model":"there/some","max_tokens":500,"messages":[{"role":"user","content":"hi"}]}"#;

const ANSWER: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","model":"some","choices":[{"index":0,"message":{"role":"assistant","content":"A long story."},"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":4,"total_tokens":13}}"#;

const NOW: Duration = Duration::ZERO;
const NEVER: Duration = Duration::from_hours(1);

/// The answer, cut in the middle of its text.
fn halves() -> (&'static str, &'static str) {
    ANSWER.split_at(150)
}

fn trial() -> Trial {
    Trial::new(CONFIG, DialectId::OpenaiChat, ASKED)
}

fn tee(trial: &Trial) -> Box<dyn Tee> {
    trial.call.dialect.tee(Endpoint::Chat, TeeOptions::default())
}

fn total_at(trial: &Trial) -> Instant {
    Instant::now() + trial.call.offer.provider.total
}

fn far_off() -> Instant {
    Instant::now() + NEVER
}

/// Reads an answer that does not come to a good end, and settles the attempt as failed.
fn broken(reply: &mut Reply) -> (ErrorClass, Settlement) {
    let trial = trial();
    let mut flight = trial.depart();
    let reading = read_whole(&trial.call, tee(&trial), &mut flight, reply, total_at(&trial));
    let fault = trial.block_on(reading).expect_err("the answer is of no use");
    drop(flight.settle_fault(&fault));
    (fault.fault.class, trial.row().1)
}

/// The reservation: 500 tokens of output at 10 USD a million are 0.005 USD, and the input in its worst case.
fn assert_held_in_full(row: &Settlement) {
    assert_eq!(row.quality, UsageQuality::Bounded);
    assert_eq!(row.usage.output, 500);
    assert_eq!(row.released.money, Money::ZERO);
    assert!(row.charged.money >= Money::from_usd("0.005").unwrap());
}

#[test]
fn an_answer_that_is_cut_costs_what_was_reserved_since_its_provider_made_it_whole() {
    let (class, row) = broken(&mut reply(&[(NOW, halves().0)], true));
    assert_eq!((class, row.outcome), (ErrorClass::BadResponse, OutcomeClass::Interrupted));
    assert_held_in_full(&row);
}

#[test]
fn an_answer_whose_end_only_is_missing_costs_what_it_says() {
    // The body is there; the end of its transfer is not.
    let (_, row) = broken(&mut reply(&[(NOW, ANSWER)], true));
    assert_eq!((row.usage.input, row.usage.output), (9, 4));
    assert_eq!(row.quality, UsageQuality::Counted);
    assert_eq!(row.upstream_id.as_deref(), Some("chatcmpl-1"));
}

#[test]
fn an_error_in_the_shape_of_a_success_costs_nothing() {
    let error = r#"{"error":{"message":"The server had an error","type":"server_error"}}"#;
    let (class, row) = broken(&mut reply(&[(NOW, error)], false));
    assert_eq!((class, row.outcome), (ErrorClass::ServerError, OutcomeClass::Failed));
    assert!(row.usage.is_zero());
}

#[test]
fn a_client_that_leaves_in_the_middle_of_an_answer_leaves_the_bound() {
    let trial = trial();
    let mut flight = trial.depart();
    let mut reply = reply(&[(NOW, halves().0), (NEVER, halves().1)], false);
    trial.block_on(async {
        let mut reading =
            Box::pin(read_whole(&trial.call, tee(&trial), &mut flight, &mut reply, far_off()));
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(reading.as_mut().poll(cx)));
        assert!(once.await.is_pending());
    });
    drop(flight);
    let (_, row) = trial.row();
    assert_eq!(row.outcome, OutcomeClass::ClientGone);
    assert!(row.first_byte_at.is_some());
    assert_held_in_full(&row);
}

#[test]
fn a_client_that_leaves_before_the_transfer_ends_pays_what_the_answer_says() {
    let trial = trial();
    let mut flight = trial.depart();
    let mut reply = reply(&[(NOW, ANSWER), (NEVER, "\n")], false);
    trial.block_on(async {
        let mut reading =
            Box::pin(read_whole(&trial.call, tee(&trial), &mut flight, &mut reply, far_off()));
        let once = std::future::poll_fn(|cx| std::task::Poll::Ready(reading.as_mut().poll(cx)));
        assert!(once.await.is_pending());
    });
    drop(flight);
    let (_, row) = trial.row();
    assert_eq!((row.usage.input, row.usage.output), (9, 4));
    assert_eq!((row.outcome, row.quality), (OutcomeClass::ClientGone, UsageQuality::Counted));
}

#[test]
fn the_total_limit_holds_for_a_whole_answer_however_lively_its_provider() {
    // Long before the silence of 30 seconds is over.
    let (class, row) = broken(&mut reply(&[(NOW, halves().0), (NEVER, "")], false));
    assert_eq!((class, row.error), (ErrorClass::Timeout, ErrorClass::Timeout));
    assert_held_in_full(&row);
    // Never silent at all.
    let drops = [(Duration::from_millis(5), " "); 200];
    let (class, _) = broken(&mut reply(&drops, false));
    assert_eq!(class, ErrorClass::Timeout);
}
