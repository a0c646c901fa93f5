//! The programs that `outrigger run` knows, and what points each of them at the gateway: variables and arguments of
//! this one run. Nobody's own settings are written.

use std::path::Path;

use serde_json::{Value, json};

/// A coding agent with manners of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agent {
    /// Claude Code.
    Claude,
    /// Codex.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// opencode.
    Opencode,
    /// aider.
    Aider,
}

/// A cloud that an agent may take the gateway for, whose way to ask for Claude it then uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Cloud {
    /// Amazon Bedrock: InvokeModel.
    Bedrock,
    /// Google Vertex AI: rawPredict.
    Vertex,
}

/// The gateway as the agent is to see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gateway<'a> {
    /// Base address, without `/v1`.
    pub(crate) base: &'a str,
    /// The virtual key, or what stands in for one.
    pub(crate) key: &'a str,
    /// What may be asked for.
    pub(crate) served: &'a [Served],
    /// What it is taken for; none: Anthropic, or whatever else is usual.
    pub(crate) cloud: Option<Cloud>,
}

/// A capability or an offer that the gateway lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Served {
    /// Its name.
    pub(crate) id: String,
    /// Most input tokens, where that is known.
    pub(crate) max_input: Option<u64>,
    /// Most output tokens, where that is known.
    pub(crate) max_output: Option<u64>,
}

/// What is set for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setup {
    /// Variables and their values.
    pub(crate) set: Vec<(&'static str, String)>,
    /// Variables that would lead elsewhere.
    pub(crate) unset: Vec<&'static str>,
    /// Arguments that come before the user's own.
    pub(crate) arguments: Vec<String>,
    /// A configuration folder of ours.
    pub(crate) home: Option<OwnHome>,
}

/// A configuration folder of ours for an agent that takes a setting only from its own, which is the user's. The rest of
/// the user's settings is in force too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OwnHome {
    /// The variable that leads to it instead of the user's home.
    pub(crate) variable: &'static str,
    /// Its name among ours.
    pub(crate) name: &'static str,
    /// The agent's folder in it, as in the user's home.
    pub(crate) folder: &'static str,
    /// The file with settings in that folder.
    pub(crate) file: &'static str,
    /// What comes before the user's own settings.
    pub(crate) settings: Value,
    /// What else of the user's folder is to be found in ours.
    pub(crate) linked: &'static [&'static str],
}

impl OwnHome {
    /// The user's settings with ours before them. What can't be read as JSON is left out.
    pub(crate) fn merged(&self, users: &str) -> Value {
        let mut all = serde_json::from_str(users).unwrap_or_default();
        overlay(&mut all, &self.settings);
        all
    }
}

/// Puts the values of one object over another's, at every depth.
fn overlay(under: &mut Value, over: &Value) {
    let Value::Object(fields) = over else {
        *under = over.clone();
        return;
    };
    if !under.is_object() {
        *under = json!({});
    }
    for (name, value) in fields {
        overlay(&mut under[name], value);
    }
}

impl Setup {
    /// This and more, which has the last word about a variable.
    pub(crate) fn and(mut self, more: Self) -> Self {
        let stays = |name: &str| {
            !more.unset.contains(&name) && more.set.iter().all(|(other, _)| *other != name)
        };
        self.set.retain(|(name, _)| stays(name));
        self.set.extend(more.set);
        self.unset.extend(more.unset);
        self.arguments.extend(more.arguments);
        self.home = more.home.or(self.home);
        self
    }
}

impl Agent {
    /// The agent that a program is, by its file name.
    pub(crate) fn of(program: &str) -> Option<Self> {
        match Path::new(program).file_name()?.to_str()? {
            "claude" => Some(Self::Claude),
            "codex" => Some(Self::Codex),
            "gemini" => Some(Self::Gemini),
            "opencode" => Some(Self::Opencode),
            "aider" => Some(Self::Aider),
            _ => None,
        }
    }

    /// What its name is among people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Claude => "Claude Code",
            Self::Codex => "Codex",
            Self::Gemini => "Gemini CLI",
            Self::Opencode => "opencode",
            Self::Aider => "aider",
        }
    }

    /// How the models begin that it asks for when nobody says which. None: it has to be told.
    fn usual(self) -> Option<&'static str> {
        match self {
            Self::Claude => Some("claude-"),
            Self::Codex => Some("gpt-"),
            Self::Gemini => Some("gemini-"),
            Self::Opencode | Self::Aider => None,
        }
    }

    /// The model it is told to ask for where the user named none: the first that is listed, unless what it asks for by
    /// itself may be there. Clouds have names of their own for models, so that there it is told in any case.
    pub(crate) fn first_model(self, served: &[Served], cloud: Option<Cloud>) -> Option<&str> {
        let own = |it: &&Served| {
            let model = it.id.rsplit('/').next().unwrap_or_default();
            self.usual().is_some_and(|usual| model.starts_with(usual))
        };
        let first = match (served.iter().find(own), cloud) {
            (Some(_), None) => return None,
            (own, _) => own.or(served.first()),
        };
        first.map(|it| it.id.as_str())
    }

    /// Whether it can take the gateway for a cloud.
    pub(crate) fn knows_clouds(self) -> bool {
        self == Self::Claude
    }

    /// What it needs, beside the variables that every program gets.
    pub(crate) fn setup(self, gateway: Gateway<'_>, model: Option<&str>) -> Setup {
        match self {
            Self::Claude => claude(gateway, model),
            Self::Codex => codex(gateway, model),
            Self::Gemini => gemini(gateway, model),
            Self::Opencode => opencode(gateway, model),
            Self::Aider => aider(gateway, model),
        }
    }
}

/// A program that is not known: the names that programs most often look for.
pub(crate) fn unknown(model: Option<&str>) -> Setup {
    let names = ["OPENAI_MODEL", "ANTHROPIC_MODEL"];
    let set = model.into_iter().flat_map(|model| names.map(|name| (name, model.to_owned())));
    Setup { set: set.collect(), ..Setup::default() }
}

/// What makes Claude Code ask the gateway, and for which it takes it. Clouds' own credentials are not looked for then.
fn claude_place(gateway: Gateway<'_>) -> Vec<(&'static str, String)> {
    let Gateway { base, key, cloud, .. } = gateway;
    let (base, key, on) = (base.to_owned(), key.to_owned(), || "1".to_owned());
    match cloud {
        None => vec![("ANTHROPIC_BASE_URL", base), ("ANTHROPIC_AUTH_TOKEN", key)],
        Some(Cloud::Bedrock) => vec![
            ("CLAUDE_CODE_USE_BEDROCK", on()),
            ("ANTHROPIC_BEDROCK_BASE_URL", base),
            ("AWS_BEARER_TOKEN_BEDROCK", key),
        ],
        Some(Cloud::Vertex) => vec![
            ("CLAUDE_CODE_USE_VERTEX", on()),
            ("CLAUDE_CODE_SKIP_VERTEX_AUTH", on()),
            ("ANTHROPIC_VERTEX_BASE_URL", format!("{base}/v1")),
            // Part of the path, and of no importance to us.
            ("ANTHROPIC_VERTEX_PROJECT_ID", "outrigger".to_owned()),
            ("ANTHROPIC_AUTH_TOKEN", key),
        ],
    }
}

/// A key beside the token makes it ask which one to use; the switches to a cloud would pass the gateway by. `opus`,
/// `sonnet` and the rest are names of its own for models, which it also asks for in the background.
fn claude(gateway: Gateway<'_>, model: Option<&str>) -> Setup {
    let mut set = claude_place(gateway);
    let names = [
        "ANTHROPIC_MODEL",
        "ANTHROPIC_DEFAULT_FABLE_MODEL",
        "ANTHROPIC_DEFAULT_OPUS_MODEL",
        "ANTHROPIC_DEFAULT_SONNET_MODEL",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL",
    ];
    set.extend(model.into_iter().flat_map(|it| names.map(|name| (name, it.to_owned()))));
    // It takes a model that it does not know for one that holds a million tokens.
    let window = gateway.served.iter().find(|it| Some(it.id.as_str()) == model);
    let window = window.and_then(|it| it.max_input);
    set.extend(window.map(|it| ("CLAUDE_CODE_MAX_CONTEXT_TOKENS", it.to_string())));
    let elsewhere = [
        "ANTHROPIC_API_KEY",
        "ANTHROPIC_AUTH_TOKEN",
        "ANTHROPIC_BASE_URL",
        "CLAUDE_CODE_SKIP_BEDROCK_AUTH",
        "CLAUDE_CODE_USE_ANTHROPIC_AWS",
        "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
        "CLAUDE_CODE_USE_BEDROCK",
        "CLAUDE_CODE_USE_FOUNDRY",
        "CLAUDE_CODE_USE_MANTLE",
        "CLAUDE_CODE_USE_VERTEX",
    ];
    let is_set = |name: &str| set.iter().any(|(other, _)| *other == name);
    let unset = elsewhere.into_iter().filter(|name| !is_set(name)).collect();
    Setup { set, unset, ..Setup::default() }
}

/// It takes providers only from its configuration, which `-c` adds to for one run. The values are TOML, in which a
/// JSON text is a text too.
fn codex(gateway: Gateway<'_>, model: Option<&str>) -> Setup {
    let base = json!(format!("{}/v1", gateway.base));
    let provider = format!(
        "model_providers.outrigger={{name=\"Outrigger\",base_url={base},env_key=\"OPENAI_API_KEY\",\
         wire_api=\"responses\"}}"
    );
    let mut settings = vec!["model_provider=\"outrigger\"".to_owned(), provider];
    settings.extend(model.map(|it| format!("model={}", json!(it))));
    Setup {
        set: vec![("OPENAI_API_KEY", gateway.key.to_owned())],
        // Codex warns of it, and has the address from its provider.
        unset: vec!["OPENAI_BASE_URL"],
        arguments: settings.into_iter().flat_map(|it| ["-c".to_owned(), it]).collect(),
        ..Setup::default()
    }
}

/// It signs in as its settings say, and refuses to start where they don't and a base URL is set. Settings of the machine
/// would come before the user's, but only root can write those.
fn gemini(gateway: Gateway<'_>, model: Option<&str>) -> Setup {
    let mut set = vec![
        ("GOOGLE_GEMINI_BASE_URL", gateway.base.to_owned()),
        ("GEMINI_API_KEY", gateway.key.to_owned()),
    ];
    set.extend(model.map(|it| ("GEMINI_MODEL", it.to_owned())));
    let unset = vec![
        "GEMINI_CLI_USE_COMPUTE_ADC",
        "GOOGLE_API_KEY",
        "GOOGLE_GENAI_USE_GCA",
        "GOOGLE_GENAI_USE_VERTEXAI",
    ];
    let home = OwnHome {
        variable: "GEMINI_CLI_HOME",
        name: "gemini",
        folder: ".gemini",
        file: "settings.json",
        settings: json!({"security": {"auth": {"selectedType": "gemini-api-key"}}}),
        linked: &["GEMINI.md", "agents", "commands", "extensions", "skills", "trustedFolders.json"],
    };
    Setup { set, unset, home: Some(home), ..Setup::default() }
}

/// It adds this text to what its configuration files say; the key stays in its variable.
fn opencode(gateway: Gateway<'_>, model: Option<&str>) -> Setup {
    let named = |it: &Served| {
        let limit = match (it.max_input, it.max_output) {
            (Some(input), Some(output)) => json!({"context": input, "output": output}),
            _ => Value::Null,
        };
        let mut facts = json!({"name": it.id});
        if !limit.is_null() {
            facts["limit"] = limit;
        }
        (it.id.clone(), facts)
    };
    let mut models: serde_json::Map<String, Value> = gateway.served.iter().map(named).collect();
    if let Some(model) = model {
        models.entry(model).or_insert_with(|| json!({"name": model}));
    }
    let mut settings = json!({"provider": {"outrigger": {
        "npm": "@ai-sdk/openai-compatible",
        "name": "Outrigger",
        "options": {"baseURL": format!("{}/v1", gateway.base), "apiKey": "{env:OPENAI_API_KEY}"},
        "models": models,
    }}});
    if let Some(model) = model {
        let name = format!("outrigger/{model}");
        settings["model"] = json!(name);
        // Titles of sessions and the like.
        settings["small_model"] = json!(name);
    }
    Setup {
        set: vec![
            ("OPENAI_API_KEY", gateway.key.to_owned()),
            ("OPENCODE_CONFIG_CONTENT", settings.to_string()),
        ],
        ..Setup::default()
    }
}

/// Its own names come before a `.env` file's, which overrides the rest of the environment. The prefix says which
/// protocol it speaks.
fn aider(gateway: Gateway<'_>, model: Option<&str>) -> Setup {
    let mut set = vec![
        ("AIDER_OPENAI_API_BASE", format!("{}/v1", gateway.base)),
        ("AIDER_OPENAI_API_KEY", gateway.key.to_owned()),
    ];
    if let Some(model) = model {
        let name = format!("openai/{model}");
        set.extend(
            ["AIDER_MODEL", "AIDER_WEAK_MODEL", "AIDER_EDITOR_MODEL"].map(|it| (it, name.clone())),
        );
        // It knows no capability by name, and would ask whether to look the model up in a browser.
        set.push(("AIDER_SHOW_MODEL_WARNINGS", "false".to_owned()));
    }
    Setup { set, ..Setup::default() }
}
