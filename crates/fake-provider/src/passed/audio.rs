//! Audio: speech is bytes made of its text, a transcript says how much audio there was.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{Asked, Body, JSON, event, stream, whole};
use crate::ask::Refused;
use crate::demo::{Call, Demo, Reply};
use crate::lorem;
use crate::model;
use crate::tokens;
use crate::tweak::Tweak;

/// Bytes of audio made for each character.
const BYTES_PER_CHARACTER: usize = 512;
/// Bytes in each part of a voice.
const PART: usize = 4_096;
/// Most characters of a request (OpenAI's reference of `input`).
const CHARACTERS_MAX: usize = 4_096;
/// Tokens of a second of audio.
const TOKENS_PER_SECOND: u64 = 10;
const VOICES: [&str; 6] = ["alloy", "ash", "coral", "echo", "nova", "verse"];

/// `POST /v1/audio/speech`.
pub(super) fn speech(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    let known =
        ["model", "input", "voice", "instructions", "response_format", "speed", "stream_format"];
    let asked = Asked::read(demo, call, tweak, &known, Body::Json)?;
    let text = asked.required("input")?;
    if text.chars().count() > CHARACTERS_MAX {
        return Err(Refused::field("input", "Invalid 'input': string too long."));
    }
    asked.required("voice")?;
    asked.word("voice", &VOICES, "")?;
    let formats = ["mp3", "opus", "aac", "flac", "wav", "pcm"];
    let format = asked.word("response_format", &formats, "mp3")?;
    let voice = voice(text);
    if asked.word("stream_format", &["audio", "sse"], "audio")? == "sse" {
        let mut events: Vec<Bytes> = voice
            .chunks(PART)
            .map(|part| json!({"type": "speech.audio.delta", "audio": STANDARD.encode(part)}))
            .map(|data| event("speech.audio.delta", &data))
            .collect();
        let mut last = json!({"type": "speech.audio.done"});
        if !tweak.no_usage {
            let input = tweak.usage.input.unwrap_or(tokens::count(text));
            let output = tweak.usage.output.unwrap_or(text.chars().count() as u64);
            last["usage"] = json!({"input_tokens": input, "output_tokens": output,
                "total_tokens": input + output});
        }
        events.push(event("speech.audio.done", &last));
        return Ok(stream(demo, &asked, events, tweak));
    }
    let kind = match format {
        "mp3" => "audio/mpeg",
        "opus" => "audio/ogg",
        "aac" => "audio/aac",
        "flac" => "audio/flac",
        "wav" => "audio/wav",
        _ => "audio/pcm",
    };
    let parts = voice.chunks(PART).map(Bytes::copy_from_slice).collect();
    Ok(Reply {
        status: 200,
        headers: vec![("content-type", kind.to_owned())],
        body: demo.timed(&asked.model, parts, tweak, asked.cut),
    })
}

/// Begins as an MP3 does; what follows holds every byte.
fn voice(text: &str) -> Vec<u8> {
    let mut state = lorem::hash(text.as_bytes());
    let mut out = b"ID3\x04\0\0\0\0\0\0".to_vec();
    let length = text.chars().count().saturating_mul(BYTES_PER_CHARACTER);
    while out.len() < length {
        state = lorem::mix(state);
        out.extend_from_slice(&state.to_le_bytes());
    }
    out
}

/// `POST /v1/audio/transcriptions`.
pub(super) fn transcription(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    let known = [
        "model",
        "file",
        "language",
        "prompt",
        "response_format",
        "stream",
        "temperature",
        "timestamp_granularities",
        "include",
        "chunking_strategy",
    ];
    written(demo, call, tweak, &known)
}

/// `POST /v1/audio/translations`.
pub(super) fn translation(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    written(demo, call, tweak, &["model", "file", "prompt", "response_format", "temperature"])
}

fn written(demo: &Demo, call: &Call<'_>, tweak: &Tweak, known: &[&str]) -> Result<Reply, Refused> {
    let asked = Asked::read(demo, call, tweak, known, Body::Form)?;
    let mut files = asked.files_of("file");
    let (Some(file), None) = (files.next(), files.next()) else {
        return Err(Refused::field("file", "Missing required parameter: 'file'."));
    };
    let millis = millis(file).ok_or_else(|| {
        Refused::field("file", "Invalid file format. Supported formats: ['wav'].")
    })?;
    let formats = ["json", "text", "srt", "verbose_json", "vtt"];
    let format = asked.word("response_format", &formats, "json")?;
    let text = tweak.text.clone().unwrap_or_else(|| format!("{} bytes of audio", file.len()));
    let by_second = model::base(&asked.model) == "whisper";
    let usage = (!tweak.no_usage).then(|| usage(&asked, millis, &text, by_second, tweak));
    // Whisper takes `stream` and does not stream.
    if asked.streams()? && !by_second {
        return Ok(stream(demo, &asked, events(&text, usage), tweak));
    }
    let seconds = millis as f64 / 1_000.0;
    let mut body = match format {
        "text" => return Ok(whole(demo, &asked, "text/plain", format!("{text}\n").into(), tweak)),
        "srt" | "vtt" => {
            let lines = format!("1\n00:00:00,000 --> 00:00:01,000\n{text}\n");
            return Ok(whole(demo, &asked, "text/plain", lines.into(), tweak));
        }
        "verbose_json" => json!({"task": "transcribe", "language": "english", "duration": seconds,
            "text": text, "segments": []}),
        _ => json!({"text": text}),
    };
    if let Some(usage) = usage {
        body["usage"] = usage;
    }
    Ok(whole(demo, &asked, JSON, body.to_string().into_bytes(), tweak))
}

fn events(text: &str, usage: Option<Value>) -> Vec<Bytes> {
    let mut events: Vec<Bytes> = tokens::pieces(text)
        .into_iter()
        .map(|piece| json!({"type": "transcript.text.delta", "delta": piece}))
        .map(|data| event("transcript.text.delta", &data))
        .collect();
    let mut last = json!({"type": "transcript.text.done", "text": text});
    if let Some(usage) = usage {
        last["usage"] = usage;
    }
    events.push(event("transcript.text.done", &last));
    events
}

fn usage(asked: &Asked, millis: u64, text: &str, by_second: bool, tweak: &Tweak) -> Value {
    let seconds = millis.div_ceil(1_000);
    if by_second {
        return json!({"type": "duration", "seconds": seconds});
    }
    let prompt = tokens::count(asked.text("prompt").unwrap_or_default());
    let heard = tweak.usage.input.unwrap_or(seconds * TOKENS_PER_SECOND);
    let output = tweak.usage.output.unwrap_or(tokens::count(text));
    json!({"type": "tokens", "input_tokens": prompt + heard, "output_tokens": output,
        "total_tokens": prompt + heard + output,
        "input_token_details": {"text_tokens": prompt, "audio_tokens": heard}})
}

/// How long a WAV file plays: its bytes by the bytes of a second in its head.
fn millis(file: &[u8]) -> Option<u64> {
    let is_wav = file.starts_with(b"RIFF") && file.get(8..12) == Some(b"WAVE");
    let rate: [u8; 4] = file.get(28..32).filter(|_| is_wav)?.try_into().ok()?;
    let data = file.len().saturating_sub(44) as u64;
    Some((data * 1_000).div_ceil(u64::from(u32::from_le_bytes(rate)).max(1)))
}
