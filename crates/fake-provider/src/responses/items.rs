//! The input of a Responses request: checked and read in one walk.

use serde_json::Value;

use super::{present, sealed, text};
use crate::ask::Refused;
use crate::media;
use crate::openai::image;
use crate::tokens;

/// What the walk finds.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) text: String,
    pub(super) attachments: Vec<String>,
    pub(super) results: Vec<(String, String)>,
    pub(super) tokens: u64,
    /// Tokens before the last user message, when an assistant has spoken before it: a prefix seen earlier.
    pub(super) seen_before: u64,
    /// Calls that have no output yet: id, tool name, whether the tool is a custom one.
    pending: Vec<(String, String, bool)>,
    assistant_spoke: bool,
}

const SPOKEN: [&str; 4] = ["input_text", "input_image", "input_file", "input_audio"];

/// Items of the vendor's own tools, and of its agents: taken, and not looked into.
const OTHERS: [&str; 18] = [
    "file_search_call",
    "web_search_call",
    "computer_call",
    "computer_call_output",
    "image_generation_call",
    "code_interpreter_call",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_call",
    "tool_search_call",
    "additional_tools",
    "configuration_update",
    "compaction",
];

/// Walks the input; the first offence ends it.
pub(super) fn walk(body: &Value) -> Result<Walk, Refused> {
    let mut walk = Walk { tokens: tokens::PER_REQUEST, ..Walk::default() };
    if let Some(instructions) = text(body, "instructions") {
        walk.tokens += tokens::PER_MESSAGE + tokens::count(instructions);
    }
    match body.get("input") {
        Some(Value::String(said)) => {
            walk.tokens += tokens::PER_MESSAGE + tokens::count(said);
            walk.text.clone_from(said);
        }
        Some(Value::Array(items)) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                walk.item(item, &format!("input[{at}]"))?;
            }
        }
        _ => {
            return Err(Refused::field("input", "Missing required parameter: 'input'.")
                .code("missing_required_parameter"));
        }
    }
    match walk.pending.first() {
        None => Ok(walk),
        Some((id, _, custom)) => {
            let what = if *custom { "custom tool call" } else { "function call" };
            Err(Refused::field("input", format!("No tool output found for {what} {id}.")))
        }
    }
}

impl Walk {
    fn item(&mut self, item: &Value, place: &str) -> Result<(), Refused> {
        let kind = text(item, "type").unwrap_or("message");
        match kind {
            "message" => self.message(item, place),
            "function_call" => self.call(item, place, "arguments"),
            "custom_tool_call" => self.call(item, place, "input"),
            "function_call_output" | "custom_tool_call_output" => {
                self.output(item, place, kind == "custom_tool_call_output")
            }
            "reasoning" => self.reasoning(item, place),
            "item_reference" => Err(not_found(text(item, "id").unwrap_or_default())),
            _ if OTHERS.contains(&kind) => {
                self.tokens += tokens::count(&item.to_string());
                Ok(())
            }
            other => {
                Err(Refused::field(format!("{place}.type"), format!("Invalid value: '{other}'.")))
            }
        }
    }

    fn message(&mut self, item: &Value, place: &str) -> Result<(), Refused> {
        let before = self.tokens;
        self.tokens += tokens::PER_MESSAGE;
        match text(item, "role").unwrap_or_default() {
            "system" | "developer" => {
                self.content(item, "content", place, &SPOKEN[..1])?;
            }
            "user" => {
                if self.assistant_spoke {
                    self.seen_before = before;
                }
                (self.text, self.attachments) = self.content(item, "content", place, &SPOKEN)?;
                self.results.clear();
            }
            "assistant" => {
                self.assistant_spoke = true;
                self.results.clear();
                self.content(item, "content", place, &["output_text", "refusal"])?;
            }
            other => {
                return Err(Refused::field(
                    format!("{place}.role"),
                    format!(
                        "Invalid value: '{other}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
                    ),
                ));
            }
        }
        Ok(())
    }

    fn call(&mut self, item: &Value, place: &str, field: &str) -> Result<(), Refused> {
        self.assistant_spoke = true;
        self.results.clear();
        let id = text(item, "call_id").filter(|id| (1..=64).contains(&id.len()));
        let (Some(id), Some(name), Some(input)) = (id, text(item, "name"), text(item, field))
        else {
            return Err(Refused::field(
                place,
                format!("A call needs a 'call_id' of at most 64 characters, 'name' and '{field}'."),
            ));
        };
        self.tokens += tokens::count(name) + tokens::count(input);
        self.pending.push((id.to_owned(), name.to_owned(), field == "input"));
        Ok(())
    }

    fn output(&mut self, item: &Value, place: &str, custom: bool) -> Result<(), Refused> {
        if present(item, "call_id").is_none() && text(item, "name").is_some() {
            // What an agent lets its model know without having been asked.
            self.content(item, "output", place, &SPOKEN[..3])?;
            return Ok(());
        }
        let id = text(item, "call_id").unwrap_or_default();
        let found = self.pending.iter().position(|(pending, _, is)| pending == id && *is == custom);
        let Some(at) = found else {
            return Err(Refused::field(
                "input",
                format!("No tool call found for the output with call_id {id}."),
            ));
        };
        let (_, name, _) = self.pending.remove(at);
        self.tokens += tokens::PER_MESSAGE;
        let (mut said, seen) = self.content(item, "output", place, &SPOKEN[..3])?;
        for line in seen {
            said.extend(["[", &line, "]"]);
        }
        self.results.push((name, said));
        Ok(())
    }

    /// What was reasoned before is taken back in the form in which it went out, or not at all.
    fn reasoning(&mut self, item: &Value, place: &str) -> Result<(), Refused> {
        if !item.get("summary").is_some_and(Value::is_array) {
            return Err(Refused::field(
                format!("{place}.summary"),
                format!("Missing required parameter: '{place}.summary'."),
            ));
        }
        let id = text(item, "id");
        let Some(encrypted) = present(item, "encrypted_content").and_then(Value::as_str) else {
            return Err(not_found(id.unwrap_or_default()));
        };
        let genuine = match id {
            Some(id) => encrypted == sealed(id),
            None => encrypted.starts_with("gAAAA"),
        };
        if !genuine {
            return Err(Refused::field(
                "input",
                format!(
                    "The encrypted content for item {} could not be verified.",
                    id.unwrap_or_default()
                ),
            )
            .code("invalid_encrypted_content"));
        }
        self.tokens += tokens::count(encrypted);
        Ok(())
    }

    /// The text of a message or an output, and a line for each attachment.
    fn content(
        &mut self,
        of: &Value,
        field: &str,
        place: &str,
        allowed: &[&str],
    ) -> Result<(String, Vec<String>), Refused> {
        match of.get(field) {
            Some(Value::String(said)) => {
                self.tokens += tokens::count(said);
                Ok((said.clone(), Vec::new()))
            }
            Some(Value::Array(parts)) => {
                let (mut said, mut seen) = (String::new(), Vec::new());
                for (at, part) in parts.iter().enumerate() {
                    let place = format!("{place}.{field}[{at}]");
                    let kind = text(part, "type").unwrap_or_default();
                    if !allowed.contains(&kind) {
                        return Err(Refused::field(
                            &place,
                            format!(
                                "Invalid value: '{kind}'. Supported values are: {}.",
                                allowed.join(", ")
                            ),
                        ));
                    }
                    self.part(kind, part, &place, &mut said, &mut seen)?;
                }
                Ok((said, seen))
            }
            _ => Err(Refused::field(
                format!("{place}.{field}"),
                format!("Invalid type for '{field}': expected a string or an array of parts."),
            )),
        }
    }

    fn part(
        &mut self,
        kind: &str,
        part: &Value,
        place: &str,
        said: &mut String,
        seen: &mut Vec<String>,
    ) -> Result<(), Refused> {
        match kind {
            "input_image" => {
                let Some(url) = text(part, "image_url") else {
                    return Err(Refused::field(
                        format!("{place}.image_url"),
                        "Expected 'image_url' as a string.",
                    ));
                };
                let (line, cost) = image(url).map_err(|message| {
                    Refused::field(format!("{place}.image_url"), message).code("invalid_image_url")
                })?;
                self.tokens += cost;
                seen.push(format!("image: {line}"));
            }
            "input_file" => {
                let name = text(part, "filename").unwrap_or("unnamed");
                let data = text(part, "file_data").and_then(media::data_url);
                let (line, cost) = match (data, text(part, "file_url")) {
                    (Some((kind, data)), _) => {
                        let found = media::document(kind, data)
                            .map_err(|message| Refused::field(place, message))?;
                        (found.line, found.tokens)
                    }
                    (None, Some(url)) => (format!("url {url}"), tokens::IMAGE_BY_URL),
                    (None, None) => {
                        return Err(Refused::field(
                            place,
                            "Expected 'file_data' as a base64 data URL, or 'file_url'.",
                        ));
                    }
                };
                self.tokens += cost;
                seen.push(format!("document {name}: {line}"));
            }
            "input_audio" => {
                let data = part.pointer("/input_audio/data").and_then(Value::as_str);
                let length = data.unwrap_or_default().len();
                self.tokens += (length as u64).div_ceil(64);
                seen.push(format!("audio: {length} base64 characters"));
            }
            _ => {
                let field = if kind == "refusal" { "refusal" } else { "text" };
                let Some(words) = text(part, field) else {
                    return Err(Refused::field(
                        format!("{place}.{field}"),
                        "Missing required parameter.",
                    ));
                };
                self.tokens += tokens::count(words);
                if !said.is_empty() {
                    said.push('\n');
                }
                said.push_str(words);
            }
        }
        Ok(())
    }
}

fn not_found(id: &str) -> Refused {
    Refused {
        param: Some("input".to_owned()),
        ..Refused::new(
            404,
            format!(
                "Item with id '{id}' not found. Items are not persisted when `store` is set to false."
            ),
        )
    }
}
