use serde_json::{Value, json};

use super::*;
use crate::wire::{PathFacts, StreamForm};

fn read(body: &str, path: PathFacts<'_>) -> Result<Peek, FieldError> {
    peek(&Incoming { body: body.as_bytes(), headers: &(), path })
}

fn of(body: &Value) -> Peek {
    read(&body.to_string(), PathFacts { model: Some("m"), stream: None }).unwrap()
}

fn asking(fields: &Value) -> Peek {
    let mut body = json!({"messages": [{"role": "user", "content": [{"text": "x"}]}]});
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    of(&body)
}

fn saying(block: &Value) -> Peek {
    of(&json!({"messages": [{"role": "user", "content": [block]}]}))
}

#[test]
fn the_path_says_model_and_stream() {
    let body = r#"{"messages":[{"role":"user","content":[{"text":"u"}]}],"inferenceConfig":{"maxTokens":9}}"#;
    let path = PathFacts { model: Some("eu.anthropic.x"), stream: Some(StreamForm::Events) };
    let peek = read(body, path).unwrap();
    assert_eq!((peek.model.as_str(), peek.model_span), ("eu.anthropic.x", None));
    assert!(peek.stream && peek.wants_stream_usage && peek.features.contains(Feature::Stream));
    assert_eq!(peek.limits.max_output, Some(9));
    assert!(read(body, PathFacts::default()).is_err());
}

#[test]
fn features_are_those_of_the_fields() {
    for (fields, feature) in [
        (json!({"system": [{"text": "s"}]}), Feature::System),
        (json!({"inferenceConfig": {"temperature": 0}}), Feature::Sampling),
        (json!({"inferenceConfig": {"stopSequences": ["x"]}}), Feature::StopSequences),
        (json!({"toolConfig": {"tools": [{"toolSpec": {"name": "f"}}]}}), Feature::Tools),
        (json!({"toolConfig": {"tools": [{"systemTool": {"name": "f"}}]}}), Feature::HostedTools),
        (json!({"toolConfig": {"toolChoice": {"any": {}}}}), Feature::ToolChoice),
        (
            json!({"toolConfig": {"tools": [{"cachePoint": {"type": "default"}}]}}),
            Feature::CacheHints,
        ),
        (json!({"outputConfig": {"effort": "low"}}), Feature::Reasoning),
        (json!({"outputConfig": {"textFormat": {"type": "json_schema"}}}), Feature::JsonSchema),
        (json!({"serviceTier": {"type": "flex"}}), Feature::ServiceTier),
        (json!({"additionalModelRequestFields": {"top_k": 4}}), Feature::TopK),
        (
            json!({"additionalModelRequestFields": {"thinking": {"type": "adaptive"}}}),
            Feature::Reasoning,
        ),
        (json!({"additionalModelRequestFields": {"anthropic_beta": ["x"]}}), Feature::Beta),
    ] {
        assert!(asking(&fields).features.contains(feature), "{fields}");
    }
    let none = asking(
        &json!({"toolConfig": {"toolChoice": {"auto": {}}}, "system": [], "serviceTier": null,
        "additionalModelRequestFields": {"thinking": {"type": "disabled"}, "anthropic_beta": []}}),
    );
    assert_eq!(none.features.to_string(), "");
}

#[test]
fn features_are_those_of_the_blocks() {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAIAAAADCAIAAAA2iEnWAAAAAElFTkSuQmCC";
    let image = saying(&json!({"image": {"format": "png", "source": {"bytes": png}}}));
    assert_eq!(image.images[0].size, Some((2, 3)));
    let placed = saying(
        &json!({"image": {"format": "png", "source": {"s3Location": {"uri": "s3://b/k.png"}}}}),
    );
    assert!(placed.features.contains(Feature::FileIds) && placed.images.len() == 1);
    let document = |format: &str| {
        saying(&json!({"document": {"format": format, "name": "n", "source": {"bytes": "QUJD"}}}))
    };
    assert_eq!(document("pdf").paged_documents, 1);
    // Compressed: what is in it can't be told.
    assert_eq!(document("docx").paged_documents, 1);
    let text = document("md");
    assert_eq!(text.paged_documents, 0);
    assert!(text.text_bytes >= 4 && text.features.contains(Feature::Documents));
    let audio = saying(&json!({"audio": {"format": "mp3", "source": {"bytes": "QUJD"}}}));
    assert!(audio.features.contains(Feature::AudioInput) && audio.audio_bytes == 4);
    let result = saying(
        &json!({"toolResult": {"toolUseId": "t", "content": [{"text": "four"}, {"json": {"a": 1}}]}}),
    );
    assert!(result.features.contains(Feature::ToolResults));
    let signed = json!({"reasoningContent": {"reasoningText": {"text": "t", "signature": "s"}}});
    assert!(saying(&signed).features.contains(Feature::SignedReasoning));
    let plain = json!({"reasoningContent": {"reasoningText": {"text": "t"}}});
    assert!(!saying(&plain).features.contains(Feature::SignedReasoning));
}

/// Text wherever it may stand is counted: a reservation must never be too small.
#[test]
fn whatever_becomes_input_is_counted() {
    let marker = "sixteen bytes ok";
    for fields in [
        json!({"system": [{"text": marker}]}),
        json!({"system": [{"guardContent": {"text": {"text": marker}}}]}),
        json!({"promptVariables": {"a": {"text": marker}}}),
        json!({"toolConfig": {"tools": [{"toolSpec": {"name": marker}}]}}),
        json!({"toolConfig": {"tools": [{"toolSpec": {"inputSchema": {"json": {"x": marker}}}}]}}),
        json!({"outputConfig": {"textFormat": {"structure": {"jsonSchema": {"schema": marker}}}}}),
        json!({"additionalModelRequestFields": {"tools": [{"name": marker}]}}),
        json!({"brand_new": marker}),
    ] {
        let base = asking(&json!({})).text_bytes;
        assert!(asking(&fields).text_bytes >= base + 16, "{fields}");
    }
    for block in [
        json!({"text": marker}),
        json!({"toolUse": {"toolUseId": "t", "name": "n", "input": {"x": marker}}}),
        json!({"toolResult": {"toolUseId": "t", "content": [{"text": marker}]}}),
        json!({"toolResult": {"toolUseId": "t", "content": [{"searchResult": {"content": [{"text": marker}]}}]}}),
        json!({"document": {"name": "n", "source": {"text": marker}}}),
        json!({"document": {"name": "n", "source": {"content": [{"text": marker}]}}}),
        json!({"document": {"name": "n", "context": marker, "source": {"bytes": ""}}}),
        json!({"reasoningContent": {"redactedContent": marker}}),
        json!({"citationsContent": {"content": [{"text": marker}]}}),
        json!({"video": {"format": "mp4", "source": {"bytes": marker}}}),
        json!({"brandNew": {"text": marker}}),
    ] {
        let base = saying(&json!({"text": ""})).text_bytes;
        assert!(saying(&block).text_bytes >= base + 16, "{block}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    let path = PathFacts { model: Some("m"), stream: None };
    for (body, field) in [
        (r"{}", "messages"),
        (r#"{"messages":[]}"#, "messages"),
        (r#"{"messages":{}}"#, "messages"),
        (r#"{"messages":[{}],"inferenceConfig":{"maxTokens":-1}}"#, "inferenceConfig.maxTokens"),
    ] {
        assert_eq!(read(body, path).unwrap_err().field, field);
    }
}
