//! `outrigger try "hello"`: does it work?

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::Global;
use crate::client_env;
use crate::exit::{Done, Exit, Failure};
use crate::http::{self, Answer, Call};

/// Send one message through the gateway and show what it cost.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger try \"hello\"\n  outrigger try \"hello\" --model openai/gpt-5-mini\n  outrigger try \"hello\" --snippet python"
)]
pub(crate) struct Args {
    /// The message.
    message: String,
    /// A capability, or provider/model.
    #[arg(long, short, default_value = "demo/echo")]
    model: String,
    /// Most output tokens.
    #[arg(long, default_value_t = 1024)]
    max_tokens: u64,
    /// Print how to do the same from elsewhere, and send nothing.
    #[arg(long, value_enum)]
    snippet: Option<Snippet>,
    #[command(flatten)]
    target: client_env::Target,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Snippet {
    /// curl.
    Curl,
    /// The OpenAI SDK for Python.
    Python,
    /// The OpenAI SDK for TypeScript.
    Ts,
    /// Claude Code.
    ClaudeCode,
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    let output = global.output();
    let base = client_env::base(&args.target, global)?;
    if let Some(snippet) = args.snippet {
        return output.data(&written(snippet, args, &base));
    }
    let key = client_env::key(&args.target)?;
    let body = json!({"model": args.model, "max_tokens": args.max_tokens,
        "messages": [{"role": "user", "content": args.message}]});
    let mut call = Call::post(&base, "/v1/chat/completions", &body).bearer(&key);
    call.patience = Duration::from_mins(2);
    let answer = http::send(call, |_| ()).map_err(|failure| match failure.hint {
        Some(_) => failure,
        None => failure.hint("start a gateway in another terminal: outrigger serve"),
    })?;
    let value: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if answer.status != 200 {
        return Err(refused(&answer, &value));
    }
    let facts = json!({
        "offer": answer.header("x-outrigger-offer"), "cost_usd": answer.header("x-outrigger-cost"),
        "request_id": answer.header("x-outrigger-request-id"), "attempts": answer.header("x-outrigger-attempts"),
        "first_byte_ms": answer.first_byte.as_millis() as u64, "total_ms": answer.total.as_millis() as u64,
        "usage": value["usage"], "answer": value,
    });
    output.either(&facts, || {
        let text = value["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        output.line(text)?;
        output.say(&summary(&answer, &value));
        Ok(())
    })
}

/// One line: who, how many tokens, what it cost, how long it took, where to look it up.
fn summary(answer: &Answer, value: &Value) -> String {
    let tokens = |name: &str| value["usage"][name].as_u64().unwrap_or_default();
    let cost = match answer.header("x-outrigger-cost") {
        "" => "cost in the ledger".to_owned(),
        cost => format!("{cost} USD"),
    };
    format!(
        "{} · {} in, {} out · {cost} · {} ms · {}",
        answer.header("x-outrigger-offer"),
        tokens("prompt_tokens"),
        tokens("completion_tokens"),
        answer.total.as_millis(),
        answer.header("x-outrigger-request-id"),
    )
}

fn refused(answer: &Answer, value: &Value) -> Failure {
    let error = &value["error"];
    let said =
        error["message"].as_str().map_or_else(|| format!("HTTP {}", answer.status), Into::into);
    let ours = &error["outrigger"];
    let exit = match answer.status {
        401..=403 => Exit::Denied,
        400..=499 => Exit::Failed,
        _ => Exit::Network,
    };
    let code = ours["code"].as_str().or_else(|| error["code"].as_str());
    let fix = ours["fix"].as_str().map(Into::into);
    let hint = fix.or_else(|| code.map(|code| format!("outrigger explain {code}")));
    let failure = Failure::new(exit, said);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn written(snippet: Snippet, args: &Args, base: &str) -> String {
    let (message, model) = (json!(args.message), json!(args.model));
    match snippet {
        Snippet::Curl => {
            let body = json!({"model": args.model, "messages": [{"role": "user", "content": args.message}]});
            let body = body.to_string().replace('\'', r"'\''");
            format!(
                "curl {base}/v1/chat/completions \\\n  -H \"authorization: Bearer $OUTRIGGER_API_KEY\" \\\n  \
                 -H 'content-type: application/json' \\\n  -d '{body}'\n"
            )
        }
        Snippet::Python => format!(
            "import os\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=\"{base}/v1\", \
             api_key=os.environ.get(\"OUTRIGGER_API_KEY\", \"outrigger\"))\nanswer = client.chat.completions.create(\n    \
             model={model},\n    messages=[{{\"role\": \"user\", \"content\": {message}}}],\n)\n\
             print(answer.choices[0].message.content)\n"
        ),
        Snippet::Ts => format!(
            "import OpenAI from \"openai\";\n\nconst client = new OpenAI({{ baseURL: \"{base}/v1\", \
             apiKey: process.env.OUTRIGGER_API_KEY ?? \"outrigger\" }});\nconst answer = await \
             client.chat.completions.create({{\n  model: {model},\n  messages: [{{ role: \"user\", content: {message} \
             }}],\n}});\nconsole.log(answer.choices[0].message.content);\n"
        ),
        Snippet::ClaudeCode => format!(
            "ANTHROPIC_BASE_URL={base} ANTHROPIC_AUTH_TOKEN=\"${{OUTRIGGER_API_KEY:-outrigger}}\" \
             claude --model {}\n",
            args.model
        ),
    }
}
