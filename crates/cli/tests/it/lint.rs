//! `outrigger lint`: what ties to a vendor, from a ledger that the gateway wrote and from code.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::{Value, json};

use crate::place::Place;

const PROVIDERS: &str = "
providers:
  demo: {}
  anthropic: {key: env:KEY, base_url: http://127.0.0.1:9/v1, allow_private_address: true}
capabilities:
  fast: [demo/echo, anthropic/claude-haiku-4-5]
auth: {keys: required}
";

/// Asks the gateway as an application.
fn ask(address: &str, secret: &str, body: &Value) {
    let body = body.to_string();
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {secret}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A folder whose ledger holds two applications: one that is portable, one that is not.
fn traffic() -> Place {
    let place = Place::new();
    let addresses = place.configure(PROVIDERS);
    let key = |app| {
        let mut command = place.command(&["key", "create", "--app", app, "--json"]);
        let (_, made, _) = crate::place::seen(&command.env("KEY", "x").output().unwrap());
        let made: Value = serde_json::from_str(&made).unwrap();
        made["secret"].as_str().unwrap().to_owned()
    };
    let (plain, bound) = (key("plain"), key("bound"));
    let gateway = place.serve(&[("KEY", "x")]);
    let messages = json!([{"role": "user", "content": "x"}]);
    let simple = json!({"model": "fast", "messages": messages});
    ask(&addresses.api, &plain, &simple);
    ask(&addresses.api, &bound, &simple);
    let biased =
        json!({"model": "fast", "messages": messages, "logit_bias": {"1": 5}, "stop": ["END"]});
    ask(&addresses.api, &bound, &biased);
    gateway.stop();
    place
}

#[test]
fn a_feature_that_nobody_else_carries_ties_and_the_rest_does_not() {
    let place = traffic();
    let command = |args: &[&str]| {
        let output = place.command(args).env("KEY", "x").output().unwrap();
        crate::place::seen(&output)
    };
    let (code, out, err) = command(&["lint", "--json"]);
    assert_eq!(code, 6, "{out}{err}");
    let value: Value = serde_json::from_str(&out).unwrap();
    let apps = json!([{"app": "bound", "requests": 2}, {"app": "plain", "requests": 1}]);
    assert_eq!(value["apps"], apps);
    let findings = value["findings"].as_array().unwrap();
    let bias = findings.iter().find(|it| it["feature"] == "logit_bias").unwrap();
    assert_eq!(bias["app"], "bound");
    assert_eq!((&bias["requests"], &bias["of"]), (&json!(1), &json!(2)));
    assert_eq!(bias["native"], json!(["demo/echo"]));
    assert_eq!(bias["impossible"], json!(["anthropic/claude-haiku-4-5"]));
    assert_eq!(bias["ties"], true);
    assert!(
        bias["notes"]["anthropic/claude-haiku-4-5"].as_str().unwrap().contains("nothing like it")
    );
    // Stop sequences both have; what both have is not told.
    assert!(!findings.iter().any(|it| it["feature"] == "stop_sequences"), "{findings:?}");
    assert!(!findings.iter().any(|it| it["app"] == "plain"), "{findings:?}");
    assert_eq!(value["ties"], 1);

    let (code, out, err) = command(&["lint"]);
    assert_eq!(code, 6);
    assert!(out.contains("logit_bias") && out.contains("use a schema or an enum"), "{out}");
    assert!(err.contains("1 tie to one vendor"), "{err}");
    let (code, out, _) = command(&["lint", "--app", "plain", "--json"]);
    let value: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &value["findings"]), (0, &json!([])));
}

fn write(place: &Place, name: &str, text: &str) {
    let path = place.at(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

#[test]
fn code_is_read_by_its_lines_and_other_peoples_code_is_not() {
    let place = Place::new();
    write(
        &place,
        "src/app.py",
        "from openai import OpenAI\n\nclient = OpenAI(base_url=\"https://api.openai.com/v1\")\n\
         client.responses.create(model=\"gpt-5.1\", previous_response_id=last)\n",
    );
    write(
        &place,
        "src/app.ts",
        "import Anthropic from '@anthropic-ai/sdk';\nconst k = process.env.ANTHROPIC_API_KEY;\n",
    );
    write(&place, "src/main.go", "import \"github.com/openai/openai-go/v3\"\n");
    write(&place, "src/App.java", "import com.google.genai.Client;\n");
    write(&place, "src/lib.rs", "use aws_sdk_bedrockruntime::Client;\n");
    write(&place, "deploy.yaml", "model: claude-sonnet-4-5\nguardrailConfig: {}\n");
    write(&place, "README.md", "https://api.openai.com\n");
    write(&place, "src/node_modules/x/index.js", "fetch('https://api.openai.com')\n");
    write(&place, "made/out.py", "import openai\n");
    write(&place, ".gitignore", "made/\n");
    let (code, out, err) = place.run(&["lint", "--source", ".", "--json"]);
    assert_eq!(code, 6, "{out}{err}");
    let value: Value = serde_json::from_str(&out).unwrap();
    let found: Vec<String> = value["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let text = |key: &str| it[key].as_str().unwrap().to_owned();
            let weight = if it["ties"] == true { "ties" } else { "note" };
            format!("{}:{} {} {} {weight}", text("file"), it["line"], text("kind"), text("vendor"))
        })
        .collect();
    assert_eq!(
        found,
        [
            "deploy.yaml:1 model-id Anthropic ties",
            "deploy.yaml:2 guardrails Amazon ties",
            "src/App.java:1 sdk Google note",
            "src/app.py:1 sdk OpenAI note",
            "src/app.py:3 base-url OpenAI ties",
            "src/app.py:4 model-id OpenAI ties",
            "src/app.py:4 server-state OpenAI ties",
            "src/app.ts:1 sdk Anthropic note",
            "src/app.ts:2 key-name Anthropic note",
            "src/lib.rs:1 sdk Amazon note",
            "src/main.go:1 sdk OpenAI note",
        ]
    );
    assert_eq!(value["ties"], 5);
    let (_, out, _) = place.run(&["lint", "--source", "src", "--plain"]);
    assert!(out.lines().any(|line| line.starts_with("app.py:3\tbase-url\tOpenAI\t")), "{out}");
}

#[test]
fn nothing_to_find_ends_well_and_nothing_to_look_at_does_not() {
    let place = Place::new();
    write(&place, "src/app.py", "print('hello')\n");
    let (code, _, err) = place.run(&["lint", "--source", "src"]);
    assert_eq!((code, &*err), (0, "nothing ties to one vendor\n"));
    let (code, _, err) = place.run(&["lint", "--source", "nowhere"]);
    assert!(code == 2 && err.contains("nowhere"), "{err}");
    let (code, _, err) = place.run(&["lint"]);
    assert!(code == 1 && err.contains("there is no ledger"), "{err}");
}
