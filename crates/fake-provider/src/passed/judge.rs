//! Moderation by a list of words, and reranking by the words that question and document share.

use serde_json::{Map, Value, json};

use super::{Asked, Body, JSON, whole};
use crate::ask::Refused;
use crate::cohere;
use crate::demo::{Call, Demo, Reply};
use crate::lorem;
use crate::tokens;
use crate::tweak::Tweak;

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

/// `POST /v1/moderations`.
pub(super) fn moderation(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    let asked = Asked::read(demo, call, tweak, &["model", "input"], Body::Json)?;
    let inputs = inputs(&asked)?;
    let results: Vec<Value> = inputs.iter().map(|text| judged(text)).collect();
    let id = format!("modr-{:016x}", lorem::hash(call.body));
    let body = json!({"id": id, "model": asked.text("model"), "results": results});
    Ok(whole(demo, &asked, JSON, body.to_string().into_bytes(), tweak))
}

/// Each text to judge; parts of one message are judged as one.
fn inputs(asked: &Asked) -> Result<Vec<String>, Refused> {
    let bad = || Refused::field("input", "Invalid 'input': expected text, texts or parts.");
    let part = |it: &Value| match it.get("type").and_then(Value::as_str) {
        Some("text") => it.get("text").and_then(Value::as_str).map(str::to_owned),
        Some("image_url") => {
            it.pointer("/image_url/url").and_then(Value::as_str).map(str::to_owned)
        }
        _ => None,
    };
    match asked.fields.get("input") {
        Some(Value::String(text)) => Ok(vec![text.clone()]),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) && !items.is_empty() => {
            Ok(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        Some(Value::Array(items)) if !items.is_empty() => {
            let parts: Option<Vec<String>> = items.iter().map(part).collect();
            parts.map(|parts| vec![parts.join(" ")]).ok_or_else(bad)
        }
        _ => Err(bad()),
    }
}

fn judged(text: &str) -> Value {
    let violent = text.contains("kill");
    let of = |yes: Value, no: &Value| {
        let each = CATEGORIES.iter().map(|name| {
            let value = if *name == "violence" { yes.clone() } else { no.clone() };
            ((*name).to_owned(), value)
        });
        each.collect::<Map<String, Value>>()
    };
    json!({"flagged": violent, "categories": of(json!(violent), &json!(false)),
        "category_scores": of(json!(if violent { 0.99 } else { 0.01 }), &json!(0.01)),
        "category_applied_input_types": of(json!(["text"]), &json!(["text"]))})
}

/// `POST /v1/rerank`, as Jina and the servers that follow it have it.
pub(super) fn rerank(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    let known = ["model", "query", "documents", "top_n", "return_documents"];
    let asked = Asked::read(demo, call, tweak, &known, Body::Json)?;
    let query = asked.required("query")?;
    let documents = documents(&asked).ok_or_else(|| {
        Refused::field("documents", "Invalid 'documents': expected texts, at least one.")
    })?;
    let most = asked.number("top_n", documents.len() as u64, documents.len() as u64)?;
    let told = asked.fields.get("return_documents") == Some(&Value::Bool(true));
    let results: Vec<Value> = ranked(query, &documents, most)
        .map(|(index, score)| {
            let mut row = json!({"index": index, "relevance_score": score});
            if told {
                row["document"] = json!({"text": documents.get(index)});
            }
            row
        })
        .collect();
    let read = documents.iter().map(|it| tokens::count(it) + tokens::count(query)).sum();
    let mut body = json!({"model": asked.text("model"), "object": "list", "results": results});
    if !tweak.no_usage {
        let used: u64 = tweak.usage.input.unwrap_or(read);
        body["usage"] = json!({"total_tokens": used, "prompt_tokens": used});
    }
    Ok(whole(demo, &asked, JSON, body.to_string().into_bytes(), tweak))
}

/// `POST /v2/rerank`.
pub(crate) fn cohere_rerank(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Reply {
    let known = ["model", "query", "documents", "top_n", "max_tokens_per_doc", "priority"];
    let answer = Asked::read(demo, call, tweak, &known, Body::Json).and_then(|asked| {
        let query = asked.required("query")?;
        let documents = documents(&asked).ok_or_else(|| {
            Refused::new(400, "invalid request: list of documents must not be empty")
        })?;
        let most = asked.number("top_n", documents.len() as u64, u64::MAX)?;
        let results: Vec<Value> = ranked(query, &documents, most)
            .map(|(index, score)| json!({"index": index, "relevance_score": score}))
            .collect();
        let mut meta = json!({"api_version": {"version": "2"}});
        if !tweak.no_usage {
            let units = tweak.usage.input.unwrap_or((documents.len() as u64).div_ceil(100));
            meta["billed_units"] = json!({"search_units": units as f64});
        }
        let id = format!("{:016x}", lorem::hash(call.body));
        let body = json!({"id": id, "results": results, "meta": meta});
        Ok(whole(demo, &asked, JSON, body.to_string().into_bytes(), tweak))
    });
    answer.unwrap_or_else(|refused| cohere::error(&refused))
}

fn documents(asked: &Asked) -> Option<Vec<String>> {
    let items = asked.fields.get("documents")?.as_array().filter(|it| !it.is_empty())?;
    let text = |it: &Value| it.as_str().or_else(|| it.get("text")?.as_str()).map(str::to_owned);
    items.iter().map(text).collect()
}

/// Place and score of each document, the best first.
fn ranked(query: &str, documents: &[String], most: u64) -> impl Iterator<Item = (usize, f64)> {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_lowercase).collect() };
    let asked = words(query);
    let score = |text: &String| {
        let held = words(text);
        let shared = asked.iter().filter(|it| held.contains(it)).count();
        shared as f64 / asked.len().max(1) as f64
    };
    let mut rows: Vec<(usize, f64)> = documents.iter().map(score).enumerate().collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1));
    rows.into_iter().take(usize::try_from(most).unwrap_or(usize::MAX))
}
