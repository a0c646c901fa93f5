//! A workload elsewhere that Google trusts: its own token is exchanged for one of Google's, and that, where a service account
//! is named, for the account's. <https://docs.cloud.google.com/iam/docs/workload-identity-federation>, RFC 8693.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use domain::{ErrorClass, UnixMicros};
use http::Method;
use serde_json::{Value, json};

use super::ask::{Answer, Desk};
use super::aws::instant;
use super::azure::read_file;
use super::google::GoogleKeyError;
use super::{Issued, TokenError};
use crate::pool::Pool;
use crate::secret::Secret;

/// What is asked for where an account is impersonated with it, and no more: Google's own SDKs ask the same.
const IMPERSONATING: &str = "https://www.googleapis.com/auth/iam";
/// How long an account's token is asked for: Google's usual longest.
const LIFE_SECONDS: u64 = 3_600;

/// What a file of `external_account` says.
#[derive(Debug)]
pub(super) struct External {
    audience: String,
    kind: String,
    source: Source,
    /// The member of the token's JSON; none where it stands alone.
    field: Option<String>,
    client: Option<(String, Secret)>,
    account: Option<(Desk, u64)>,
}

/// Where the foreign token is.
#[derive(Debug)]
enum Source {
    File(String),
    Url(Desk, Vec<(String, String)>),
}

impl External {
    pub(super) fn of(value: &Value) -> Result<Self, GoogleKeyError> {
        let text = |pointer: &str| {
            let text = value.pointer(pointer).and_then(Value::as_str);
            text.filter(|it| !it.is_empty()).map(str::to_owned)
        };
        let need =
            |name: &'static str| text(&format!("/{name}")).ok_or(GoogleKeyError::Missing(name));
        let source = match (text("/credential_source/file"), text("/credential_source/url")) {
            _ if value.pointer("/credential_source/environment_id").is_some() => {
                return Err(GoogleKeyError::Source("AWS's signatures (`environment_id`)"));
            }
            _ if value.pointer("/credential_source/executable").is_some() => {
                return Err(GoogleKeyError::Source("a program (`executable`)"));
            }
            (Some(path), _) => Source::File(path),
            (None, Some(url)) => {
                let headers =
                    value.pointer("/credential_source/headers").and_then(Value::as_object);
                let pairs = headers.into_iter().flatten();
                let pairs = pairs
                    .filter_map(|(k, v)| Some((k.to_ascii_lowercase(), v.as_str()?.to_owned())));
                Source::Url(Desk::either(&url)?, pairs.collect())
            }
            (None, None) => return Err(GoogleKeyError::Missing("credential_source")),
        };
        let is_json = text("/credential_source/format/type").as_deref() == Some("json");
        let field = text("/credential_source/format/subject_token_field_name");
        if is_json && field.is_none() {
            return Err(GoogleKeyError::Missing("subject_token_field_name"));
        }
        let account = match text("/service_account_impersonation_url") {
            Some(url) => {
                let life = value.pointer("/service_account_impersonation/token_lifetime_seconds");
                Some((Desk::new(&url)?, life.and_then(Value::as_u64).unwrap_or(LIFE_SECONDS)))
            }
            None => None,
        };
        let client = text("/client_id").zip(text("/client_secret").map(Secret::new));
        Ok(Self {
            audience: need("audience")?,
            kind: need("subject_token_type")?,
            source,
            field: field.filter(|_| is_json),
            client,
            account,
        })
    }

    /// The answer of Google's token service to the foreign token.
    pub(super) async fn exchange(
        &self,
        pool: &Pool,
        desk: &Desk,
        scope: &str,
    ) -> Result<Answer, TokenError> {
        let token = self.subject(pool).await?;
        let scope = if self.account.is_some() { IMPERSONATING } else { scope };
        let form = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("audience", &self.audience),
            ("scope", scope),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", token.reveal()),
            ("subject_token_type", &self.kind),
        ];
        let basic = |(id, secret): &(String, Secret)| {
            let pair = STANDARD.encode(format!("{id}:{}", secret.reveal()));
            ("authorization", format!("Basic {pair}"))
        };
        desk.post_with(pool, &form, |_| self.client.iter().map(basic).collect()).await
    }

    async fn subject(&self, pool: &Pool) -> Result<Secret, TokenError> {
        let (text, from) = match &self.source {
            Source::File(path) => (read_file(path).await?, format!("the file {path}")),
            Source::Url(desk, headers) => {
                let headers: Vec<(&str, &str)> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                let answer = desk.get(pool, desk.path(), &headers).await?;
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                (Secret::new(text), format!("`{}`", desk.host()))
            }
        };
        let Some(field) = &self.field else { return Ok(text) };
        let value: Value = serde_json::from_str(text.reveal()).unwrap_or_default();
        let token = value.get(field).and_then(Value::as_str).filter(|it| !it.is_empty());
        token.map(|it| Secret::new(it.to_owned())).ok_or_else(|| TokenError {
            class: ErrorClass::Auth,
            message: format!(
                "no credential for the provider: {from} holds no JSON with a `{field}`, where Google's credentials say \
                 that the token is; check `credential_source.format`"
            ),
        })
    }

    /// The account's token, where one is named.
    pub(super) async fn impersonated(
        &self,
        pool: &Pool,
        scope: &str,
        own: Issued<Secret>,
    ) -> Result<Issued<Secret>, TokenError> {
        let Some((desk, life)) = &self.account else { return Ok(own) };
        let body = json!({"delegates": [], "scope": [scope], "lifetime": format!("{life}s")});
        let bearer = format!("Bearer {}", own.credential.reveal());
        let headers = [("content-type", "application/json"), ("authorization", bearer.as_str())];
        let body = Bytes::from(body.to_string());
        let answer = desk.ask(pool, Method::POST, desk.path(), &headers, body).await?;
        let value = answer.json(desk)?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let end = text("expireTime").and_then(UnixMicros::parse);
        let (Some(token), Some(end)) = (text("accessToken").filter(|it| !it.is_empty()), end)
        else {
            let why = "answered without `accessToken` and `expireTime`";
            return Err(desk.failed(ErrorClass::BadResponse, why));
        };
        Ok(Issued { credential: Secret::new(token.to_owned()), expires: instant(end) })
    }
}
