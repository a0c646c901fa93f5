//! The contents of a request: checked and read in one walk.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::check::{bad, field, items, known, object, text};
use crate::ask::Refused;
use crate::lorem;
use crate::media;
use crate::tokens;

/// Tells the model not to look for a signature.
const SENTINEL: &str = "skip_thought_signature_validator";
const SIGNED: &str = "fake-gemini:";

/// What a part may hold, exactly one of them.
const DATA: [&str; 7] = [
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
];
/// What may stand beside it.
const BESIDE: [&str; 4] = ["thought", "thoughtSignature", "videoMetadata", "mediaResolution"];

/// What the walk finds.
#[derive(Default)]
pub(super) struct Walk {
    pub(super) text: String,
    pub(super) attachments: Vec<String>,
    pub(super) results: Vec<(String, String)>,
    pub(super) tokens: u64,
    /// Calls of the last turn of the model that have no result yet: id, name.
    pending: Vec<(Option<String>, String)>,
}

/// What one content says.
#[derive(Default)]
struct Said {
    text: Vec<String>,
    attachments: Vec<String>,
    results: Vec<(String, String)>,
    calls: usize,
}

impl Walk {
    pub(super) fn prompt(&mut self, body: &Map<String, Value>) -> Result<(), Refused> {
        self.tokens = tokens::PER_REQUEST;
        for tool in items(body, "tools") {
            self.tokens += tokens::count(&tool.to_string());
        }
        if let Some(system) = field(body, "systemInstruction") {
            let Some(system) = system.as_object() else {
                return Err(bad("Invalid value at 'system_instruction'"));
            };
            known(system, &["role", "parts"], "system_instruction")?;
            for part in items(system, "parts") {
                let part = part.as_object().and_then(|it| text(it, "text"));
                let part = part.ok_or_else(|| bad("system_instruction: text parts only"))?;
                self.tokens += tokens::count(part);
            }
        }
        let contents = items(body, "contents");
        if contents.is_empty() {
            return Err(bad("* GenerateContentRequest.contents: contents is not specified"));
        }
        let turn = current_turn(contents);
        for (at, content) in contents.iter().enumerate() {
            let Value::Object(content) = content else {
                return Err(bad(format!("Invalid value at 'contents[{at}]'")));
            };
            self.content(content, at, at >= turn)?;
        }
        if self.pending.is_empty() { Ok(()) } else { Err(unanswered()) }
    }

    fn content(
        &mut self,
        content: &Map<String, Value>,
        at: usize,
        current: bool,
    ) -> Result<(), Refused> {
        known(content, &["role", "parts"], &format!("contents[{at}]"))?;
        let by_model = match text(content, "role") {
            None | Some("user" | "function") => false,
            Some("model") => true,
            Some(_) => return Err(bad("Please use a valid role: user, model.")),
        };
        let parts = items(content, "parts");
        if parts.is_empty() {
            return Err(bad(format!(
                "* GenerateContentRequest.contents[{at}].parts: contents.parts must not be empty."
            )));
        }
        self.tokens += tokens::PER_MESSAGE;
        let mut said = Said::default();
        for (index, part) in parts.iter().enumerate() {
            let place = format!("contents[{at}].parts[{index}]");
            let Value::Object(part) = part else {
                return Err(bad(format!("Invalid value at '{place}'")));
            };
            self.part(part, by_model, current, &place, &mut said)?;
        }
        // Every call has its answer in the very next turn.
        if !self.pending.is_empty() && !by_model {
            return Err(unanswered());
        }
        if by_model {
            self.results.clear();
        } else {
            self.results.extend(said.results);
            self.text = said.text.join("\n");
            self.attachments = said.attachments;
        }
        Ok(())
    }

    fn part(
        &mut self,
        part: &Map<String, Value>,
        by_model: bool,
        current: bool,
        place: &str,
        said: &mut Said,
    ) -> Result<(), Refused> {
        let all: Vec<&str> = DATA.iter().chain(&BESIDE).copied().collect();
        known(part, &all, place)?;
        let held: Vec<&str> = DATA.iter().copied().filter(|it| field(part, it).is_some()).collect();
        let [kind] = held.as_slice() else {
            return Err(bad(format!(
                "* {place}.data: required oneof field 'data' must have one initialized field"
            )));
        };
        let signature = text(part, "thoughtSignature");
        if signature.is_some_and(|it| !is_ours(it)) {
            return Err(bad(format!("{place}: Corrupted thought signature.")));
        }
        match *kind {
            "text" => {
                let it = text(part, "text").unwrap_or_default();
                // What the model says may be empty: the last chunk of its streams is.
                if it.is_empty() && !by_model {
                    return Err(bad(format!(
                        "{place}: Unable to submit request because it must have a text parameter."
                    )));
                }
                self.tokens += tokens::count(it);
                if field(part, "thought") != Some(&Value::Bool(true)) {
                    said.text.push(it.to_owned());
                }
            }
            "functionCall" if by_model => {
                self.call(object(part, kind), place)?;
                said.calls += 1;
                if current && said.calls == 1 && signature.is_none() {
                    return Err(bad(format!(
                        "Function call is missing a thought_signature in functionCall parts. This is required for tools to work correctly, and missing thought_signature may lead to degraded model performance. Additional data, function call `{}`, position {place}.",
                        object(part, kind).and_then(|it| text(it, "name")).unwrap_or_default()
                    )));
                }
            }
            "functionResponse" if !by_model => {
                let result = self.result(object(part, kind), place)?;
                said.results.push(result);
            }
            "inlineData" => said.attachments.push(self.inline(object(part, kind), place)?),
            "fileData" => said.attachments.push(self.file(object(part, kind), place)?),
            "executableCode" | "codeExecutionResult" if by_model => {}
            _ => return Err(bad(format!("{place}: `{kind}` has no place in this role's content"))),
        }
        Ok(())
    }

    fn call(&mut self, call: Option<&Map<String, Value>>, place: &str) -> Result<(), Refused> {
        let call = call.ok_or_else(|| bad(format!("Invalid value at '{place}.function_call'")))?;
        known(call, &["id", "name", "args"], &format!("{place}.function_call"))?;
        let name = text(call, "name").filter(|it| !it.is_empty());
        let name = name
            .ok_or_else(|| bad(format!("* {place}.function_call.name: Name cannot be empty.")))?;
        let args = field(call, "args").filter(|it| it.is_object());
        self.tokens += tokens::count(name) + args.map_or(0, |it| tokens::count(&it.to_string()));
        self.pending.push((text(call, "id").map(str::to_owned), name.to_owned()));
        Ok(())
    }

    fn result(
        &mut self,
        result: Option<&Map<String, Value>>,
        place: &str,
    ) -> Result<(String, String), Refused> {
        let result =
            result.ok_or_else(|| bad(format!("Invalid value at '{place}.function_response'")))?;
        let fields = ["id", "name", "response", "parts", "willContinue", "scheduling"];
        known(result, &fields, &format!("{place}.function_response"))?;
        let name = text(result, "name").unwrap_or_default();
        let id = text(result, "id");
        let answers = |(pending, called): &(Option<String>, String)| {
            called == name && (id.is_none() || pending.is_none() || pending.as_deref() == id)
        };
        let Some(at) = self.pending.iter().position(answers) else { return Err(unanswered()) };
        self.pending.remove(at);
        let Some(response) = object(result, "response") else {
            return Err(bad(format!("Invalid value at '{place}.function_response.response'")));
        };
        self.tokens += tokens::count(&Value::Object(response.clone()).to_string());
        let only = |key: &str| response.get(key).filter(|_| response.len() == 1);
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let mut lines = vec![match (only("output").or_else(|| only("result")), only("error")) {
            (Some(output), _) => plain(output),
            (None, Some(error)) => format!("error: {}", plain(error)),
            (None, None) => Value::Object(response.clone()).to_string(),
        }];
        for part in items(result, "parts") {
            let blob = part.as_object().and_then(|it| object(it, "inlineData"));
            lines.push(self.inline(blob, &format!("{place}.function_response.parts"))?);
        }
        lines.retain(|line| !line.is_empty());
        Ok((name.to_owned(), lines.join("\n")))
    }

    fn inline(
        &mut self,
        blob: Option<&Map<String, Value>>,
        place: &str,
    ) -> Result<String, Refused> {
        let blob = blob.ok_or_else(|| bad(format!("Invalid value at '{place}.inline_data'")))?;
        known(blob, &["mimeType", "data"], &format!("{place}.inline_data"))?;
        let kind = text(blob, "mimeType").unwrap_or_default();
        let data = standard(text(blob, "data").unwrap_or_default());
        let refused = |message: String| bad(format!("{place}.inline_data: {message}"));
        let (line, cost) = if kind.starts_with("image/") {
            let seen = media::image(kind, &data).map_err(refused)?;
            (format!("image: {}", seen.line), seen.tokens)
        } else if kind.is_empty() {
            return Err(refused("mime_type is required".to_owned()));
        } else {
            let seen = media::document(kind, &data).map_err(refused)?;
            let what = if kind.starts_with("audio/") { "audio" } else { "document unnamed" };
            (format!("{what}: {}", seen.line), seen.tokens)
        };
        self.tokens += cost;
        Ok(line)
    }

    fn file(&mut self, file: Option<&Map<String, Value>>, place: &str) -> Result<String, Refused> {
        let file = file.ok_or_else(|| bad(format!("Invalid value at '{place}.file_data'")))?;
        known(file, &["mimeType", "fileUri"], &format!("{place}.file_data"))?;
        let uri = text(file, "fileUri").unwrap_or_default();
        if !uri.starts_with("https://") && !uri.starts_with("gs://") {
            return Err(bad(format!("{place}: Invalid or unsupported file uri: {uri}")));
        }
        self.tokens += tokens::IMAGE_BY_URL;
        Ok(match text(file, "mimeType") {
            Some(kind) if kind.starts_with("image/") => format!("image: url {uri}"),
            _ => format!("document unnamed: url {uri}"),
        })
    }
}

fn unanswered() -> Refused {
    bad(
        "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.",
    )
}

/// Where the current turn begins: at the last content of the user that is more than results.
fn current_turn(contents: &[Value]) -> usize {
    let speaks = |content: &Value| {
        let content = content.as_object();
        let by_model = content.and_then(|it| text(it, "role")) == Some("model");
        let parts = content.map(|it| items(it, "parts")).unwrap_or_default();
        let more = |part: &Value| {
            part.as_object().is_some_and(|it| object(it, "functionResponse").is_none())
        };
        !by_model && parts.iter().any(more)
    };
    contents.iter().rposition(speaks).unwrap_or(0)
}

/// The protocol reads both alphabets of base64.
fn standard(data: &str) -> String {
    let mut out = data.trim_end_matches('=').replace('-', "+").replace('_', "/");
    while !out.len().is_multiple_of(4) {
        out.push('=');
    }
    out
}

/// A signature of what was thought before that call or text.
pub(super) fn signature(of: &str) -> String {
    STANDARD.encode(format!("{SIGNED}{:016x}", lorem::hash(of.as_bytes())))
}

fn is_ours(signature: &str) -> bool {
    let decoded = STANDARD.decode(standard(signature)).unwrap_or_default();
    signature == SENTINEL || decoded.starts_with(SIGNED.as_bytes())
}
