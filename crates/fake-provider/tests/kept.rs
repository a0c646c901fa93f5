//! Files and batches: what earlier calls make of later ones.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking")]

use fake_provider::{Body, Call, Demo};
use serde_json::{Value, json};

struct Caller<'a> {
    demo: &'a Demo,
    key: &'a str,
}

impl Caller<'_> {
    fn bytes(&self, method: &str, path: &str, kind: &str, body: &[u8]) -> (u16, Vec<u8>) {
        let bearer = format!("Bearer {}", self.key);
        let headers = [
            ("authorization", bearer.as_str()),
            ("content-type", kind),
            ("anthropic-version", "2026-10-21"),
        ];
        let headers = if path.contains("messages") { &headers[..] } else { &headers[..2] };
        let reply = self.demo.respond(&Call { method, path, headers, body });
        let Body::Whole(bytes) = reply.body else { panic!("an answer comes at once") };
        (reply.status, bytes.to_vec())
    }

    fn json(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let text = body.to_string();
        let (status, bytes) = self.bytes(method, path, "application/json", text.as_bytes());
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.json("GET", path, &Value::Null)
    }

    fn upload(&self, purpose: &str, name: &str, content: &str) -> (u16, Value) {
        let form = format!(
            "--b0\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--b0\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\ncontent-type: text/plain\r\n\r\n\
             {content}\r\n--b0--\r\n"
        );
        let kind = "multipart/form-data; boundary=b0";
        let (status, bytes) = self.bytes("POST", "/v1/files", kind, form.as_bytes());
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    fn content(&self, id: &Value) -> Vec<Value> {
        let path = format!("/v1/files/{}/content", id.as_str().unwrap());
        let (status, bytes) = self.bytes("GET", &path, "", b"");
        assert_eq!(status, 200);
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn batch(&self, lines: &[Value]) -> Value {
        let text = lines.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
        let (_, file) = self.upload("batch", "in.jsonl", &text);
        let ask = json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
        let (status, batch) = self.json("POST", "/v1/batches", &ask);
        assert_eq!((status, &batch["status"]), (200, &json!("validating")));
        batch
    }

    /// Asked for until it moves no more.
    fn ended(&self, batch: &Value) -> Value {
        let path = format!("/v1/batches/{}", batch["id"].as_str().unwrap());
        let mut last = Value::Null;
        loop {
            let (_, now) = self.get(&path);
            if now == last {
                return now;
            }
            last = now;
        }
    }
}

fn line(custom_id: &str, model: &str) -> Value {
    json!({"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": model, "messages": [{"role": "user", "content": "hello there"}]}})
}

#[test]
fn a_file_is_its_owners_alone() {
    let demo = Demo::default();
    let (mine, theirs) = (Caller { demo: &demo, key: "a" }, Caller { demo: &demo, key: "b" });
    let (status, file) = mine.upload("user_data", "note.txt", "some\r\nbytes");
    assert_eq!((status, &file["bytes"], &file["filename"]), (200, &json!(11), &json!("note.txt")));
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    assert_eq!(mine.get(&path), (200, file.clone()));
    let content = mine.bytes("GET", &format!("{path}/content"), "", b"");
    assert_eq!(content, (200, b"some\r\nbytes".to_vec()));
    assert_eq!(theirs.get(&path).0, 404);
    assert_eq!(theirs.get("/v1/files").1["data"], json!([]));
    assert_eq!(mine.get("/v1/files?purpose=user_data").1["data"][0], file);
    assert_eq!(mine.json("DELETE", &path, &Value::Null).1["deleted"], true);
    assert_eq!(mine.get(&path).0, 404);
    assert_eq!(mine.upload("anything", "note.txt", "x").0, 400);
    assert_eq!(mine.upload("batch", "note.txt", "x").0, 400);
}

#[test]
fn a_batch_runs_its_requests_when_it_has_been_asked_for() {
    let demo = Demo::default();
    let caller = Caller { demo: &demo, key: "a" };
    let batch = caller.ended(&caller.batch(&[line("one", "echo"), line("two", "echo")]));
    assert_eq!(batch["status"], "completed");
    assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 2, "failed": 0}));
    let rows = caller.content(&batch["output_file_id"]);
    assert_eq!(rows[1]["custom_id"], "two");
    let answer = &rows[1]["response"]["body"];
    assert_eq!(answer["choices"][0]["message"]["content"], "hello there");
    // The batch's usage is the sum of its answers'.
    let each = answer["usage"]["prompt_tokens"].as_u64().unwrap();
    assert_eq!(batch["usage"]["input_tokens"], 2 * each);

    let failed = caller.ended(&caller.batch(&[line("one", "status-500")]));
    let errors = caller.content(&failed["error_file_id"]);
    assert_eq!(
        (&failed["status"], failed["output_file_id"].is_null()),
        (&json!("completed"), true)
    );
    assert_eq!(errors[0]["response"]["status_code"], 500);
}

#[test]
fn a_batch_can_expire_fail_and_be_cancelled() {
    let demo = Demo::default();
    let caller = Caller { demo: &demo, key: "a" };
    let late = caller.ended(&caller.batch(&[line("one", "echo"), line("expire-2", "echo")]));
    assert_eq!(late["status"], "expired");
    assert_eq!(caller.content(&late["output_file_id"]).len(), 1);
    assert_eq!(caller.content(&late["error_file_id"])[0]["error"]["code"], "batch_expired");

    let twice = caller.ended(&caller.batch(&[line("one", "echo"), line("one", "echo")]));
    let error = &twice["errors"]["data"][0];
    assert_eq!((&twice["status"], &error["line"]), (&json!("failed"), &json!(2)));

    let long = caller.batch(&[line("stay-1", "echo"), line("two", "echo")]);
    assert_eq!(caller.ended(&long)["status"], "in_progress");
    let path = format!("/v1/batches/{}/cancel", long["id"].as_str().unwrap());
    assert_eq!(caller.json("POST", &path, &Value::Null).1["status"], "cancelling");
    let long = caller.ended(&long);
    assert_eq!(
        (&long["status"], &long["request_counts"]["completed"]),
        (&json!("cancelled"), &json!(1))
    );
    assert_eq!(caller.json("POST", &path, &Value::Null).0, 409);
}

#[test]
fn message_batches_end_with_a_result_for_each_request() {
    let demo = Demo::default();
    let caller = Caller { demo: &demo, key: "a" };
    let request = |id: &str, model: &str| {
        json!({"custom_id": id, "params": {"model": model, "max_tokens": 10,
            "messages": [{"role": "user", "content": "hello there"}]}})
    };
    let ask = json!({"requests": [request("one", "echo"), request("two", "status-500"), request("expire3", "echo")]});
    let (status, batch) = caller.json("POST", "/v1/messages/batches", &ask);
    assert_eq!((status, &batch["processing_status"]), (200, &json!("in_progress")));
    let path = format!("/v1/messages/batches/{}", batch["id"].as_str().unwrap());
    assert_eq!(caller.get(&format!("{path}/results")).0, 404);
    assert_eq!(caller.get(&path).1["processing_status"], "in_progress");
    let ended = caller.get(&path).1;
    assert_eq!(ended["processing_status"], "ended");
    assert_eq!(ended["request_counts"]["succeeded"], 1);
    let (_, results) = caller.bytes("GET", &format!("{path}/results"), "", b"");
    let results = String::from_utf8(results).unwrap();
    let kinds: Vec<String> = results
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|row| row["result"]["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["succeeded", "errored", "expired"]);
    assert_eq!(caller.json("DELETE", &path, &Value::Null).1["type"], "message_batch_deleted");
    assert_eq!(caller.get(&path).0, 404);

    let twice = json!({"requests": [request("one", "echo"), request("one", "echo")]});
    assert_eq!(caller.json("POST", "/v1/messages/batches", &twice).0, 400);
}
