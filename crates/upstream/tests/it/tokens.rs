//! Log-ins against services that verify what they are shown and count who asks.

use std::fmt::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::ErrorClass;
use fake_provider::Mock;
use serde_json::{Value, json};
use upstream::sigv4::AwsKeys;
use upstream::tokens::{
    AssumedRole, AwsLogin, AwsPairs, AzureLogin, AzureProof, ContainerToken, GoogleLogin, Issuer,
    Login, TokenError, Tokens,
};
use upstream::{Pool, PoolOptions, Secret};

/// How long another thread may take.
const PATIENCE: Duration = Duration::from_secs(10);
const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";
const EMAIL: &str = "svc@ada.iam.gserviceaccount.com";

/// The tokens that a log-in yields, asked for by that many at once.
fn ask<I: Issuer>(login: I, times: usize) -> Vec<Result<Arc<I::Credential>, TokenError>>
where
    I::Credential: 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let (tokens, pool) = (Tokens::new(login), Pool::new(PoolOptions::default()));
        let asking: Vec<_> = (0..times)
            .map(|_| {
                let (tokens, pool) = (Arc::clone(&tokens), pool.clone());
                tokio::task::spawn_local(async move { tokens.get(&pool).await })
            })
            .collect();
        let mut answers = Vec::new();
        for one in asking {
            answers.push(one.await.unwrap());
        }
        answers
    })
}

fn one<I: Issuer>(login: I) -> Result<Arc<I::Credential>, TokenError>
where
    I::Credential: 'static,
{
    ask(login, 1).remove(0)
}

/// A service account whose tokens the mock gives out: its file, and what the mock is to know of it.
fn account(mock: &Mock) -> (Value, Value) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let mut pem = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    for line in STANDARD.encode(der.as_ref()).as_bytes().chunks(64) {
        writeln!(pem, "{}", String::from_utf8_lossy(line)).unwrap();
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    let uri = format!("http://{}/google/token", mock.addr());
    let file = json!({"type": "service_account", "client_email": EMAIL, "private_key_id": "k1",
        "private_key": pem, "token_uri": uri});
    let public = STANDARD.encode(pair.public_key().as_ref());
    (file, json!({"email": EMAIL, "public_key": public, "audience": uri, "scope": SCOPE}))
}

fn google(file: &Value, scope: &str) -> Login {
    Login::Google(GoogleLogin::from_json(&file.to_string(), scope).unwrap())
}

fn count(mock: &Mock, path: &str) -> u64 {
    mock.stats()["by_path"][path].as_u64().unwrap_or_default()
}

#[test]
fn a_service_account_signs_what_google_verifies_once_for_all() {
    let mock = Mock::start().unwrap();
    let (file, setup) = account(&mock);
    mock.issuer(json!({"google": setup}));
    let tokens = ask(google(&file, SCOPE), 50);
    let first = tokens[0].as_ref().unwrap();
    assert!(tokens.iter().all(|it| it.as_ref().unwrap() == first));
    assert_eq!(count(&mock, "/google/token"), 1);
}

#[test]
fn a_refusal_says_who_refused_and_why_and_holds_no_secret() {
    let mock = Mock::start().unwrap();
    let (file, setup) = account(&mock);
    mock.issuer(json!({"google": setup}));
    let (other, _) = account(&mock);
    for (login, why) in [
        (google(&other, SCOPE), "Invalid JWT Signature."),
        (
            google(&file, "https://www.googleapis.com/auth/other"),
            "iss, aud or scope is another one",
        ),
    ] {
        let error = one(login).unwrap_err();
        let expected = format!(
            "no credential for the provider: `{}` refused (HTTP 400: invalid_grant: {why}); check the credentials that \
             the provider is configured with",
            mock.addr()
        );
        assert_eq!(error, TokenError { class: ErrorClass::Auth, message: expected });
    }
    // A service that repeats the secret it was shown.
    let told = json!({"match": {"path": "/tenant/oauth2/v2.0/token"},
        "do": {"status": 401, "body": "{\"error\": \"you said a-long-secret-canary\"}"}});
    mock.rule(&told).unwrap();
    let error = one(entra(&mock, AzureProof::Secret(Secret::new("a-long-secret-canary".into()))));
    let error = error.unwrap_err().message;
    assert!(error.contains("you said ***") && !error.contains("canary"), "{error}");
}

#[test]
fn a_service_that_is_down_or_talks_nonsense_is_a_fault_of_its_class() {
    let mock = Mock::start().unwrap();
    let (file, setup) = account(&mock);
    mock.issuer(json!({"google": setup}));
    for (told, class) in [
        (json!({"status": 500}), ErrorClass::ServerError),
        (json!({"status": 429}), ErrorClass::RateLimited),
        (json!({"status": 200, "body": "{}"}), ErrorClass::BadResponse),
        (json!({"status": 200, "body": "<html>"}), ErrorClass::BadResponse),
    ] {
        mock.clear_rules();
        mock.rule(&json!({"match": {"path": "/google/token"}, "do": told})).unwrap();
        assert_eq!(one(google(&file, SCOPE)).unwrap_err().class, class, "{told}");
    }
    mock.accept(false, true);
    // Closing is another thread's work: wait for the fact.
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(mock.addr()).is_ok() {
        assert!(Instant::now() < until, "still open");
    }
    let error = one(google(&file, SCOPE)).unwrap_err();
    assert_eq!(error.class, ErrorClass::Unreachable);
    assert!(error.message.contains("check the network"), "{}", error.message);
}

#[test]
fn a_machine_asks_the_metadata_server_of_google() {
    let mock = Mock::start().unwrap();
    mock.issuer(json!({"google": {"scope": SCOPE}}));
    let host = mock.addr().to_string();
    let token = one(Login::Google(GoogleLogin::metadata(&host, SCOPE).unwrap())).unwrap();
    assert_eq!(token.reveal(), "token-1");
    // Another server that happens to answer there.
    mock.rule(
        &json!({"do": {"status": 200, "body": "{\"access_token\": \"x\", \"expires_in\": 9}"}}),
    )
    .unwrap();
    let error = one(Login::Google(GoogleLogin::metadata(&host, SCOPE).unwrap())).unwrap_err();
    assert!(error.message.contains("is no metadata server of Google's"), "{}", error.message);
    // Nothing else can be reached by that way.
    assert!(GoogleLogin::metadata("10.0.0.1", SCOPE).is_err());
    assert!(GoogleLogin::metadata("1.1.1.1", SCOPE).is_err());
}

fn entra(mock: &Mock, proof: AzureProof) -> Login {
    let authority = format!("http://{}", mock.addr());
    Login::Azure(AzureLogin::new(&authority, "tenant", "app", "api/.default", proof).unwrap())
}

#[test]
fn an_application_shows_entra_its_secret_or_a_token_it_trusts() {
    let mock = Mock::start().unwrap();
    let folder = std::env::temp_dir().join(format!("outrigger-tokens-{}", std::process::id()));
    std::fs::write(&folder, "header.claims.signature\n").unwrap();
    let path = folder.display().to_string();
    mock.issuer(json!({"azure": {"client_id": "app", "scope": "api/.default", "secret": "s&=+ %/",
        "assertion": "header.claims.signature"}}));
    let secret = |text: &str| AzureProof::Secret(Secret::new(text.to_owned()));
    assert_eq!(one(entra(&mock, secret("s&=+ %/"))).unwrap().reveal(), "token-1");
    assert_eq!(one(entra(&mock, AzureProof::File(path))).unwrap().reveal(), "token-2");
    let error = one(entra(&mock, secret("other"))).unwrap_err();
    assert!(error.message.contains("AADSTS7000215"), "{}", error.message);
    std::fs::remove_file(&folder).unwrap();
    let gone = AzureProof::File(folder.display().to_string());
    let error = one(entra(&mock, gone)).unwrap_err();
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(error.message.contains("can't be read"), "{}", error.message);
    // A secret is not sent in the clear.
    let plain = AzureLogin::new("http://login.example", "tenant", "app", "s", secret("s"));
    assert!(plain.is_err());
}

#[test]
fn aws_hands_a_pair_to_containers_and_instances() {
    let mock = Mock::start().unwrap();
    mock.issuer(json!({"aws": {"role": "gateway", "token": "shown"}}));
    let url = format!("http://{}/v2/credentials", mock.addr());
    let token = |text: &str| Some(ContainerToken::Text(Secret::new(text.to_owned())));
    let pair = one(AwsLogin::container(&url, token("shown")).unwrap()).unwrap();
    assert_eq!(pair.secret.reveal(), "secret/of+it");
    assert!(pair.session_token.as_ref().unwrap().reveal().starts_with("session-token-"));
    let error = one(AwsLogin::container(&url, token("other")).unwrap()).unwrap_err();
    assert_eq!(error.class, ErrorClass::Auth);
    let base = format!("http://{}", mock.addr());
    let pair = one(AwsLogin::instance(&base).unwrap()).unwrap();
    assert!(pair.access_key_id.starts_with("ASIA"));
    assert_eq!(count(&mock, "/latest/api/token"), 1);
    assert!(AwsLogin::container("http://10.0.0.1/x", None).is_err());
    assert!(AwsLogin::instance("http://1.1.1.1").is_err());
    for fine in ["http://169.254.170.2/x", "http://169.254.170.23/x", "https://creds.example/x"] {
        assert!(AwsLogin::container(fine, None).is_ok(), "{fine}");
    }
}

#[test]
fn a_web_identity_is_exchanged_for_a_pair() {
    let mock = Mock::start().unwrap();
    let path = std::env::temp_dir().join(format!("outrigger-web-identity-{}", std::process::id()));
    std::fs::write(&path, "a.web.identity\n").unwrap();
    // As AWS documents the answer of AssumeRoleWithWebIdentity.
    let answer = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
        <AssumeRoleWithWebIdentityResult><Credentials>\n<SessionToken>AQoDYXdzEE0a8ANXXX</SessionToken>\n\
        <SecretAccessKey>wJalrXUt/nFEMI</SecretAccessKey>\n<Expiration>2099-10-24T23:00:23Z</Expiration>\n\
        <AccessKeyId>ASgeIAIOSFODNN7EXAMPLE</AccessKeyId></Credentials>\n\
        </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    mock.rule(&json!({"do": {"status": 200, "body": answer}})).unwrap();
    let url = format!("http://{}", mock.addr());
    let login = || {
        let file = path.display().to_string();
        AwsLogin::web_identity(&url, "arn:aws:iam::1:role/r", "outrigger", &file).unwrap()
    };
    let pair = one(login()).unwrap();
    assert_eq!(pair.access_key_id, "ASgeIAIOSFODNN7EXAMPLE");
    assert_eq!(pair.secret.reveal(), "wJalrXUt/nFEMI");
    assert_eq!(pair.session_token.as_ref().unwrap().reveal(), "AQoDYXdzEE0a8ANXXX");
    let sent = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr\
                &RoleSessionName=outrigger&WebIdentityToken=a.web.identity";
    assert_eq!(mock.requests()[0]["body"], sent);
    let refusal = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code>\
                   <Message>Token expired</Message></Error></ErrorResponse>";
    mock.clear_rules();
    mock.rule(&json!({"do": {"status": 400, "body": refusal}})).unwrap();
    let error = one(login()).unwrap_err();
    assert_eq!(error.class, ErrorClass::Auth);
    let why = "refused (HTTP 400: ExpiredTokenException: Token expired)";
    assert!(error.message.contains(why), "{}", error.message);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_machine_of_azures_asks_for_its_identitys_token() {
    let mock = Mock::start().unwrap();
    mock.issuer(json!({"azure": {"client_id": "app", "scope": "https://ai.azure.com/.default",
        "identity_header": "shown"}}));
    let origin = format!("http://{}", mock.addr());
    let scope = "https://ai.azure.com/.default";
    let machine = |id, scope| one(Login::Azure(AzureLogin::machine(&origin, id, scope).unwrap()));
    assert_eq!(machine(None, scope).unwrap().reveal(), "token-1");
    assert_eq!(machine(Some("app"), scope).unwrap().reveal(), "token-2");
    let refused = machine(Some("other"), scope).unwrap_err();
    assert_eq!(refused.class, ErrorClass::Auth);
    assert!(refused.message.contains("Identity not found"), "{}", refused.message);
    assert!(machine(None, "https://other/.default").unwrap_err().message.contains("AADSTS500011"));
    let url = format!("{origin}/msi/token");
    let service = |secret: &str| {
        let secret = Secret::new(secret.to_owned());
        one(Login::Azure(AzureLogin::app_service(&url, secret, None, scope).unwrap()))
    };
    assert_eq!(service("shown").unwrap().reveal(), "token-3");
    assert!(service("other").unwrap_err().message.contains("HTTP 401"));
    // Nobody but the platform is asked.
    assert!(AzureLogin::machine("http://10.0.0.1", None, scope).is_err());
    assert!(AzureLogin::machine("http://169.254.169.254", None, scope).is_ok());
    let secret = || Secret::new("s".to_owned());
    assert!(
        AzureLogin::app_service("http://169.254.129.2:8081/msi/token", secret(), None, scope)
            .is_ok()
    );
    assert!(AzureLogin::app_service("http://1.1.1.1/msi/token", secret(), None, scope).is_err());
}

#[test]
fn a_workload_that_google_trusts_exchanges_its_token() {
    let mock = Mock::start().unwrap();
    let origin = format!("http://{}", mock.addr());
    let audience =
        "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/q";
    let kind = "urn:ietf:params:oauth:token-type:jwt";
    mock.issuer(json!({"google": {"email": EMAIL, "scope": SCOPE, "external":
        {"audience": audience, "type": kind, "token": "foreign.jwt.token", "header": "h"}}}));
    let path = std::env::temp_dir().join(format!("outrigger-subject-{}", std::process::id()));
    std::fs::write(&path, "foreign.jwt.token\n").unwrap();
    let file = |source: Value, account: Option<&str>| {
        let mut file = json!({"type": "external_account", "audience": audience, "subject_token_type": kind,
            "token_url": format!("{origin}/google/sts"), "credential_source": source});
        if let Some(account) = account {
            let url =
                format!("{origin}/v1/projects/-/serviceAccounts/{account}:generateAccessToken");
            file["service_account_impersonation_url"] = url.into();
        }
        file
    };
    let in_file = json!({"file": path.display().to_string()});
    assert_eq!(one(google(&file(in_file.clone(), None), SCOPE)).unwrap().reveal(), "token-1");
    let format = json!({"type": "json", "subject_token_field_name": "access_token"});
    let at_url =
        json!({"url": format!("{origin}/subject"), "headers": {"X-Shown": "h"}, "format": format});
    let token = one(google(&file(at_url.clone(), Some(EMAIL)), SCOPE)).unwrap();
    assert_eq!(token.reveal(), "account-token-3");
    // What is wrong is said by whom it was asked of.
    let unshown = json!({"url": format!("{origin}/subject"), "format": format});
    let error = one(google(&file(unshown, None), SCOPE)).unwrap_err();
    assert!(error.message.contains("the header is another one"), "{}", error.message);
    let mut nameless = at_url;
    nameless["format"]["subject_token_field_name"] = "id_token".into();
    let error = one(google(&file(nameless, None), SCOPE)).unwrap_err();
    assert!(error.message.contains("holds no JSON with a `id_token`"), "{}", error.message);
    let error = one(google(&file(in_file, Some("other@x")), SCOPE)).unwrap_err();
    assert!(error.message.contains("no such account"), "{}", error.message);
    std::fs::write(&path, "another.jwt").unwrap();
    let gone = json!({"file": path.display().to_string()});
    let error = one(google(&file(gone, None), SCOPE)).unwrap_err();
    assert!(error.message.contains("The subject token is invalid"), "{}", error.message);
    assert!(!error.message.contains("another.jwt"), "{}", error.message);
    std::fs::remove_file(&path).unwrap();
    for (source, why) in [
        (json!({"environment_id": "aws1"}), "AWS's signatures"),
        (json!({"executable": {"command": "x"}}), "a program"),
        (json!({}), "lack `credential_source`"),
    ] {
        let text = file(source, None).to_string();
        let said = GoogleLogin::from_json(&text, SCOPE).unwrap_err().to_string();
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_role_is_taken_on_with_a_pair_that_it_trusts() {
    let mock = Mock::start().unwrap();
    let arn = "arn:aws:iam::123456789012:role/models";
    mock.issuer(json!({"aws": {"role": "gateway", "pair": "AKIA1:s/e+c", "arn": arn, "external_id": "ext"}}));
    let origin = format!("http://{}", mock.addr());
    let fixed = |secret: &str| {
        AwsPairs::Fixed(AwsKeys {
            access_key_id: "AKIA1".into(),
            secret: Secret::new(secret.to_owned()),
            session_token: None,
        })
    };
    let role = || AssumedRole {
        region: "eu-west-1".into(),
        role: arn.into(),
        session: "outrigger".into(),
        external_id: Some("ext".into()),
        seconds: Some(900),
    };
    let assume = |role, source| AwsLogin::assume(&origin, role, source).unwrap();
    let pair = one(assume(role(), fixed("s/e+c"))).unwrap();
    assert!(pair.access_key_id.starts_with("ASIA"));
    assert!(pair.session_token.as_ref().unwrap().reveal().starts_with("session-token-"));
    // With the machine's pair, and with that of a role that was taken on before.
    let machine = AwsPairs::Issued(AwsLogin::instance(&origin).unwrap());
    let deeper = AwsPairs::Issued(assume(role(), machine));
    assert!(one(assume(role(), deeper)).unwrap().access_key_id.starts_with("ASIA"));
    let error = one(assume(role(), fixed("other"))).unwrap_err();
    assert_eq!(error.class, ErrorClass::Auth);
    assert!(error.message.contains("SignatureDoesNotMatch"), "{}", error.message);
    let stranger = AssumedRole { external_id: None, ..role() };
    let error = one(assume(stranger, fixed("s/e+c"))).unwrap_err();
    assert!(error.message.contains("AccessDenied"), "{}", error.message);
}
