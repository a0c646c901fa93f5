//! What an attempt is accounted as, whatever happened to it.

use domain::{ErrorClass, OutcomeClass, Usage, UsageQuality, WorstCase};

/// How an attempt came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The provider's answer was whole and was delivered (or is about to be).
    Whole,
    /// The provider failed, or cut its answer; the class says how.
    Failed(ErrorClass),
    /// The client left.
    ClientLeft,
    /// We gave it up, because another call of the same attempt failed so.
    Abandoned(ErrorClass),
    /// Our own fault.
    Internal,
}

/// What is known about an attempt when it ends.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// How it ended.
    pub ended: Ended,
    /// Whether any byte of the request may have reached the provider.
    pub sent: bool,
    /// Whether any byte of an answer (not of an error) came back.
    pub answered: bool,
    /// Whether the answer comes in one piece, no stream: it is made before its first byte leaves, and nothing of it can
    /// be read until its last is here.
    pub whole: bool,
    /// Whether nothing but the provider's word tells what an answer used: pictures and voices.
    pub opaque: bool,
    /// Usage as the provider reported it, so far.
    pub usage: Option<Usage>,
    /// Bytes of text that the provider delivered, as far as they could be read.
    pub output_bytes: u64,
    /// Bytes of the answer that came, read or not.
    pub received: u64,
    /// Bytes of text that the request holds.
    pub input_bytes: u64,
    /// The upper bound that was reserved.
    pub worst: WorstCase,
}

/// The settled facts of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended, for the ledger.
    pub outcome: OutcomeClass,
    /// What went wrong, if anything.
    pub error: ErrorClass,
    /// What is charged.
    pub usage: Usage,
    /// How far that can be trusted.
    pub quality: UsageQuality,
}

/// Tokens in `bytes` of text by the usual rule of thumb of four bytes a token, rounded up. An estimate, and used only
/// for rows that say `counted`.
pub fn estimate_tokens(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// Decides what an attempt is charged.
///
/// - Nothing was sent: nothing.
/// - The provider reported usage and finished: that.
/// - It finished without a word about usage: what passed through, `counted`; where that tells nothing (a picture, a
///   voice), the whole reservation, `bounded`.
/// - It refused or failed with an error answer: nothing, `counted`; no provider here bills an error answer.
/// - Its stream was cut in the middle, or the client left or another call failed while it ran: what was reported so far,
///   and what was delivered, `counted`.
/// - It was sent, and then silence: it may have run to its end unseen, so the whole reservation, `bounded`.
/// - An answer in one piece was cut: it did run to its end, and what came of it says no more than silence does, so
///   likewise. Where nothing bounds the output, the bytes that came stand for it, and the row says `counted`.
pub fn verdict(evidence: &Evidence) -> Verdict {
    let (outcome, error) = match evidence.ended {
        Ended::Whole => (OutcomeClass::Ok, ErrorClass::None),
        Ended::Failed(class) | Ended::Abandoned(class) if evidence.answered => {
            (OutcomeClass::Interrupted, class)
        }
        Ended::Failed(class) | Ended::Abandoned(class) => (OutcomeClass::Failed, class),
        Ended::ClientLeft => (OutcomeClass::ClientGone, ErrorClass::None),
        Ended::Internal => (OutcomeClass::Internal, ErrorClass::Internal),
    };
    let (usage, quality) = charge(evidence);
    Verdict { outcome, error, usage, quality }
}

fn charge(evidence: &Evidence) -> (Usage, UsageQuality) {
    if !evidence.sent {
        return (Usage::default(), UsageQuality::Reported);
    }
    match evidence.ended {
        Ended::Whole => match evidence.usage {
            Some(usage) => (usage, UsageQuality::Reported),
            None if evidence.opaque => unseen(evidence),
            None => (counted(evidence), UsageQuality::Counted),
        },
        Ended::Failed(class) if !evidence.answered && !class.may_be_billed() => {
            (Usage::default(), UsageQuality::Counted)
        }
        _ if evidence.answered && is_legible(evidence) => {
            (counted(evidence), UsageQuality::Counted)
        }
        Ended::Failed(_) | Ended::ClientLeft | Ended::Abandoned(_) | Ended::Internal => {
            unseen(evidence)
        }
    }
}

/// Whether what came of a broken answer tells how much there was of it.
fn is_legible(evidence: &Evidence) -> bool {
    !evidence.whole || evidence.usage.is_some() || evidence.output_bytes > 0
}

/// What was reported so far, completed by what passed through.
fn counted(evidence: &Evidence) -> Usage {
    let mut usage = evidence.usage.unwrap_or_default();
    if usage.input_total() == 0 {
        usage.input = estimate_tokens(evidence.input_bytes).min(evidence.worst.input);
    }
    let delivered = estimate_tokens(evidence.output_bytes);
    usage.output = usage.output.max(delivered.saturating_sub(usage.reasoning));
    usage
}

/// The whole reservation; or the most that can be told, where nothing bounds it.
fn unseen(evidence: &Evidence) -> (Usage, UsageQuality) {
    let delivered = estimate_tokens(evidence.output_bytes);
    let input = evidence.worst.input;
    if let Some(most) = evidence.worst.output {
        let usage = Usage { input, output: most.max(delivered), ..Usage::default() };
        (usage, UsageQuality::Bounded)
    } else {
        let output = delivered.max(estimate_tokens(evidence.received));
        (Usage { input, output, ..Usage::default() }, UsageQuality::Counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(ended: Ended) -> Evidence {
        Evidence {
            ended,
            sent: true,
            answered: true,
            whole: false,
            opaque: false,
            usage: None,
            output_bytes: 40,
            received: 300,
            input_bytes: 400,
            worst: WorstCase { input: 400, output: Some(1_000) },
        }
    }

    #[test]
    fn what_the_provider_reports_is_what_is_charged() {
        let usage = Usage { input: 9, output: 5, ..Usage::default() };
        let verdict = verdict(&Evidence { usage: Some(usage), ..evidence(Ended::Whole) });
        assert_eq!((verdict.usage, verdict.quality), (usage, UsageQuality::Reported));
        assert_eq!(verdict.outcome, OutcomeClass::Ok);
    }

    #[test]
    fn a_silent_provider_is_counted_and_never_zero() {
        let verdict = verdict(&evidence(Ended::Whole));
        assert_eq!(verdict.quality, UsageQuality::Counted);
        assert_eq!((verdict.usage.input, verdict.usage.output), (100, 10));
    }

    #[test]
    fn a_picture_without_a_word_about_its_usage_costs_what_was_reserved() {
        let picture = Evidence { opaque: true, whole: true, ..evidence(Ended::Whole) };
        let told = verdict(&picture);
        assert_eq!(told.quality, UsageQuality::Bounded);
        assert_eq!((told.usage.input, told.usage.output), (400, 1_000));
        let unbounded = WorstCase { output: None, ..picture.worst };
        let untold = verdict(&Evidence { worst: unbounded, ..picture });
        assert_eq!((untold.quality, untold.outcome), (UsageQuality::Counted, OutcomeClass::Ok));
    }

    #[test]
    fn nothing_sent_is_nothing_charged() {
        let verdict = verdict(&Evidence {
            sent: false,
            answered: false,
            ..evidence(Ended::Failed(ErrorClass::Unreachable))
        });
        assert!(verdict.usage.is_zero());
        assert_eq!(verdict.outcome, OutcomeClass::Failed);
    }

    #[test]
    fn an_error_answer_is_not_billed_but_silence_is_held_in_full() {
        let refused = verdict(&Evidence {
            answered: false,
            ..evidence(Ended::Failed(ErrorClass::RateLimited))
        });
        assert!(refused.usage.is_zero());
        let silent = verdict(&Evidence {
            answered: false,
            output_bytes: 0,
            received: 0,
            ..evidence(Ended::Failed(ErrorClass::Timeout))
        });
        assert_eq!(silent.quality, UsageQuality::Bounded);
        assert_eq!((silent.usage.input, silent.usage.output), (400, 1_000));
    }

    #[test]
    fn a_client_that_leaves_mid_stream_pays_for_what_ran() {
        let so_far = Usage { input: 120, ..Usage::default() };
        let verdict = verdict(&Evidence { usage: Some(so_far), ..evidence(Ended::ClientLeft) });
        assert_eq!((verdict.usage.input, verdict.usage.output), (120, 10));
        assert_eq!(verdict.outcome, OutcomeClass::ClientGone);
    }

    #[test]
    fn a_call_that_is_given_up_may_have_run_whatever_the_other_failed_with() {
        let given_up = |answered| {
            let ended = Ended::Abandoned(ErrorClass::RateLimited);
            verdict(&Evidence { answered, ..evidence(ended) })
        };
        let silent = given_up(false);
        assert_eq!((silent.outcome, silent.error), (OutcomeClass::Failed, ErrorClass::RateLimited));
        assert_eq!((silent.quality, silent.usage.output), (UsageQuality::Bounded, 1_000));
        let midway = given_up(true);
        assert_eq!(
            (midway.outcome, midway.quality),
            (OutcomeClass::Interrupted, UsageQuality::Counted)
        );
    }

    #[test]
    fn a_client_that_leaves_before_any_answer_leaves_a_bound() {
        let verdict =
            verdict(&Evidence { answered: false, output_bytes: 0, ..evidence(Ended::ClientLeft) });
        assert_eq!(verdict.quality, UsageQuality::Bounded);
    }

    /// An answer in one piece, of which nothing could be read.
    fn cut(ended: Ended) -> Evidence {
        Evidence { whole: true, output_bytes: 0, ..evidence(ended) }
    }

    #[test]
    fn an_answer_in_one_piece_that_is_cut_did_run_to_its_end() {
        let cut_by_provider = Ended::Failed(ErrorClass::BadResponse);
        for ended in [cut_by_provider, Ended::ClientLeft, Ended::Abandoned(ErrorClass::RateLimited)]
        {
            let verdict = verdict(&cut(ended));
            assert_eq!(verdict.quality, UsageQuality::Bounded, "{ended:?}");
            assert_eq!((verdict.usage.input, verdict.usage.output), (400, 1_000), "{ended:?}");
        }
    }

    #[test]
    fn what_could_be_read_of_a_broken_whole_answer_is_what_is_charged() {
        let ended = Ended::Failed(ErrorClass::Stall);
        let usage = Usage { input: 90, output: 7, ..Usage::default() };
        let told = verdict(&Evidence { usage: Some(usage), ..cut(ended) });
        assert_eq!((told.usage, told.quality), (usage, UsageQuality::Counted));
        let text_only = verdict(&Evidence { output_bytes: 40, ..cut(ended) });
        assert_eq!((text_only.usage.input, text_only.usage.output), (100, 10));
        assert_eq!(text_only.quality, UsageQuality::Counted);
    }

    #[test]
    fn without_a_bound_the_bytes_that_came_are_counted_and_no_bound_is_claimed() {
        let worst = WorstCase { input: 400, output: None };
        let verdict = verdict(&Evidence { worst, ..cut(Ended::ClientLeft) });
        assert_eq!((verdict.usage.input, verdict.usage.output), (400, 75));
        assert_eq!(verdict.quality, UsageQuality::Counted);
    }
}
