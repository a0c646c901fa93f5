//! Who trained a model, told from its name.

use std::borrow::Cow;

use crate::provider_data::Makers;
use crate::{Canonical, Fact, Grade, names};

/// The canonical key of a model and its maker; `None` when nothing in the name tells.
///
/// Three signs, in this order: a vendor word before the name (`meta-llama/...`, `anthropic.claude-...`), the family
/// the name begins with (`claude-`), or a host that serves nothing but its own models.
pub(crate) fn canonical(makers: &Makers, host: &str, model: &str) -> Option<Canonical> {
    let lower = model.to_ascii_lowercase();
    let (vendor, name) = split(makers, &lower);
    let key_name = bare(name);
    let (id, sign, grade) = if let Some(maker) = vendor {
        (maker, "the vendor's word in the model id", Grade::C)
    } else if let Some(maker) = by_family(makers, key_name) {
        (maker, "the family name that the model id begins with", Grade::D)
    } else {
        (own_models_only(host)?, "the host serves its own models only", Grade::D)
    };
    let maker = Fact {
        value: Cow::Owned(id.to_owned()),
        source: Cow::Borrowed(sign),
        date: Cow::Borrowed(""),
        grade,
    };
    Some(Canonical { key: format!("{id}/{key_name}"), maker })
}

fn own_models_only(host: &str) -> Option<&str> {
    ["openai", "anthropic", "xai", "deepseek", "mistral", "cohere", "google", "meta"]
        .into_iter()
        .find(|it| *it == host)
}

fn by_family<'a>(makers: &'a Makers, name: &str) -> Option<&'a str> {
    let family = makers.families.iter().find(|(family, _)| name.starts_with(&**family));
    family.map(|(_, maker)| &**maker)
}

/// The last vendor word before the name, and the name: slashes part words, and so do dots when the word before is
/// a vendor's (`us.anthropic.claude-...`; but not in `gpt-4.1`).
fn split<'a>(makers: &'a Makers, model: &'a str) -> (Option<&'a str>, &'a str) {
    let mut vendor = None;
    let mut name = model.strip_prefix("ft:").unwrap_or(model);
    while let Some((word, rest)) = name.split_once('/') {
        if rest.is_empty() {
            break;
        }
        vendor = makers.words.get(word.trim_start_matches('@')).map(|it| &**it).or(vendor);
        name = rest;
    }
    while let Some((word, rest)) = name.split_once('.') {
        let region =
            word.len() <= 6 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
        match makers.words.get(word) {
            Some(maker) => vendor = Some(maker),
            None if region && !rest.is_empty() => {}
            None => break,
        }
        name = rest;
    }
    (vendor, name)
}

/// A name without date, version and packaging: `claude-sonnet-4-5-20250929-v1:0` -> `claude-sonnet-4-5`.
fn bare(name: &str) -> &str {
    // Resellers that put their own mark before the name.
    let mark = ["databricks-", "fw-"].into_iter().find_map(|mark| name.strip_prefix(mark));
    let name = mark.filter(|rest| !rest.starts_with("dbrx")).unwrap_or(name);
    let name = name.split_once(':').map_or(name, |(head, _)| head);
    let name = name.strip_suffix("-maas").unwrap_or(name);
    let name = name.strip_suffix("@default").unwrap_or(name);
    let unversioned = name.rsplit_once("-v").filter(|(head, version)| {
        version.bytes().all(|byte| byte.is_ascii_digit()) && names::without_date(head).is_some()
    });
    let name = unversioned.map_or(name, |(head, _)| head);
    names::without_date(name).unwrap_or(name)
}
