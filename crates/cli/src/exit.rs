//! How a command ends: the exit code, and what is said about it.

use std::fmt;
use std::process::ExitCode;

/// Exit codes. They are part of the interface: scripts branch on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// It failed.
    Failed = 1,
    /// It was called wrongly.
    Usage = 2,
    /// The configuration is invalid or unsafe.
    Config = 3,
    /// Not authenticated or not allowed.
    Denied = 4,
    /// A provider or the network.
    Network = 5,
    /// There are findings.
    Findings = 6,
    /// A verification failed.
    Verification = 7,
    /// Drained, but requests were cut at the deadline.
    Cut = 75,
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What went wrong; empty when it has been said already.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// The exit code of a program that was run, which is passed on instead.
    child: Option<u8>,
}

/// What commands return.
pub(crate) type Done = Result<(), Failure>;

impl Failure {
    /// A failure of a kind.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self { exit, message: message.to_string(), hint: None, child: None }
    }

    /// Ends with a code; everything has been said.
    pub(crate) fn silent(exit: Exit) -> Self {
        Self { exit, message: String::new(), hint: None, child: None }
    }

    /// Ends with another program's exit code.
    pub(crate) fn passed_on(code: u8) -> Self {
        Self { child: Some(code), ..Self::silent(Exit::Failed) }
    }

    /// Says what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<Failure> for ExitCode {
    fn from(failure: Failure) -> Self {
        Self::from(failure.child.unwrap_or(failure.exit as u8))
    }
}

/// Adds what was tried to an error on its way up.
pub(crate) trait Context<T> {
    /// `what` reads as "can't {what}".
    fn cant(self, what: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: std::error::Error> Context<T> for Result<T, E> {
    fn cant(self, what: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| {
            let mut message = format!("can't {what}: {error}");
            let mut source = error.source();
            while let Some(error) = source {
                message.push_str(": ");
                message.push_str(&error.to_string());
                source = error.source();
            }
            Failure::new(Exit::Failed, message)
        })
    }
}
