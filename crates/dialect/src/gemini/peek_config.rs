//! The fields typed of a forwarded `generationConfig`.

use domain::Feature;

use super::names::camel;
use crate::cursor::Cursor;
use crate::intake::{Intake, boolean, is_set, wrong};
use crate::wire::FieldError;

pub(super) fn read(it: &mut Intake, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
    let (mut is_json, mut has_schema) = (false, false);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*camel(&key.decode()) {
            // In two spellings it may stand twice: the larger bounds both.
            "maxOutputTokens" => {
                let most = whole(cursor, "maxOutputTokens")?;
                it.peek.limits.max_output = it.peek.limits.max_output.max(most);
            }
            "candidateCount" => {
                let count = whole(cursor, "candidateCount")?.unwrap_or(1);
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                it.peek.limits.answers = it.peek.limits.answers.max(count);
                it.has_if(count > 1, Feature::ManyAnswers);
            }
            "stopSequences" => {
                let none = cursor.is_null() || cursor.is_empty_array();
                it.has_if(!none, Feature::StopSequences);
                cursor.skip();
            }
            "temperature" | "topP" | "presencePenalty" | "frequencyPenalty" => {
                it.has_if(is_set(cursor), Feature::Sampling);
            }
            "topK" => {
                if is_set(cursor) {
                    it.has(Feature::Sampling);
                    it.has(Feature::TopK);
                }
            }
            "seed" => it.has_if(is_set(cursor), Feature::Seed),
            "responseLogprobs" => {
                let wanted = boolean(cursor, "generationConfig.responseLogprobs")?;
                it.has_if(wanted, Feature::Logprobs);
            }
            "responseMimeType" => {
                is_json = cursor.text().is_some_and(|it| it.is("application/json"));
            }
            "responseSchema" | "responseJsonSchema" | "_responseJsonSchema" => {
                if cursor.is_null() {
                    cursor.skip();
                } else {
                    has_schema = true;
                    it.tool(cursor.raw());
                }
            }
            "thinkingConfig" => thinking(it, cursor)?,
            "responseModalities" => modalities(it, cursor),
            _ => cursor.skip(),
        }
    }
    let format = if has_schema { Feature::JsonSchema } else { Feature::JsonObject };
    it.has_if(is_json, format);
    Ok(())
}

fn thinking(it: &mut Intake, cursor: &mut Cursor<'_>) -> Result<(), FieldError> {
    let (mut level, mut shown, mut budget) = (false, false, None);
    let mut object = cursor.object();
    while let Some(key) = cursor.key(&mut object) {
        match &*camel(&key.decode()) {
            "thinkingLevel" => {
                let word = cursor.text().map(|word| word.decode().to_ascii_lowercase());
                level = word.is_some_and(|word| {
                    !matches!(word.as_str(), "" | "none" | "thinking_level_unspecified")
                });
            }
            "includeThoughts" => {
                shown = boolean(cursor, "generationConfig.thinkingConfig.includeThoughts")?;
            }
            "thinkingBudget" => {
                let set = !cursor.is_null();
                let zero = matches!(cursor.raw(), b"0" | b"0.0" | b"\"0\"");
                budget = set.then_some(!zero);
            }
            _ => cursor.skip(),
        }
    }
    it.has_if(level || budget.unwrap_or(shown), Feature::Reasoning);
    Ok(())
}

fn modalities(it: &mut Intake, cursor: &mut Cursor<'_>) {
    let mut items = cursor.array();
    while cursor.item(&mut items) {
        let other = cursor.text().is_some_and(|word| !word.is("TEXT"));
        it.has_if(other, Feature::MediaOutput);
    }
}

/// A whole number as proto3 JSON has it, not negative, or absent (`null`).
fn whole(cursor: &mut Cursor<'_>, field: &str) -> Result<Option<u64>, FieldError> {
    let place = cursor.place();
    if cursor.is_null() {
        cursor.skip();
        return Ok(None);
    }
    let value = serde_json::from_slice(cursor.raw()).ok();
    let number = value.as_ref().and_then(super::names::whole).and_then(|it| u64::try_from(it).ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(wrong(
            &format!("generationConfig.{field}"),
            place,
            "expected a whole number, not negative",
        )),
    }
}
