//! Google Cloud and Microsoft Entra: addresses made of their parts, and who asks for tokens.

use config::{AzureLogin, AzureProof, GoogleLogin, Provider, Secret, TokenSource};
use domain::DialectId;

use crate::surroundings::Fake;

/// Code and message of each.
type Problems = Vec<(&'static str, String)>;

/// The first provider, and the codes of the warnings.
fn load(text: &str, env: &Fake) -> Result<(Provider, Vec<String>), Problems> {
    match config::load(text, "outrigger.yaml", env, catalog::builtin()) {
        Ok(loaded) => {
            let warnings = loaded.warnings.iter().map(|it| it.code.to_owned()).collect();
            Ok((loaded.config.providers.into_iter().next().unwrap(), warnings))
        }
        Err(problems) => Err(problems.into_iter().map(|it| (it.code, it.message)).collect()),
    }
}

fn google(provider: Provider) -> GoogleLogin {
    let tokens = provider.tokens.unwrap();
    assert_eq!(tokens.scope, "https://www.googleapis.com/auth/cloud-platform");
    let TokenSource::Google(login) = tokens.from else { panic!("not Google's") };
    login
}

fn azure(provider: Provider) -> AzureLogin {
    let TokenSource::Azure(login) = provider.tokens.unwrap().from else { panic!("not Azure's") };
    login
}

#[test]
fn an_address_of_vertex_is_made_of_project_and_location() {
    let env = Fake::default();
    for (location, host) in [
        ("europe-west4", "europe-west4-aiplatform.googleapis.com"),
        ("global", "aiplatform.googleapis.com"),
        ("eu", "aiplatform.eu.rep.googleapis.com"),
    ] {
        let text =
            format!("providers: {{vertex: {{google: {{project: p, location: {location}}}}}}}");
        let (provider, _) = load(&text, &env).unwrap();
        let base = format!("https://{host}/v1/projects/p/locations/{location}");
        assert_eq!(provider.base_url, base);
        let at = |id| &provider.base_urls.iter().find(|it| it.0 == id).unwrap().1;
        assert_eq!(*at(DialectId::Gemini), format!("{base}/publishers/google"));
        assert_eq!(*at(DialectId::OpenaiChat), format!("{base}/endpoints/openapi"));
        assert_eq!(*at(DialectId::OpenaiResponses), format!("{base}/publishers/openai/v1"));
    }
    let vars = [("GOOGLE_CLOUD_PROJECT", "q"), ("GOOGLE_CLOUD_LOCATION", "us-central1")];
    let (provider, _) = load("providers: [vertex]", &Fake::with(&vars)).unwrap();
    assert_eq!(
        provider.base_url,
        "https://us-central1-aiplatform.googleapis.com/v1/projects/q/locations/us-central1"
    );
    // A private endpoint has the same paths below it.
    let own = "providers: {vertex: {base_url: 'https://psc.example/v1/projects/p/locations/l/'}}";
    let (provider, _) = load(own, &env).unwrap();
    let chat = provider.base_urls.iter().find(|it| it.0 == DialectId::OpenaiChat).unwrap();
    assert_eq!(chat.1, "https://psc.example/v1/projects/p/locations/l/endpoints/openapi");
}

#[test]
fn what_is_missing_of_an_address_is_said_all_at_once() {
    let problems = load("providers: [vertex]", &Fake::default()).unwrap_err();
    let expected = [
        ("E0107", "provider `vertex` needs a Google Cloud project".to_owned()),
        ("E0107", "provider `vertex` needs a location".to_owned()),
    ];
    assert_eq!(problems.iter().filter(|it| it.0 == "E0107").cloned().collect::<Vec<_>>(), expected);
    // What would make it another address stands for nothing.
    let slash = "providers: {vertex: {google: {project: p, location: 'evil.example/x'}}}";
    let problems = load(slash, &Fake::default()).unwrap_err();
    assert_eq!(problems[0].1, "provider `vertex` needs a location");
}

#[test]
fn googles_credentials_are_found_where_its_own_tools_look() {
    let text = "providers: {vertex: {google: {project: p, location: global}}}";
    let named = [("GOOGLE_APPLICATION_CREDENTIALS", "/k.json"), ("HOME", "/home/ada")];
    let login = google(load(text, &Fake::with(&named)).unwrap().0);
    assert_eq!(login, GoogleLogin::Key(Secret::File("/k.json".into())));
    let login = google(load(text, &Fake::with(&named[1..])).unwrap().0);
    let usual = "/home/ada/.config/gcloud/application_default_credentials.json";
    assert_eq!(login, GoogleLogin::Key(Secret::File(usual.into())));
    // Nothing there: the metadata server, with a warning unless it was asked for.
    let metadata = GoogleLogin::Metadata { host: "metadata.google.internal".into() };
    let bare = Fake { no_files: true, ..Fake::with(&named[1..]) };
    let (provider, warnings) = load(text, &bare).unwrap();
    assert_eq!((google(provider), warnings), (metadata.clone(), vec!["W0304".to_owned()]));
    let meant =
        "providers: {vertex: {google: {project: p, location: global, credentials: metadata}}}";
    let (provider, warnings) = load(meant, &bare).unwrap();
    assert_eq!((google(provider), warnings), (metadata, Vec::new()));
    // A key goes before tokens.
    let keyed = "providers: {vertex: {key: env:K, google: {project: p, location: global}}}";
    let (provider, _) = load(keyed, &Fake::with(&[("K", "x")])).unwrap();
    assert_eq!((provider.tokens, provider.keys), (None, vec![Secret::Env("K".into())]));
    let (express, _) =
        load("providers: [vertex-express]", &Fake::with(&[("GOOGLE_VERTEX_API_KEY", "x")]))
            .unwrap();
    assert_eq!(express.base_url, "https://aiplatform.googleapis.com/v1/publishers/google");
    assert_eq!(express.tokens, None);
}

#[test]
fn an_application_logs_in_to_entra_where_there_is_no_key() {
    let text = "providers: {azure-openai: {azure: {resource: ada}}}";
    let vars = [
        ("AZURE_TENANT_ID", "t"),
        ("AZURE_CLIENT_ID", "c"),
        ("AZURE_CLIENT_SECRET", "s"),
        ("AZURE_FEDERATED_TOKEN_FILE", "/var/token"),
        ("AZURE_AUTHORITY_HOST", "login.example/"),
    ];
    let (provider, _) = load(text, &Fake::with(&vars[..3])).unwrap();
    assert_eq!(provider.base_url, "https://ada.openai.azure.com/openai/v1");
    let expected = AzureLogin::Application {
        authority: "https://login.microsoftonline.com".into(),
        tenant: "t".into(),
        client_id: "c".into(),
        proof: AzureProof::Secret(Secret::Env("AZURE_CLIENT_SECRET".into())),
    };
    assert_eq!(azure(provider), expected);
    let [tenant, client, _, file, host] = vars;
    let login = azure(load(text, &Fake::with(&[tenant, client, file, host])).unwrap().0);
    let AzureLogin::Application { proof, authority, .. } = login else { panic!("a machine") };
    assert_eq!(proof, AzureProof::File("/var/token".into()));
    assert_eq!(authority, "https://login.example");
    // A key that is set goes first, and what the file says goes before both.
    let keyed = [vars[0], vars[1], vars[2], ("AZURE_OPENAI_API_KEY", "k")];
    assert_eq!(load(text, &Fake::with(&keyed)).unwrap().0.tokens, None);
    let said = "providers: {azure-openai: {azure: {resource: ada, client_id: d}}}";
    let (provider, _) = load(said, &Fake::with(&keyed)).unwrap();
    assert!(provider.keys.is_empty());
    let AzureLogin::Application { client_id, .. } = azure(provider) else { panic!("a machine") };
    assert_eq!(client_id, "d");
}

#[test]
fn what_a_log_in_lacks_is_named() {
    let of = |text: &str, vars: &[(&str, &str)]| load(text, &Fake::with(vars)).unwrap_err();
    let bare = of("providers: [azure-claude]", &[]);
    let said: Vec<&str> = bare.iter().map(|it| &*it.1).collect();
    let expected = [
        "provider `azure-claude` needs a `base_url`",
        "provider `azure-claude` has no key: `ANTHROPIC_FOUNDRY_API_KEY` is not set",
    ];
    assert_eq!(said, expected);
    let text = "providers: {azure-claude: {azure: {resource: ada}}}";
    let half = of(text, &[("AZURE_TENANT_ID", "t")]);
    let expected = "provider `azure-claude` can't log in: `client_id` (AZURE_CLIENT_ID) and `client_secret` \
                    (AZURE_CLIENT_SECRET) or `federated_token_file` (AZURE_FEDERATED_TOKEN_FILE) are missing";
    assert_eq!(half, [("E0301", expected.to_owned())]);
    let both = "providers: {azure-claude: {azure: {resource: ada, tenant: t, client_id: c, client_secret: env:S, \
                federated_token_file: file:/f}}}";
    assert_eq!(of(both, &[("S", "s")])[0].0, "E0112");
    let alien = of("providers: {openai: {key: env:S, google: {project: p}}}", &[("S", "s")]);
    assert_eq!(alien, [("E0112", "provider `openai` takes no tokens of this kind".to_owned())]);
}

#[test]
fn a_machine_of_azures_shows_its_managed_identity() {
    let text = "providers: {azure-openai: {azure: {resource: ada, credentials: managed}}}";
    let machine = |origin: &str, client_id: Option<&str>| AzureLogin::Machine {
        origin: origin.into(),
        client_id: client_id.map(String::from),
    };
    let login = |text: &str, vars: &[(&str, &str)]| azure(load(text, &Fake::with(vars)).unwrap().0);
    // What the file says goes before a key of the environment.
    let key = ("AZURE_OPENAI_API_KEY", "k");
    assert_eq!(login(text, &[key]), machine("http://169.254.169.254", None));
    let host = ("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9/");
    let one =
        "providers: {azure-openai: {azure: {resource: ada, credentials: managed, client_id: c}}}";
    assert_eq!(login(one, &[host]), machine("http://127.0.0.1:9", Some("c")));
    // App Service says where to ask, and needs no word in the file.
    let service = [("IDENTITY_ENDPOINT", "http://127.0.0.1:9/msi/token"), ("IDENTITY_HEADER", "h")];
    let expected = AzureLogin::AppService {
        url: "http://127.0.0.1:9/msi/token".into(),
        secret: Secret::Env("IDENTITY_HEADER".into()),
        client_id: None,
    };
    assert_eq!(login(text, &service), expected);
    assert_eq!(login("providers: {azure-openai: {azure: {resource: ada}}}", &service), expected);
    let both = "providers: {azure-openai: {azure: {resource: ada, credentials: managed, client_secret: env:S}}}";
    let problems = load(both, &Fake::with(&[("S", "x")])).unwrap_err();
    let message = "provider `azure-openai` has both `credentials: managed` and a `client_secret`";
    assert_eq!(problems, [("E0112", message.to_owned())]);
}
