//! Errors, keys, configuration, records.

use dialect::{DialectId, dialect};

/// A day: the longest wait that is taken over from a provider.
const WAIT_MAX_MS: u64 = 86_400_000;

fn classify(status: u16, headers: &[(&str, &str)], body: &[u8]) {
    for id in DialectId::ALL {
        let fault = dialect(*id).classify(status, &headers, body);
        assert!(fault.message.len() <= 512);
        assert!(!fault.message.chars().any(char::is_control));
        assert!(fault.hint.retry_after_ms.is_none_or(|wait| wait <= WAIT_MAX_MS));
    }
}

/// Any body of an error answer.
pub fn error_body(data: &[u8]) {
    for status in [200, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 529] {
        classify(status, &[], data);
    }
}

/// Waits as seconds, milliseconds, dates, huge integers; three lines for three headers.
pub fn retry_after(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.splitn(3, '\n');
    let [after, millis, date] = [(); 3].map(|()| lines.next().unwrap_or_default());
    classify(429, &[("retry-after", after), ("date", date)], b"");
    classify(503, &[("retry-after", after), ("retry-after-ms", millis), ("date", date)], b"");
    classify(429, &[("retry-after-ms", after)], b"");
}

/// A presented key.
pub fn key_parse(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(key) = store::keys::parse(text) {
        assert!(domain::KeyPublicId::new(key.public()).is_ok());
        assert!(text.starts_with("or-") && text.is_ascii());
        // A secret never gets into what people read.
        assert!(!format!("{key:?}").contains(text));
    }
}

struct Bare;

impl config::Env for Bare {
    fn var(&self, name: &str) -> Option<String> {
        (name == "KEY").then(|| "secret".to_owned())
    }

    fn outrigger_vars(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn readable(&self, path: &str) -> Result<(), String> {
        if path == "/x" { Ok(()) } else { Err("no such file".to_owned()) }
    }
}

/// A configuration file: every problem has its place in the file, and can be shown.
pub fn config_yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(problems) = config::load(text, "outrigger.yaml", &Bare, catalog::builtin()) {
        assert!(!problems.is_empty(), "a refusal says why");
        for problem in &problems {
            assert!(!config::render(problem, text).is_empty());
        }
    }
}

/// A stored record: what was read can be written, and what is written reads and writes the same again. (Bytes
/// that we never wrote may hold more than is written: longer texts, more candidates.)
pub fn ledger_record(data: &[u8]) {
    let Ok((_, record)) = ledger::decode(data) else { return };
    let written = ledger::encode(&record);
    let again = ledger::decode(&written).map(|(_, record)| ledger::encode(&record));
    assert!(again.as_ref() == Ok(&written), "{record:?} became {again:?}");
}

/// Fails on one word that mutation must find.
pub fn canary(data: &[u8]) {
    assert!(!data.windows(4).any(|word| word == b"boom"), "the canary was found");
}
