//! Reasoning items, with what the vendor that reasoned needs to take them back (protocols 0.8 and C3).
//!
//! A provider's own `encrypted_content` travels through other dialects' clients as OpenRouter names it, with the
//! item's id before it: `openai-responses-v1:rs_1:gAAAA`. What another vendor signed or encrypted travels through a
//! Responses client in the `encrypted_content` of an item of ours, after a mark that no vendor's begins with. A client
//! that returns its items as it got them gives each vendor its own back.

use serde_json::{Value, json};

use crate::exchange::{Part, PartKind, Thinking};
use crate::json::{Object, str_at, text_at};
use crate::signature::split;

/// OpenRouter's name for what Responses providers encrypt.
const FORMAT: &str = "openai-responses-v1";
/// Before another vendor's signature of the item's text.
const SIGNATURE: &str = "orx.signature.";
/// Before what another vendor encrypted.
const DATA: &str = "orx.data.";
/// What both begin with, as it is written in JSON.
pub(super) const FOREIGN: &[u8] = b"orx.";

/// An item as a part; `None` where it says nothing.
pub(super) fn read(item: &Value) -> Option<Part> {
    let text = text_of(item);
    let encrypted = text_at(item, "encrypted_content");
    if let Some(data) = encrypted.as_deref().and_then(|it| it.strip_prefix(DATA)) {
        return Some(Part::new(PartKind::Redacted(data.to_owned())));
    }
    let signature = encrypted.map(|encrypted| match encrypted.strip_prefix(SIGNATURE) {
        Some(signature) => signature.to_owned(),
        None => opaque(item, &encrypted),
    });
    match signature {
        Some(opaque) if text.is_empty() && split(&opaque).0 == FORMAT => {
            Some(Part::new(PartKind::Redacted(opaque)))
        }
        None if text.is_empty() => None,
        signature => Some(Part::new(PartKind::Thinking(Thinking { text, signature }))),
    }
}

/// What a provider encrypted, with the item's id.
pub(super) fn opaque(item: &Value, encrypted: &str) -> String {
    match str_at(item, "id") {
        Some(id) if !id.is_empty() && !id.contains(':') => format!("{FORMAT}:{id}:{encrypted}"),
        _ => format!("{FORMAT}:{encrypted}"),
    }
}

/// The reasoning itself, where the host gives it, else its summary.
fn text_of(item: &Value) -> String {
    let texts = |key: &str| {
        let pieces = item.get(key).and_then(Value::as_array);
        let texts: Vec<&str> =
            pieces.into_iter().flatten().filter_map(|piece| str_at(piece, "text")).collect();
        texts.join("\n\n")
    };
    let text = texts("content");
    if text.is_empty() { texts("summary") } else { text }
}

/// Its own item id and encrypted content, of what a Responses provider issued.
fn own(opaque: &str) -> Option<(Option<&str>, &str)> {
    let (format, rest) = split(opaque);
    (format == FORMAT).then(|| match rest.split_once(':') {
        Some((id, encrypted)) => (Some(id), encrypted),
        None => (None, rest),
    })
}

/// What a signed or encrypted part is to a provider.
pub(super) enum ForProvider {
    /// The item that the provider once sent.
    Item(Value),
    /// Another vendor's.
    Foreign,
    /// Reasoning in the clear.
    Plain,
}

/// A reasoning part as an item for a provider.
pub(super) fn for_provider(part: &PartKind) -> ForProvider {
    let (text, opaque) = match part {
        PartKind::Thinking(Thinking { text, signature: Some(opaque) }) => (text.as_str(), opaque),
        PartKind::Redacted(opaque) => ("", opaque),
        _ => return ForProvider::Plain,
    };
    let Some((id, encrypted)) = own(opaque) else { return ForProvider::Foreign };
    let mut item = Object::default();
    item.put("type", "reasoning");
    item.put_some("id", id);
    item.put("summary", summary(text));
    item.put("encrypted_content", encrypted);
    ForProvider::Item(item.into_value())
}

/// Reasoning in the clear as an item, for hosts that read it.
pub(super) fn plain_item(id: &str, text: &str) -> Value {
    let content = json!([{"type": "reasoning_text", "text": text}]);
    json!({"type": "reasoning", "id": id, "summary": [], "content": content})
}

/// A summary's parts.
fn summary(text: &str) -> Value {
    if text.is_empty() { json!([]) } else { json!([{"type": "summary_text", "text": text}]) }
}

/// The id under which a Responses provider sent it.
pub(super) fn own_id(opaque: &str) -> Option<&str> {
    own(opaque).and_then(|(id, _)| id)
}

/// What a client is given to send back in the item of that id. The provider's own goes as it came where the id is its
/// own too.
pub(super) fn for_client(opaque: &str, is_data: bool, id: &str) -> String {
    match own(opaque) {
        Some((Some(own), encrypted)) if own == id => encrypted.to_owned(),
        _ => format!("{}{opaque}", if is_data { DATA } else { SIGNATURE }),
    }
}

/// An item for a client.
pub(super) fn client_item(id: &str, text: &str, encrypted: Option<&str>) -> Value {
    json!({"type": "reasoning", "id": id, "summary": summary(text), "encrypted_content": encrypted})
}
