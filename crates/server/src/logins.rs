//! Whoever asks for short-lived credentials, by what the configuration says of them. What was given out is kept over a
//! reload, as long as neither that nor the secrets that it names have changed; and two providers that log in alike share it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use config::{
    AwsKeys as PairReference, AzureLogin as AzureReference, AzureProof as ProofReference,
    GoogleLogin as GoogleReference, Secret as Reference, TokenSource,
};
use upstream::Secret;
use upstream::sigv4::AwsKeys;
use upstream::tokens::{
    AwsLogin, AwsPairs, AzureLogin, AzureProof, ContainerToken, GoogleLogin, Issuer, Login, Tokens,
};

use crate::aws_profile::Profiles;
use crate::secrets::{SecretError, read, read_file};
use crate::snapshot::SigningKeys;

/// Whoever asks, for the life of the process.
#[derive(Default)]
pub struct Logins {
    tokens: Kept<config::Tokens, Login>,
    pairs: Kept<PairReference, AwsLogin>,
}

/// Those of one kind that are in use.
struct Kept<R, I: Issuer>(Mutex<Vec<Known<R, I>>>);

struct Known<R, I: Issuer> {
    reference: R,
    /// What the reference led to when it was read.
    secret: Option<Secret>,
    tokens: Weak<Tokens<I>>,
}

impl<R, I: Issuer> Default for Kept<R, I> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<R: Clone + PartialEq, I: Issuer> Kept<R, I> {
    /// Who is in use for the same already, else a new one.
    fn same(&self, reference: &R, secret: Option<Secret>, login: I) -> Arc<Tokens<I>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|it| it.tokens.strong_count() > 0);
        let found = all.iter().find(|it| it.reference == *reference && it.secret == secret);
        if let Some(tokens) = found.and_then(|it| it.tokens.upgrade()) {
            return tokens;
        }
        let tokens = Tokens::new(login);
        let reference = reference.clone();
        all.push(Known { reference, secret, tokens: Arc::downgrade(&tokens) });
        tokens
    }
}

impl Logins {
    /// A key pair of AWS, or who asks for one.
    pub fn signing(&self, reference: &PairReference) -> Result<SigningKeys, SecretError> {
        Ok(match pairs(reference)? {
            AwsPairs::Fixed(pair) => SigningKeys::Fixed(pair),
            AwsPairs::Issued(login) => {
                let secret = files(reference).map(Secret::new);
                SigningKeys::Issued(self.pairs.same(reference, secret, login))
            }
        })
    }

    /// Who asks for tokens.
    pub fn tokens(&self, reference: &config::Tokens) -> Result<Arc<Tokens<Login>>, SecretError> {
        let (login, secret) = login(reference)?;
        Ok(self.tokens.same(reference, secret, login))
    }
}

/// Who asks for tokens, and the secret that it shows.
fn login(reference: &config::Tokens) -> Result<(Login, Option<Secret>), SecretError> {
    let config::Tokens { scope, from } = reference;
    let mut shown = None;
    let login = match from {
        TokenSource::Google(GoogleReference::Key(key)) => {
            let key = shown.insert(read(key)?);
            Login::Google(GoogleLogin::from_json(key.reveal(), scope)?)
        }
        TokenSource::Google(GoogleReference::Metadata { host }) => {
            Login::Google(GoogleLogin::metadata(host, scope)?)
        }
        TokenSource::Azure(AzureReference::Application { authority, tenant, client_id, proof }) => {
            let proof = match proof {
                ProofReference::Secret(secret) => {
                    AzureProof::Secret(shown.insert(read(secret)?).clone())
                }
                ProofReference::File(path) => AzureProof::File(path.clone()),
            };
            Login::Azure(AzureLogin::new(authority, tenant, client_id, scope, proof)?)
        }
        TokenSource::Azure(AzureReference::Machine { origin, client_id }) => {
            Login::Azure(AzureLogin::machine(origin, client_id.as_deref(), scope)?)
        }
        TokenSource::Azure(AzureReference::AppService { url, secret, client_id }) => {
            let secret = shown.insert(read(secret)?).clone();
            Login::Azure(AzureLogin::app_service(url, secret, client_id.as_deref(), scope)?)
        }
    };
    Ok((login, shown))
}

/// A key pair of AWS, or who asks for one.
pub(crate) fn pairs(reference: &PairReference) -> Result<AwsPairs, SecretError> {
    match reference {
        PairReference::Pair { access_key_id, secret_access_key, session_token } => {
            Ok(AwsPairs::Fixed(AwsKeys {
                access_key_id: read(access_key_id)?.reveal().to_owned(),
                secret: read(secret_access_key)?,
                session_token: session_token.as_ref().map(read).transpose()?,
            }))
        }
        PairReference::Profile { name, path, around } => {
            let config = around.config.as_deref();
            let secrets = match read_text(path) {
                Err(_) if config.is_some() && !Path::new(path).exists() => String::new(),
                read => read?,
            };
            let config = config.map(read_text).transpose()?.unwrap_or_default();
            Profiles { path, secrets: &secrets, config: &config, around }.pairs(name)
        }
        PairReference::Container { url, token } => {
            let token = token.as_ref().map(|token| match token {
                Reference::File(path) => Ok(ContainerToken::File(path.clone())),
                other => read(other).map(ContainerToken::Text),
            });
            Ok(AwsPairs::Issued(AwsLogin::container(url, token.transpose()?)?))
        }
        PairReference::Instance { url } => Ok(AwsPairs::Issued(AwsLogin::instance(url)?)),
        PairReference::WebIdentity { url, role, session, file } => {
            Ok(AwsPairs::Issued(AwsLogin::web_identity(url, role, session, file)?))
        }
    }
}

/// What the files of profiles say: another text is another log-in.
fn files(reference: &PairReference) -> Option<String> {
    let PairReference::Profile { path, around, .. } = reference else { return None };
    let config = around.config.as_deref().map(read_text).and_then(Result::ok);
    Some(format!("{}\n{}", read_text(path).unwrap_or_default(), config.unwrap_or_default()))
}

fn read_text(path: &str) -> Result<String, SecretError> {
    Ok(String::from_utf8_lossy(&read_file(path)?).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entra(tenant: &str, secret: &str) -> config::Tokens {
        config::Tokens {
            scope: "api/.default".into(),
            from: TokenSource::Azure(AzureReference::Application {
                authority: "https://login.example".into(),
                tenant: tenant.into(),
                client_id: "app".into(),
                proof: ProofReference::Secret(Reference::File(secret.into())),
            }),
        }
    }

    #[test]
    fn who_asks_is_kept_until_the_configuration_or_a_secret_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret").display().to_string();
        std::fs::write(&path, "first").unwrap();
        let logins = Logins::default();
        let before = logins.tokens(&entra("t", &path)).unwrap();
        assert!(Arc::ptr_eq(&before, &logins.tokens(&entra("t", &path)).unwrap()));
        let other = logins.tokens(&entra("u", &path)).unwrap();
        assert!(!Arc::ptr_eq(&before, &other));
        std::fs::write(&path, "second").unwrap();
        let after = logins.tokens(&entra("t", &path)).unwrap();
        assert!(!Arc::ptr_eq(&before, &after));
        // What nobody uses any more is forgotten.
        drop((before, other, after));
        let last = logins.tokens(&entra("t", &path)).unwrap();
        assert_eq!(logins.tokens.0.lock().unwrap().len(), 1);
        drop(last);
    }

    #[test]
    fn a_role_is_kept_until_its_profile_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config").display().to_string();
        let profile = |role: &str| {
            let text = format!(
                "[profile app]\nrole_arn = {role}\nsource_profile = base\n[profile base]\naws_access_key_id = A\n\
                 aws_secret_access_key = S\n"
            );
            std::fs::write(&path, text).unwrap();
        };
        let around = Box::new(config::AwsAround {
            config: Some(path.clone()),
            region: "eu-west-1".into(),
            sts: "https://sts.example".into(),
            instance: "http://169.254.169.254".into(),
            container: None,
        });
        let none = folder.path().join("none").display().to_string();
        let reference = PairReference::Profile { name: "app".into(), path: none, around };
        let logins = Logins::default();
        let ask = || match logins.signing(&reference).unwrap() {
            SigningKeys::Issued(tokens) => tokens,
            SigningKeys::Fixed(_) => panic!("a pair that stays"),
        };
        profile("arn:one");
        let (first, again) = (ask(), ask());
        assert!(Arc::ptr_eq(&first, &again));
        profile("arn:two");
        assert!(!Arc::ptr_eq(&first, &ask()));
    }
}
