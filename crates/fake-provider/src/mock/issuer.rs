//! Log-in services of Google, Microsoft and AWS, strict: what they are shown is verified, what they give out expires, and
//! the partner takes nothing else from then on. Faults are rules like any other; counts are those of the paths.
//!
//! Armed by `POST /__mock/issuer`: `{"life_seconds": 3600, "google": {"email", "public_key" (PKCS #1, Base64), "audience"
//! (or several), "scope", "external": {"audience", "token", "type", "header"}}, "azure": {"client_id", "secret", "assertion",
//! "scope", "identity_header"}, "aws": {"role", "token", "pair" (`ID:SECRET`), "arn", "external_id"}}`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::http1::Request;
use crate::demo::{Body, Reply};

mod federated;

use federated::{ACCOUNTS, APP_SERVICE, AZURE_MACHINE, EXCHANGE, SUBJECT};

const GOOGLE: &str = "/google/token";
const GOOGLE_MACHINE: &str = "/computeMetadata/v1/instance/service-accounts/default/token";
const AZURE: &str = "/tenant/oauth2/v2.0/token";
const CONTAINER: &str = "/v2/credentials";
const SESSION: &str = "/latest/api/token";
const ROLES: &str = "/latest/meta-data/iam/security-credentials/";
/// How far ahead or behind a caller's clock may be, in seconds.
const SKEW: u64 = 60;

/// What was set up, and what was given out.
#[derive(Debug, Default)]
pub(super) struct Issuer {
    setup: Option<Value>,
    given: BTreeMap<String, Instant>,
    sessions: Vec<String>,
    /// Pairs that were given out, `ID:SECRET` each.
    pairs: Vec<String>,
    next: u64,
}

impl Issuer {
    /// Arms it; nothing given out before is good any more.
    pub(super) fn arm(&mut self, setup: Value) {
        *self = Self { setup: Some(setup), next: self.next, ..Self::default() };
    }

    /// The answer of a log-in service, where the request is for one; the refusal of a token that is none, where the request
    /// is for the partner.
    pub(super) fn answer(&mut self, request: &Request) -> Option<Reply> {
        let setup = self.setup.clone()?;
        let answered = match (request.method.as_str(), request.path()) {
            ("POST", GOOGLE) => self.google(request, &setup["google"]),
            ("GET", GOOGLE_MACHINE) => self.google_machine(request, &setup["google"]),
            ("POST", AZURE) => self.azure(request, &setup["azure"]),
            ("GET", CONTAINER) => self.container(request, &setup["aws"]),
            ("PUT", SESSION) => self.session(request),
            ("GET", path) if path.starts_with(ROLES) => self.role(request, path, &setup["aws"]),
            ("GET", AZURE_MACHINE) => self.azure_machine(request, &setup["azure"]),
            ("GET", APP_SERVICE) => self.app_service(request, &setup["azure"]),
            ("GET", SUBJECT) => federated::subject(request, &setup["google"]["external"]),
            ("POST", EXCHANGE) => self.exchange(request, &setup["google"]["external"]),
            ("POST", path) if path.starts_with(ACCOUNTS) => {
                self.impersonate(request, path, &setup["google"])
            }
            ("POST", "/") => self.assume(request, &setup["aws"]),
            _ => {
                let bearer = request.header("authorization")?.strip_prefix("Bearer ")?;
                let good = self.given.get(bearer).is_some_and(|end| Instant::now() < *end);
                return (!good).then(|| refused("UNAUTHENTICATED", "no such token, or expired"));
            }
        };
        Some(answered.unwrap_or_else(|why| {
            let body = json!({"error": "invalid_grant", "error_description": why});
            reply(400, &body, None)
        }))
    }

    fn life(&self) -> u64 {
        let said = self.setup.as_ref().and_then(|it| it["life_seconds"].as_u64());
        said.unwrap_or(3_600)
    }

    /// A new token, which is good for its life.
    fn token(&mut self) -> Value {
        self.next += 1;
        let (token, life) = (format!("token-{}", self.next), self.life());
        self.given.insert(token.clone(), Instant::now() + Duration::from_secs(life));
        json!({"access_token": token, "expires_in": life, "token_type": "Bearer"})
    }

    fn google(&mut self, request: &Request, setup: &Value) -> Result<Reply, &'static str> {
        let form = form(request)?;
        let field = |name: &str| form.get(name).map(String::as_str);
        if field("grant_type") != Some("urn:ietf:params:oauth:grant-type:jwt-bearer") {
            return Err("grant_type is another one");
        }
        verify(field("assertion").ok_or("no assertion")?, setup)?;
        Ok(reply(200, &self.token(), None))
    }

    fn google_machine(&mut self, request: &Request, setup: &Value) -> Result<Reply, &'static str> {
        if request.header("metadata-flavor") != Some("Google") {
            return Err("no Metadata-Flavor");
        }
        let scope = setup["scope"].as_str().unwrap_or_default();
        let asked = request.target.split_once("?scopes=").map(|(_, it)| it);
        if asked.is_some_and(|it| it != scope && decoded(it).as_deref() != Some(scope)) {
            return Err("another scope");
        }
        Ok(reply(200, &self.token(), Some(("metadata-flavor", "Google"))))
    }

    fn azure(&mut self, request: &Request, setup: &Value) -> Result<Reply, &'static str> {
        let form = form(request)?;
        let is = |name: &str, wanted: &Value| {
            form.get(name).map(String::as_str) == wanted.as_str() && wanted.is_string()
        };
        if !is("grant_type", &json!("client_credentials")) {
            return Err("grant_type is another one");
        }
        if !is("client_id", &setup["client_id"]) || !is("scope", &setup["scope"]) {
            return Err("another application or another scope");
        }
        let kind = json!("urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        let asserted =
            is("client_assertion_type", &kind) && is("client_assertion", &setup["assertion"]);
        if !asserted && !is("client_secret", &setup["secret"]) {
            return Err("AADSTS7000215: Invalid client secret provided.");
        }
        Ok(reply(200, &self.token(), None))
    }

    fn container(&mut self, request: &Request, setup: &Value) -> Result<Reply, &'static str> {
        let shown = request.header("authorization");
        if setup["token"].is_string() && shown != setup["token"].as_str() {
            return Err("the authorization token is another one");
        }
        Ok(reply(200, &self.pair(), None))
    }

    fn session(&mut self, request: &Request) -> Result<Reply, &'static str> {
        let ttl = request.header("x-aws-ec2-metadata-token-ttl-seconds");
        let seconds: u64 = ttl.and_then(|it| it.parse().ok()).ok_or("no life of a session")?;
        if !(1..=21_600).contains(&seconds) {
            return Err("a session lasts from 1 to 21,600 seconds");
        }
        self.next += 1;
        let session = format!("session-{}", self.next);
        self.sessions.push(session.clone());
        Ok(text(&session))
    }

    fn role(
        &mut self,
        request: &Request,
        path: &str,
        setup: &Value,
    ) -> Result<Reply, &'static str> {
        let session = request.header("x-aws-ec2-metadata-token").unwrap_or_default();
        if !self.sessions.iter().any(|it| it == session) {
            return Ok(refused("Unauthorized", "no session"));
        }
        let role = setup["role"].as_str().unwrap_or("role");
        match path.strip_prefix(ROLES) {
            Some("") => Ok(text(role)),
            Some(asked) if asked == role => Ok(reply(200, &self.pair(), None)),
            _ => Err("no such role"),
        }
    }

    /// A key pair with its token and its end.
    fn pair(&mut self) -> Value {
        self.next += 1;
        let end = now() + self.life();
        self.pairs.push(format!("ASIA{}:secret/of+it", self.next));
        json!({
            "Code": "Success", "Type": "AWS-HMAC", "LastUpdated": stamp(now()),
            "AccessKeyId": format!("ASIA{}", self.next), "SecretAccessKey": "secret/of+it",
            "Token": format!("session-token-{}", self.next), "Expiration": stamp(end),
        })
    }
}

/// Whether it is a service account's word: RFC 7523 as Google has it.
fn verify(assertion: &str, setup: &Value) -> Result<(), &'static str> {
    let (signed, signature) = assertion.rsplit_once('.').ok_or("no JWT")?;
    let (header, claims) = signed.split_once('.').ok_or("no JWT")?;
    let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "not Base64");
    let parse = |part: &str| -> Result<Value, &'static str> {
        serde_json::from_slice(&decode(part)?).map_err(|_| "no JSON")
    };
    let (header, claims) = (parse(header)?, parse(claims)?);
    if header["alg"] != "RS256" || header["typ"] != "JWT" {
        return Err("alg must be RS256 and typ JWT");
    }
    let key = STANDARD.decode(setup["public_key"].as_str().unwrap_or_default());
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.unwrap_or_default());
    key.verify(signed.as_bytes(), &decode(signature)?).map_err(|_| "Invalid JWT Signature.")?;
    for (claim, wanted) in [("iss", "email"), ("aud", "audience"), ("scope", "scope")] {
        // Google's Python SDK names the public service whatever the file says; others name the file's.
        let one = setup[wanted] == claims[claim];
        let among = setup[wanted].as_array().is_some_and(|all| all.contains(&claims[claim]));
        if !(one || among) || !claims[claim].is_string() {
            return Err("iss, aud or scope is another one");
        }
    }
    let time = |name: &str| claims[name].as_u64().ok_or("iat or exp is no number");
    let (issued, expires) = (time("iat")?, time("exp")?);
    if issued > now() + SKEW || expires < now() || expires > issued + 3_600 {
        return Err("Invalid JWT: iat and exp must lie an hour apart at most, around now");
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// RFC 3339, as AWS writes it: days to civil date by Howard Hinnant's algorithm.
fn stamp(at: u64) -> String {
    let (days, rest) = (at / 86_400 + 719_468, at % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (date, civil) = (of_year - (153 * month + 2) / 5 + 1, (month + 2) % 12 + 1);
    let year = year + era * 400 + u64::from(civil <= 2);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{civil:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// A form, each field at most once.
fn form(request: &Request) -> Result<BTreeMap<String, String>, &'static str> {
    let kind = request.header("content-type").and_then(|it| it.split(';').next());
    if kind != Some("application/x-www-form-urlencoded") {
        return Err("not a form");
    }
    let text = std::str::from_utf8(&request.body).map_err(|_| "not a form")?;
    let mut fields = BTreeMap::new();
    for part in text.split('&') {
        let (name, value) = part.split_once('=').ok_or("not a form")?;
        let value = decoded(&value.replace('+', " ")).ok_or("not a form")?;
        if fields.insert(name.to_owned(), value).is_some() {
            return Err("a field is there twice");
        }
    }
    Ok(fields)
}

fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            plain => plain,
        });
    }
    String::from_utf8(out).ok()
}

fn refused(status: &str, message: &str) -> Reply {
    let body = json!({"error": {"code": 401, "status": status, "message": message}});
    reply(401, &body, None)
}

fn text(text: &str) -> Reply {
    Reply {
        status: 200,
        headers: vec![("content-type", "text/plain".to_owned())],
        body: Body::Whole(text.to_owned().into()),
    }
}

fn reply(status: u16, body: &Value, header: Option<(&'static str, &str)>) -> Reply {
    let own = [("content-type", "application/json")];
    let headers = own.into_iter().chain(header);
    Reply {
        status,
        headers: headers.map(|(name, value)| (name, value.to_owned())).collect(),
        body: Body::Whole(body.to_string().into()),
    }
}
