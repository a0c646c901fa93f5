//! Images: the smallest PNG there is, as often as asked; tokens as OpenAI's table of sizes and qualities has them.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Asked, Body, JSON, event, stream, whole};
use crate::ask::Refused;
use crate::demo::{Call, Demo, Reply};
use crate::model;
use crate::openai::CREATED;
use crate::tokens;
use crate::tweak::Tweak;

/// A PNG of one pixel.
const PIXEL: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const MOST: u64 = 10;
const SHARED: [&str; 13] = [
    "model",
    "prompt",
    "n",
    "size",
    "quality",
    "background",
    "output_format",
    "output_compression",
    "partial_images",
    "stream",
    "response_format",
    "user",
    "style",
];

/// `POST /v1/images/generations`.
pub(super) fn generate(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    let known = [&SHARED[..], &["moderation"]].concat();
    let asked = Asked::read(demo, call, tweak, &known, Body::Json)?;
    asked.required("prompt")?;
    made(demo, &asked, "image_generation", tweak)
}

/// `POST /v1/images/edits`: a form with files, or JSON with references to images.
pub(super) fn edit(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    let known =
        [&SHARED[..], &["image", "images", "mask", "input_fidelity", "moderation"]].concat();
    let asked = Asked::read(demo, call, tweak, &known, Body::Either)?;
    asked.required("prompt")?;
    if asked.files.is_empty() && !asked.fields.contains_key("images") {
        return Err(Refused::field("image", "Missing required parameter: 'image'."));
    }
    check_files(&asked)?;
    made(demo, &asked, "image_edit", tweak)
}

/// `POST /v1/images/variations`.
pub(super) fn variation(demo: &Demo, call: &Call<'_>, tweak: &Tweak) -> Result<Reply, Refused> {
    let known = ["model", "n", "size", "response_format", "user"];
    let asked = Asked::read(demo, call, tweak, &known, Body::Form)?;
    if asked.files_of("image").count() != 1 {
        return Err(Refused::field("image", "Missing required parameter: 'image'."));
    }
    check_files(&asked)?;
    made(demo, &asked, "image_variation", tweak)
}

fn check_files(asked: &Asked) -> Result<(), Refused> {
    let is_image = |bytes: &&Bytes| {
        bytes.starts_with(b"\x89PNG")
            || bytes.starts_with(&[0xff, 0xd8])
            || bytes.starts_with(b"RIFF")
    };
    if asked.files_of("image").chain(asked.files_of("mask")).all(|it| is_image(&it)) {
        return Ok(());
    }
    Err(Refused::field(
        "image",
        "Invalid image file or mode for image 1: it is no PNG, JPEG or WebP.",
    )
    .code("invalid_image_file"))
}

fn made(demo: &Demo, asked: &Asked, kind: &str, tweak: &Tweak) -> Result<Reply, Refused> {
    let sizes = ["auto", "256x256", "512x512", "1024x1024", "1536x1024", "1024x1536"];
    let size = asked.word("size", &sizes, "1024x1024")?;
    let qualities = ["auto", "standard", "low", "medium", "high"];
    let quality = asked.word("quality", &qualities, "low")?;
    let count = asked.number("n", 1, MOST)?;
    let by_url = asked.word("response_format", &["url", "b64_json"], "b64_json")? == "url";
    let usage = usage(asked, quality, count, tweak);
    let facts = json!({"background": "opaque", "created_at": CREATED, "output_format": "png",
        "quality": quality, "size": size, "b64_json": PIXEL});
    if asked.streams()? {
        let partial = asked.number("partial_images", 0, 3)?;
        let mut events = Vec::new();
        for index in 0..partial {
            let mut data = facts.clone();
            data["type"] = json!(format!("{kind}.partial_image"));
            data["partial_image_index"] = json!(index);
            events.push(event(&format!("{kind}.partial_image"), &data));
        }
        let mut last = facts;
        last["type"] = json!(format!("{kind}.completed"));
        if let Some(usage) = usage {
            last["usage"] = usage;
        }
        events.push(event(&format!("{kind}.completed"), &last));
        return Ok(stream(demo, asked, events, tweak));
    }
    let one = if by_url {
        json!({"url": "https://images.example/pixel.png"})
    } else {
        json!({"b64_json": PIXEL})
    };
    let data: Vec<Value> = (0..count).map(|_| one.clone()).collect();
    let mut body = json!({"created": CREATED, "data": data});
    if let Some(usage) = usage {
        body["usage"] = usage;
    }
    Ok(whole(demo, asked, JSON, body.to_string().into_bytes(), tweak))
}

/// Tokens of a picture of 1024 x 1024 are 272, 1,056 or 4,160 by quality (OpenAI, Image generation: cost).
fn usage(asked: &Asked, quality: &str, count: u64, tweak: &Tweak) -> Option<Value> {
    if tweak.no_usage || model::base(&asked.model) == "per-image" {
        return None;
    }
    let each = match quality {
        "high" => 4_160,
        "medium" => 1_056,
        _ => 272,
    };
    let text = tokens::count(asked.text("prompt").unwrap_or_default());
    let seen = asked.files_of("image").count() as u64 * 323;
    let input = tweak.usage.input.unwrap_or(text) + seen;
    let output = tweak.usage.output.unwrap_or(each * count);
    Some(json!({"input_tokens": input, "output_tokens": output, "total_tokens": input + output,
        "input_tokens_details": {"text_tokens": input - seen, "image_tokens": seen},
        "output_tokens_details": {"text_tokens": 0, "image_tokens": output}}))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_pixel_is_a_png() {
        assert!(STANDARD.decode(super::PIXEL).unwrap().starts_with(b"\x89PNG"));
    }
}
