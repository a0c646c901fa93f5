//! What a client says.

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::gate::{self, GateLimits};

/// A client's event, as far as it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientEvent {
    /// What comes of it.
    pub does: Does,
    /// The client's name for it: an error of the provider's refers to it.
    pub id: Option<String>,
    /// The model that it names, and where in the text that stands, quotes included.
    pub model: Option<(String, Range<usize>)>,
}

/// What comes of a client's event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It asks for a response.
    Asks,
    /// It may lead to a response that nobody asks for by name: sound, where the provider hears when its speaker stops;
    /// and whatever is not known here.
    Feeds,
    /// It changes, cancels or tells something; no response comes of it.
    Nothing,
}

/// A client's frame that can't be told the meaning of, so that it can't be metered either.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unreadable {
    /// What is wrong with it.
    pub why: String,
}

/// Events that nothing is generated for.
const PLAIN: [&str; 11] = [
    "session.update",
    "transcription_session.update",
    "conversation.item.create",
    "conversation.item.delete",
    "conversation.item.retrieve",
    "conversation.item.truncate",
    "input_audio_buffer.clear",
    "output_audio_buffer.clear",
    "response.cancel",
    "response.function_call_output.create",
    "ping",
];

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    event_id: Option<String>,
    #[serde(borrow, default)]
    session: Option<&'a RawValue>,
    #[serde(borrow, default)]
    response: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, default)]
    model: Option<&'a RawValue>,
}

/// Reads a client's frame.
///
/// # Errors
/// See [`Unreadable`]: it is no JSON object, says something twice, or has no type.
pub fn client_event(text: &str) -> Result<ClientEvent, Unreadable> {
    let unreadable = |why: String| Unreadable { why };
    gate::scan(text.as_bytes(), GateLimits::default())
        .map_err(|error| unreadable(format!("the event is not usable JSON: {error}")))?;
    let frame: Frame<'_> = serde_json::from_str(text)
        .map_err(|_| unreadable("the event has no `type`, or one that is no text".to_owned()))?;
    let does = match &*frame.kind {
        "response.create" => Does::Asks,
        kind if PLAIN.contains(&kind) => Does::Nothing,
        _ => Does::Feeds,
    };
    let mut model = None;
    for part in [frame.session, frame.response].into_iter().flatten() {
        if let Some(named) = named(text, part)? {
            if model.is_some() {
                return Err(unreadable("the event names two models".to_owned()));
            }
            model = Some(named);
        }
    }
    Ok(ClientEvent { does, id: frame.event_id, model })
}

/// The model that a part of an event names.
fn named(text: &str, part: &RawValue) -> Result<Option<(String, Range<usize>)>, Unreadable> {
    let unreadable = || Unreadable { why: "`model` must be a text".to_owned() };
    let Ok(Named { model }) = serde_json::from_str(part.get()) else {
        return Err(Unreadable { why: "`session` and `response` must be objects".to_owned() });
    };
    let Some(model) = model else { return Ok(None) };
    let name: String = serde_json::from_str(model.get()).map_err(|_| unreadable())?;
    // A raw value is a piece of the text that it was read from.
    let start =
        (model.get().as_ptr().addr()).checked_sub(text.as_ptr().addr()).ok_or_else(unreadable)?;
    Ok(Some((name, start..start + model.get().len())))
}
