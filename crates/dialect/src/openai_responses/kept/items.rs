//! The items of a kept request, as they are listed.

use serde_json::{Value, json};

use crate::json::{str_at, to_bytes};

/// Which of the items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Only those behind the one of this id.
    pub after: Option<String>,
    /// At most so many.
    pub limit: usize,
    /// The oldest first; else the latest, which is the default of the API.
    pub ascending: bool,
}

impl Default for Page {
    fn default() -> Self {
        Self { after: None, limit: 20, ascending: false }
    }
}

/// Why there is no such page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// No item has the id of [`Page::after`].
    #[error("no item of this response has the id in `after`")]
    After,
}

/// A page of the items of the request of a response, given as texts of arrays in their order, as the body of an answer.
///
/// # Errors
/// [`PageError`].
pub fn list(response_id: &str, inputs: &[&[u8]], page: &Page) -> Result<Vec<u8>, PageError> {
    let items = inputs.iter().filter_map(|text| serde_json::from_slice::<Vec<Value>>(text).ok());
    let mut items: Vec<Value> = items.flatten().collect();
    let stem = response_id.strip_prefix("resp_").unwrap_or(response_id);
    for (index, item) in items.iter_mut().enumerate() {
        complete(item, stem, index);
    }
    if !page.ascending {
        items.reverse();
    }
    if let Some(after) = &page.after {
        let at = items.iter().position(|item| str_at(item, "id") == Some(after));
        items.drain(..=at.ok_or(PageError::After)?);
    }
    let has_more = items.len() > page.limit;
    items.truncate(page.limit);
    let id = |item: Option<&Value>| item.and_then(|it| str_at(it, "id")).map(str::to_owned);
    let (first, last) = (id(items.first()), id(items.last()));
    Ok(to_bytes(&json!({
        "object": "list", "data": items, "first_id": first, "last_id": last, "has_more": has_more,
    })))
}

/// Gives an item what clients leave out and lists have: a type, an id, a status, parts instead of a string.
fn complete(item: &mut Value, stem: &str, index: usize) {
    let Some(item) = item.as_object_mut() else { return };
    item.retain(|_, value| !value.is_null());
    let kind = item.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    if kind == "message" {
        let said = item.get("role").and_then(Value::as_str) == Some("assistant");
        if let Some(Value::String(text)) = item.get("content") {
            let part = if said {
                json!({"type": "output_text", "text": text, "annotations": []})
            } else {
                json!({"type": "input_text", "text": text})
            };
            item.insert("content".to_owned(), json!([part]));
        }
    }
    item.entry("type").or_insert_with(|| json!(kind));
    let prefix = match kind.as_str() {
        "message" => "msg",
        "reasoning" => "rs",
        "function_call" => "fc",
        "function_call_output" => "fco",
        "custom_tool_call" => "ctc",
        "custom_tool_call_output" => "ctco",
        _ => "item",
    };
    item.entry("id").or_insert_with(|| json!(format!("{prefix}_{stem}_in{index}")));
    if kind != "reasoning" {
        item.entry("status").or_insert_with(|| json!("completed"));
    }
}
