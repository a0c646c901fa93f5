//! What a provider's error means, for every dialect: hosts mix the vendors' shapes and words freely, so one table
//! reads them all. A word (code or type) that says more than the status wins over it.

use domain::{ErrorClass, RateHint};
use serde_json::Value;

use crate::http_date;
use crate::wire::{Headers, UpstreamFault};

/// Most bytes of a provider's message that are kept.
const MESSAGE_MAX: usize = 512;
/// Most bytes of a provider's code that are kept.
const CODE_MAX: usize = 64;
/// Most of an error body that is looked at: beyond, it is no error object.
const BODY_MAX: usize = 1 << 20;
/// The longest wait taken over from a provider: a day.
const WAIT_MAX_MS: u64 = 86_400_000;

/// What a provider's error answer means.
pub(crate) fn of_answer(status: u16, headers: &dyn Headers, body: &[u8]) -> UpstreamFault {
    let parsed = parse(body);
    let said = Said::of_body(parsed.as_ref(), body);
    let class = class_of_status(status, &said);
    let hint = RateHint { retry_after_ms: retry_after(headers).or(said.wait_ms) };
    said.fault(class, hint)
}

/// What an error object within a stream or a success body means: the value of its `error` field.
pub(crate) fn of_object(error: &[u8]) -> UpstreamFault {
    let parsed = parse(error);
    let said = Said::of_error(parsed.as_ref().unwrap_or(&Value::Null));
    let class = match said.status {
        Some(status) => class_of_status(status, &said),
        None => class_of_words_and_message(&said).unwrap_or(ErrorClass::ServerError),
    };
    let hint = RateHint { retry_after_ms: said.wait_ms };
    said.fault(class, hint)
}

pub(crate) fn parse(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body.get(..body.len().min(BODY_MAX))?).ok()
}

/// What an error says, whatever the shape.
#[derive(Debug, Default)]
struct Said {
    message: String,
    code: Option<String>,
    kind: Option<String>,
    /// An HTTP status in the place of a code.
    status: Option<u16>,
    wait_ms: Option<u64>,
}

impl Said {
    fn of_body(parsed: Option<&Value>, body: &[u8]) -> Self {
        let Some(parsed) = parsed else {
            // A proxy's page says nothing that is worth passing on; plain text may.
            let text = String::from_utf8_lossy(
                body.get(..body.len().min(4 * MESSAGE_MAX)).unwrap_or_default(),
            );
            let is_page = text.trim_start().starts_with('<');
            let message = if is_page { String::new() } else { text.into_owned() };
            return Self { message, ..Self::default() };
        };
        // Gemini wraps the error of a stream in an array, Cloudflare lists several.
        let one = parsed.as_array().and_then(|many| many.first()).unwrap_or(parsed);
        let listed = one.get("errors").and_then(Value::as_array).and_then(|many| many.first());
        let error = one.get("error").filter(|error| !error.is_null()).or(listed).unwrap_or(one);
        let mut said = Self::of_error(error);
        if said.message.is_empty() {
            said.message = first_text(one, &["message", "detail", "error_description"]);
        }
        said
    }

    fn of_error(error: &Value) -> Self {
        if let Some(text) = error.as_str() {
            return Self { message: text.to_owned(), ..Self::default() };
        }
        let code = error.get("code");
        let number = [code, error.get("status_code"), error.get("status")]
            .into_iter()
            .flatten()
            .find_map(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()))
            .and_then(|number| u16::try_from(number).ok())
            .filter(|number| (400..=599).contains(number));
        let word = |value: Option<&Value>| match value {
            Some(Value::String(text)) if !text.is_empty() => Some(cut(text, CODE_MAX)),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let inner = error.get("innererror").and_then(|inner| inner.get("code"));
        Self {
            message: first_text(error, &["message", "detail", "msg"]),
            code: word(code),
            kind: word(error.get("type"))
                .or_else(|| word(error.get("status")))
                .or_else(|| word(inner)),
            status: number,
            wait_ms: wait_in_details(error),
        }
    }

    fn fault(self, class: ErrorClass, hint: RateHint) -> UpstreamFault {
        UpstreamFault { class, hint, message: clean(&self.message), code: self.code.or(self.kind) }
    }

    fn words(&self) -> impl Iterator<Item = String> {
        [&self.code, &self.kind].into_iter().flatten().map(|word| word.to_ascii_lowercase())
    }
}

fn first_text(of: &Value, keys: &[&str]) -> String {
    let found = keys.iter().find_map(|key| match of.get(key) {
        Some(Value::String(text)) if !text.is_empty() => Some(text.clone()),
        // FastAPI lists what failed to validate.
        Some(Value::Array(many)) => {
            many.first().and_then(|one| one.get("msg")).and_then(Value::as_str).map(str::to_owned)
        }
        _ => None,
    });
    found.unwrap_or_default()
}

/// Google's `RetryInfo`: `"retryDelay": "34s"`.
fn wait_in_details(error: &Value) -> Option<u64> {
    let details = error.get("details")?.as_array()?;
    let text = details.iter().find_map(|detail| detail.get("retryDelay")?.as_str())?;
    millis(text.strip_suffix('s')?)
}

fn class_of_status(status: u16, said: &Said) -> ErrorClass {
    let word = class_of_words(said);
    match status {
        429 | 402 if word == Some(ErrorClass::Quota) => ErrorClass::Quota,
        402 => ErrorClass::Quota,
        429 if is_spent(&said.message) => ErrorClass::Quota,
        429 => ErrorClass::RateLimited,
        401 | 403 => match word {
            Some(class @ (ErrorClass::Quota | ErrorClass::ContentFilter)) => class,
            _ if is_spent(&said.message) => ErrorClass::Quota,
            _ => ErrorClass::Auth,
        },
        404 => ErrorClass::ModelNotFound,
        408 => ErrorClass::Timeout,
        409 => ErrorClass::ServerError,
        503 | 529 => ErrorClass::Overloaded,
        400..=499 => match class_of_words_and_message(said) {
            Some(
                class @ (ErrorClass::ContextTooLong
                | ErrorClass::ContentFilter
                | ErrorClass::Quota
                | ErrorClass::Overloaded
                | ErrorClass::RateLimited
                | ErrorClass::Auth
                | ErrorClass::ModelNotFound),
            ) => class,
            _ => ErrorClass::InvalidRequest,
        },
        500..=599 => match word {
            Some(
                class @ (ErrorClass::Overloaded
                | ErrorClass::Timeout
                | ErrorClass::ContextTooLong
                | ErrorClass::ContentFilter),
            ) => class,
            _ => ErrorClass::ServerError,
        },
        _ => ErrorClass::BadResponse,
    }
}

/// The class that a code or type names, whoever uses it.
fn class_of_words(said: &Said) -> Option<ErrorClass> {
    let classes: Vec<ErrorClass> = said.words().filter_map(|word| class_of_word(&word)).collect();
    // `invalid_request_error` is the type of many an error whose code says what it is.
    let telling = classes.iter().find(|class| **class != ErrorClass::InvalidRequest);
    telling.or(classes.first()).copied()
}

/// Words first; a message where they say no more than that the request is wrong.
fn class_of_words_and_message(said: &Said) -> Option<ErrorClass> {
    match class_of_words(said) {
        word @ (None | Some(ErrorClass::InvalidRequest)) => class_of_message(said).or(word),
        word => word,
    }
}

fn class_of_word(word: &str) -> Option<ErrorClass> {
    Some(match word {
        "insufficient_quota"
        | "billing_error"
        | "billing_hard_limit_reached"
        | "billing_not_active"
        | "insufficient_balance"
        | "insufficient_credits"
        | "exceeded_current_quota_error"
        | "payment_required" => ErrorClass::Quota,
        "context_length_exceeded"
        | "exceed_context_size_error"
        | "string_above_max_length"
        | "model_max_prompt_tokens_exceeded"
        | "request_too_large"
        | "max_tokens_exceeded" => ErrorClass::ContextTooLong,
        "content_filter"
        | "content_policy_violation"
        | "responsibleaipolicyviolation"
        | "data_inspection_failed"
        | "moderation_blocked" => ErrorClass::ContentFilter,
        "overloaded_error"
        | "overloaded"
        | "engine_overloaded"
        | "engine_overloaded_error"
        | "service_unavailable"
        | "service_unavailable_error"
        | "unavailable"
        | "capacity_exceeded" => ErrorClass::Overloaded,
        "rate_limit_error"
        | "rate_limit_exceeded"
        | "rate_limited"
        | "rate_limit_reached"
        | "rate_limit_reached_error"
        | "too_many_requests"
        | "toomanyrequests"
        | "resource_exhausted"
        | "throttlingexception" => ErrorClass::RateLimited,
        "authentication_error"
        | "invalid_api_key"
        | "invalid_authentication"
        | "permission_error"
        | "permission_denied"
        | "unauthorized"
        | "unauthenticated"
        | "invalid_authentication_error"
        | "access_denied" => ErrorClass::Auth,
        "model_not_found"
        | "not_found_error"
        | "not_found"
        | "deploymentnotfound"
        | "notfounderror"
        | "model_not_available"
        | "invalid_model" => ErrorClass::ModelNotFound,
        "timeout_error" | "timeout" | "request_timeout" | "deadline_exceeded" => {
            ErrorClass::Timeout
        }
        "invalid_request_error"
        | "invalid_request"
        | "bad_request"
        | "badrequesterror"
        | "invalid_argument"
        | "validation_error"
        | "unprocessable_entity" => ErrorClass::InvalidRequest,
        "server_error"
        | "api_error"
        | "internal_server_error"
        | "internal_error"
        | "internal"
        | "internalservererror" => ErrorClass::ServerError,
        _ => return None,
    })
}

/// Hosts that give no code say it in words.
fn class_of_message(said: &Said) -> Option<ErrorClass> {
    let message = said.message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if has(&[
        "prompt is too long",
        "maximum context length",
        "context length exceeded",
        "exceeds the context",
        "exceed context limit",
        "context window",
        "exceeds the available context size",
        "input token count exceeds",
        "input is too long",
        "tokens in the prompt cannot exceed",
        "too many tokens: size limit exceeded",
        "reduce the length of the messages",
    ]) {
        Some(ErrorClass::ContextTooLong)
    } else if is_spent(&message) {
        Some(ErrorClass::Quota)
    } else if has(&["content management policy", "content filter"]) {
        Some(ErrorClass::ContentFilter)
    } else {
        None
    }
}

fn is_spent(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    [
        "credit balance is too low",
        "insufficient balance",
        "exceeded your current quota",
        "insufficient credits",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// How long to wait, from the headers. A date is read against the answer's own `date`: no clock is needed, and a
/// provider's wrong clock does no harm.
fn retry_after(headers: &dyn Headers) -> Option<u64> {
    if let Some(wait) = headers.get("retry-after-ms").and_then(|text| millis_of(text, 1.0)) {
        return Some(wait);
    }
    let text = headers.get("retry-after")?.trim();
    if let Some(wait) = millis(text) {
        return Some(wait);
    }
    let until = http_date::parse(text)?;
    let now = http_date::parse(headers.get("date")?.trim())?;
    let seconds = u64::try_from(until.saturating_sub(now)).unwrap_or(0);
    Some(seconds.saturating_mul(1_000).min(WAIT_MAX_MS))
}

/// Seconds, perhaps with a fraction, in milliseconds.
fn millis(text: &str) -> Option<u64> {
    millis_of(text, 1_000.0)
}

fn millis_of(text: &str, unit: f64) -> Option<u64> {
    let text = text.trim();
    if !text.starts_with(|letter: char| letter.is_ascii_digit()) {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    // The cast saturates; what is not finite did not begin with a digit.
    Some(((value * unit).ceil() as u64).min(WAIT_MAX_MS))
}

/// The provider's words as they may be shown: one line, no control characters, no credentials, not too long.
pub(crate) fn clean(message: &str) -> String {
    let line: String = message
        .chars()
        .map(|letter| if letter == '\n' || letter == '\t' { ' ' } else { letter })
        .filter(|letter| !letter.is_control() && !is_invisible(*letter))
        .take(4 * MESSAGE_MAX)
        .collect();
    let words: Vec<&str> =
        line.split(' ').map(|word| if is_credential(word) { "[key]" } else { word }).collect();
    cut(words.join(" ").trim(), MESSAGE_MAX)
}

/// Marks that turn the direction of writing, and others without a shape: they make a message look like another.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Some hosts repeat the key they refuse; it is the gateway's own.
fn is_credential(word: &str) -> bool {
    let word = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    word.len() >= 16
        && ["sk-", "sk_", "gsk_", "xai-", "AIza", "pk-", "key-", "eyJ", "nvapi-"]
            .iter()
            .any(|prefix| word.starts_with(prefix))
}

fn cut(text: &str, max: usize) -> String {
    text.get(..text.floor_char_boundary(max)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
