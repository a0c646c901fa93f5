//! What a provider says.

use std::borrow::Cow;

use domain::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::fault;
use crate::wire::{FinishReason, Seen};

/// A provider's event, as far as it matters.
#[derive(Clone, Debug)]
pub enum ProviderEvent {
    /// The session is so set up.
    Session(Settings),
    /// A response has begun.
    Created {
        /// Its id.
        response: String,
    },
    /// Something of a response.
    Part {
        /// Of which.
        response: String,
    },
    /// A response is over, well or not.
    Done {
        /// Its id.
        response: String,
        /// What is known of it.
        seen: Box<Seen>,
    },
    /// A speaker has stopped: where the provider answers by itself, it does so now.
    SpeechStopped,
    /// Something that the client said was refused.
    Refused {
        /// The client's own name for it, where it had one.
        event: Option<String>,
    },
    /// What was said was written down, which a model of its own does.
    Transcribed {
        /// What that used, where it is counted in tokens.
        usage: Option<Usage>,
    },
    /// Anything else.
    Other,
}

/// How a session is set up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Whether the provider begins a response when a speaker stops.
    pub answers_by_itself: bool,
    /// The model that writes down what is said, where one does.
    pub transcriber: Option<String>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    response_id: Option<String>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
    #[serde(borrow, default)]
    session: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Response<'a> {
    id: String,
    status: Option<String>,
    #[serde(borrow, default)]
    status_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Details<'a> {
    reason: Option<String>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// A session's settings, where the beta has them and where they are now.
#[derive(Deserialize)]
struct Session {
    audio: Option<Audio>,
    turn_detection: Option<TurnDetection>,
    input_audio_transcription: Option<Transcription>,
}

#[derive(Deserialize)]
struct Audio {
    input: Option<AudioInput>,
}

#[derive(Deserialize)]
struct AudioInput {
    turn_detection: Option<TurnDetection>,
    transcription: Option<Transcription>,
}

#[derive(Deserialize)]
struct TurnDetection {
    create_response: Option<bool>,
}

#[derive(Deserialize)]
struct Transcription {
    model: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    event_id: Option<String>,
}

/// Reads a provider's frame. What can't be read is [`ProviderEvent::Other`]: it is the provider's, and passes.
pub fn provider_event(text: &str) -> ProviderEvent {
    read(text).unwrap_or(ProviderEvent::Other)
}

fn read(text: &str) -> Option<ProviderEvent> {
    let frame: Frame<'_> = serde_json::from_str(text).ok()?;
    Some(match &*frame.kind {
        "session.created" | "session.updated" => ProviderEvent::Session(settings(frame.session?)),
        "response.created" => {
            let response: Response<'_> = serde_json::from_str(frame.response?.get()).ok()?;
            ProviderEvent::Created { response: response.id }
        }
        "response.done" => {
            let response: Response<'_> = serde_json::from_str(frame.response?.get()).ok()?;
            let seen = Box::new(seen(&response));
            ProviderEvent::Done { response: response.id, seen }
        }
        "input_audio_buffer.speech_stopped" => ProviderEvent::SpeechStopped,
        "conversation.item.input_audio_transcription.completed" => {
            ProviderEvent::Transcribed { usage: frame.usage.and_then(usage) }
        }
        "error" => {
            let refusal = frame.error.and_then(|it| serde_json::from_str::<Refusal>(it.get()).ok());
            ProviderEvent::Refused { event: refusal.and_then(|it| it.event_id) }
        }
        kind if kind.starts_with("response.") => {
            ProviderEvent::Part { response: frame.response_id? }
        }
        _ => ProviderEvent::Other,
    })
}

fn settings(session: &RawValue) -> Settings {
    let Ok(session) = serde_json::from_str::<Session>(session.get()) else {
        return Settings::default();
    };
    let input = session.audio.and_then(|it| it.input);
    let (detection, transcription) =
        input.map_or((None, None), |it| (it.turn_detection, it.transcription));
    let detection = detection.or(session.turn_detection);
    Settings {
        answers_by_itself: detection.is_some_and(|it| it.create_response != Some(false)),
        transcriber: transcription.or(session.input_audio_transcription).and_then(|it| it.model),
    }
}

fn seen(response: &Response<'_>) -> Seen {
    let details = response.status_details;
    let details: Details<'_> =
        details.and_then(|it| serde_json::from_str(it.get()).ok()).unwrap_or_default();
    let error = match response.status.as_deref() {
        Some("failed") => {
            Some(fault::of_object(details.error.map_or("{}", RawValue::get).as_bytes()))
        }
        _ => None,
    };
    let finish = response.status.as_deref().map(|status| match (status, details.reason) {
        ("completed", _) => FinishReason::Stop,
        ("failed", _) => FinishReason::Error,
        ("incomplete", Some(reason)) => match &*reason {
            "max_output_tokens" => FinishReason::Length,
            "content_filter" => FinishReason::Filtered,
            _ => FinishReason::Other(reason),
        },
        (other, _) => FinishReason::Other(other.to_owned()),
    });
    Seen {
        usage: response.usage.and_then(usage),
        complete: error.is_none(),
        error,
        finish,
        upstream_id: Some(response.id.clone()),
        ..Seen::default()
    }
}

#[derive(Deserialize)]
struct WireUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    input_token_details: Option<InputDetails>,
    output_token_details: Option<OutputDetails>,
}

#[derive(Default, Deserialize)]
struct InputDetails {
    cached_tokens: Option<u64>,
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
    cached_tokens_details: Option<CachedDetails>,
}

#[derive(Default, Deserialize)]
struct CachedDetails {
    audio_tokens: Option<u64>,
    image_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
struct OutputDetails {
    audio_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
}

/// Takes up to `wanted` out of `rest`, so that the buckets add up to the provider's own total.
fn take(rest: &mut u64, wanted: Option<u64>) -> u64 {
    let taken = wanted.unwrap_or(0).min(*rest);
    *rest -= taken;
    taken
}

/// In disjoint buckets: what is cached counts as text, sound and pictures too, each of which a vendor counts again
/// beside the cache. A field of a wrong type makes the whole unreadable: no figure is better than a wrong one.
fn usage(raw: &RawValue) -> Option<Usage> {
    let wire: WireUsage = serde_json::from_str(raw.get()).ok()?;
    if wire.input_tokens.is_none() && wire.output_tokens.is_none() {
        return None;
    }
    let details = wire.input_token_details.unwrap_or_default();
    let cached = details.cached_tokens_details.unwrap_or_default();
    let fresh = |all: Option<u64>, cached: Option<u64>| {
        all.map(|all| all.saturating_sub(cached.unwrap_or(0)))
    };
    let mut input = wire.input_tokens.unwrap_or(0);
    let mut output = wire.output_tokens.unwrap_or(0);
    let said = wire.output_token_details.unwrap_or_default();
    Some(Usage {
        cache_read: take(&mut input, details.cached_tokens),
        audio_input: take(&mut input, fresh(details.audio_tokens, cached.audio_tokens)),
        image_input: take(&mut input, fresh(details.image_tokens, cached.image_tokens)),
        input,
        reasoning: take(&mut output, said.reasoning_tokens),
        audio_output: take(&mut output, said.audio_tokens),
        output,
        ..Usage::default()
    })
}
