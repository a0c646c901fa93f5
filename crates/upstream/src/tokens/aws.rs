//! Temporary key pairs of AWS: of a container, of an instance, of a web identity, of a role that a pair is trusted by.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use domain::{ErrorClass, UnixMicros};
use http::Method;
use serde_json::Value;

use super::ask::{Answer, Desk, FORM_TYPE, element};
use super::azure::read_file;
use super::{Issued, Issuer, LIFE_MAX, TokenError};
use crate::error::TargetError;
use crate::pool::Pool;
use crate::secret::Secret;
use crate::sigv4::{self, AwsKeys, Scope, Signable};

/// How long a session of an instance's metadata service lasts: AWS's longest.
const SESSION_SECONDS: &str = "21600";
const SESSION: &str = "x-aws-ec2-metadata-token";

/// Who asks for a key pair.
#[derive(Debug)]
pub struct AwsLogin {
    desk: Desk,
    who: Who,
}

#[derive(Debug)]
enum Who {
    Container(Option<ContainerToken>),
    Instance,
    WebIdentity { role: String, session: String, file: String },
    Assume(AssumedRole, Box<AwsPairs>),
}

/// A role that is taken on by whoever has a key pair that it trusts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssumedRole {
    /// The region whose token service is asked.
    pub region: String,
    /// The role's ARN.
    pub role: String,
    /// How the session is called in AWS's own log.
    pub session: String,
    /// What the role's owner wants to be told.
    pub external_id: Option<String>,
    /// How long the pair is to live, where that is not an hour.
    pub seconds: Option<u32>,
}

/// Key pairs to sign with.
#[derive(Debug)]
pub enum AwsPairs {
    /// One that stays.
    Fixed(AwsKeys),
    /// One after another.
    Issued(AwsLogin),
}

/// What a container shows to be given its key pair.
#[derive(Debug)]
pub enum ContainerToken {
    /// This text.
    Text(Secret),
    /// What is in this file, which is replaced before it expires.
    File(String),
}

impl AwsLogin {
    /// The task or pod that this is, by the address its platform gave it. A plain address must be the platform's own or on
    /// this machine.
    pub fn container(url: &str, token: Option<ContainerToken>) -> Result<Self, TargetError> {
        Ok(Self { desk: Desk::either(url)?, who: Who::Container(token) })
    }

    /// The instance that this runs on; `url` is that of its metadata service.
    pub fn instance(url: &str) -> Result<Self, TargetError> {
        Ok(Self { desk: Desk::metadata(url)?, who: Who::Instance })
    }

    /// A role for whoever bears the token of an issuer that the role trusts; `url` is that of AWS's token service.
    pub fn web_identity(
        url: &str,
        role: &str,
        session: &str,
        file: &str,
    ) -> Result<Self, TargetError> {
        let who = Who::WebIdentity {
            role: role.to_owned(),
            session: session.to_owned(),
            file: file.to_owned(),
        };
        Ok(Self { desk: Desk::new(url)?, who })
    }

    /// A role for whoever has a pair that it trusts; `url` is that of AWS's token service.
    pub fn assume(url: &str, role: AssumedRole, source: AwsPairs) -> Result<Self, TargetError> {
        Ok(Self { desk: Desk::new(url)?, who: Who::Assume(role, Box::new(source)) })
    }

    /// The answer of AWS's token service, which is signed for with the source's pair.
    async fn assumed(
        &self,
        pool: &Pool,
        role: &AssumedRole,
        source: &AwsPairs,
    ) -> Result<Answer, TokenError> {
        let issued;
        let pair = match source {
            AwsPairs::Fixed(pair) => pair,
            AwsPairs::Issued(login) => {
                issued = Box::pin(login.issue(pool)).await?.credential;
                &issued
            }
        };
        let seconds = role.seconds.map(|it| it.to_string());
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", &*role.role),
            ("RoleSessionName", &*role.session),
        ];
        form.extend(role.external_id.as_deref().map(|it| ("ExternalId", it)));
        form.extend(seconds.as_deref().map(|it| ("DurationSeconds", it)));
        let sign = |body: &[u8]| {
            let headers = [("host", self.desk.host()), ("content-type", FORM_TYPE)];
            let (method, path) = ("POST", self.desk.path());
            let request = Signable { method, path, query: "", headers: &headers, body };
            let scope = Scope { region: &role.region, service: "sts" };
            sigv4::sign(&request, pair, scope, now())
        };
        self.desk.post_with(pool, &form, sign).await
    }

    /// Version 2 of the instance's metadata service: a session first, which a request forged from outside can't open.
    async fn instance_keys(&self, pool: &Pool) -> Result<Answer, TokenError> {
        let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", SESSION_SECONDS)];
        let path = "/latest/api/token";
        let session = self.desk.ask(pool, Method::PUT, path, &ttl, Bytes::new()).await?;
        let session = text(&session);
        let roles = "/latest/meta-data/iam/security-credentials/";
        let header = [(SESSION, session.reveal())];
        let role = text(&self.desk.get(pool, roles, &header).await?);
        let role = role.reveal().lines().next().unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
        if role.is_empty() || !role.bytes().all(plain) {
            let why = "names no role for this instance; attach one to it";
            return Err(self.desk.failed(ErrorClass::Auth, why));
        }
        self.desk.get(pool, &format!("{roles}{role}"), &header).await
    }
}

impl Issuer for AwsLogin {
    type Credential = AwsKeys;

    async fn issue(&self, pool: &Pool) -> Result<Issued<AwsKeys>, TokenError> {
        let answer = match &self.who {
            Who::Container(None) => self.desk.get(pool, self.desk.path(), &[]).await?,
            Who::Container(Some(token)) => {
                let read = match token {
                    ContainerToken::Text(text) => text.clone(),
                    ContainerToken::File(path) => read_file(path).await?,
                };
                let header = [("authorization", read.reveal())];
                self.desk.get(pool, self.desk.path(), &header).await?
            }
            Who::Instance => self.instance_keys(pool).await?,
            Who::WebIdentity { role, session, file } => {
                let token = read_file(file).await?;
                let form = [
                    ("Action", "AssumeRoleWithWebIdentity"),
                    ("Version", "2011-06-15"),
                    ("RoleArn", role),
                    ("RoleSessionName", session),
                    ("WebIdentityToken", token.reveal()),
                ];
                let answer = self.desk.post(pool, &form).await?;
                return self.pair_of_xml(&answer);
            }
            Who::Assume(role, source) => {
                let answer = self.assumed(pool, role, source).await?;
                return self.pair_of_xml(&answer);
            }
        };
        let value = answer.json(&self.desk)?;
        // The instance's service says of what it could not give why, in an answer that is good otherwise.
        if let Some(code) = value.get("Code").and_then(Value::as_str).filter(|it| *it != "Success")
        {
            let code: String = code.chars().take(60).collect();
            return Err(self.desk.failed(ErrorClass::Auth, &format!("gave no key pair: {code}")));
        }
        self.pair(|name| {
            let name = if name == "SessionToken" { "Token" } else { name };
            value.get(name).and_then(Value::as_str).map(String::from)
        })
    }
}

impl AwsLogin {
    fn pair_of_xml(&self, answer: &Answer) -> Result<Issued<AwsKeys>, TokenError> {
        let xml = text(answer);
        self.pair(|name| element(xml.reveal(), name))
    }

    /// A key pair of its parts.
    fn pair(&self, part: impl Fn(&str) -> Option<String>) -> Result<Issued<AwsKeys>, TokenError> {
        let expires = part("Expiration").and_then(|text| UnixMicros::parse(&text));
        let (Some(access_key_id), Some(secret), Some(token), Some(expires)) =
            (part("AccessKeyId"), part("SecretAccessKey"), part("SessionToken"), expires)
        else {
            let why = "answered without a key pair, its token and its end";
            return Err(self.desk.failed(ErrorClass::BadResponse, why));
        };
        let session_token = Some(Secret::new(token));
        let credential = AwsKeys { access_key_id, secret: Secret::new(secret), session_token };
        Ok(Issued { credential, expires: instant(expires) })
    }
}

fn now() -> UnixMicros {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMicros::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX))
}

/// A moment of the wall clock on the clock that does not jump.
pub(super) fn instant(at: UnixMicros) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at = Duration::from_micros(u64::try_from(at.micros()).unwrap_or_default());
    Instant::now() + at.saturating_sub(now).min(LIFE_MAX)
}

fn text(answer: &Answer) -> Secret {
    Secret::new(String::from_utf8_lossy(&answer.body).into_owned())
}
