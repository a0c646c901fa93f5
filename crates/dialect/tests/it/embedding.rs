//! Embeddings between dialects: what is asked for arrives, what can't be carried is told or refused.

use dialect::{
    DialectId, EmbeddingContext, EmbeddingRequest, FieldError, Incoming, PathFacts, Quirks,
    dialect as find,
};
use domain::LossReport;
use serde_json::{Value, json};

use crate::support::{OLD, target};

use DialectId::{CohereChat, Gemini, OciChat, OpenaiChat};

const ALL: [DialectId; 3] = [OpenaiChat, Gemini, CohereChat];

fn read(from: DialectId, body: &Value) -> Result<EmbeddingRequest, FieldError> {
    let body = body.to_string();
    let model = (from == Gemini).then_some("asked");
    let path = PathFacts { model, stream: None };
    let request = Incoming { body: body.as_bytes(), headers: &(), path };
    find(from).embeddings().expect("has embeddings").read_request(&request)
}

/// The request for a provider and what was lost.
fn write(to: DialectId, request: &EmbeddingRequest) -> Result<(Value, String), FieldError> {
    let quirks = Quirks::default();
    let mut loss = LossReport::default();
    let embeddings = find(to).embeddings().expect("has embeddings");
    let written = embeddings.write_request(request, &target(&quirks, OLD), &mut loss)?;
    let body = serde_json::from_slice(&written.body).expect("JSON");
    Ok((body, loss.to_string()))
}

fn pass(from: DialectId, to: DialectId, body: &Value) -> (Value, String) {
    write(to, &read(from, body).expect("readable")).expect("writable")
}

fn refused(from: DialectId, to: DialectId, body: &Value) -> FieldError {
    let read = read(from, body).expect("readable");
    write(to, &read).expect_err("must be refused")
}

fn answer(from: DialectId, body: &str, to: DialectId, asked: &Value) -> Value {
    let answer = find(from)
        .embeddings()
        .expect("has embeddings")
        .read_answer(body.as_bytes())
        .expect("readable");
    let request = read(to, asked).expect("readable");
    answer.check(&request).expect("one vector for each input");
    let context = EmbeddingContext { request_id: "req_1", model: "asked-model", request: &request };
    let written = find(to).embeddings().expect("has embeddings").write_answer(&answer, &context);
    serde_json::from_slice(&written).expect("JSON")
}

#[test]
fn texts_and_dimensions_arrive_everywhere() {
    let asked = [
        json!({"model": "m", "input": ["a", "b"], "dimensions": 256, "input_type": "query"}),
        json!({"requests": [
            {"model": "models/m", "content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256},
            {"model": "models/m", "content": {"parts": [{"text": "b"}]}, "task_type": "RETRIEVAL_QUERY", "output_dimensionality": 256}]}),
        json!({"model": "m", "texts": ["a", "b"], "output_dimension": 256, "input_type": "search_query"}),
    ];
    let wanted = [
        json!({"model": "provider-model", "input": ["a", "b"], "dimensions": 256}),
        json!({"requests": [
            {"model": "models/provider-model", "content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256},
            {"model": "models/provider-model", "content": {"parts": [{"text": "b"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256}]}),
        json!({"model": "provider-model", "texts": ["a", "b"], "output_dimension": 256, "input_type": "search_query",
            "embedding_types": ["float"]}),
    ];
    let spelled = ["input_type=dropped", "taskType=dropped", "input_type=dropped"];
    for ((from, asked), spelled) in ALL.into_iter().zip(&asked).zip(spelled) {
        for (to, wanted) in ALL.into_iter().zip(&wanted) {
            let (body, loss) = pass(from, to, asked);
            assert_eq!(body, *wanted, "{from:?} to {to:?}");
            // OpenAI's models know no purposes.
            assert_eq!(loss, if to == OpenaiChat { spelled } else { "" }, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn a_provider_that_insists_on_a_purpose_gets_one() {
    let (body, loss) = pass(OpenaiChat, CohereChat, &json!({"model": "m", "input": "a"}));
    assert_eq!(body["input_type"], "search_document");
    assert_eq!(loss, "input_type=approximated");
    let task = |word: &str| {
        let asked = json!({"content": {"parts": [{"text": "a"}]}, "taskType": word});
        let (body, loss) = pass(Gemini, CohereChat, &asked);
        (body["input_type"].as_str().unwrap().to_owned(), loss)
    };
    assert_eq!(task("CLUSTERING"), ("clustering".into(), String::new()));
    assert_eq!(
        task("CODE_RETRIEVAL_QUERY"),
        ("search_query".into(), "taskType=approximated".into())
    );
    assert_eq!(
        task("TASK_TYPE_UNSPECIFIED"),
        ("search_document".into(), "taskType=approximated".into())
    );
    assert_eq!(task("SOMETHING_NEW"), ("search_document".into(), "taskType=dropped".into()));
}

#[test]
fn what_another_tokenizer_made_is_refused() {
    for input in [json!([1, 2, 3]), json!([[1, 2], [3]])] {
        let asked = json!({"model": "m", "input": input});
        for to in [Gemini, CohereChat] {
            let error = refused(OpenaiChat, to, &asked);
            assert_eq!(error.field, "input[0]");
            assert!(error.message.contains("tokenizer"), "{}", error.message);
        }
    }
}

#[test]
fn titles_and_several_texts_are_told() {
    let asked =
        json!({"requests": [{"content": {"parts": [{"text": "a"}, {"text": "b"}]}, "title": "T"}]});
    let (body, loss) = pass(Gemini, OpenaiChat, &asked);
    assert_eq!(body["input"], json!(["T\na\nb"]));
    assert_eq!(loss, "content.parts=approximated, title=approximated");
    let (body, loss) = pass(Gemini, Gemini, &asked);
    assert_eq!(body["requests"][0]["title"], "T");
    assert_eq!(loss, "");
}

#[test]
fn requests_of_a_batch_that_differ_are_not_made_alike() {
    let one = |task: &str| json!({"content": {"parts": [{"text": "a"}]}, "taskType": task});
    let asked = json!({"requests": [one("RETRIEVAL_QUERY"), one("CLUSTERING")]});
    assert_eq!(read(Gemini, &asked).unwrap_err().field, "requests[1]");
}

#[test]
fn images_go_where_they_are_understood() {
    let url = "data:image/png;base64,AAEC";
    let asked = json!({"model": "m", "input_type": "search_document", "inputs": [
        {"content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": url}}]}]});
    let (body, loss) = pass(CohereChat, Gemini, &asked);
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": "AAEC"}});
    assert_eq!(body["requests"][0]["content"]["parts"], json!([{"text": "a"}, inline]));
    assert_eq!(loss, "");
    assert_eq!(refused(CohereChat, OpenaiChat, &asked).field, "inputs[0]");
    let images = json!({"model": "m", "input_type": "image", "images": [url]});
    let (body, _) = pass(CohereChat, Gemini, &images);
    assert!(body["requests"][0].get("taskType").is_none());
    let back = json!({"content": {"parts": [{"text": "a"}, {"inline_data": {"mime_type": "image/png", "data": "AAEC"}}]}});
    let (body, _) = pass(Gemini, CohereChat, &back);
    let parts =
        json!([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": url}}]);
    assert_eq!(body["inputs"][0]["content"], parts);
    let video =
        json!({"content": {"parts": [{"inlineData": {"mimeType": "video/mp4", "data": "AAEC"}}]}});
    assert_eq!(refused(Gemini, CohereChat, &video).field, "content");
}

#[test]
fn vectors_that_only_one_vendor_makes_are_told_or_refused() {
    let asked = |types: Value| json!({"model": "m", "texts": ["a"], "input_type": "clustering", "embedding_types": types, "truncate": "START"});
    let (_, loss) = pass(CohereChat, Gemini, &asked(json!(["float", "int8"])));
    assert_eq!(loss, "embedding_types=dropped, truncate=dropped");
    assert_eq!(refused(CohereChat, Gemini, &asked(json!(["ubinary"]))).field, "embedding_types");
}

#[test]
fn a_call_of_too_many_inputs_is_refused_before_it_is_sent() {
    let asked = json!({"model": "m", "input": vec!["a"; 97]});
    let error = refused(OpenaiChat, CohereChat, &asked);
    assert_eq!(error.field, "input");
    assert!(error.message.contains("at most 96"), "{}", error.message);
    pass(OpenaiChat, Gemini, &asked);
}

#[test]
fn answers_have_the_shape_that_was_asked_for() {
    let openai = r#"{"object":"list","model":"e-3","data":[{"object":"embedding","index":1,"embedding":[0.5,0.25]},
        {"object":"embedding","index":0,"embedding":"AACAPwAAAL8="}],"usage":{"prompt_tokens":4,"total_tokens":4}}"#;
    let gemini = r#"{"embeddings":[{"values":[1.0,-0.5]},{"values":[0.5,0.25]}],"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}"#;
    let cohere = r#"{"id":"c-1","embeddings":{"float":[[1.0,-0.5],[0.5,0.25]]},"texts":["a","b"],
        "meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":4}},"response_type":"embeddings_by_type"}"#;
    let batch = json!({"requests": [{"content": {"parts": [{"text": "a"}]}}, {"content": {"parts": [{"text": "b"}]}}]});
    for (from, body) in [(OpenaiChat, openai), (Gemini, gemini), (CohereChat, cohere)] {
        let floats = answer(from, body, OpenaiChat, &json!({"model": "m", "input": ["a", "b"]}));
        assert_eq!(floats["data"][0]["embedding"], json!([1.0, -0.5]), "{from:?}");
        assert_eq!(
            floats["data"][1],
            json!({"object": "embedding", "index": 1, "embedding": [0.5, 0.25]})
        );
        assert_eq!(floats["usage"], json!({"prompt_tokens": 4, "total_tokens": 4}), "{from:?}");
        let named = if from == OpenaiChat { "e-3" } else { "asked-model" };
        assert_eq!(floats["model"], named);
        let coded = json!({"model": "m", "input": ["a", "b"], "encoding_format": "base64"});
        let coded = answer(from, body, OpenaiChat, &coded);
        assert_eq!(coded["data"][0]["embedding"], "AACAPwAAAL8=", "{from:?}");
        let values = answer(from, body, Gemini, &batch);
        assert_eq!(values["embeddings"], json!([{"values": [1.0, -0.5]}, {"values": [0.5, 0.25]}]));
        assert_eq!(values["usageMetadata"]["promptTokenCount"], 4, "{from:?}");
        let typed =
            json!({"model": "m", "texts": ["a", "b"], "embedding_types": ["float", "base64"]});
        let typed = answer(from, body, CohereChat, &typed);
        assert_eq!(typed["embeddings"]["float"], json!([[1.0, -0.5], [0.5, 0.25]]));
        assert_eq!(typed["embeddings"]["base64"][0], "AACAPwAAAL8=");
        assert_eq!(typed["texts"], json!(["a", "b"]));
        assert_eq!(typed["meta"]["billed_units"]["input_tokens"], 4, "{from:?}");
    }
    let single = r#"{"embedding":{"values":[0.5]}}"#;
    let asked = json!({"content": {"parts": [{"text": "a"}]}});
    assert_eq!(answer(Gemini, single, Gemini, &asked), json!({"embedding": {"values": [0.5]}}));
    // Nobody said what was used, so neither do we.
    let silent = answer(Gemini, single, OpenaiChat, &json!({"model": "m", "input": "a"}));
    assert!(silent.get("usage").is_none());
}

#[test]
fn an_answer_without_a_vector_for_each_input_is_no_answer() {
    let one = find(Gemini).embeddings().unwrap().read_answer(br#"{"embedding":{"values":[0.5]}}"#);
    let request = read(OpenaiChat, &json!({"model": "m", "input": ["a", "b"]})).unwrap();
    assert!(one.unwrap().check(&request).is_err());
    for (from, body) in [
        (OpenaiChat, r#"{"data":[{"index":0,"embedding":"AAA="}]}"#),
        (OpenaiChat, r#"{"data":[{"index":0}]}"#),
        (CohereChat, r#"{"embeddings":{"int8":[[1]]}}"#),
        (Gemini, "[]"),
    ] {
        let read = find(from).embeddings().expect("has embeddings").read_answer(body.as_bytes());
        assert!(read.is_err(), "{from:?}: {body}");
    }
}

#[test]
fn what_is_wrong_is_named_in_the_clients_words() {
    for (from, body, field) in [
        (OpenaiChat, json!({"model": "m"}), "input"),
        (OpenaiChat, json!({"model": "m", "input": [true]}), "input[0]"),
        (
            OpenaiChat,
            json!({"model": "m", "input": "a", "encoding_format": "hex"}),
            "encoding_format",
        ),
        (OpenaiChat, json!({"model": "m", "input": "a", "dimensions": -1}), "dimensions"),
        (Gemini, json!({"requests": [{"content": {}}]}), "requests[0].content.parts"),
        (Gemini, json!({}), "content"),
        (CohereChat, json!({"model": "m", "texts": [1]}), "texts[0]"),
        (CohereChat, json!({"model": "m"}), "texts"),
        (CohereChat, json!({"texts": ["a"]}), "model"),
    ] {
        assert_eq!(read(from, &body).unwrap_err().field, field, "{body}");
    }
}

#[test]
fn oracle_takes_texts_with_their_purpose_and_length() {
    let asked = [
        json!({"model": "m", "input": ["a", "b"], "dimensions": 256}),
        json!({"requests": [
            {"content": {"parts": [{"text": "a"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256},
            {"content": {"parts": [{"text": "b"}]}, "taskType": "RETRIEVAL_QUERY", "outputDimensionality": 256}]}),
        json!({"model": "m", "texts": ["a", "b"], "output_dimension": 256, "input_type": "search_query", "truncate": "END"}),
    ];
    let mut wanted = json!({
        "compartmentId": "ocid1.compartment.oc1..a",
        "servingMode": {"servingType": "ON_DEMAND", "modelId": "provider-model"},
        "inputs": ["a", "b"],
        "outputDimensions": 256,
    });
    // It insists on no purpose, so none is assumed.
    assert_eq!(pass(OpenaiChat, OciChat, &asked[0]), (wanted.clone(), String::new()));
    wanted["inputType"] = json!("SEARCH_QUERY");
    assert_eq!(pass(Gemini, OciChat, &asked[1]), (wanted.clone(), String::new()));
    wanted["truncate"] = json!("END");
    assert_eq!(pass(CohereChat, OciChat, &asked[2]), (wanted, String::new()));
    let nearest =
        json!({"content": {"parts": [{"text": "a"}]}, "taskType": "CODE_RETRIEVAL_QUERY"});
    let (body, loss) = pass(Gemini, OciChat, &nearest);
    assert_eq!((&body["inputType"], &*loss), (&json!("SEARCH_QUERY"), "taskType=approximated"));
    let ids = json!({"model": "m", "input": [1, 2, 3]});
    assert_eq!(refused(OpenaiChat, OciChat, &ids).field, "input[0]");
    let many = json!({"model": "m", "input": vec!["a"; 97]});
    assert_eq!(refused(OpenaiChat, OciChat, &many).field, "input");
}

#[test]
fn oracle_takes_images_that_stand_alone() {
    let url = "data:image/png;base64,AAEC";
    let image = json!({"type": "image_url", "image_url": {"url": url}});
    let asked = |content: Value| {
        json!({"model": "m", "input_type": "search_document", "inputs": [
        {"content": [{"type": "text", "text": "a"}]}, {"content": content}]})
    };
    let (body, loss) = pass(CohereChat, OciChat, &asked(json!([image])));
    let contents =
        json!([{"type": "TEXT", "text": "a"}, {"type": "IMAGE", "imageUrl": {"url": url}}]);
    assert_eq!((&body["embedContents"], &*loss), (&contents, ""));
    assert!(body.get("inputs").is_none());
    let both = asked(json!([{"type": "text", "text": "b"}, image]));
    assert_eq!(refused(CohereChat, OciChat, &both).field, "inputs[1]");
}

#[test]
fn oracles_vectors_come_in_the_clients_shape() {
    let body = r#"{"id":"e-1","embeddings":[[0.5,-1.0]],"modelId":"cohere.embed-v4.0","modelVersion":"1.0",
        "usage":{"promptTokens":3,"completionTokens":0,"totalTokens":3}}"#;
    let openai = answer(OciChat, body, OpenaiChat, &json!({"model": "m", "input": "a"}));
    assert_eq!(openai["data"][0]["embedding"], json!([0.5, -1.0]));
    assert_eq!(openai["model"], "cohere.embed-v4.0");
    assert_eq!(openai["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
    let gemini = answer(OciChat, body, Gemini, &json!({"content": {"parts": [{"text": "a"}]}}));
    assert_eq!(gemini["embedding"]["values"], json!([0.5, -1.0]));
    let asked = json!({"model": "m", "texts": ["a"], "input_type": "search_query"});
    let cohere = answer(OciChat, body, CohereChat, &asked);
    assert_eq!(cohere["embeddings"]["float"], json!([[0.5, -1.0]]));
    assert_eq!(cohere["meta"]["billed_units"]["input_tokens"], 3);
}
