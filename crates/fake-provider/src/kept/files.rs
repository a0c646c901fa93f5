//! `/v1/files`.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{HELD_MAX, after, form, known_only, limit, owner, param};
use crate::ask::Refused;
use crate::demo::{Body, Call, Demo, Reply};
use crate::openai::{authenticate, ok};

/// What may be said of a file's use (`types/file_purpose.py`).
const PURPOSES: [&str; 6] = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];

#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) id: String,
    pub(super) owner: String,
    pub(super) name: String,
    pub(super) purpose: String,
    pub(super) created: u64,
    pub(super) expires: Option<u64>,
    pub(super) content: Bytes,
}

impl File {
    fn json(&self) -> Value {
        json!({"id": self.id, "object": "file", "bytes": self.content.len(), "created_at": self.created,
            "expires_at": self.expires, "filename": self.name, "purpose": self.purpose, "status": "processed",
            "status_details": null})
    }
}

/// `rest` is what follows `/v1/files`.
pub(super) fn respond(
    demo: &Demo,
    call: &Call<'_>,
    rest: &str,
    query: &str,
) -> Result<Reply, Refused> {
    authenticate(demo, call)?;
    let steps: Vec<&str> = rest.split('/').skip(1).collect();
    match (call.method, steps.as_slice()) {
        ("POST", []) => create(demo, call),
        ("GET", []) => list(demo, call, query),
        ("GET", [id]) => Ok(ok(&find(demo, call, id)?.json())),
        ("GET", [id, "content"]) => content(demo, call, id),
        ("DELETE", [id]) => delete(demo, call, id),
        _ => Err(Refused::new(404, format!("Unknown request URL: {} {}.", call.method, call.path))
            .code("unknown_url")),
    }
}

/// The caller's file of that id.
pub(super) fn find(demo: &Demo, call: &Call<'_>, id: &str) -> Result<File, Refused> {
    let owner = owner(call);
    let kept = demo.kept.lock();
    let found = kept.files.iter().find(|file| file.id == id && file.owner == owner);
    found.cloned().ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Refused {
    Refused {
        param: Some("id".to_owned()),
        ..Refused::new(404, format!("No such File object: {id}"))
    }
}

fn create(demo: &Demo, call: &Call<'_>) -> Result<Reply, Refused> {
    let (mut file, mut purpose, mut seconds) = (None, None, None);
    for field in form::fields(call)? {
        match field.name.as_str() {
            "file" => file = Some(field),
            "purpose" => purpose = Some(field.text()?.to_owned()),
            "expires_after[anchor]" if field.text()? == "created_at" => {}
            "expires_after[seconds]" => seconds = field.text()?.parse::<u64>().ok(),
            name => return Err(Refused::field(name, format!("Unknown parameter: '{name}'."))),
        }
    }
    let file = file.ok_or_else(|| Refused::field("file", "'file' is a required property"))?;
    let name =
        file.filename.clone().ok_or_else(|| Refused::field("file", "'file' must be a file"))?;
    let purpose = purpose.unwrap_or_default();
    if !PURPOSES.contains(&purpose.as_str()) {
        let message = format!("'{purpose}' is not one of {}", PURPOSES.join(", "));
        return Err(Refused::field("purpose", message));
    }
    if purpose == "batch" && name.rsplit_once('.').is_none_or(|(_, kind)| kind != "jsonl") {
        let message = "Invalid file format for Batch API. Must be .jsonl";
        return Err(Refused::field("file", message));
    }
    if seconds.is_some_and(|it| !(3_600..=2_592_000).contains(&it)) {
        return Err(Refused::field("expires_after.seconds", "must be between 3600 and 2592000"));
    }
    let content = Bytes::copy_from_slice(file.value);
    let file = keep(demo, owner(call), name, &purpose, seconds, content)?;
    Ok(ok(&file.json()))
}

/// Keeps a file, of a caller or of a batch.
pub(super) fn keep(
    demo: &Demo,
    owner: String,
    name: String,
    purpose: &str,
    seconds: Option<u64>,
    content: Bytes,
) -> Result<File, Refused> {
    let mut kept = demo.kept.lock();
    if kept.held() + content.len() > HELD_MAX {
        return Err(Refused::new(400, "You have exceeded your file storage quota."));
    }
    let (number, created) = kept.number();
    let id = format!("file-fake{number:08x}");
    let expires = seconds.map(|it| created + it);
    let purpose = purpose.to_owned();
    let file = File { id, owner, name, purpose, created, expires, content };
    kept.files.push(file.clone());
    Ok(file)
}

fn list(demo: &Demo, call: &Call<'_>, query: &str) -> Result<Reply, Refused> {
    known_only(query, &["after", "limit", "order", "purpose"])?;
    let limit = limit(query, 10_000, 10_000)?;
    let owner = owner(call);
    let purpose = param(query, "purpose");
    let kept = demo.kept.lock();
    let mut rows: Vec<&File> = kept.files.iter().filter(|file| file.owner == owner).collect();
    rows.retain(|file| purpose.is_none_or(|it| it == file.purpose));
    if param(query, "order") != Some("asc") {
        rows.reverse();
    }
    let rows = after(&rows, param(query, "after"), |file| &file.id);
    let page = rows.get(..limit.min(rows.len())).unwrap_or_default();
    let data: Vec<Value> = page.iter().map(|file| file.json()).collect();
    Ok(ok(&json!({"object": "list", "data": data, "has_more": page.len() < rows.len(),
        "first_id": page.first().map(|it| &it.id), "last_id": page.last().map(|it| &it.id)})))
}

fn content(demo: &Demo, call: &Call<'_>, id: &str) -> Result<Reply, Refused> {
    let file = find(demo, call, id)?;
    Ok(Reply {
        status: 200,
        headers: vec![("content-type", "application/octet-stream".to_owned())],
        body: Body::Whole(file.content),
    })
}

fn delete(demo: &Demo, call: &Call<'_>, id: &str) -> Result<Reply, Refused> {
    let file = find(demo, call, id)?;
    demo.kept.lock().files.retain(|it| it.id != file.id);
    Ok(ok(&json!({"id": id, "object": "file", "deleted": true})))
}
