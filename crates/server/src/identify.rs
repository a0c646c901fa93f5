//! identify: who is calling. A key says so by itself; a signature is of the body too, so it is verified when that is there.

use std::sync::Arc;

use config::Config;
use domain::{AppName, CapabilityName, KeyPublicId, TeamName, UnixMicros};
use http::header::{AUTHORIZATION, HOST};
use http::request::Parts;
use http::{HeaderMap, Version};
use upstream::sigv4::{self, BadSignature, Signable};

use crate::errors::{self, Failure};
use crate::keys::{Key, KeyTable, Lookup, Signed};

/// What temporary key pairs of AWS's come with.
const SESSION_TOKEN: &str = "x-amz-security-token";
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

/// Who calls, as far as the head of a request tells.
#[derive(Debug)]
pub enum Identity<'a> {
    /// Known.
    Known(Caller),
    /// Whoever made this signature, if it holds: [`verify`].
    Signed(sigv4::Presented<'a>),
}

/// Finds the caller. With `required`, no key is a failure; without, a bearer that is none of our keys is ignored, as is a
/// signature with none of them: SDKs insist on sending one.
pub fn identify<'a>(
    headers: &'a HeaderMap,
    in_query: Option<&str>,
    keys: &KeyTable,
    required: bool,
    now: UnixMicros,
) -> Result<Identity<'a>, Failure> {
    let nobody = Identity::Known(Caller { key: None });
    let presented = presented(headers, in_query)?;
    if let Some(signature) = signature(headers) {
        if presented.is_some() {
            return Err(two_keys());
        }
        let Some(read) = sigv4::Presented::read(signature) else {
            return if required { Err(malformed(BadSignature::Malformed)) } else { Ok(nobody) };
        };
        if keys.signs(read.access_key_id) {
            return Ok(Identity::Signed(read));
        }
        return if required { Err(unknown_signer(read.access_key_id)) } else { Ok(nobody) };
    }
    let Some(presented) = presented else {
        return if required { Err(missing()) } else { Ok(nobody) };
    };
    match known(keys.look_up(presented, now))? {
        Some(caller) => Ok(Identity::Known(caller)),
        None if required => Err(Failure::new(
            &errors::INVALID_API_KEY,
            format!("the key {} is not known here", shown(presented)),
        )),
        None => Ok(nobody),
    }
}

/// The caller who made a signature. `authority` is what HTTP/2 has in place of a host.
pub fn verify(
    presented: &sigv4::Presented<'_>,
    request: &Parts,
    authority: Option<&str>,
    body: &[u8],
    keys: &KeyTable,
    now: UnixMicros,
) -> Result<Caller, Failure> {
    if request.headers.contains_key(SESSION_TOKEN) {
        let failure =
            Failure::new(&errors::UNKNOWN_ACCESS_KEY, "the request bears a session token of AWS's");
        return Err(failure.fix("Unset AWS_SESSION_TOKEN: the gateway's key pairs have none."));
    }
    let named = request.headers.iter();
    let mut headers: Vec<(&str, &str)> =
        named.filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
    if let Some(authority) = authority.filter(|_| request.version == Version::HTTP_2) {
        headers.push((":authority", authority));
        if !request.headers.contains_key(HOST) {
            headers.push((HOST.as_str(), authority));
        }
    }
    let signable = Signable {
        method: request.method.as_str(),
        path: request.uri.path(),
        query: request.uri.query().unwrap_or_default(),
        headers: &headers,
        body,
    };
    match keys.check(presented, &signable, now) {
        Signed::By(lookup) => known(lookup)?.ok_or_else(|| unknown_signer(presented.access_key_id)),
        Signed::Bad(bad @ (BadSignature::Malformed | BadSignature::Uncovered)) => {
            Err(malformed(bad))
        }
        Signed::Bad(bad) => Err(Failure::new(&errors::BAD_SIGNATURE, bad.to_string())),
    }
}

/// The caller of a key that is ours. One that was ours and is not valid any more is refused in either mode: its owner
/// wants to know.
fn known(lookup: Lookup) -> Result<Option<Caller>, Failure> {
    match lookup {
        Lookup::Found(key) => Ok(Some(Caller { key: Some(key) })),
        Lookup::Unknown => Ok(None),
        Lookup::Expired(public) => {
            Err(Failure::new(&errors::KEY_EXPIRED, format!("the key {public} has expired")))
        }
        Lookup::Revoked(public) => {
            Err(Failure::new(&errors::KEY_REVOKED, format!("the key {public} was revoked")))
        }
    }
}

/// The signature in place of a bearer, if there is one.
fn signature(headers: &HeaderMap) -> Option<&str> {
    let all = headers.get_all(AUTHORIZATION).iter();
    all.filter_map(|value| value.to_str().ok()).find(|it| it.starts_with(sigv4::ALGORITHM))
}

fn malformed(bad: BadSignature) -> Failure {
    Failure::new(&errors::MALFORMED_SIGNATURE, bad.to_string())
}

fn unknown_signer(access_key_id: &str) -> Failure {
    let message = format!("the access key id {} is not known here", shown(access_key_id));
    Failure::new(&errors::UNKNOWN_ACCESS_KEY, message)
}

fn two_keys() -> Failure {
    let failure =
        Failure::new(&errors::INVALID_API_KEY, "the request bears two different API keys");
    failure.fix("Send one key only.")
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
    let bearer = headers.get_all(AUTHORIZATION).iter().filter_map(|value| {
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
            Some(other) if other != key => return Err(two_keys()),
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
