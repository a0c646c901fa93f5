//! Access to AWS: a region, and a key pair where there is no bearer key.

use crate::check::Problem;
use crate::read::{Context, Section};
use crate::spec::{Field, Kind, Scalar, optional};
use crate::tree::Place;
use crate::{Aws, AwsAround, AwsKeys, PresetFacts, Secret};

/// A provider's `aws`.
pub(crate) static FIELDS: &[Field] = &[
    optional("access_key_id", "The public half of a key pair.", Kind::Scalar(Scalar::Secret)),
    optional("secret_access_key", "Its secret half.", Kind::Scalar(Scalar::Secret)),
    optional("session_token", "The token of a temporary pair.", Kind::Scalar(Scalar::Secret)),
    optional(
        "profile",
        "The profile whose key pair is used, or whose role is taken on, of the files that AWS's own tools keep.",
        Kind::Scalar(Scalar::Text),
    ),
    optional(
        "credentials",
        "`instance`: the key pair of the role that is attached to the machine. (Pairs of containers and web identities \
         are found by the variables that their platforms set.)",
        Kind::Word(&["instance"]),
    ),
];

/// The region by the file, by the address, or by the environment.
pub(crate) fn region(
    section: Section<'_>,
    base_url: Option<&str>,
    cx: &Context<'_>,
) -> Option<String> {
    let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
    let given = section.text("region").map(Into::into);
    let addressed = || {
        let host = base_url?.split("//").nth(1)?.split(['/', ':']).next()?;
        let (before, _) = host.split_once(".amazonaws.").or_else(|| host.split_once(".api.aws"))?;
        before.rsplit_once('.').map(|(_, region)| region.to_owned())
    };
    given.or_else(addressed).or_else(|| variables.iter().find_map(|name| cx.env.var(name)))
}

/// How requests are signed, where no bearer key is sent (`keyless`).
pub(crate) fn read(
    name: &str,
    place: &Place,
    section: Section<'_>,
    facts: &PresetFacts,
    base_url: &str,
    keyless: bool,
    cx: &mut Context<'_>,
) -> Option<Aws> {
    let Some(service) = facts.aws.as_ref().filter(|_| keyless) else {
        if let Some(node) = section.get("aws") {
            let (message, help) = if facts.aws.is_some() {
                ("has both a key and `aws`", "leave one of them out")
            } else {
                ("is not asked with signed requests", "leave `aws` out, or say `type: bedrock`")
            };
            let problem = Problem::new("E0112", format!("provider `{name}` {message}"));
            cx.problems.error(&node.place, problem.help(help));
        }
        return None;
    };
    let Some(region) = region(section, Some(base_url), cx) else {
        let help = "write `region: us-east-1`, or set AWS_REGION";
        let message = format!("provider `{name}` needs a region to sign requests for");
        cx.problems.error(place, Problem::new("E0107", message).help(help));
        return None;
    };
    let keys = keys(name, place, section, &region, cx)?;
    Some(Aws { region, service: service.clone(), keys })
}

fn keys(
    name: &str,
    place: &Place,
    section: Section<'_>,
    region: &str,
    cx: &mut Context<'_>,
) -> Option<AwsKeys> {
    let given = section.section("aws", FIELDS);
    let mut secret = |key: &str| {
        let node = given.get(key)?;
        cx.secret(node.text()?, &node.place, key != "access_key_id")
    };
    let halves = (secret("access_key_id"), secret("secret_access_key"));
    let session_token = secret("session_token");
    if let (Some(access_key_id), Some(secret_access_key)) = halves {
        return Some(AwsKeys::Pair { access_key_id, secret_access_key, session_token });
    }
    let half = ["access_key_id", "secret_access_key"].into_iter().find_map(|it| given.get(it));
    if let Some(node) = half {
        let message = format!("provider `{name}` has half a key pair");
        let help = "give both `access_key_id` and `secret_access_key`";
        cx.problems.error(&node.place, Problem::new("E0112", message).help(help));
        return None;
    }
    if given.text("credentials") == Some("instance") {
        return Some(AwsKeys::Instance { url: instance(cx) });
    }
    let variable = |name: &str| cx.env.var(name).map(|_| Secret::Env(name.into()));
    if given.get("profile").is_none()
        && let (Some(access_key_id), Some(secret_access_key)) =
            (variable("AWS_ACCESS_KEY_ID"), variable("AWS_SECRET_ACCESS_KEY"))
    {
        let session_token = variable("AWS_SESSION_TOKEN");
        return Some(AwsKeys::Pair { access_key_id, secret_access_key, session_token });
    }
    if given.get("profile").is_none()
        && let Some(keys) = web_identity(region, cx).or_else(|| container(cx))
    {
        return Some(keys);
    }
    let profile = given.text("profile").map(String::from).or_else(|| cx.env.var("AWS_PROFILE"));
    let file = cx.env.var("AWS_SHARED_CREDENTIALS_FILE");
    let file = file.or_else(|| cx.env.var("HOME").map(|home| format!("{home}/.aws/credentials")));
    if let Some(path) = file
        && (profile.is_some() || cx.env.readable(&path).is_ok())
    {
        let name = profile.unwrap_or_else(|| "default".into());
        let around = Box::new(around(region, cx));
        if around.config.is_none() {
            cx.expect_readable(&path, place);
        }
        return Some(AwsKeys::Profile { name, path, around });
    }
    let message = format!("provider `{name}` has no key: neither a bearer key nor a key pair");
    let help = "set AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write `aws: \
                {profile: NAME}`, or `aws: {credentials: instance}` on a machine with a role";
    cx.problems.error(place, Problem::new("E0301", message).help(help));
    None
}

/// Where an instance's metadata service is.
fn instance(cx: &Context<'_>) -> String {
    let url = cx.env.var("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    let url = url.unwrap_or_else(|| "http://169.254.169.254".into());
    url.trim_end_matches('/').into()
}

/// Where AWS's token service is.
fn sts(region: &str, cx: &Context<'_>) -> String {
    let url = cx.env.var("AWS_ENDPOINT_URL_STS");
    // China's regions are in a partition of their own.
    let end = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    url.unwrap_or_else(|| format!("https://sts.{region}.{end}"))
}

fn around(region: &str, cx: &Context<'_>) -> AwsAround {
    let file = cx.env.var("AWS_CONFIG_FILE");
    let file = file.or_else(|| cx.env.var("HOME").map(|home| format!("{home}/.aws/config")));
    AwsAround {
        config: file.filter(|path| cx.env.readable(path).is_ok()),
        region: region.into(),
        sts: sts(region, cx),
        instance: instance(cx),
        container: container(cx),
    }
}

/// What the variables of a pod with a role of its own say.
fn web_identity(region: &str, cx: &Context<'_>) -> Option<AwsKeys> {
    let url = sts(region, cx);
    Some(AwsKeys::WebIdentity {
        file: cx.env.var("AWS_WEB_IDENTITY_TOKEN_FILE")?,
        role: cx.env.var("AWS_ROLE_ARN")?,
        session: cx.env.var("AWS_ROLE_SESSION_NAME").unwrap_or_else(|| "outrigger".into()),
        url,
    })
}

/// What the variables of a container whose platform hands out its role's pairs say.
fn container(cx: &Context<'_>) -> Option<AwsKeys> {
    let relative = cx.env.var("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    let url = relative
        .map(|path| format!("http://169.254.170.2{path}"))
        .or_else(|| cx.env.var("AWS_CONTAINER_CREDENTIALS_FULL_URI"))?;
    let file = cx.env.var("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(Secret::File);
    let text = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    let token = file.or_else(|| cx.env.var(text).map(|_| Secret::Env(text.into())));
    Some(AwsKeys::Container { url, token })
}
