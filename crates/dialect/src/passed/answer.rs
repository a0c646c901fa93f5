//! Answers that pass: JSON, plain text, bytes of a picture or a voice, or a stream of events.

use bytes::Bytes;
use domain::Endpoint;
use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::usage::WireUsage;
use crate::fault;
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Reader, Step};
use crate::wire::{ClientError, FirstEvent, Seen, TeeOptions};

/// A JSON answer longer than this is not read: its usage stays unknown.
const READ_MAX: usize = 64 << 20;

/// A reader of the answer.
pub(super) fn tee(endpoint: Endpoint, options: TeeOptions) -> Box<dyn Tee> {
    // A voice comes as it is made, as sound or as events: its bytes say which.
    let events = options.streamed && endpoint != Endpoint::Speech;
    if events { events_of(endpoint) } else { Box::new(Whole::new(endpoint)) }
}

/// A reader of events.
fn events_of(endpoint: Endpoint) -> Box<dyn Tee> {
    let options = TeeOptions { streamed: true, ..TeeOptions::default() };
    match endpoint {
        Endpoint::Speech => watch::tee::<Events<VOICE>>(options),
        Endpoint::Transcription => watch::tee::<Events<TRANSCRIPT>>(options),
        _ => watch::tee::<Events<IMAGE>>(options),
    }
}

const IMAGE: u8 = 0;
const TRANSCRIPT: u8 = 1;
const VOICE: u8 = 2;

/// Whatever comes in one piece, or as it is made.
struct Whole {
    endpoint: Endpoint,
    /// The JSON so far.
    pieces: Vec<Bytes>,
    length: usize,
    form: Option<Form>,
    /// Reads a voice that comes in events.
    events: Option<Box<dyn Tee>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Json,
    /// Nothing that we read.
    Opaque,
}

impl Whole {
    fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, pieces: Vec::new(), length: 0, form: None, events: None }
    }

    fn json(&self, body: &[u8], seen: &mut Seen) {
        let Ok(said) = serde_json::from_slice::<Said<'_>>(body) else { return };
        said.tell(self.endpoint, seen);
        seen.complete = seen.error.is_none();
    }
}

impl Tee for Whole {
    fn feed(&mut self, chunk: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
        if self.form.is_none() && !chunk.is_empty() {
            let is_json = chunk.first() == Some(&b'{');
            self.form = Some(if is_json { Form::Json } else { Form::Opaque });
            if self.endpoint == Endpoint::Speech && is_events(&chunk) {
                self.events = Some(events_of(self.endpoint));
            }
        }
        if let Some(events) = &mut self.events {
            events.feed(chunk, out);
            return;
        }
        self.length = self.length.saturating_add(chunk.len());
        if self.form == Some(Form::Opaque) || self.length > READ_MAX {
            self.pieces.clear();
        } else {
            self.pieces.push(chunk.clone());
        }
        out.push(chunk);
    }

    /// A voice goes on at once; JSON in its place is no voice.
    fn first(&self) -> FirstEvent {
        if let Some(events) = &self.events {
            return events.first();
        }
        match self.form {
            Some(Form::Opaque) => FirstEvent::Good,
            Some(Form::Json) | None => FirstEvent::Pending,
        }
    }

    fn is_complete(&self) -> bool {
        self.events.as_ref().is_some_and(|events| events.is_complete())
    }

    /// Within a picture or a voice nothing can be said.
    fn error_event(&self, error: &ClientError<'_>) -> Option<Vec<u8>> {
        match &self.events {
            Some(events) => events.error_event(error),
            None => Some(Vec::new()),
        }
    }

    fn finish(&mut self) -> Seen {
        if let Some(events) = &mut self.events {
            return events.finish();
        }
        let mut seen = Seen::default();
        let pieces = std::mem::take(&mut self.pieces);
        match self.form {
            None => {}
            Some(Form::Opaque) => seen.complete = true,
            Some(Form::Json) if self.length > READ_MAX => seen.complete = true,
            Some(Form::Json) => self.json(&pieces.concat(), &mut seen),
        }
        seen
    }
}

fn is_events(chunk: &[u8]) -> bool {
    [b"data:".as_slice(), b"event:", b":"].iter().any(|it| chunk.starts_with(it))
}

/// What is read of an answer, or of an event.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(default, rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    model: Option<String>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(default)]
    meta: Option<Meta>,
}

/// Cohere's.
#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    billed_units: Option<WireUsage>,
}

impl Said<'_> {
    fn tell(&self, endpoint: Endpoint, seen: &mut Seen) {
        let billed = self.meta.as_ref().and_then(|meta| meta.billed_units.as_ref());
        let usage = self.usage.as_ref().or(billed).and_then(|it| it.to_usage(endpoint));
        seen.usage = usage.or(seen.usage);
        seen.upstream_id = self.id.clone().or(seen.upstream_id.take());
        seen.model = self.model.clone().or(seen.model.take());
        let error = self.error.map(|it| it.get().as_bytes()).filter(|raw| watch::is_error(raw));
        if let Some(raw) = error {
            seen.error = Some(fault::of_object(raw));
        }
    }

    /// Whether it ends a stream: `image_generation.completed`, `transcript.text.done`, `speech.audio.done`.
    fn is_last(&self) -> bool {
        let kind = self.kind.as_deref().unwrap_or_default();
        kind.ends_with(".completed")
            || kind == "transcript.text.done"
            || kind == "speech.audio.done"
    }
}

/// A stream of events that ends with the whole.
#[derive(Default)]
struct Events<const KIND: u8> {
    complete: bool,
}

impl<const KIND: u8> Reader for Events<KIND> {
    const EVENT_MAX: usize = READ_MAX;

    fn event(&mut self, event: SseEvent<'_>, seen: &mut Seen) -> Step {
        let endpoint = match KIND {
            TRANSCRIPT => Endpoint::Transcription,
            VOICE => Endpoint::Speech,
            _ => Endpoint::ImageGeneration,
        };
        let Ok(said) = serde_json::from_slice::<Said<'_>>(event.data) else {
            return Step::Idle;
        };
        said.tell(endpoint, seen);
        self.complete |= said.is_last();
        Step::Data
    }

    fn body(&mut self, _body: &[u8], _seen: &mut Seen) {}

    fn is_complete(&self) -> bool {
        self.complete
    }
}

#[cfg(test)]
mod tests {
    use domain::Usage;

    use super::*;

    fn seen(endpoint: Endpoint, streamed: bool, body: &'static [u8]) -> (Seen, FirstEvent) {
        let mut tee = tee(endpoint, TeeOptions { streamed, ..TeeOptions::default() });
        let mut out = SmallVec::new();
        let (one, two) = body.split_at(body.len() / 2);
        for piece in [one, two] {
            tee.feed(Bytes::from_static(piece), &mut out);
        }
        assert_eq!(out.concat(), body, "the bytes pass as they came");
        let first = tee.first();
        (tee.finish(), first)
    }

    #[test]
    fn what_was_used_is_read_in_disjoint_buckets() {
        let image = br#"{"created":1,"data":[{"b64_json":"AA"}],"usage":{"total_tokens":150,"input_tokens":50,
            "output_tokens":100,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
        let (seen_image, _) = seen(Endpoint::ImageEdit, false, image);
        let wanted = Usage { input: 10, image_input: 40, output: 100, ..Usage::default() };
        assert!(seen_image.complete);
        assert_eq!(seen_image.usage, Some(wanted));
        let transcript = br#"{"text":"hi","usage":{"type":"tokens","input_tokens":14,"output_tokens":45,"total_tokens":59,
            "input_token_details":{"text_tokens":0,"audio_tokens":14}}}"#;
        let (seen_text, _) = seen(Endpoint::Transcription, false, transcript);
        let wanted = Usage { audio_input: 14, output: 45, ..Usage::default() };
        assert_eq!(seen_text.usage, Some(wanted));
        let rerank = br#"{"id":"r","results":[],"usage":{"total_tokens":7}}"#;
        let (ranked, _) = seen(Endpoint::Rerank, false, rerank);
        assert_eq!(ranked.usage.map(|it| it.total()), Some(7));
    }

    #[test]
    fn seconds_and_searches_are_no_tokens() {
        let spoken = br#"{"text":"hi","usage":{"type":"duration","seconds":9}}"#;
        assert_eq!(seen(Endpoint::Transcription, false, spoken).0.usage, None);
        let ranked = br#"{"id":"r","results":[],"meta":{"billed_units":{"search_units":1}}}"#;
        let (ranked, _) = seen(Endpoint::Rerank, false, ranked);
        assert!(ranked.complete && ranked.usage.is_none());
        assert_eq!(ranked.upstream_id.as_deref(), Some("r"));
    }

    #[test]
    fn text_and_sound_pass_and_an_error_is_one() {
        let (text, _) = seen(Endpoint::Transcription, false, b"1\n00:00 --> 00:01\nhello\n");
        assert!(text.complete && text.usage.is_none());
        let (sound, first) = seen(Endpoint::Speech, true, b"ID3\x04\0\xff\xfb");
        assert!(sound.complete && first == FirstEvent::Good);
        let (error, first) = seen(Endpoint::Speech, true, br#"{"error":{"message":"no"}}"#);
        assert!(!error.complete && error.error.is_some() && first == FirstEvent::Pending);
        assert!(!seen(Endpoint::ImageGeneration, false, b"{\"data\":[").0.complete);
        assert!(!seen(Endpoint::ImageGeneration, false, b"").0.complete);
    }

    #[test]
    fn a_stream_is_whole_with_its_last_event() {
        let image = b"event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}\n\n\
            event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"usage\":{\"input_tokens\":5,\"output_tokens\":9}}\n\n";
        let (whole, first) = seen(Endpoint::ImageGeneration, true, image);
        assert!(whole.complete && first == FirstEvent::Good);
        assert_eq!(whole.usage.map(|it| (it.input, it.output)), Some((5, 9)));
        let cut = b"data: {\"type\":\"transcript.text.delta\",\"delta\":\"a\"}\n\n";
        assert!(!seen(Endpoint::Transcription, true, cut).0.complete);
        let spoken = b"data: {\"type\":\"speech.audio.delta\",\"audio\":\"AA\"}\n\n\
            data: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":5,\"output_tokens\":9,\"total_tokens\":14}}\n\n";
        let (spoken, first) = seen(Endpoint::Speech, true, spoken);
        assert!(spoken.complete && first == FirstEvent::Good);
        assert_eq!(spoken.usage.map(|it| (it.input, it.audio_output)), Some((5, 9)));
    }
}
