//! The model `agent`: what a model does for a coding agent, cut down to one task. Asked about `the file PATH`, it calls
//! the agent's own tool for that, and reports what came back.

use serde_json::{Map, Value};

use crate::ask::Tool;
use crate::schema;

/// Tools that show a file, the fittest first: by their names in Claude Code, opencode, Gemini CLI and Codex.
const READERS: [&str; 8] =
    ["read", "read_file", "view", "exec_command", "shell", "shell_command", "local_shell", "bash"];
/// Parameters that hold a path.
const PATHS: [&str; 4] = ["file_path", "filePath", "absolute_path", "path"];
/// Parameters that hold a command.
const COMMANDS: [&str; 2] = ["cmd", "command"];

/// The tool to call and its arguments; none where no file is named, or no tool reads one.
pub(crate) fn reading<'a>(text: &str, tools: &'a [Tool]) -> Option<(&'a Tool, Value)> {
    // Agents put words of their own around the user's.
    let (_, rest) = text.rsplit_once("the file /")?;
    let ends = |it: char| it.is_whitespace() || "\"'`,;".contains(it);
    let path = format!("/{}", rest.split(ends).next().unwrap_or_default());
    let tool = READERS
        .iter()
        .find_map(|name| tools.iter().find(|tool| tool.name.eq_ignore_ascii_case(name)))?;
    Some((tool, arguments(&tool.schema, &path)))
}

fn arguments(schema: &Value, path: &str) -> Value {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|it| it.iter().any(|it| it == name));
    let mut out = Map::new();
    for (name, part) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let listed = part.get("type").and_then(Value::as_str) == Some("array");
        let value = match name.as_str() {
            it if PATHS.contains(&it) => Value::from(path),
            it if COMMANDS.contains(&it) && listed => Value::from(vec!["cat", path]),
            it if COMMANDS.contains(&it) => Value::from(format!("cat {path}")),
            it if is_required(it) => schema::instance(part, it),
            _ => continue,
        };
        out.insert(name.clone(), value);
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tool(name: &str, properties: &Value) -> Tool {
        let schema = json!({"type": "object", "properties": properties, "required": ["why"]});
        Tool { name: name.to_owned(), schema, custom: false }
    }

    #[test]
    fn the_file_that_is_named_is_read_with_the_fittest_tool() {
        let why = json!({"type": "string"});
        let tools = [
            tool("Bash", &json!({"command": {"type": "string"}})),
            tool("Read", &json!({"file_path": {"type": "string"}, "pages": {}, "why": why})),
        ];
        let text = "The file /etc/hosts is not meant. Read the file /a/notes.txt, then tell.";
        let (tool, input) = reading(text, &tools).unwrap();
        assert_eq!(tool.name, "Read");
        assert_eq!(input, json!({"file_path": "/a/notes.txt", "why": "some why"}));
        let (_, input) = reading(text, &tools[..1]).unwrap();
        assert_eq!(input, json!({"command": "cat /a/notes.txt"}));
        assert!(reading("Read a file.", &tools).is_none());
        assert!(reading(text, &[]).is_none());
    }
}
