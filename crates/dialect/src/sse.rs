//! The WHATWG event-stream grammar on bytes, in any chunking.

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SseEvent<'a> {
    /// Its `event:` field; empty without one.
    pub event: &'a [u8],
    /// Its `data:` lines, joined by line feeds.
    pub data: &'a [u8],
}

/// An event beyond the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event is larger than the cap")]
pub struct EventTooLarge;

/// The parser.
#[derive(Debug, Default)]
pub struct SseParser {
    buffer: Vec<u8>,
}

impl SseParser {
    /// Takes bytes and hands over each event that they complete.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(SseEvent<'_>),
    ) -> Result<(), EventTooLarge> {
        self.buffer.extend_from_slice(bytes);
        while let Some(end) = memchr::memmem::find(&self.buffer, b"\n\n") {
            let (mut event, mut data) = (Vec::new(), Vec::new());
            for line in self.buffer[..end].split(|byte| *byte == b'\n') {
                if let Some(rest) = line.strip_prefix(b"data:") {
                    data.extend_from_slice(rest.strip_prefix(b" ").unwrap_or(rest));
                } else if let Some(rest) = line.strip_prefix(b"event:") {
                    event.extend_from_slice(rest.strip_prefix(b" ").unwrap_or(rest));
                }
            }
            if !data.is_empty() {
                on_event(SseEvent { event: &event, data: &data });
            }
            self.buffer.drain(..end + 2);
        }
        Ok(())
    }
}
