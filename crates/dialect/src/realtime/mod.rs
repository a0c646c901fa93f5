//! The events of OpenAI's realtime sessions: what is read of the frames that pass.
//!
//! Frames are forwarded as they came. What is typed of them is who asks for a response, when one begins and ends, what it
//! used, and which model is meant; everything else is looked past.
//!
//! Shapes are those of the official SDK, openai-python 3.54 (`types/realtime/`: `realtime_client_event.py`,
//! `realtime_server_event.py`, `realtime_response.py`, `realtime_response_usage.py`, `realtime_error.py`,
//! `input_audio_buffer_speech_stopped_event.py`); the beta's differ in the names of deltas and in where a session keeps
//! its settings, and both are read.

mod client;
mod provider;
mod write;

pub use client::{ClientEvent, Does, Unreadable, client_event};
pub use provider::{ProviderEvent, Settings, provider_event};
pub use write::error_event;

#[cfg(test)]
mod tests;
