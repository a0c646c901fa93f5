//! How to ask the same from elsewhere: `outrigger try --snippet`.

use serde_json::json;

/// From where.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(crate) enum Snippet {
    /// curl.
    Curl,
    /// The OpenAI SDK for Python.
    Python,
    /// The OpenAI SDK for TypeScript.
    Ts,
    /// Rust, with the crates ureq 3 and `serde_json`.
    Rust,
    /// Claude Code.
    ClaudeCode,
}

/// What to ask whom.
pub(crate) struct Asked<'a> {
    /// Base address of the gateway, without `/v1`.
    pub(crate) base: &'a str,
    /// A capability, or provider/model.
    pub(crate) model: &'a str,
    /// The message.
    pub(crate) message: &'a str,
}

impl Asked<'_> {
    /// The program text.
    pub(crate) fn written(&self, snippet: Snippet) -> String {
        let Self { base, model, message } = self;
        // A JSON text is one in Python and TypeScript as well.
        let (model_json, message_json) = (json!(model), json!(message));
        match snippet {
            Snippet::Curl => {
                let body =
                    json!({"model": model, "messages": [{"role": "user", "content": message}]});
                format!(
                    "curl -s {base}/v1/chat/completions \\\n  \
                     -H \"authorization: Bearer ${{OUTRIGGER_API_KEY:-outrigger}}\" \\\n  \
                     -H 'content-type: application/json' \\\n  -d {}\n",
                    quoted(&body.to_string())
                )
            }
            Snippet::Python => format!(
                "import os\nfrom openai import OpenAI\n\nclient = OpenAI(\n    base_url=\"{base}/v1\",\n    \
                 api_key=os.environ.get(\"OUTRIGGER_API_KEY\", \"outrigger\"),\n)\n\
                 answer = client.chat.completions.create(\n    model={model_json},\n    \
                 messages=[{{\"role\": \"user\", \"content\": {message_json}}}],\n)\n\
                 print(answer.choices[0].message.content)\n"
            ),
            Snippet::Ts => format!(
                "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{\n  baseURL: \"{base}/v1\",\n  \
                 apiKey: process.env.OUTRIGGER_API_KEY ?? \"outrigger\",\n}});\n\
                 const answer = await client.chat.completions.create({{\n  model: {model_json},\n  \
                 messages: [{{ role: \"user\", content: {message_json} }}],\n}});\n\
                 console.log(answer.choices[0].message.content);\n"
            ),
            Snippet::Rust => format!(
                "// cargo add ureq --features json; cargo add serde_json\n\
                 use serde_json::{{Value, json}};\n\n\
                 fn main() -> Result<(), ureq::Error> {{\n    \
                 let key = std::env::var(\"OUTRIGGER_API_KEY\").unwrap_or_else(|_| \"outrigger\".into());\n    \
                 let answer: Value = ureq::post(\"{base}/v1/chat/completions\")\n        \
                 .header(\"authorization\", format!(\"Bearer {{key}}\"))\n        \
                 .send_json(json!({{\n            \"model\": {model:?},\n            \
                 \"messages\": [{{\"role\": \"user\", \"content\": {message:?}}}],\n        }}))?\n        \
                 .body_mut()\n        .read_json()?;\n    \
                 println!(\"{{}}\", answer[\"choices\"][0][\"message\"][\"content\"].as_str().unwrap_or_default());\n    \
                 Ok(())\n}}\n"
            ),
            Snippet::ClaudeCode => format!(
                "ANTHROPIC_BASE_URL={base} ANTHROPIC_AUTH_TOKEN=\"${{OUTRIGGER_API_KEY:-outrigger}}\" \
                 claude --model {} {}\n",
                quoted(model),
                quoted(message)
            ),
        }
    }
}

/// For a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
