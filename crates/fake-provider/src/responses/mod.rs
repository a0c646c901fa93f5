//! OpenAI's Responses API: responses and their input tokens. Nothing is stored, so what refers to stored things is
//! not found.

mod check;
mod items;
mod read;
mod write;

use serde_json::{Value, json};

use crate::ask::Refused;
use crate::demo::{Call, Demo, Fate, Reply};
use crate::lorem;
use crate::model;
use crate::openai::{authenticate, error, json_body, no_such_model, ok, required_model};
use crate::tweak::Tweak;

/// `POST /v1/responses`.
pub(crate) fn responses(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    let answer = || -> Result<Reply, Refused> {
        authenticate(demo, call)?;
        let body = json_body(call)?;
        let named = required_model(&body)?;
        let model = demo.resolve(&named).ok_or_else(|| no_such_model(&named))?;
        if !tweak.lax {
            check::top(&body)?;
        }
        let mut ask = read::ask(&body)?;
        model.clone_into(&mut ask.model);
        let total = ask.input.total();
        if total > model::CONTEXT {
            let message = "Your input exceeds the context window of this model. Please adjust your input and try again.";
            return Err(Refused::field("input", message).code("context_length_exceeded"));
        }
        let cut = match demo.fate(model) {
            Fate::Fail(refused) => return Err(refused),
            Fate::Cut => true,
            Fate::Answer => false,
        };
        Ok(write::reply(demo, &ask, &body, &named, tweak, cut))
    };
    answer().unwrap_or_else(|refused| error(&refused))
}

/// `POST /v1/responses/input_tokens`.
pub(crate) fn input_tokens(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    let count = || -> Result<Reply, Refused> {
        authenticate(demo, call)?;
        let body = json_body(call)?;
        let named = required_model(&body)?;
        let model = demo.resolve(&named).ok_or_else(|| no_such_model(&named))?;
        if let Fate::Fail(refused) = demo.fate(model) {
            return Err(refused);
        }
        let total = tweak.usage.input.unwrap_or(read::ask(&body)?.input.total());
        Ok(ok(&json!({"object": "response.input_tokens", "input_tokens": total})))
    };
    count().unwrap_or_else(|refused| error(&refused))
}

/// What the vendor encrypts for the reasoning item of that id: nobody else can make it, and no other item has it.
fn sealed(id: &str) -> String {
    format!("gAAAA{:016x}", lorem::hash(id.as_bytes()))
}

/// A field that is there and not null (null means unset).
fn present<'a>(of: &'a Value, name: &str) -> Option<&'a Value> {
    of.get(name).filter(|value| !value.is_null())
}

/// A string field.
fn text<'a>(of: &'a Value, name: &str) -> Option<&'a str> {
    of.get(name).and_then(Value::as_str)
}
