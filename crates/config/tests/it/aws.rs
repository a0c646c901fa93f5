//! Access to Bedrock: a bearer key, or a key pair from one of the places where AWS's own tools look.

use config::{Aws, AwsAround, AwsKeys, Secret};

use crate::surroundings::Fake;

fn load(text: &str, vars: &[(&str, &str)]) -> Result<config::Provider, Vec<String>> {
    load_with(text, &Fake::with(vars))
}

fn load_with(text: &str, env: &Fake) -> Result<config::Provider, Vec<String>> {
    config::load(text, "outrigger.yaml", env, catalog::builtin())
        .map(|loaded| loaded.config.providers.into_iter().next().expect("one provider"))
        .map_err(|problems| problems.iter().map(|it| it.message.clone()).collect())
}

fn pair(id: &str, secret: &str, token: Option<&str>) -> AwsKeys {
    let variable = |name: &str| Secret::Env(name.into());
    AwsKeys::Pair {
        access_key_id: variable(id),
        secret_access_key: variable(secret),
        session_token: token.map(variable),
    }
}

const PAIR: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "s")];

#[test]
fn a_bearer_key_goes_before_a_pair() {
    let vars = [PAIR[0], PAIR[1], ("AWS_BEARER_TOKEN_BEDROCK", "b"), ("AWS_REGION", "eu-west-1")];
    let provider = load("providers: {bedrock: {}}", &vars).unwrap();
    assert_eq!(provider.keys, [Secret::Env("AWS_BEARER_TOKEN_BEDROCK".into())]);
    assert_eq!(provider.aws, None);
    assert_eq!(provider.base_url, "https://bedrock-runtime.eu-west-1.amazonaws.com");
}

#[test]
fn a_pair_is_found_where_awss_own_tools_look() {
    let region = ("AWS_DEFAULT_REGION", "us-west-2");
    let aws = |text: &str, vars: &[(&str, &str)]| load(text, vars).unwrap().aws.unwrap();
    let usual = aws("providers: {bedrock: {}}", &[PAIR[0], PAIR[1], region]);
    let keys = pair("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", None);
    assert_eq!(usual, Aws { region: "us-west-2".into(), service: "bedrock".into(), keys });

    let token = ("AWS_SESSION_TOKEN", "t");
    let temporary = aws("providers: {bedrock: {}}", &[PAIR[0], PAIR[1], token, region]);
    let keys = pair("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", Some("AWS_SESSION_TOKEN"));
    assert_eq!(temporary.keys, keys);

    let file = "providers: {bedrock: {region: us-east-1, aws: {access_key_id: env:ID, secret_access_key: env:S}}}";
    let named = aws(file, &[PAIR[0], PAIR[1], ("ID", "AKIB"), ("S", "s"), region]);
    assert_eq!((named.region.as_str(), named.keys), ("us-east-1", pair("ID", "S", None)));

    // What the file says goes before what the environment has, a bearer key too.
    let profile = "providers: {bedrock: {aws: {profile: work}}}";
    let bearer = ("AWS_BEARER_TOKEN_BEDROCK", "b");
    let profiled = aws(profile, &[PAIR[0], PAIR[1], bearer, ("HOME", "/home/me"), region]);
    let around = Box::new(AwsAround {
        config: Some("/home/me/.aws/config".into()),
        region: "us-west-2".into(),
        sts: "https://sts.us-west-2.amazonaws.com".into(),
        instance: "http://169.254.169.254".into(),
        container: None,
    });
    let path = "/home/me/.aws/credentials".into();
    assert_eq!(profiled.keys, AwsKeys::Profile { name: "work".into(), path, around });
}

#[test]
fn the_region_is_told_by_the_address_too() {
    let text = "providers: {house: {type: bedrock, base_url: https://bedrock-runtime.ap-south-1.amazonaws.com}}";
    assert_eq!(load(text, &PAIR).unwrap().aws.unwrap().region, "ap-south-1");
}

#[test]
fn what_is_missing_or_does_nothing_is_said() {
    let region = ("AWS_REGION", "eu-west-1");
    let said = |text: &str, vars: &[(&str, &str)]| load(text, vars).unwrap_err().join("; ");
    assert!(said("providers: {bedrock: {}}", &PAIR).contains("needs a `base_url`"));
    let no_files = Fake { no_files: true, ..Fake::with(&[region, ("HOME", "/home/me")]) };
    let keyless = load_with("providers: {bedrock: {}}", &no_files).unwrap_err().join("; ");
    assert!(keyless.contains("neither a bearer key nor a key pair"), "{keyless}");
    let half = "providers: {bedrock: {aws: {access_key_id: env:ID}}}";
    let half = said(half, &[PAIR[0], PAIR[1], ("ID", "AKIB"), region]);
    assert!(half.contains("half a key pair"), "{half}");
    let both = "providers: {bedrock: {key: env:K, aws: {profile: work}}}";
    let both = said(both, &[("K", "x"), ("HOME", "/home/me"), region]);
    assert!(both.contains("both a key and `aws`"), "{both}");
    let idle = "providers: {openai: {key: env:K, aws: {profile: work}}}";
    let idle = said(idle, &[("K", "x")]);
    assert!(idle.contains("not asked with signed requests"), "{idle}");
}

#[test]
fn a_platform_that_hands_out_pairs_is_found_by_its_variables() {
    let region = ("AWS_REGION", "eu-west-1");
    let keys = |text: &str, vars: &[(&str, &str)]| {
        let env = Fake { no_files: true, ..Fake::with(vars) };
        load_with(text, &env).unwrap().aws.unwrap().keys
    };
    let text = "providers: {bedrock: {}}";
    let relative = ("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/x");
    let url = "http://169.254.170.2/v2/credentials/x".to_owned();
    assert_eq!(keys(text, &[region, relative]), AwsKeys::Container { url, token: None });
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    let file = ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/var/token");
    let token = Some(Secret::File("/var/token".into()));
    let pod = AwsKeys::Container { url: full.1.into(), token };
    assert_eq!(keys(text, &[region, full, file]), pod);
    let role = [("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"), ("AWS_WEB_IDENTITY_TOKEN_FILE", "/t")];
    let web = AwsKeys::WebIdentity {
        url: "https://sts.eu-west-1.amazonaws.com".into(),
        role: role[0].1.into(),
        session: "outrigger".into(),
        file: "/t".into(),
    };
    assert_eq!(keys(text, &[region, role[0], role[1], full]), web);
    // A pair that is set goes before what a platform hands out.
    let own = keys(text, &[PAIR[0], PAIR[1], region, full]);
    assert_eq!(own, pair(PAIR[0].0, PAIR[1].0, None));
    let instance = "providers: {bedrock: {aws: {credentials: instance}}}";
    let url = "http://169.254.169.254".to_owned();
    assert_eq!(keys(instance, &[region]), AwsKeys::Instance { url });
}
