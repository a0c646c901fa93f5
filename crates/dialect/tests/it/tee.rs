//! Answers that pass: what is read off them does not turn on how they are cut (T-L14), and what goes to the client
//! is what came (T-S3).

use bytes::Bytes;
use dialect::{DialectId, FirstEvent, Seen, StreamEvent, Tee, TeeOptions, dialect as find};
use domain::{Endpoint, Usage};
use proptest::prelude::*;
use smallvec::SmallVec;

use crate::support::{PROVIDERS, cut, events, fixtures};

fn pass(mut tee: Box<dyn Tee>, pieces: &[&[u8]]) -> (Vec<u8>, FirstEvent, Seen) {
    let mut out: SmallVec<[Bytes; 2]> = SmallVec::new();
    for piece in pieces {
        tee.feed(Bytes::copy_from_slice(piece), &mut out);
    }
    let first = tee.first();
    (out.concat(), first, tee.finish())
}

fn facts(seen: &Seen) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        seen.usage,
        seen.complete,
        seen.error.clone(),
        seen.output_bytes,
        seen.model.clone(),
        seen.finish.clone(),
        seen.upstream_id.clone(),
    )
}

fn streams() -> Vec<(DialectId, String, Vec<u8>)> {
    let of = |id| fixtures(id, "stream").into_iter().map(move |(name, bytes)| (id, name, bytes));
    PROVIDERS.iter().copied().flat_map(of).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10_000))]

    /// T-L14 and T-S3.
    #[test]
    fn usage_and_bytes_do_not_turn_on_the_pieces(
        which in 0_usize..64,
        cuts in prop::collection::vec(any::<usize>(), 0..40),
        crlf: bool,
        strip_usage_chunk: bool,
    ) {
        let streams = streams();
        let (id, name, bytes) = &streams[which % streams.len()];
        let bytes = match String::from_utf8(bytes.clone()) {
            Ok(text) if crlf => text.replace('\n', "\r\n").into_bytes(),
            _ => bytes.clone(),
        };
        let options = TeeOptions { streamed: true, strip_usage_chunk, ..TeeOptions::default() };
        let (whole, first, seen) = pass(find(*id).tee(Endpoint::Chat, options), &[&bytes]);
        let (out, first_cut, seen_cut) = pass(find(*id).tee(Endpoint::Chat, options), &cut(&bytes, &cuts));
        prop_assert_eq!(facts(&seen), facts(&seen_cut), "{}", name);
        prop_assert_eq!(first, first_cut);
        if strip_usage_chunk {
            prop_assert_eq!(&out, &whole, "{}", name);
        } else {
            prop_assert_eq!(&out, &bytes);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// A provider's damaged answer is forwarded as it is, and whatever is read off it is read without a panic.
    #[test]
    fn damaged_answers_pass_all_the_same(
        which in 0_usize..64,
        damage in prop::collection::vec((any::<usize>(), any::<u8>()), 1..12),
        cuts in prop::collection::vec(any::<usize>(), 0..6),
        streamed: bool,
    ) {
        let mut bodies = streams();
        for &id in PROVIDERS {
            bodies.extend(fixtures(id, "answer").into_iter().map(|(name, body)| (id, name, body)));
        }
        let count = bodies.len();
        let (id, _, body) = &mut bodies[which % count];
        for (place, byte) in damage {
            let place = place % body.len();
            body[place] = byte;
        }
        let options = TeeOptions { streamed, ..TeeOptions::default() };
        let pieces = cut(body, &cuts);
        for tee in [find(*id).tee(Endpoint::Chat, options), find(*id).tee(Endpoint::Embeddings, options), find(*id).tee(Endpoint::CountTokens, options)] {
            let (out, _, seen) = pass(tee, &pieces);
            prop_assert_eq!(&out, &*body);
            prop_assert!(!(seen.complete && seen.error.is_some()));
        }
        let stripping = TeeOptions { streamed: true, strip_usage_chunk: true, ..TeeOptions::default() };
        let (out, ..) = pass(find(*id).tee(Endpoint::Chat, stripping), &pieces);
        prop_assert!(out.len() <= body.len());
        for status in [200, 400, 429, 500] {
            let fault = find(*id).classify(status, &(), body);
            prop_assert!(fault.message.len() <= 512);
        }
    }
}

/// The tee and the translating reader are two readers of one stream: they must not disagree about the bill.
#[test]
fn both_readers_see_the_same_answer() {
    for (id, name, bytes) in streams() {
        let options =
            TeeOptions { streamed: true, strip_usage_chunk: false, ..TeeOptions::default() };
        let (_, _, seen) = pass(find(id).tee(Endpoint::Chat, options), &[&bytes]);
        let (events, result) = events(id, [bytes.as_slice()]);
        let usage: Option<Usage> = events.iter().rev().find_map(|event| match event {
            StreamEvent::Usage(usage) => Some(*usage),
            StreamEvent::Start { usage, .. } => *usage,
            _ => None,
        });
        assert_eq!(seen.usage, usage, "{name}");
        let faulty = events.iter().any(|event| matches!(event, StreamEvent::Error(_)));
        assert_eq!(seen.error.is_some(), faulty, "{name}");
        assert_eq!(seen.complete, result.is_ok() && !faulty, "{name}");
        let finish = events.iter().find_map(|event| match event {
            StreamEvent::Finish { choice: 0, reason } => Some(reason.clone()),
            _ => None,
        });
        assert_eq!(seen.finish, finish, "{name}");
    }
    for &id in PROVIDERS {
        for (name, body) in fixtures(id, "answer") {
            let (out, _, seen) =
                pass(find(id).tee(Endpoint::Chat, TeeOptions::default()), &[&body]);
            assert_eq!(out, body, "{name}");
            let answer = find(id).read_answer(&body).expect("a good fixture");
            assert!(seen.complete, "{name}");
            assert_eq!(seen.usage, answer.usage, "{name}");
            assert_eq!(seen.model, answer.model, "{name}");
            assert_eq!(seen.upstream_id, answer.id, "{name}");
            assert_eq!(seen.finish, answer.choices.first().map(|it| it.finish.clone()), "{name}");
        }
    }
}
