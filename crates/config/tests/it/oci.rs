//! Access to Oracle Cloud: who pays, and a signing key from the file or from where Oracle's own tools look.

use config::{Oci, OciKey, Secret};
use domain::DialectId;

use crate::surroundings::Fake;

fn load_with(text: &str, env: &Fake) -> Result<config::Provider, Vec<String>> {
    config::load(text, "outrigger.yaml", env, catalog::builtin())
        .map(|loaded| loaded.config.providers[0].clone())
        .map_err(|problems| problems.iter().map(|it| it.message.clone()).collect())
}

fn load(text: &str, vars: &[(&str, &str)]) -> Result<config::Provider, Vec<String>> {
    load_with(text, &Fake::with(vars))
}

#[test]
fn the_usual_file_is_found_and_the_address_made_of_the_region() {
    let vars = [("OCI_COMPARTMENT_ID", "ocid1.compartment.oc1..a"), ("HOME", "/home/me")];
    let provider = load("providers: {oci: {region: us-chicago-1}}", &vars).unwrap();
    let host = "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com";
    assert_eq!(provider.base_url, host);
    assert_eq!(provider.dialects, [DialectId::OciChat]);
    assert!(provider.base_urls.contains(&(DialectId::OciChat, format!("{host}/20231130"))));
    let key = OciKey::Profile {
        name: "DEFAULT".into(),
        path: "/home/me/.oci/config".into(),
        home: "/home/me".into(),
    };
    assert_eq!(provider.oci, Some(Oci { compartment: "ocid1.compartment.oc1..a".into(), key }));
}

#[test]
fn what_the_file_says_goes_first() {
    let vars = [
        ("OCI_COMPARTMENT_ID", "other"),
        ("OCI_REGION", "eu-frankfurt-1"),
        ("OCI_CONFIG_FILE", "/etc/oci"),
        ("OCI_CLI_PROFILE", "CI"),
        ("PEM", "-----BEGIN"),
    ];
    let named = "providers: {oci: {oci: {compartment: c, tenancy: t, user: u, fingerprint: f, private_key: env:PEM}}}";
    let key = OciKey::Named {
        tenancy: "t".into(),
        user: "u".into(),
        fingerprint: "f".into(),
        private_key: Secret::Env("PEM".into()),
    };
    let provider = load(named, &vars).unwrap();
    assert_eq!(provider.oci, Some(Oci { compartment: "c".into(), key }));
    assert!(provider.base_url.contains("eu-frankfurt-1"));
    let key = OciKey::Profile { name: "CI".into(), path: "/etc/oci".into(), home: String::new() };
    assert_eq!(load("providers: {oci: {}}", &vars).unwrap().oci.unwrap().key, key);
}

#[test]
fn all_that_is_missing_is_said_at_once() {
    let said = |text: &str, env: &Fake| load_with(text, env).unwrap_err().join("; ");
    let bare = Fake { no_files: true, ..Fake::with(&[("HOME", "/home/me")]) };
    let all = said("providers: {oci: {}}", &bare);
    for what in ["needs a region", "needs a compartment", "has no signing key"] {
        assert!(all.contains(what), "{what}: {all}");
    }
    let region = Fake::with(&[("OCI_REGION", "us-chicago-1"), ("OCI_COMPARTMENT_ID", "c")]);
    let part = said("providers: {oci: {oci: {user: u, tenancy: t}}}", &region);
    assert!(part.contains("`fingerprint`, `private_key` is missing"), "{part}");
    let idle = said(
        "providers: {openai: {key: env:K, oci: {profile: x}}}",
        &Fake::with(&[("K", "x"), ("HOME", "/home/me")]),
    );
    assert!(idle.contains("not asked with Oracle's signatures"), "{idle}");
}
