//! A stored reason told afterwards: the ledger keeps a byte for each candidate and the request's own facts beside it.

use domain::{Endpoint, ErrorClass, Features};

use crate::reason::{BREAKER, code_word};

/// What the ledger still knows of the request when a reason is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// What was called.
    pub endpoint: Option<Endpoint>,
    /// What the request used.
    pub features: Features,
    /// Upper bound of its input, tokens.
    pub context_bound: Option<u64>,
    /// Residency it was bound to, joined for a person; empty where there was none.
    pub residency: String,
    /// The virtual key's public part.
    pub key: Option<String>,
    /// The offers that were tried, by name.
    pub tried: Vec<String>,
}

/// What a stored code says to a person about `offer`, with what is still known of the request. Details that only the
/// moment knew (until when, how many percent) are gone.
pub fn past_sentence(offer: &str, code: u8, known: &Known) -> String {
    match code {
        0 => format!("`{offer}` was not considered."),
        1 => format!("`{offer}` was asked first."),
        2 if known.tried.iter().any(|it| it == offer) => {
            format!("`{offer}` was asked next, because those before it failed.")
        }
        2 => format!("`{offer}` stood ready if those before it failed."),
        3 => format!("`{offer}` had failed before, and this request tried whether it works again."),
        4 => format!("`{offer}` was not well, but nothing else was left."),
        16 => format!("`{offer}` was not among the offers{} may use.", whose(known)),
        17 => format!(
            "`{offer}` does not serve {}.",
            known.endpoint.map_or("this operation", Endpoint::as_str)
        ),
        18 => format!("`{offer}` can't do something that the request used{}.", used(known)),
        19 => format!(
            "`{offer}` would have lost a part of the request in translation{}, and `on_loss: reject` was set.",
            used(known)
        ),
        20 => format!("the request{} was longer than the context of `{offer}`.", bound(known)),
        21 => format!("`{offer}` lies outside the required residency{}.", listed(&known.residency)),
        22 => format!(
            "`{offer}` had no price, a money budget applied, and `unpriced: reject` was set."
        ),
        23 => format!("`{offer}` was retired."),
        24 => format!("`{offer}` was not available yet."),
        25 => format!("`{offer}` had asked to be left alone for a while."),
        26 => format!("`{offer}` had refused every credential."),
        27 => format!("`{offer}` was recovering, and this request went elsewhere."),
        28 => format!("`{offer}` was not needed: the plan was long enough."),
        code => match code.checked_sub(BREAKER).and_then(ErrorClass::from_code) {
            Some(class) => format!("`{offer}` had failed too often ({class})."),
            None => format!("`{offer}` was left: {}.", code_word(code)),
        },
    }
}

fn whose(known: &Known) -> String {
    known.key.as_ref().map_or_else(|| " this key".into(), |key| format!(" the key {key}"))
}

fn used(known: &Known) -> String {
    let features: Vec<&str> = known.features.iter().map(domain::Feature::as_str).collect();
    listed(&features.join(", "))
}

fn bound(known: &Known) -> String {
    known.context_bound.map_or_else(String::new, |tokens| format!(" (at most {tokens} tokens)"))
}

fn listed(what: &str) -> String {
    if what.is_empty() { String::new() } else { format!(" ({what})") }
}

#[cfg(test)]
mod tests {
    use domain::Feature;

    use super::*;

    #[test]
    fn every_stored_code_has_a_sentence_that_names_the_offer_and_more_than_its_word() {
        for code in 0..=u8::MAX {
            if matches!(code_word(code), "unknown" | "breaker") {
                continue;
            }
            let sentence = past_sentence("a/b", code, &Known::default());
            assert!(sentence.contains("`a/b`") && sentence.ends_with('.'), "{code}: {sentence}");
            assert!(!sentence.contains("was left:"), "{code}: {sentence}");
        }
    }

    #[test]
    fn what_the_ledger_still_knows_is_told() {
        let known = Known {
            features: Features::NONE.with(Feature::Tools).with(Feature::Images),
            context_bound: Some(9000),
            tried: vec!["c/d".into()],
            ..Known::default()
        };
        assert!(past_sentence("c/d", 2, &known).contains("asked next"));
        assert!(past_sentence("a/b", 2, &known).contains("stood ready"));
        assert!(past_sentence("a/b", 18, &known).contains("(tools, images)"));
        assert!(past_sentence("a/b", 20, &known).contains("at most 9000 tokens"));
        assert!(past_sentence("a/b", 64 + ErrorClass::Timeout as u8, &known).contains("(timeout)"));
    }
}
