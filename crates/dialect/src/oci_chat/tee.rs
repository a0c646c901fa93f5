//! Reads usage from an answer as it arrives, with the reader of answers itself.

use super::read_answer;
use super::stream_in::Pieces;
use crate::exchange::{Delta, PartKind, StreamEvent};
use crate::registry::Tee;
use crate::sse::SseEvent;
use crate::watch::{self, Step};
use crate::wire::{BadAnswer, FinishReason, Seen, TeeOptions};

pub(super) fn tee(options: TeeOptions) -> Box<dyn Tee> {
    // No client reads these bytes: nothing is held back from one.
    watch::tee::<Reader>(TeeOptions { strip_usage_chunk: false, ..options })
}

#[derive(Debug, Default)]
struct Reader {
    pieces: Pieces,
    finish: Option<FinishReason>,
}

impl watch::Reader for Reader {
    const TERMINATED: bool = false;

    fn event(&mut self, event: SseEvent<'_>, seen: &mut Seen) -> Step {
        if self.pieces.is_over() {
            return Step::Data;
        }
        let mut events = Vec::new();
        if let Err(bad) = self.pieces.event(event.data, &mut events) {
            note(bad, seen);
        }
        for event in events {
            match event {
                StreamEvent::Usage(usage) => seen.usage = Some(usage),
                StreamEvent::Finish { reason, .. } => self.finish = Some(reason),
                StreamEvent::Delta { delta: Delta::Text(text) | Delta::Input(text), .. } => {
                    seen.output_bytes = seen.output_bytes.saturating_add(text.len() as u64);
                }
                StreamEvent::Error(fault) => {
                    seen.error.get_or_insert(fault);
                }
                _ => {}
            }
        }
        Step::Data
    }

    fn body(&mut self, body: &[u8], seen: &mut Seen) {
        let answer = match read_answer::read(body) {
            Ok(answer) => answer,
            Err(bad) => return note(bad, seen),
        };
        let parts = answer.choices.iter().flat_map(|choice| &choice.parts);
        let lengths = parts.map(|part| match &part.kind {
            PartKind::Text(text) | PartKind::Refusal(text) => text.len(),
            PartKind::Thinking(thinking) => thinking.text.len(),
            PartKind::ToolUse(call) => call.input.len(),
            _ => 0,
        });
        seen.output_bytes = lengths.map(|length| length as u64).sum();
        seen.usage = answer.usage;
        seen.model = answer.model;
        seen.upstream_id = answer.id;
        self.finish = answer.choices.into_iter().next().map(|choice| choice.finish);
        seen.complete = true;
    }

    fn is_complete(&self) -> bool {
        self.pieces.is_finished()
    }

    fn finish(&mut self, seen: &mut Seen) {
        seen.finish = self.finish.take();
    }
}

fn note(bad: BadAnswer, seen: &mut Seen) {
    seen.error.get_or_insert(match bad {
        BadAnswer::Fault(fault) => fault,
        BadAnswer::Malformed(why) => watch::bad_response(&why),
        BadAnswer::Cut => watch::bad_response("the answer is cut"),
    });
}
