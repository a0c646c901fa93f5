//! Where a provider answers: an address of the user's, or the type's with what each user fills in otherwise.

use catalog::AddressPart;
use domain::DialectId;

use crate::check::{Problem, one_of};
use crate::read::{Context, Section};
use crate::tree::{Node, Place};
use crate::{PresetFacts, ProviderKind, aws, oci, suggest, tokens};

pub(crate) fn base_url(
    name: &str,
    place: &Place,
    section: Section<'_>,
    facts: &PresetFacts,
    cx: &mut Context<'_>,
) -> Option<String> {
    if facts.kind == ProviderKind::Demo {
        return Some(String::new());
    }
    if let Some(node) = section.get("address") {
        check_parts(name, node, facts, cx);
    }
    if let Some(node) = section.get("residency") {
        return residency(name, node, section, facts, cx);
    }
    if let Some(url) = section.text("base_url") {
        return Some(url.trim_end_matches('/').into());
    }
    let known = facts.base_url.as_ref().filter(|url| !url.is_empty());
    if let Some(url) = known.filter(|url| !url.contains('{')) {
        return Some(url.trim_end_matches('/').into());
    }
    let filled = known.map(|url| filled(url, section, facts, cx));
    if let Some(Ok(url)) = filled {
        return Some(url);
    }
    // A `base_url` that is there but malformed has been reported.
    if section.get("base_url").is_none() {
        let absent = filled.and_then(Result::err).unwrap_or_default();
        let known_parts: Vec<(String, String)> =
            absent.iter().filter_map(|part| missing(part, facts)).collect();
        for (what, help) in &known_parts {
            let message = format!("provider `{name}` needs {what}");
            cx.problems.error(place, Problem::new("E0107", message).help(help.clone()));
        }
        if !known_parts.is_empty() {
            return None;
        }
        let message = format!("provider `{name}` needs a `base_url`");
        let help = known.map_or_else(
            || "such as `base_url: http://127.0.0.1:8000/v1`".into(),
            |url| format!("it has this form: `{url}`"),
        );
        cx.problems.error(place, Problem::new("E0107", message).help(help));
    }
    None
}

/// A preset's base URL with what stands for its `{placeholders}`; else the names of those for which nothing does.
fn filled(
    url: &str,
    section: Section<'_>,
    facts: &PresetFacts,
    cx: &Context<'_>,
) -> Result<String, Vec<String>> {
    let mut parts = url.split('{');
    let mut whole = parts.next().unwrap_or_default().to_owned();
    let mut absent = Vec::new();
    for (part, rest) in parts.filter_map(|part| part.split_once('}')) {
        let value = match part {
            "region" => aws::region(section, None, cx),
            "oci_region" => oci::region(section, cx),
            _ => {
                of_user(part, section, facts, cx).or_else(|| tokens::placeholder(part, section, cx))
            }
        };
        match value {
            Some(value) => whole.push_str(&value),
            None => absent.push(part.to_owned()),
        }
        whole.push_str(rest);
    }
    if absent.is_empty() { Ok(whole) } else { Err(absent) }
}

/// Where the preset's other dialects are. An address of the user's own serves all that are not below it.
pub(crate) fn base_urls(
    section: Section<'_>,
    facts: &PresetFacts,
    base_url: &str,
) -> Vec<(DialectId, String)> {
    let own = section.get("base_url").is_some();
    let of = |(id, url): &(DialectId, String)| {
        if url.starts_with('/') {
            return Some((*id, format!("{base_url}{url}")));
        }
        (!own).then(|| (*id, url.clone()))
    };
    facts.base_urls.iter().filter_map(of).collect()
}

/// What the file or the vendor's usual variables say for a placeholder.
fn of_user(
    name: &str,
    section: Section<'_>,
    facts: &PresetFacts,
    cx: &Context<'_>,
) -> Option<String> {
    let part = part(name, facts)?;
    let entries = section.get("address").map_or(&[][..], Node::entries);
    let given = entries.iter().find(|it| *it.key == *name).and_then(|it| it.value.text());
    let value = given.map(String::from);
    let value = value.or_else(|| part.env.iter().find_map(|variable| cx.env.var(variable)))?;
    // Where a host is meant, the variable may hold it as an address.
    let plain = value.trim_start_matches("https://").trim_end_matches('/');
    // A slash or the like would make it another address.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    (!plain.is_empty() && plain.bytes().all(is_plain)).then(|| plain.to_owned())
}

fn part<'f>(name: &str, facts: &'f PresetFacts) -> Option<&'f AddressPart> {
    facts.address.iter().find(|it| it.name == name)
}

/// What to write where a placeholder stands for nothing, and what it is.
fn missing(name: &str, facts: &PresetFacts) -> Option<(String, String)> {
    let Some(part) = part(name, facts) else {
        let (what, help) = tokens::missing(name)?;
        return Some((what.into(), help.into()));
    };
    let variables: Vec<String> = part.env.iter().map(ToString::to_string).collect();
    let help = format!("write `address: {{{name}: ...}}`, or set {}", one_of(&variables));
    Some((part.what.to_string(), help))
}

/// Parts that the type's base URL does not have.
fn check_parts(name: &str, node: &Node, facts: &PresetFacts, cx: &mut Context<'_>) {
    let known: Vec<&str> = facts.address.iter().map(|it| &*it.name).collect();
    for entry in node.entries().iter().filter(|it| !known.contains(&&*it.key)) {
        let message = format!("the address of provider `{name}` has no part `{}`", entry.key);
        let near = suggest::nearest(&entry.key, known.iter().copied()).map(String::from);
        let problem = match near {
            Some(near) => Problem::new("E0112", message).instead(Some(near)),
            None if known.is_empty() => Problem::new("E0112", message).help("leave it out"),
            None => Problem::new("E0112", message).help(format!("it has {}", known.join(", "))),
        };
        cx.problems.error(&entry.key_place, problem);
    }
}

/// The host that promises where data stays.
fn residency(
    name: &str,
    node: &Node,
    section: Section<'_>,
    facts: &PresetFacts,
    cx: &mut Context<'_>,
) -> Option<String> {
    let word = node.text()?;
    if section.get("base_url").is_some() {
        let message = format!("provider `{name}` has both a `residency` and a `base_url`");
        let help = "leave one of them out: each says where it answers";
        cx.problems.error(&node.place, Problem::new("E0112", message).help(help));
        return None;
    }
    if let Some((_, url)) = facts.residency.iter().find(|(place, _)| place == word) {
        return Some(url.clone());
    }
    let known: Vec<String> = facts.residency.iter().map(|(place, _)| place.clone()).collect();
    let message = format!("provider `{name}` has no host for residency in `{word}`");
    let help = if known.is_empty() {
        "its type has none by the place: leave it out, or write the `base_url`".to_owned()
    } else {
        format!("its type has {}", one_of(&known))
    };
    cx.problems.error(&node.place, Problem::new("E0112", message).help(help));
    None
}
