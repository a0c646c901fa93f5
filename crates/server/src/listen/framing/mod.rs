//! Our own reading of HTTP/1.1 framing, in front of hyper's.
//!
//! A request that two servers could read differently is how one client's bytes end up in another's request. So
//! what arrives is read here first, strictly, and only heads that are wholly beyond doubt reach the parser behind.
//! The framer is pure: bytes in, verdict out. It keeps no more than a line, looks at each byte once, and allocates
//! nothing when a head arrives in one piece.

mod chunked;
mod head;
#[cfg(test)]
pub(super) mod tests;

use chunked::Chunked;
use head::{Head, HeadEnd};
pub(super) use head::{HeadLimits, host_ok};

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// The answer: 400, 414, 417, 431 or 505.
    pub(super) status: u16,
    /// What is wrong; a fixed text, so that nothing of the client's comes back.
    pub(super) reason: &'static str,
    /// Whether it was in a head. In a body, a handler is already at work and answers itself.
    pub(super) in_head: bool,
    /// How many bytes of the input belong to what was complete before.
    pub(super) release: usize,
}

/// What a piece of input turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fed {
    /// How many bytes, from its beginning, belong to complete heads or to bodies. The rest, and whatever was kept
    /// back before, is a head that is not complete.
    pub(super) release: usize,
}

/// The position in a connection's request stream.
#[derive(Debug)]
pub(super) struct Framer {
    state: State,
    head: Head,
    requests: u64,
    failed: Option<Violation>,
}

#[derive(Debug)]
enum State {
    Head,
    Length(u64),
    Chunks(Chunked),
}

/// A rejection from a part of the framer, not yet placed.
type Reject = (u16, &'static str);

impl Framer {
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self { state: State::Head, head: Head::new(limits), requests: 0, failed: None }
    }

    /// Complete heads so far.
    #[cfg(test)]
    pub(super) fn requests(&self) -> u64 {
        self.requests
    }

    /// Between two requests: nothing of the next has come.
    pub(super) fn at_boundary(&self) -> bool {
        matches!(self.state, State::Head) && self.head.is_empty()
    }

    /// In the middle of a head.
    pub(super) fn in_head(&self) -> bool {
        matches!(self.state, State::Head) && !self.head.is_empty()
    }

    /// Reads the next bytes of the stream. After a violation every further call says the same.
    pub(super) fn feed(&mut self, input: &[u8]) -> Result<Fed, Violation> {
        if let Some(violation) = self.failed {
            return Err(Violation { release: 0, ..violation });
        }
        let mut at = 0;
        // Everything before this belongs to complete heads or to bodies.
        let mut release = 0;
        while let Some(rest) = input.get(at..).filter(|it| !it.is_empty()) {
            let in_head = matches!(self.state, State::Head);
            let step = match &mut self.state {
                State::Head => self.head.feed(rest).map(|(taken, end)| {
                    if let Some(end) = end {
                        self.requests += 1;
                        self.state = match end {
                            HeadEnd::NoBody => State::Head,
                            HeadEnd::Length(length) => State::Length(length),
                            HeadEnd::Chunked => State::Chunks(Chunked::default()),
                        };
                    }
                    (taken, end.is_some())
                }),
                State::Length(left) => {
                    let taken = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    *left -= taken as u64;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    Ok((taken, true))
                }
                State::Chunks(chunks) => chunks.feed(rest).map(|(taken, done)| {
                    if done {
                        self.state = State::Head;
                    }
                    (taken, true)
                }),
            };
            match step {
                Ok((taken, released)) => {
                    at += taken;
                    if released {
                        release = at;
                    }
                }
                Err((status, reason)) => {
                    let violation = Violation { status, reason, in_head, release };
                    self.failed = Some(violation);
                    return Err(violation);
                }
            }
        }
        Ok(Fed { release })
    }
}
