//! identify: who is calling.

use std::sync::Arc;

use config::Config;
use domain::{AppName, CapabilityName, KeyPublicId, TeamName, UnixMicros};
use http::HeaderMap;

use crate::errors::{self, Failure};
use crate::keys::{Key, KeyTable, Lookup};

/// Headers that may bear a key, in the order they are looked at.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "x-goog-api-key", "api-key"];

/// Who calls.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The virtual key; none in the keyless mode on loopback.
    pub key: Option<Arc<Key>>,
}

impl Caller {
    /// The application.
    pub fn app(&self) -> Option<&AppName> {
        self.key.as_ref().map(|key| &key.app)
    }

    /// The team.
    pub fn team(&self) -> Option<&TeamName> {
        self.key.as_ref().and_then(|key| key.team.as_ref())
    }

    /// The key's public part.
    pub fn public(&self) -> Option<&KeyPublicId> {
        self.key.as_ref().map(|key| &key.public)
    }

    /// Whether it may ask for what bears that name: the key's capabilities bound it and the team's, each where there are
    /// any. Who is bound may not ask for offers by their own names.
    pub fn may_ask(&self, config: &Config, name: &CapabilityName) -> bool {
        self.bounds(config).into_iter().all(|names| names.is_empty() || names.contains(name))
    }

    /// Whether there is anything that it may not ask for.
    pub fn is_bound(&self, config: &Config) -> bool {
        self.bounds(config).into_iter().any(|names| !names.is_empty())
    }

    fn bounds<'a>(&'a self, config: &'a Config) -> [&'a [CapabilityName]; 2] {
        let key = self.key.as_ref().map_or(&[][..], |key| &key.capabilities);
        let team = self.team().and_then(|name| config.teams.iter().find(|it| it.name == *name));
        [key, team.map_or(&[][..], |team| &team.capabilities)]
    }
}

/// Finds the caller. With `required`, no key is a failure; without, a bearer that is none of our keys is ignored:
/// SDKs insist on sending one.
pub fn identify(
    headers: &HeaderMap,
    in_query: Option<&str>,
    keys: &KeyTable,
    required: bool,
    now: UnixMicros,
) -> Result<Caller, Failure> {
    let Some(presented) = presented(headers, in_query)? else {
        return if required { Err(missing()) } else { Ok(Caller { key: None }) };
    };
    match keys.look_up(presented, now) {
        Lookup::Found(key) => Ok(Caller { key: Some(key) }),
        // A key that was ours and is not valid any more is refused in either mode: its owner wants to know.
        Lookup::Expired(public) => {
            Err(Failure::new(&errors::KEY_EXPIRED, format!("the key {public} has expired")))
        }
        Lookup::Revoked(public) => {
            Err(Failure::new(&errors::KEY_REVOKED, format!("the key {public} was revoked")))
        }
        Lookup::Unknown if required => Err(Failure::new(
            &errors::INVALID_API_KEY,
            format!("the key {} is not known here", shown(presented)),
        )),
        Lookup::Unknown => Ok(Caller { key: None }),
    }
}

fn missing() -> Failure {
    Failure::new(
        &errors::MISSING_API_KEY,
        "no API key: send `Authorization: Bearer or-...`, `x-api-key`, `x-goog-api-key` or `api-key`",
    )
}

/// The key the request bears, if any: in a header, or in the query as Google's clients may send it. Two that disagree are
/// a mistake that must not be guessed about.
fn presented<'a>(
    headers: &'a HeaderMap,
    in_query: Option<&'a str>,
) -> Result<Option<&'a str>, Failure> {
    let mut found: Option<&str> = None;
    let bearer = headers.get_all(http::header::AUTHORIZATION).iter().filter_map(|value| {
        let text = value.to_str().ok()?;
        let (scheme, token) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let named = KEY_HEADERS
        .iter()
        .flat_map(|name| headers.get_all(*name))
        .filter_map(|it| it.to_str().ok());
    for key in bearer.chain(named).chain(in_query).filter(|key| !key.is_empty()) {
        match found {
            Some(other) if other != key => {
                let failure = Failure::new(
                    &errors::INVALID_API_KEY,
                    "the request bears two different API keys",
                );
                return Err(failure.fix("Send one key only."));
            }
            _ => found = Some(key),
        }
    }
    Ok(found)
}

/// The part of a presented key that may be shown: its prefix, never its secret.
fn shown(presented: &str) -> String {
    let head: String = presented.chars().take(6).filter(char::is_ascii_graphic).collect();
    format!("`{head}...`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    #[test]
    fn every_usual_header_bears_a_key() {
        for (name, value) in [
            ("authorization", "Bearer k"),
            ("x-api-key", "k"),
            ("x-goog-api-key", "k"),
            ("api-key", "k"),
        ] {
            assert_eq!(presented(&headers(&[(name, value)]), None).unwrap(), Some("k"), "{name}");
        }
    }

    #[test]
    fn two_keys_that_disagree_are_refused_and_the_same_twice_is_not() {
        let twice = headers(&[("authorization", "Bearer k"), ("x-api-key", "k")]);
        assert_eq!(presented(&twice, None).unwrap(), Some("k"));
        let apart = headers(&[("authorization", "Bearer k"), ("x-api-key", "l")]);
        assert_eq!(presented(&apart, None).unwrap_err().kind, &errors::INVALID_API_KEY);
        let one = headers(&[("x-goog-api-key", "k")]);
        assert_eq!(presented(&one, Some("k")).unwrap(), Some("k"));
        assert_eq!(presented(&one, Some("l")).unwrap_err().kind, &errors::INVALID_API_KEY);
        assert_eq!(presented(&headers(&[]), Some("k")).unwrap(), Some("k"));
    }

    #[test]
    fn a_refused_key_is_never_shown_whole() {
        assert_eq!(shown("or-abcdefghijkl-supersecret"), "`or-abc...`");
    }
}
