//! What is kept of a response, as one JSON text; every part as it was written.

use super::request::Turn;
use super::response::{member, output_of};
use crate::cursor::Cursor;
use crate::gate::{self, GateLimits};
use crate::json;

/// The parts of what is kept.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a> {
    /// The items of the request, as the text of an array.
    pub input: &'a [u8],
    /// The response as the client got it.
    pub response: &'a [u8],
    output: Option<&'a [u8]>,
    provider: &'a [u8],
}

/// One text of a response and of what it was asked with. `output`: its items, where the response does not have them itself.
/// `None` where it could not be put into a later request: no JSON, or keys that stand twice.
pub fn pack(
    provider: &str,
    input: &[u8],
    response: &[u8],
    output: Option<&[u8]>,
) -> Option<Vec<u8>> {
    let room = input.len() + response.len() + output.map_or(0, <[u8]>::len) + provider.len() + 64;
    let mut text = Vec::with_capacity(room);
    text.extend_from_slice(b"{\"provider\":");
    json::append(&mut text, provider);
    text.extend_from_slice(b",\"input\":");
    text.extend_from_slice(input);
    if let Some(output) = output {
        text.extend_from_slice(b",\"output\":");
        text.extend_from_slice(output);
    }
    text.extend_from_slice(b",\"response\":");
    text.extend_from_slice(response);
    text.push(b'}');
    gate::scan(&text, GateLimits::default()).ok().map(|()| text)
}

impl<'a> Packed<'a> {
    /// The parts of what [`pack`] made; `None` of anything else.
    pub fn of(text: &'a [u8]) -> Option<Self> {
        Some(Self {
            input: member(text, b"input")?,
            response: member(text, b"response")?,
            output: member(text, b"output"),
            provider: member(text, b"provider")?,
        })
    }

    /// Which provider answered.
    pub fn provider(&self) -> String {
        Cursor::new(self.provider).text().map(|it| it.decode().into_owned()).unwrap_or_default()
    }

    /// As a turn of a conversation; `provider` is [`Packed::provider`].
    pub fn turn(&self, provider: &'a str) -> Turn<'a> {
        let output = self.output.unwrap_or_else(|| output_of(self.response));
        Turn { input: self.input, output, provider }
    }
}
