//! Files and batches, as far as the gateway acts on them: what a batch's requests are, what the provider says of a file or
//! a batch, and what a batch used.
//!
//! Sources: openai-python 3.54 (`types/file_object.py`, `types/batch.py`, `types/batch_usage.py`, the guide's lines of an
//! input and an output file) and anthropic 2.12 (`types/messages/message_batch*.py`).

mod lines;
mod said;

use std::ops::Range;

use bytes::Bytes;
use domain::Usage;
use smallvec::SmallVec;

use crate::passed::form;
use crate::registry::Tee;
use crate::wire::{ClientError, FieldError, FirstEvent, Headers, Seen};

pub use lines::{Line, inline_lines, input_line, result_usage};
pub use said::{BatchState, FileState, batch_state, file_state, list, local_results};

/// An upload, read where it lies.
#[derive(Debug, PartialEq, Eq)]
pub struct Upload {
    /// What the file is for.
    pub purpose: String,
    /// Where its bytes stand in the body.
    pub file: Range<usize>,
}

/// Reads the form of an upload.
///
/// # Errors
/// A form that can't be read in one way only, or without a file.
pub fn upload(headers: &dyn Headers, body: &[u8]) -> Result<Upload, FieldError> {
    let boundary = form::boundary(headers)
        .ok_or_else(|| FieldError::new("", "expected a form (multipart/form-data)"))?;
    let (mut purpose, mut file) = (None, None);
    for part in form::parts(body, &boundary)? {
        let slot = match part.name {
            "purpose" => &mut purpose,
            "file" => &mut file,
            _ => continue,
        };
        if slot.replace(part.value).is_some() {
            return Err(FieldError::new(part.name, "this field stands twice"));
        }
    }
    let text = purpose.and_then(|it| std::str::from_utf8(body.get(it)?).ok());
    let purpose = text.unwrap_or_default().to_owned();
    let file = file.ok_or_else(|| FieldError::new("file", "the form holds no file"))?;
    Ok(Upload { purpose, file })
}

/// Passes whatever comes, and reads nothing of it: a file's content, what is said of a batch. None of it costs anything.
pub fn tee() -> Box<dyn Tee> {
    Box::new(Through(false))
}

struct Through(bool);

impl Tee for Through {
    fn feed(&mut self, chunk: Bytes, out: &mut SmallVec<[Bytes; 2]>) {
        self.0 = true;
        out.push(chunk);
    }

    fn first(&self) -> FirstEvent {
        if self.0 { FirstEvent::Good } else { FirstEvent::Pending }
    }

    /// Within a file nothing can be said.
    fn error_event(&self, _error: &ClientError<'_>) -> Option<Vec<u8>> {
        Some(Vec::new())
    }

    fn finish(&mut self) -> Seen {
        Seen { complete: true, usage: Some(Usage::default()), ..Seen::default() }
    }
}
