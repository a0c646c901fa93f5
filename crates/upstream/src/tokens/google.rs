//! Tokens of Google's: a service account signs for itself, a user's log-in is renewed, a machine asks its metadata
//! server, a workload elsewhere exchanges a token of its own. <https://developers.google.com/identity/protocols/oauth2/service-account>,
//! <https://docs.cloud.google.com/compute/docs/access/authenticate-workloads>

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ErrorClass;
use serde_json::{Value, json};

use super::ask::{Answer, Desk, seconds, since_1970};
use super::external::External;
use super::{Issued, TokenError};
use crate::error::TargetError;
use crate::pool::Pool;
use crate::rsa::{RsaError, RsaKey};
use crate::secret::Secret;

const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
const FLAVOR: &str = "metadata-flavor";
/// How long a token is asked for: Google's longest.
const LIFE_SECONDS: u64 = 3_600;

/// Who asks, and for what.
#[derive(Debug)]
pub struct GoogleLogin {
    scope: String,
    desk: Desk,
    who: Who,
}

#[derive(Debug)]
enum Who {
    Account { email: String, key_id: Option<String>, key: RsaKey, audience: String },
    User { client_id: String, client_secret: Secret, refresh_token: Secret },
    Machine,
    External(External),
}

/// Why a file is no log-in of Google's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoogleKeyError {
    /// Not what Google's tools write.
    #[error("Google's credentials are no JSON; take the file as Google's tools write it")]
    Json,
    /// A field is missing.
    #[error("Google's credentials lack `{0}`; take the file as Google's tools write it")]
    Missing(&'static str),
    /// Another kind.
    #[error(
        "Google's credentials are of type `{0}`; `service_account`, `authorized_user` and `external_account` can be used, \
         or the metadata server (`credentials: metadata`)"
    )]
    Kind(String),
    /// A source of a foreign token that is none of ours.
    #[error(
        "Google's credentials take the foreign token from {0}, which the gateway does not do; let it be written to a file \
         (`credential_source.file`) or given out at an address (`credential_source.url`)"
    )]
    Source(&'static str),
    /// The private key can't be used.
    #[error("the private key of the service account can't be used")]
    Key(#[from] RsaError),
    /// The address where tokens are given out can't be used.
    #[error("the address where Google's tokens are given out can't be used")]
    Desk(#[from] TargetError),
}

impl GoogleLogin {
    /// Reads the key of a service account or the log-in of a user, as Google's tools write it.
    pub fn from_json(text: &str, scope: &str) -> Result<Self, GoogleKeyError> {
        let value: Value = serde_json::from_str(text).map_err(|_| GoogleKeyError::Json)?;
        let get = |name: &'static str| {
            let text = value.get(name).and_then(Value::as_str).filter(|it| !it.is_empty());
            text.map(String::from).ok_or(GoogleKeyError::Missing(name))
        };
        let uri = get("token_uri").unwrap_or_else(|_| TOKEN_URI.to_owned());
        let who = match get("type")?.as_str() {
            "service_account" => Who::Account {
                email: get("client_email")?,
                key_id: get("private_key_id").ok(),
                key: RsaKey::from_pem(&get("private_key")?)?,
                audience: uri.clone(),
            },
            "authorized_user" => Who::User {
                client_id: get("client_id")?,
                client_secret: Secret::new(get("client_secret")?),
                refresh_token: Secret::new(get("refresh_token")?),
            },
            "external_account" => {
                let desk = Desk::new(&get("token_url")?)?;
                return Ok(Self {
                    scope: scope.to_owned(),
                    desk,
                    who: Who::External(External::of(&value)?),
                });
            }
            other => return Err(GoogleKeyError::Kind(other.to_owned())),
        };
        Ok(Self { scope: scope.to_owned(), desk: Desk::new(&uri)?, who })
    }

    /// The machine's own service account; `host` is that of the metadata server.
    pub fn metadata(host: &str, scope: &str) -> Result<Self, TargetError> {
        let path = "/computeMetadata/v1/instance/service-accounts/default/token";
        let desk = Desk::metadata(&format!("http://{host}{path}"))?;
        Ok(Self { scope: scope.to_owned(), desk, who: Who::Machine })
    }

    async fn ask(&self, pool: &Pool) -> Result<Answer, TokenError> {
        match &self.who {
            Who::Account { email, key_id, key, audience } => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let assertion =
                    assertion(key, key_id.as_deref(), email, audience, &self.scope, now.as_secs())
                        .map_err(|error| {
                            let message = format!("no credential for the provider: {error}");
                            TokenError { class: ErrorClass::Auth, message }
                        })?;
                let grant = "urn:ietf:params:oauth:grant-type:jwt-bearer";
                let form = [("grant_type", grant), ("assertion", &assertion)];
                self.desk.post(pool, &form).await
            }
            Who::User { client_id, client_secret, refresh_token } => {
                let form = [
                    ("grant_type", "refresh_token"),
                    ("client_id", client_id),
                    ("client_secret", client_secret.reveal()),
                    ("refresh_token", refresh_token.reveal()),
                ];
                self.desk.post(pool, &form).await
            }
            Who::Machine => {
                let path = format!("{}?scopes={}", self.desk.path(), self.scope);
                let answer = self.desk.get(pool, &path, &[(FLAVOR, "Google")]).await?;
                // Whoever answers at that address elsewhere does not know to say so.
                if answer.headers.get(FLAVOR).is_none_or(|it| it != "Google") {
                    let why = "is no metadata server of Google's";
                    return Err(self.desk.failed(ErrorClass::BadResponse, why));
                }
                Ok(answer)
            }
            Who::External(external) => external.exchange(pool, &self.desk, &self.scope).await,
        }
    }
}

impl GoogleLogin {
    pub(super) async fn issue(&self, pool: &Pool) -> Result<Issued<Secret>, TokenError> {
        let begun = Instant::now();
        let answer = self.ask(pool).await?;
        let issued = bearer(&answer, &self.desk, begun)?;
        match &self.who {
            Who::External(external) => external.impersonated(pool, &self.scope, issued).await,
            _ => Ok(issued),
        }
    }
}

/// The token in an answer of OAuth's: RFC 6749, section 5.1.
pub(super) fn bearer(
    answer: &Answer,
    desk: &Desk,
    begun: Instant,
) -> Result<Issued<Secret>, TokenError> {
    let value = answer.json(desk)?;
    let token = value.get("access_token").and_then(Value::as_str).filter(|it| !it.is_empty());
    // App Service names the end itself, in seconds since 1970.
    let left = || {
        let end = value.get("expires_on").and_then(since_1970)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(end.saturating_sub(now))
    };
    let life = value.get("expires_in").and_then(seconds).or_else(left);
    let (Some(token), Some(life)) = (token, life) else {
        let why = "answered without `access_token` and `expires_in`";
        return Err(desk.failed(ErrorClass::BadResponse, why));
    };
    Ok(Issued { credential: Secret::new(token.to_owned()), expires: begun + life })
}

/// What a service account signs to get a token: RFC 7523.
fn assertion(
    key: &RsaKey,
    key_id: Option<&str>,
    email: &str,
    audience: &str,
    scope: &str,
    now: u64,
) -> Result<String, RsaError> {
    let mut header = json!({"alg": "RS256", "typ": "JWT"});
    if let Some(id) = key_id {
        header["kid"] = id.into();
    }
    let expires = now + LIFE_SECONDS;
    let claims = json!({"iss": email, "scope": scope, "aud": audience, "iat": now, "exp": expires});
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(&claims));
    let signature = URL_SAFE_NO_PAD.encode(key.sign(text.as_bytes())?);
    Ok(format!("{text}.{signature}"))
}
