//! Log output: one line an event, on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error. `filter` is a tracing filter such as `info` or `warn,server=debug`;
/// an unreadable one falls back to `info`. A second call changes nothing.
pub fn start(filter: &str, format: Format, colour: bool) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    // A logger that is already installed (in tests) stays: losing log lines is not worth failing for.
    let _installed = match format {
        Format::Pretty => {
            registry.with(lines.with_ansi(colour).with_target(false)).try_init().is_ok()
        }
        Format::Json => registry.with(lines.json().flatten_event(true)).try_init().is_ok(),
    };
}
