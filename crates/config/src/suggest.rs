//! The nearest name: what a person most likely meant.

/// Names other gateways use for what has another name here: theirs, whose, ours.
const FOREIGN: &[(&str, &str, &str)] = &[
    ("num_retries", "LiteLLM", "max"),
    ("max_retries", "LiteLLM", "max"),
    ("api_base", "LiteLLM", "base_url"),
    ("endpoint", "Azure", "base_url"),
    ("url", "other gateways", "base_url"),
    ("api_key", "LiteLLM", "key"),
    ("api_keys", "other gateways", "keys"),
    ("model_list", "LiteLLM", "capabilities"),
    ("models", "other gateways", "capabilities"),
    ("routes", "other gateways", "capabilities"),
    ("aliases", "other gateways", "capabilities"),
    ("request_timeout", "LiteLLM", "total"),
    ("timeout", "LiteLLM", "timeouts"),
    ("max_budget", "LiteLLM", "limit"),
    ("budget_duration", "LiteLLM", "per"),
    ("rpm", "LiteLLM", "requests"),
    ("tpm", "LiteLLM", "tokens"),
    ("max_parallel_requests", "LiteLLM", "parallel"),
    ("kind", "other gateways", "type"),
    ("listen", "other gateways", "api"),
];

/// What a person most likely meant by a key.
pub(crate) struct Nearest {
    /// Our name.
    pub(crate) name: String,
    /// Whose word it is elsewhere, and that word.
    pub(crate) foreign: Option<(&'static str, &'static str)>,
}

/// The nearest of `names` to an unknown key, also by what other gateways call it.
pub(crate) fn key<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<Nearest> {
    let names: Vec<&str> = names.collect();
    let known = |ours: &str| names.contains(&ours);
    if let Some((theirs, whose, ours)) =
        FOREIGN.iter().find(|(theirs, _, ours)| *theirs == typed && known(ours))
    {
        return Some(Nearest { name: (*ours).into(), foreign: Some((whose, theirs)) });
    }
    if let Some(name) = nearest(typed, names.iter().copied()) {
        return Some(Nearest { name: name.into(), foreign: None });
    }
    let fitting = FOREIGN.iter().filter(|(_, _, ours)| known(ours));
    let theirs = nearest(typed, fitting.map(|(theirs, _, _)| *theirs))?;
    let (theirs, whose, ours) =
        FOREIGN.iter().find(|(it, _, ours)| *it == theirs && known(ours))?;
    Some(Nearest { name: (*ours).into(), foreign: Some((whose, theirs)) })
}

/// The nearest of `names`, where one is near enough to be meant. Case, `-` and `_` count for nothing.
pub(crate) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let typed = fold(typed);
    let bound = match typed.chars().count() {
        0..=1 => return None,
        2..=3 => 1,
        4..=6 => 2,
        _ => 3,
    };
    names
        .map(|name| {
            let folded = fold(name);
            let steps = strsim::osa_distance(&typed, &folded);
            // Among equals the one that shares its beginning, which people type right most often.
            let shared = typed.chars().zip(folded.chars()).take_while(|(a, b)| a == b).count();
            (steps, std::cmp::Reverse(shared), name)
        })
        .filter(|(steps, _, _)| *steps <= bound)
        .min()
        .map(|(_, _, name)| name)
}

fn fold(text: &str) -> String {
    text.chars().take(80).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_comes_first() {
        let names = ["connect", "first_byte", "idle", "total"];
        let near = |typed| nearest(typed, names.into_iter());
        assert_eq!(near("conect"), Some("connect"));
        assert_eq!(near("first-byte"), Some("first_byte"));
        assert_eq!(near("ilde"), Some("idle"));
        assert_eq!(near("residency"), None);
    }

    #[test]
    fn other_gateways_words_are_known_where_ours_fits() {
        let found = key("num_retries", ["max", "budget"].into_iter()).unwrap();
        assert_eq!((found.name.as_str(), found.foreign), ("max", Some(("LiteLLM", "num_retries"))));
        let misspelled = key("num_retires", ["max", "budget"].into_iter()).unwrap();
        assert_eq!(misspelled.name, "max");
        assert!(key("num_retries", ["limit"].into_iter()).is_none());
    }
}
