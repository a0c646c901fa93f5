//! Access to Google's and Microsoft's clouds by short-lived tokens: who asks for them, and with what.

use catalog::Issuer;

use crate::check::Problem;
use crate::read::{Context, Section};
use crate::spec::{Field, Kind, Scalar, optional};
use crate::tree::Place;
use crate::{
    AzureLogin, AzureProof, GoogleLogin, PresetFacts, Secret, TokenSource, Tokens, scalar,
};

/// A provider's `google`.
pub(crate) static GOOGLE: &[Field] = &[
    optional(
        "project",
        "The project that is billed. Without it, GOOGLE_CLOUD_PROJECT.",
        Kind::Scalar(Scalar::Text),
    ),
    optional(
        "location",
        "Where its models are asked: `europe-west4`, `eu`, `global`. Without it, `region` or GOOGLE_CLOUD_LOCATION.",
        Kind::Scalar(Scalar::Text),
    ),
    optional(
        "credentials",
        "A service account's key or a user's log-in, as Google's tools write it: `file:PATH` or `env:NAME`; or \
         `metadata`, the server that Google's own machines ask. Without it, what Google's SDKs would use: \
         GOOGLE_APPLICATION_CREDENTIALS, the file of `gcloud auth application-default login`, the metadata server.",
        Kind::Scalar(Scalar::Secret),
    ),
];

/// A provider's `azure`.
pub(crate) static AZURE: &[Field] = &[
    optional(
        "resource",
        "The resource's name, the first part of its host. Without it, AZURE_RESOURCE_NAME.",
        Kind::Scalar(Scalar::Name),
    ),
    optional(
        "tenant",
        "The tenant that the application is registered in. Without it, AZURE_TENANT_ID.",
        Kind::Scalar(Scalar::Text),
    ),
    optional(
        "client_id",
        "The application's id. Without it, AZURE_CLIENT_ID.",
        Kind::Scalar(Scalar::Text),
    ),
    optional(
        "client_secret",
        "The application's secret. Without it, AZURE_CLIENT_SECRET.",
        Kind::Scalar(Scalar::Secret),
    ),
    optional(
        "federated_token_file",
        "The token of a workload identity, read anew for each log-in. Without it, AZURE_FEDERATED_TOKEN_FILE.",
        Kind::Scalar(Scalar::File),
    ),
    optional(
        "credentials",
        "`managed`: the identity that Azure manages for this machine, App Service, Function or Container App; with \
         `client_id`, one of several.",
        Kind::Word(&["managed"]),
    ),
    optional(
        "authority",
        "Where log-ins are answered. Without it, AZURE_AUTHORITY_HOST or `https://login.microsoftonline.com`.",
        Kind::Scalar(Scalar::Url),
    ),
];

/// What stands for a placeholder of a preset's base URL, by the file or else by the usual variables.
pub(crate) fn placeholder(name: &str, section: Section<'_>, cx: &Context<'_>) -> Option<String> {
    let google = section.section("google", GOOGLE);
    let given = |text: Option<&str>, variables: &[&str]| {
        let given = text.map(String::from);
        let given = given.or_else(|| variables.iter().find_map(|variable| cx.env.var(variable)));
        // A slash or the like would make it another address.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        given.filter(|text| !text.is_empty() && text.bytes().all(plain))
    };
    let location = || {
        let variables = ["GOOGLE_CLOUD_LOCATION", "GOOGLE_CLOUD_REGION", "CLOUD_ML_REGION"];
        given(google.text("location").or_else(|| section.text("region")), &variables)
    };
    match name {
        "project" => given(google.text("project"), &["GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"]),
        "location" => location(),
        "endpoint" => location().map(|location| endpoint(&location)),
        "resource" => {
            given(section.section("azure", AZURE).text("resource"), &["AZURE_RESOURCE_NAME"])
        }
        _ => None,
    }
}

/// The host that answers for a location: <https://docs.cloud.google.com/vertex-ai/generative-ai/docs/learn/locations>.
fn endpoint(location: &str) -> String {
    match location {
        "global" => "aiplatform.googleapis.com".into(),
        "us" | "eu" => format!("aiplatform.{location}.rep.googleapis.com"),
        region => format!("{region}-aiplatform.googleapis.com"),
    }
}

/// What to write where a placeholder stands for nothing; none where it is not one of ours.
pub(crate) fn missing(name: &str) -> Option<(&'static str, &'static str)> {
    Some(match name {
        "project" => (
            "a Google Cloud project",
            "write `google: {project: my-project}`, or set GOOGLE_CLOUD_PROJECT",
        ),
        "oci_region" => ("a region", "write `region: us-chicago-1`, or set OCI_REGION"),
        "location" => (
            "a location",
            "write `google: {location: europe-west4}` (or `eu`, `us`, `global`), or set GOOGLE_CLOUD_LOCATION",
        ),
        "resource" => (
            "a `base_url`",
            "write `azure: {resource: my-resource}`, or the whole address as `base_url`, or set AZURE_RESOURCE_NAME",
        ),
        _ => return None,
    })
}

/// How tokens for the provider are had, where it takes them and no key is sent (`keyless`).
pub(crate) fn read(
    name: &str,
    place: &Place,
    section: Section<'_>,
    facts: &PresetFacts,
    keyless: bool,
    cx: &mut Context<'_>,
) -> Option<Tokens> {
    for (issuer, key) in [(Issuer::Google, "google"), (Issuer::Azure, "azure")] {
        if let Some(node) = section.get(key)
            && facts.tokens.as_ref().is_none_or(|it| it.from != issuer)
        {
            let message = format!("provider `{name}` takes no tokens of this kind");
            let help = format!("leave `{key}` out, or use a `type` that takes them");
            cx.problems.error(&node.place, Problem::new("E0112", message).help(help));
        }
    }
    let tokens = facts.tokens.as_ref().filter(|_| keyless)?;
    let from = match tokens.from {
        Issuer::Google => TokenSource::Google(google(name, place, section, cx)?),
        Issuer::Azure => TokenSource::Azure(azure(name, place, section, facts, cx)?),
    };
    Some(Tokens { scope: tokens.scope.to_string(), from })
}

fn google(
    name: &str,
    place: &Place,
    section: Section<'_>,
    cx: &mut Context<'_>,
) -> Option<GoogleLogin> {
    let host = cx.env.var("GCE_METADATA_HOST");
    let metadata =
        GoogleLogin::Metadata { host: host.unwrap_or_else(|| "metadata.google.internal".into()) };
    if let Some(node) = section.section("google", GOOGLE).get("credentials") {
        return match node.text()? {
            "metadata" => Some(metadata),
            text => cx.secret(text, &node.place, true).map(GoogleLogin::Key),
        };
    }
    if let Some(path) = cx.env.var("GOOGLE_APPLICATION_CREDENTIALS") {
        cx.expect_readable(&path, place);
        return Some(GoogleLogin::Key(Secret::File(path)));
    }
    let folder = cx.env.var("CLOUDSDK_CONFIG");
    let folder = folder.or_else(|| cx.env.var("HOME").map(|home| format!("{home}/.config/gcloud")));
    let path = folder.map(|folder| format!("{folder}/application_default_credentials.json"));
    if let Some(path) = path.filter(|path| cx.env.readable(path).is_ok()) {
        return Some(GoogleLogin::Key(Secret::File(path)));
    }
    let message = format!(
        "provider `{name}` has no credentials: tokens will be asked of the metadata server, which only Google's own \
         machines have"
    );
    let help = "write `google: {credentials: file:PATH}` or, if this runs there, `google: {credentials: metadata}`";
    cx.problems.warning(place, Problem::new("W0304", message).help(help));
    Some(metadata)
}

fn azure(
    name: &str,
    place: &Place,
    section: Section<'_>,
    facts: &PresetFacts,
    cx: &mut Context<'_>,
) -> Option<AzureLogin> {
    let given = section.section("azure", AZURE);
    let text = |key: &str, variable: &str, cx: &Context<'_>| {
        given.text(key).map(String::from).or_else(|| cx.env.var(variable))
    };
    let tenant = text("tenant", "AZURE_TENANT_ID", cx);
    let client_id = text("client_id", "AZURE_CLIENT_ID", cx);
    if given.get("credentials").is_some() {
        return managed(name, given, client_id, cx);
    }
    let Ok(proof) = proof(name, given, cx) else { return None };
    let untold = given.get("tenant").is_none() && given.get("client_id").is_none();
    if proof.is_none()
        && untold
        && let Some(login) = app_service(client_id.clone(), cx)
    {
        return Some(login);
    }
    let (Some(tenant), Some(client_id), Some(proof)) = (&tenant, &client_id, &proof) else {
        let parts = [
            (tenant.is_none(), "`tenant` (AZURE_TENANT_ID)"),
            (client_id.is_none(), "`client_id` (AZURE_CLIENT_ID)"),
            (
                proof.is_none(),
                "`client_secret` (AZURE_CLIENT_SECRET) or `federated_token_file` (AZURE_FEDERATED_TOKEN_FILE)",
            ),
        ];
        let absent: Vec<&str> = parts.iter().filter(|it| it.0).map(|it| it.1).collect();
        let asked = section.get("azure").is_some() || absent.len() < parts.len();
        let (message, help) = if asked {
            let message = format!("provider `{name}` can't log in: {} missing", verb(&absent));
            (message, "give it under `azure`, or set the variable".to_owned())
        } else {
            let variables = crate::check::one_of(&facts.key_variables);
            let help = "set it, write `key: env:NAME` or `key: file:PATH`, or log in with `azure: {tenant: ..., \
                        client_id: ..., client_secret: env:NAME}` or, on a machine of Azure's, `azure: {credentials: \
                        managed}`";
            (format!("provider `{name}` has no key: {variables} is not set"), help.to_owned())
        };
        let place = section.get("azure").map_or(place, |node| &node.place);
        cx.problems.error(place, Problem::new("E0301", message).help(help));
        return None;
    };
    let authority = text("authority", "AZURE_AUTHORITY_HOST", cx)
        .unwrap_or_else(|| "https://login.microsoftonline.com".into());
    // The variable may name a host alone.
    let authority = match authority.trim_end_matches('/') {
        url if url.contains("://") => url.to_owned(),
        host => format!("https://{host}"),
    };
    Some(AzureLogin::Application {
        authority,
        tenant: tenant.clone(),
        client_id: client_id.clone(),
        proof: proof.clone(),
    })
}

/// The identity that Azure manages for whatever this runs on.
fn managed(
    name: &str,
    given: Section<'_>,
    client_id: Option<String>,
    cx: &mut Context<'_>,
) -> Option<AzureLogin> {
    let shown = ["client_secret", "federated_token_file", "tenant"];
    if let Some((key, node)) = shown.into_iter().find_map(|key| Some((key, given.get(key)?))) {
        let message = format!("provider `{name}` has both `credentials: managed` and a `{key}`");
        let help = "leave one of them out: a managed identity shows nothing";
        cx.problems.error(&node.place, Problem::new("E0112", message).help(help));
        return None;
    }
    // Named as Microsoft's own libraries name it.
    let origin = cx.env.var("AZURE_POD_IDENTITY_AUTHORITY_HOST");
    let origin = origin.unwrap_or_else(|| "http://169.254.169.254".into());
    let origin = origin.trim_end_matches('/').to_owned();
    app_service(client_id.clone(), cx).or(Some(AzureLogin::Machine { origin, client_id }))
}

/// What the variables of App Service, Functions and Container Apps say.
fn app_service(client_id: Option<String>, cx: &Context<'_>) -> Option<AzureLogin> {
    let (url, header) = (cx.env.var("IDENTITY_ENDPOINT")?, "IDENTITY_HEADER");
    cx.env.var(header)?;
    Some(AzureLogin::AppService { url, secret: Secret::Env(header.into()), client_id })
}

fn verb(absent: &[&str]) -> String {
    format!("{} {}", absent.join(" and "), if absent.len() == 1 { "is" } else { "are" })
}

/// What is wrong has been noted.
struct Noted;

/// What shows that it is the application that logs in; what the file says goes before what the environment has.
fn proof(
    name: &str,
    given: Section<'_>,
    cx: &mut Context<'_>,
) -> Result<Option<AzureProof>, Noted> {
    let secret = given.get("client_secret");
    let file = given.get("federated_token_file");
    if let (Some(_), Some(node)) = (secret, file) {
        let message =
            format!("provider `{name}` has both a `client_secret` and a `federated_token_file`");
        cx.problems
            .error(&node.place, Problem::new("E0112", message).help("leave one of them out"));
        return Err(Noted);
    }
    if let Some((text, place)) = secret.and_then(|node| Some((node.text()?, &node.place))) {
        return Ok(cx.secret(text, place, true).map(AzureProof::Secret));
    }
    if let Some((text, place)) = file.and_then(|node| Some((node.text()?, &node.place))) {
        let path = scalar::file(text).ok_or(Noted)?;
        cx.expect_readable(path, place);
        return Ok(Some(AzureProof::File(path.into())));
    }
    if cx.env.var("AZURE_CLIENT_SECRET").is_some() {
        return Ok(Some(AzureProof::Secret(Secret::Env("AZURE_CLIENT_SECRET".into()))));
    }
    Ok(cx.env.var("AZURE_FEDERATED_TOKEN_FILE").map(AzureProof::File))
}
