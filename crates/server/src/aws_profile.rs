//! The profiles of AWS's own tools: a key pair, or a role that another profile, the machine or a web identity takes on.
//! <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>,
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-assume-role-credentials.html>

use std::collections::BTreeMap;

use config::{AwsAround, AwsKeys as Reference};
use upstream::Secret;
use upstream::sigv4::AwsKeys;
use upstream::tokens::{AssumedRole, AwsLogin, AwsPairs};

use crate::logins;
use crate::secrets::SecretError;

/// Profiles that take on one another's roles: more than any organisation chains.
const CHAIN_MAX: usize = 8;

/// The two files of profiles.
pub(crate) struct Profiles<'a> {
    /// Where secrets are.
    pub path: &'a str,
    /// Text of that file; empty where there is none.
    pub secrets: &'a str,
    /// Text of the other, whose sections are called `profile NAME`.
    pub config: &'a str,
    /// What a profile may refer to.
    pub around: &'a AwsAround,
}

impl Profiles<'_> {
    /// What the profile's requests are signed with.
    pub(crate) fn pairs(&self, name: &str) -> Result<AwsPairs, SecretError> {
        self.resolve(name, CHAIN_MAX, false)
    }

    /// `by_itself`: the profile is the source of its own role, which its own pair takes on.
    fn resolve(&self, name: &str, left: usize, by_itself: bool) -> Result<AwsPairs, SecretError> {
        let profile = self.merged(name);
        let get = |key: &str| profile.get(key).cloned();
        if let (Some(role), false) = (get("role_arn"), by_itself) {
            return self.role(name, role, &profile, left).map(AwsPairs::Issued);
        }
        if let (Some(access_key_id), Some(secret)) =
            (get("aws_access_key_id"), get("aws_secret_access_key"))
        {
            let (secret, session_token) =
                (Secret::new(secret), get("aws_session_token").map(Secret::new));
            return Ok(AwsPairs::Fixed(AwsKeys { access_key_id, secret, session_token }));
        }
        let signs_on = profile.keys().any(|key| key.starts_with("sso_"));
        Err(match () {
            () if profile.contains_key("credential_process") => unfit(
                name,
                "runs a program (`credential_process`), which the gateway does not do; let the program write a profile \
                 with a key pair, or take on a role",
            ),
            () if signs_on => unfit(
                name,
                "signs on with a browser (`sso_`), which nobody does for a gateway; use a role or a key pair",
            ),
            () if profile.contains_key("login_session") => {
                unfit(name, "logs in with a browser (`login_session`); use a role or a key pair")
            }
            () => SecretError::Profile { path: self.path.to_owned(), name: name.to_owned() },
        })
    }

    fn role(
        &self,
        name: &str,
        role: String,
        profile: &BTreeMap<String, String>,
        left: usize,
    ) -> Result<AwsLogin, SecretError> {
        let get = |key: &str| profile.get(key).cloned();
        let session = get("role_session_name").unwrap_or_else(|| "outrigger".into());
        let sts = &self.around.sts;
        if let Some(file) = get("web_identity_token_file") {
            return Ok(AwsLogin::web_identity(sts, &role, &session, &file)?);
        }
        if profile.contains_key("mfa_serial") {
            let why = "asks for a one-time code (`mfa_serial`), which nobody gives a gateway; use a role without it";
            return Err(unfit(name, why));
        }
        let source = match (get("source_profile"), get("credential_source")) {
            (Some(source), None) if left > 0 => self.resolve(&source, left - 1, source == name)?,
            (Some(_), None) => return Err(unfit(name, "is the source of itself, over others")),
            (None, Some(source)) => self.machine(name, &source)?,
            _ => {
                let why = "has a role (`role_arn`), and not one of `source_profile`, `credential_source` and \
                           `web_identity_token_file` that takes it on";
                return Err(unfit(name, why));
            }
        };
        let seconds = get("duration_seconds").and_then(|it| it.parse().ok());
        let (region, external_id) = (self.around.region.clone(), get("external_id"));
        let role = AssumedRole { region, role, session, external_id, seconds };
        Ok(AwsLogin::assume(sts, role, source)?)
    }

    /// The pair of what this runs on.
    fn machine(&self, name: &str, source: &str) -> Result<AwsPairs, SecretError> {
        let variable = |name: &str| config::Secret::Env(name.into());
        let reference = match (source, &self.around.container) {
            ("Environment", _) => Reference::Pair {
                access_key_id: variable("AWS_ACCESS_KEY_ID"),
                secret_access_key: variable("AWS_SECRET_ACCESS_KEY"),
                session_token: std::env::var_os("AWS_SESSION_TOKEN")
                    .map(|_| variable("AWS_SESSION_TOKEN")),
            },
            ("Ec2InstanceMetadata", _) => Reference::Instance { url: self.around.instance.clone() },
            ("EcsContainer", Some(container)) => container.clone(),
            ("EcsContainer", None) => {
                return Err(unfit(name, "wants a container's pair, and this runs in none"));
            }
            _ => return Err(unfit(name, "has an unknown `credential_source`")),
        };
        logins::pairs(&reference)
    }

    /// What both files say of a profile; a secret's file goes first.
    fn merged(&self, name: &str) -> BTreeMap<String, String> {
        let titled = format!("profile {name}");
        let mut all = section(self.config, if name == "default" { name } else { &titled });
        all.extend(section(self.secrets, name));
        all
    }
}

fn unfit(name: &str, why: &'static str) -> SecretError {
    SecretError::ProfileKind { name: name.to_owned(), why }
}

/// The keys of a section, in small letters. What stands indented belongs to the key above it and is none of ours.
fn section(text: &str, title: &str) -> BTreeMap<String, String> {
    let mut inside = false;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let indented = line.starts_with([' ', '\t']);
        let line = line.trim();
        if let Some(name) = line.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
            inside = name.split_whitespace().eq(title.split_whitespace());
        } else if let (true, false, Some((key, value))) = (inside, indented, line.split_once('=')) {
            found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: &str = "# work\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=s/e+c=\n\n\
        [ci]\nregion = eu-west-1\naws_access_key_id=AKIA2\naws_secret_access_key = t\naws_session_token = u==\n\
        [half]\naws_access_key_id = AKIA3\n";
    const CONFIG: &str = "[default]\nregion = eu-west-1\ns3 =\n  role_arn = no key of the profile's\n\n\
        [profile app]\nrole_arn = arn:aws:iam::1:role/app\nsource_profile = ci\nexternal_id = x\n\
        duration_seconds = 900\n\
        [profile chain]\nrole_arn = arn:aws:iam::2:role/deep\nsource_profile = app\n\
        [profile ci]\nrole_arn_of_nobody = x\n\
        [profile self]\nrole_arn = arn:r\nsource_profile = self\naws_access_key_id = A\naws_secret_access_key = S\n\
        [profile round]\nrole_arn = arn:r\nsource_profile = about\n\
        [profile about]\nrole_arn = arn:r\nsource_profile = round\n\
        [profile web]\nrole_arn = arn:r\nweb_identity_token_file = /token\n\
        [profile machine]\nrole_arn = arn:r\ncredential_source = Ec2InstanceMetadata\n\
        [profile task]\nrole_arn = arn:r\ncredential_source = EcsContainer\n\
        [profile lone]\nrole_arn = arn:r\n\
        [profile code]\nrole_arn = arn:r\nsource_profile = ci\nmfa_serial = m\n\
        [profile run]\ncredential_process = /bin/pairs\n\
        [profile browser]\nsso_session = s\nsso_account_id = 1\n";

    fn resolve(name: &str) -> Result<AwsPairs, String> {
        let around = AwsAround {
            config: None,
            region: "eu-west-1".into(),
            sts: "https://sts.eu-west-1.amazonaws.com".into(),
            instance: "http://169.254.169.254".into(),
            container: None,
        };
        let profiles =
            Profiles { path: "credentials", secrets: SECRETS, config: CONFIG, around: &around };
        profiles.pairs(name).map_err(|error| error.to_string())
    }

    #[test]
    fn a_pair_is_read_as_awss_tools_write_it() {
        let Ok(AwsPairs::Fixed(keys)) = resolve("default") else { panic!("no pair") };
        assert_eq!((keys.access_key_id.as_str(), keys.secret.reveal()), ("AKIA1", "s/e+c="));
        assert_eq!(keys.session_token, None);
        let Ok(AwsPairs::Fixed(keys)) = resolve("ci") else { panic!("no pair") };
        assert_eq!(keys.session_token.as_ref().map(Secret::reveal), Some("u=="));
        for name in ["other", "half"] {
            let said = resolve(name).unwrap_err();
            assert_eq!(said, format!("file credentials has no key pair under `{name}`"));
        }
    }

    #[test]
    fn a_role_is_taken_on_by_another_profile_the_machine_or_a_web_identity() {
        for name in ["app", "chain", "self", "web", "machine"] {
            assert!(matches!(resolve(name), Ok(AwsPairs::Issued(_))), "{name}");
        }
        let text = format!("{:?}", resolve("chain").unwrap());
        // The deeper role is taken on with the pair of the other, whose source is the pair of the file.
        for part in
            ["arn:aws:iam::2:role/deep", "arn:aws:iam::1:role/app", "AKIA2", "seconds: Some(900)"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_a_gateway_cant_do_is_said() {
        for (name, why) in [
            ("round", "profile `about` is the source of itself, over others"),
            ("task", "profile `task` wants a container's pair, and this runs in none"),
            ("lone", "profile `lone` has a role (`role_arn`), and not one of"),
            ("code", "profile `code` asks for a one-time code (`mfa_serial`)"),
            ("run", "profile `run` runs a program (`credential_process`)"),
            ("browser", "profile `browser` signs on with a browser (`sso_`)"),
        ] {
            let said = resolve(name).unwrap_err();
            assert!(
                said.starts_with(why) || name == "round" && said.contains("source of itself"),
                "{said}"
            );
        }
    }
}
