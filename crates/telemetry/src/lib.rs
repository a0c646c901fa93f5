//! Logs and metrics: the only place that names a metric, and the only place that writes a log line.
//!
//! Neither ever holds a prompt, an answer, a key or a request id as a label.

#![deny(missing_docs)]

pub mod logs;
pub mod metrics;
