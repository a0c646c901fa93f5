//! OpenAI's realtime sessions: what the partner says to each event of a client's. Source: the vendor's API reference and
//! the event types of its Python SDK 3.54 (`types/realtime/`). A client that sends `openai-beta: realtime=v1` gets the
//! beta's names for deltas.
//!
//! Sound is counted, never heard: ten tokens a second in, twenty out, at 24 kHz and 16 bit. Where the partner is told to
//! listen for turns, one ends with the first frame that is all zeroes after one that is not.

use std::collections::VecDeque;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::lorem;
use crate::model;
use crate::tokens;
use crate::tweak::Tweak;

/// Bytes of sound in a tenth of a second: 24,000 samples of two bytes a second.
const TENTH: u64 = 4_800;
/// Most sound in one event, in bytes before coding.
const APPEND_MAX: usize = 15 << 20;

const SESSION_FIELDS: [&str; 12] = [
    "type",
    "model",
    "output_modalities",
    "instructions",
    "audio",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "tracing",
    "include",
    "prompt",
    "truncation",
];
const RESPONSE_FIELDS: [&str; 11] = [
    "conversation",
    "output_modalities",
    "instructions",
    "audio",
    "tools",
    "tool_choice",
    "max_output_tokens",
    "metadata",
    "input",
    "prompt",
    "parallel_tool_calls",
];

/// What was said in the conversation.
struct Item {
    text: String,
    audio_tokens: u64,
}

/// A response under way.
struct Active {
    id: String,
    item: String,
    text_only: bool,
    input_text: u64,
    input_audio: u64,
    said: u64,
    incomplete: bool,
    /// What it will have said.
    text: String,
}

/// One side of a conversation.
pub(crate) struct Talk {
    model: String,
    beta: bool,
    tweak: Tweak,
    session: Value,
    items: Vec<Item>,
    /// Bytes of sound that are not committed.
    sound: u64,
    speaking: bool,
    active: Option<Active>,
    coming: VecDeque<Value>,
    /// Input of the response before: it comes from the cache the next time.
    before: (u64, u64),
    count: u64,
    /// Responses begun.
    pub(crate) turns: u64,
}

fn seen<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    value.pointer(path).filter(|it| !it.is_null())
}

impl Talk {
    pub(crate) fn new(model: &str, beta: bool, tweak: Tweak) -> Self {
        let session = json!({"type": "realtime", "object": "realtime.session", "id": "sess_fake", "model": model,
            "output_modalities": ["audio"], "instructions": "", "tools": [], "tool_choice": "auto",
            "max_output_tokens": "inf", "audio": {"input": {"format": {"type": "audio/pcm", "rate": 24_000},
            "turn_detection": {"type": "server_vad", "create_response": true, "interrupt_response": true},
            "transcription": null}, "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"}}});
        Talk {
            model: model.to_owned(),
            beta,
            tweak,
            session,
            items: Vec::new(),
            sound: 0,
            speaking: false,
            active: None,
            coming: VecDeque::new(),
            before: (0, 0),
            count: 0,
            turns: 0,
        }
    }

    fn id(&mut self, kind: &str) -> String {
        self.count += 1;
        format!("{kind}_{:04}", self.count)
    }

    fn event(&mut self, mut body: Value) -> Value {
        let id = self.id("event");
        if let Value::Object(map) = &mut body {
            map.insert("event_id".to_owned(), json!(id));
        }
        body
    }

    /// The first thing that is said.
    pub(crate) fn greeting(&mut self) -> Value {
        let session = self.session.clone();
        self.event(json!({"type": "session.created", "session": session}))
    }

    /// Takes an event; what is said at once. What comes of it in time is in [`Talk::next`].
    pub(crate) fn take(&mut self, text: &str) -> Vec<Value> {
        let Ok(event) = serde_json::from_str::<Value>(text) else {
            return vec![self.error(&Value::Null, "invalid_json", None, "not JSON")];
        };
        match self.act(&event) {
            Ok(said) => said.into_iter().map(|it| self.event(it)).collect(),
            Err((code, param, message)) => vec![self.error(&event, code, param, &message)],
        }
    }

    fn error(&mut self, event: &Value, code: &str, param: Option<&str>, message: &str) -> Value {
        let theirs = event.get("event_id").cloned().unwrap_or(Value::Null);
        self.event(json!({"type": "error", "error": {"type": "invalid_request_error", "code": code,
            "message": message, "param": param, "event_id": theirs}}))
    }

    fn act(&mut self, event: &Value) -> Result<Vec<Value>, Refusal> {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "session.update" => self.update(event),
            "conversation.item.create" => self.item(event),
            "input_audio_buffer.append" => self.append(event),
            "input_audio_buffer.commit" => self.commit(),
            "input_audio_buffer.clear" => {
                self.sound = 0;
                Ok(vec![json!({"type": "input_audio_buffer.cleared"})])
            }
            "response.create" => self.create(event),
            "response.cancel" => self.cancel(),
            _ => Err((
                "invalid_value",
                Some("type"),
                format!(
                    "Invalid value: '{kind}'. Supported values are: 'session.update' and others."
                ),
            )),
        }
    }

    fn update(&mut self, event: &Value) -> Result<Vec<Value>, Refusal> {
        let Some(Value::Object(wanted)) = event.get("session") else {
            return Err(missing("session"));
        };
        if wanted.get("type").and_then(Value::as_str) != Some("realtime") && !self.beta {
            return Err(missing("session.type"));
        }
        if let Some(unknown) = wanted.keys().find(|it| !SESSION_FIELDS.contains(&it.as_str()))
            && !self.beta
        {
            return Err((
                "unknown_parameter",
                None,
                format!("Unknown parameter: 'session.{unknown}'."),
            ));
        }
        if wanted.get("model").is_some_and(|it| it.as_str() != Some(self.model.as_str())) {
            let why = "Model can't be updated once a session was initialized.".to_owned();
            return Err(("cannot_update_model", Some("session.model"), why));
        }
        merge(&mut self.session, &Value::Object(wanted.clone()));
        Ok(vec![json!({"type": "session.updated", "session": self.session.clone()})])
    }

    fn item(&mut self, event: &Value) -> Result<Vec<Value>, Refusal> {
        let item = event.get("item").ok_or_else(|| missing("item"))?;
        let content = item.get("content").and_then(Value::as_array);
        let content = content.ok_or_else(|| missing("item.content"))?;
        let mut said = Item { text: String::new(), audio_tokens: 0 };
        for part in content {
            match part.get("type").and_then(Value::as_str) {
                Some("input_text" | "output_text" | "text") => {
                    said.text
                        .push_str(part.get("text").and_then(Value::as_str).unwrap_or_default());
                }
                Some("input_audio") => {
                    said.audio_tokens += sound_of(part.get("audio"))?.len() as u64 / TENTH;
                }
                _ => return Err(missing("item.content[0].type")),
            }
        }
        Ok(self.added(said, item.get("role").and_then(Value::as_str).unwrap_or("user")))
    }

    fn added(&mut self, said: Item, role: &str) -> Vec<Value> {
        let id = self.id("item");
        let item = json!({"id": id, "object": "realtime.item", "type": "message", "status": "completed",
            "role": role, "content": [{"type": "input_text", "text": said.text}]});
        self.items.push(said);
        if self.beta {
            return vec![
                json!({"type": "conversation.item.created", "previous_item_id": null, "item": item}),
            ];
        }
        vec![
            json!({"type": "conversation.item.added", "previous_item_id": null, "item": item}),
            json!({"type": "conversation.item.done", "previous_item_id": null, "item": item}),
        ]
    }

    fn listens(&self) -> bool {
        let here = seen(&self.session, "/audio/input/turn_detection");
        here.is_some() && self.session.get("turn_detection") != Some(&Value::Null)
    }

    fn append(&mut self, event: &Value) -> Result<Vec<Value>, Refusal> {
        let sound = sound_of(event.get("audio"))?;
        self.sound += sound.len() as u64;
        if !self.listens() {
            return Ok(Vec::new());
        }
        let loud = sound.iter().any(|it| *it != 0);
        if loud && !self.speaking {
            self.speaking = true;
            let id = self.id("item");
            let mut said = vec![
                json!({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": id}),
            ];
            if self.active.is_some() {
                said.extend(self.cancel()?);
            }
            return Ok(said);
        }
        if loud || !self.speaking {
            return Ok(Vec::new());
        }
        self.speaking = false;
        let mut said = vec![
            json!({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": self.sound / 48, "item_id": "item_0000"}),
        ];
        said.extend(self.commit()?);
        let answers = seen(&self.session, "/audio/input/turn_detection/create_response");
        if answers != Some(&Value::Bool(false)) {
            self.begin(&Value::Null);
        }
        Ok(said)
    }

    fn commit(&mut self) -> Result<Vec<Value>, Refusal> {
        if self.sound < TENTH {
            let why = "Error committing input audio buffer: the buffer is too small.".to_owned();
            return Err(("input_audio_buffer_commit_empty", None, why));
        }
        let audio_tokens = self.sound / TENTH;
        self.sound = 0;
        let id = format!("item_{:04}", self.count + 1);
        let mut said = vec![
            json!({"type": "input_audio_buffer.committed", "previous_item_id": null, "item_id": id}),
        ];
        said.extend(self.added(Item { text: String::new(), audio_tokens }, "user"));
        if let Some(transcriber) = seen(&self.session, "/audio/input/transcription/model") {
            let total = audio_tokens + 4;
            said.push(json!({"type": "conversation.item.input_audio_transcription.completed", "item_id": id,
                "content_index": 0, "transcript": format!("written by {}", transcriber.as_str().unwrap_or_default()),
                "usage": {"type": "tokens", "total_tokens": total, "input_tokens": audio_tokens,
                "input_token_details": {"text_tokens": 0, "audio_tokens": audio_tokens}, "output_tokens": 4}}));
        }
        Ok(said)
    }

    fn create(&mut self, event: &Value) -> Result<Vec<Value>, Refusal> {
        let asked = event.get("response").cloned().unwrap_or(Value::Null);
        if let Value::Object(map) = &asked
            && let Some(unknown) = map.keys().find(|it| !RESPONSE_FIELDS.contains(&it.as_str()))
            && !self.beta
        {
            return Err((
                "unknown_parameter",
                None,
                format!("Unknown parameter: 'response.{unknown}'."),
            ));
        }
        if self.active.is_some() {
            let why = "Conversation already has an active response in progress.".to_owned();
            return Err(("conversation_already_has_active_response", None, why));
        }
        self.begin(&asked);
        Ok(Vec::new())
    }

    /// Lays out a whole response.
    fn begin(&mut self, asked: &Value) {
        self.turns += 1;
        let response = self.id("resp");
        let item = self.id("item");
        let wanted = asked.get("output_modalities").or_else(|| asked.get("modalities"));
        let modalities = wanted.or_else(|| self.session.get("output_modalities"));
        let text_only = modalities == Some(&json!(["text"]));
        let most = asked.get("max_output_tokens").and_then(Value::as_u64);
        let most = most.or_else(|| self.session.get("max_output_tokens").and_then(Value::as_u64));
        let whole = self.answer(asked);
        let pieces = tokens::pieces(&whole);
        let kept = usize::try_from(most.unwrap_or(4_096)).unwrap_or(usize::MAX);
        let incomplete = pieces.len() > kept;
        let pieces: Vec<String> = pieces.into_iter().take(kept).map(str::to_owned).collect();
        let instructions =
            self.session.get("instructions").and_then(Value::as_str).unwrap_or_default();
        let input_text = self.items.iter().map(|it| tokens::count(&it.text)).sum::<u64>()
            + tokens::count(instructions)
            + tokens::PER_REQUEST;
        let active = Active {
            id: response.clone(),
            item: item.clone(),
            text_only,
            input_text,
            input_audio: self.items.iter().map(|it| it.audio_tokens).sum(),
            said: 0,
            incomplete,
            text: pieces.concat(),
        };
        let begun = json!({"type": "response.created", "response": {"id": response, "object": "realtime.response",
            "status": "in_progress", "status_details": null, "output": [], "usage": null}});
        let part = if text_only { "output_text" } else { "output_audio" };
        let at = |kind: String| json!({"type": kind, "response_id": response, "item_id": item, "output_index": 0, "content_index": 0});
        let with = |mut event: Value, name: &str, value: Value| {
            if let Value::Object(map) = &mut event {
                map.insert(name.to_owned(), value);
            }
            event
        };
        let mut coming = vec![begun];
        let shell = json!({"id": item, "object": "realtime.item", "type": "message", "status": "in_progress", "role": "assistant", "content": []});
        coming.push(json!({"type": "response.output_item.added", "response_id": response, "output_index": 0, "item": shell}));
        coming.push(with(
            at("response.content_part.added".to_owned()),
            "part",
            json!({"type": part.trim_start_matches("output_")}),
        ));
        for piece in &pieces {
            if text_only {
                coming.push(with(
                    at("response.output_text.delta".to_owned()),
                    "delta",
                    json!(piece),
                ));
            } else {
                coming.push(with(
                    at("response.output_audio_transcript.delta".to_owned()),
                    "delta",
                    json!(piece),
                ));
                let sound = STANDARD.encode(vec![7_u8; 2_400]);
                coming.push(with(
                    at("response.output_audio.delta".to_owned()),
                    "delta",
                    json!(sound),
                ));
            }
        }
        if text_only {
            coming.push(with(
                at("response.output_text.done".to_owned()),
                "text",
                json!(active.text),
            ));
        } else {
            coming.push(at("response.output_audio.done".to_owned()));
            coming.push(with(
                at("response.output_audio_transcript.done".to_owned()),
                "transcript",
                json!(active.text),
            ));
        }
        coming.push(json!({"type": "response.done", "response": {"id": response}}));
        self.active = Some(active);
        self.coming.extend(coming);
    }

    fn answer(&self, asked: &Value) -> String {
        if let Some(told) = &self.tweak.text {
            return told.clone();
        }
        let own = asked.pointer("/input/0/content/0/text").and_then(Value::as_str);
        let last = self.items.last().map(|it| it.text.as_str()).unwrap_or_default();
        let said = own.unwrap_or(last);
        let number = said.strip_prefix("lorem ").and_then(|it| it.parse().ok());
        if let Some(wanted) = number {
            return lorem::text(1, wanted);
        }
        match (said.is_empty(), model::base(&self.model)) {
            (true, _) => "I heard you.".to_owned(),
            (false, _) => said.to_owned(),
        }
    }

    fn cancel(&mut self) -> Result<Vec<Value>, Refusal> {
        let why = "Cancellation failed: no active response found".to_owned();
        let active = self.active.take().ok_or(("response_cancel_not_active", None, why))?;
        self.coming.clear();
        Ok(vec![self.done(
            &active,
            "cancelled",
            &json!({"type": "cancelled", "reason": "client_cancelled"}),
        )])
    }

    /// Whether something is still to come.
    pub(crate) fn has_more(&self) -> bool {
        !self.coming.is_empty()
    }

    /// What comes next of a response.
    pub(crate) fn next(&mut self) -> Option<Value> {
        let mut event = self.coming.pop_front()?;
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        let speaks = kind.ends_with("text.delta") || kind.ends_with("transcript.delta");
        if let Some(active) = self.active.as_mut().filter(|_| speaks) {
            active.said += 1;
        }
        if kind == "response.done" {
            let active = self.active.take()?;
            event = if self.tweak.error_after.is_some() {
                self.done(&active, "failed", &json!({"type": "failed", "error": {"type": "server_error", "code": "server_error", "message": "failed, as told"}}))
            } else if active.incomplete {
                self.done(
                    &active,
                    "incomplete",
                    &json!({"type": "incomplete", "reason": "max_output_tokens"}),
                )
            } else {
                self.done(&active, "completed", &Value::Null)
            };
            self.items.push(Item { text: active.text, audio_tokens: 0 });
        }
        if self.beta {
            rename(&mut event);
        }
        Some(self.event(event))
    }

    fn done(&mut self, active: &Active, status: &str, details: &Value) -> Value {
        let (text, audio) = (active.input_text, active.input_audio);
        let (cached_text, cached_audio) = (self.before.0.min(text), self.before.1.min(audio));
        self.before = (text, audio);
        let spoken = if active.text_only { 0 } else { active.said * 2 };
        let told = &self.tweak.usage;
        let input = told.input.unwrap_or(text + audio);
        let output = told.output.unwrap_or(active.said + spoken);
        let usage = json!({"total_tokens": input + output, "input_tokens": input, "output_tokens": output,
            "input_token_details": {"text_tokens": text, "audio_tokens": audio, "image_tokens": 0,
            "cached_tokens": cached_text + cached_audio, "cached_tokens_details": {"text_tokens": cached_text,
            "audio_tokens": cached_audio, "image_tokens": 0}},
            "output_token_details": {"text_tokens": active.said, "audio_tokens": spoken}});
        let usage = if self.tweak.no_usage || status == "failed" { Value::Null } else { usage };
        json!({"type": "response.done", "response": {"id": active.id, "object": "realtime.response", "status": status,
            "status_details": details, "output": [{"id": active.item, "object": "realtime.item", "type": "message",
            "status": status, "role": "assistant", "content": []}], "usage": usage}})
    }
}

type Refusal = (&'static str, Option<&'static str>, String);

fn missing(what: &'static str) -> Refusal {
    ("missing_required_parameter", Some(what), format!("Missing required parameter: '{what}'."))
}

fn sound_of(audio: Option<&Value>) -> Result<Vec<u8>, Refusal> {
    let text = audio.and_then(Value::as_str).ok_or_else(|| missing("audio"))?;
    let sound = STANDARD.decode(text).ok().filter(|it| it.len() <= APPEND_MAX);
    sound.ok_or((
        "invalid_value",
        Some("audio"),
        "Invalid 'audio': not base64, or too long.".to_owned(),
    ))
}

/// Takes over what is set, at any depth.
fn merge(into: &mut Value, from: &Value) {
    let (Value::Object(into), Value::Object(from)) = (into, from) else { return };
    for (name, value) in from {
        match into.get_mut(name) {
            Some(old) if old.is_object() && value.is_object() => merge(old, value),
            _ => drop(into.insert(name.clone(), value.clone())),
        }
    }
}

/// The beta's names.
fn rename(event: &mut Value) {
    if let Some(Value::String(kind)) = event.get_mut("type") {
        *kind = kind
            .replace("response.output_text.", "response.text.")
            .replace("response.output_audio", "response.audio");
    }
}
