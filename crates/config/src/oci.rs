//! Access to Oracle Cloud: a compartment that pays, and an API signing key of a user.

use crate::check::Problem;
use crate::read::{Context, Section};
use crate::spec::{Field, Kind, Scalar, optional};
use crate::tree::Place;
use crate::{Oci, OciKey, PresetFacts};

/// A provider's `oci`.
pub(crate) static FIELDS: &[Field] = &[
    optional(
        "compartment",
        "The OCID of the compartment that is billed. Without it, OCI_COMPARTMENT_ID.",
        Kind::Scalar(Scalar::Text),
    ),
    optional(
        "profile",
        "The profile whose signing key is used, of the file that Oracle's own tools keep.",
        Kind::Scalar(Scalar::Text),
    ),
    optional("tenancy", "The tenancy's OCID, in a profile's place.", Kind::Scalar(Scalar::Text)),
    optional("user", "The user's OCID.", Kind::Scalar(Scalar::Text)),
    optional("fingerprint", "The signing key's fingerprint.", Kind::Scalar(Scalar::Text)),
    optional(
        "private_key",
        "The signing key, in PEM and without a pass phrase: `file:PATH` or `env:NAME`.",
        Kind::Scalar(Scalar::Secret),
    ),
];

/// What names a signing key, all of it or nothing.
const NAMED: [&str; 4] = ["tenancy", "user", "fingerprint", "private_key"];

/// The region by the file, or by the environment.
pub(crate) fn region(section: Section<'_>, cx: &Context<'_>) -> Option<String> {
    let given = section.text("region").map(String::from);
    given.or_else(|| ["OCI_REGION", "OCI_CLI_REGION"].iter().find_map(|name| cx.env.var(name)))
}

/// Who pays and how requests are signed, where no bearer key is sent (`keyless`).
pub(crate) fn read(
    name: &str,
    place: &Place,
    section: Section<'_>,
    facts: &PresetFacts,
    keyless: bool,
    cx: &mut Context<'_>,
) -> Option<Oci> {
    if !facts.oci || !keyless {
        if let Some(node) = section.get("oci") {
            let (message, help) = if facts.oci {
                ("has both a key and `oci`", "leave one of them out")
            } else {
                ("is not asked with Oracle's signatures", "leave `oci` out, or say `type: oci`")
            };
            let problem = Problem::new("E0112", format!("provider `{name}` {message}"));
            cx.problems.error(&node.place, problem.help(help));
        }
        return None;
    }
    let given = section.section("oci", FIELDS);
    let compartment = given.text("compartment").map(String::from);
    let compartment = compartment.or_else(|| cx.env.var("OCI_COMPARTMENT_ID"));
    if compartment.is_none() {
        let help = "write `oci: {compartment: ocid1.compartment.oc1..}`, or set OCI_COMPARTMENT_ID";
        let message = format!("provider `{name}` needs a compartment that is billed");
        cx.problems.error(place, Problem::new("E0107", message).help(help));
    }
    let key = key(name, place, given, cx);
    Some(Oci { compartment: compartment?, key: key? })
}

fn key(name: &str, place: &Place, given: Section<'_>, cx: &mut Context<'_>) -> Option<OciKey> {
    let absent: Vec<&str> = NAMED.into_iter().filter(|field| given.get(field).is_none()).collect();
    if absent.is_empty() {
        let node = given.get("private_key")?;
        let private_key = cx.secret(node.text()?, &node.place, true);
        return Some(OciKey::Named {
            tenancy: given.text("tenancy")?.into(),
            user: given.text("user")?.into(),
            fingerprint: given.text("fingerprint")?.into(),
            private_key: private_key?,
        });
    }
    if let Some(node) = NAMED.into_iter().find_map(|field| given.get(field)) {
        let list = absent.join("`, `");
        let message = format!("provider `{name}` names a signing key in part: `{list}` is missing");
        let help = "give all of `tenancy`, `user`, `fingerprint` and `private_key`, or a `profile`";
        cx.problems.error(&node.place, Problem::new("E0112", message).help(help));
        return None;
    }
    let profile = given.text("profile").map(String::from);
    let profile = profile.or_else(|| cx.env.var("OCI_CLI_PROFILE"));
    let file = cx.env.var("OCI_CONFIG_FILE");
    let file = file.or_else(|| cx.env.var("HOME").map(|home| format!("{home}/.oci/config")));
    if let Some(path) = file
        && (profile.is_some() || cx.env.readable(&path).is_ok())
    {
        cx.expect_readable(&path, place);
        let home = cx.env.var("HOME").unwrap_or_default();
        return Some(OciKey::Profile { name: profile.unwrap_or("DEFAULT".into()), path, home });
    }
    let message = format!("provider `{name}` has no signing key: there is no ~/.oci/config");
    let help = "run `oci setup config`, set OCI_CONFIG_FILE, or write `oci: {tenancy: ..., user: ..., \
                fingerprint: ..., private_key: file:PATH}`";
    cx.problems.error(place, Problem::new("E0301", message).help(help));
    None
}
