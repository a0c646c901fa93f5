//! An environment and presets of the tests' own, so that no test depends on a machine.

use std::collections::BTreeMap;

use config::{Env, PresetFacts, Presets, ProviderKind};

/// Variables, and whether files can be read.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) vars: BTreeMap<String, String>,
    pub(crate) no_files: bool,
}

impl Fake {
    pub(crate) fn with(vars: &[(&str, &str)]) -> Self {
        let vars = vars.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        Self { vars, no_files: false }
    }

    /// The variables that `examples/` name.
    pub(crate) fn complete() -> Self {
        let names = [
            "HOME",
            "OPENAI_API_KEY",
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_KEY_A",
            "ANTHROPIC_KEY_B",
            "HOUSE_TOKEN",
            "GOOGLE_CREDENTIALS",
            "ENTRA_SECRET",
            "OCI_PRIVATE_KEY",
        ];
        Self::with(&names.map(|name| (name, "x")))
    }
}

impl Env for Fake {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn outrigger_vars(&self) -> Vec<(String, String)> {
        let ours = self.vars.iter().filter(|(name, _)| name.starts_with("OUTRIGGER_"));
        ours.map(|(name, value)| (name.clone(), value.clone())).collect()
    }

    fn readable(&self, _path: &str) -> Result<(), String> {
        if self.no_files { Err("no such file".into()) } else { Ok(()) }
    }
}

/// A few presets.
pub(crate) struct FewPresets;

impl Presets for FewPresets {
    fn facts(&self, name: &str) -> Option<PresetFacts> {
        let chat = vec![domain::DialectId::OpenaiChat];
        let (kind, base_url, dialects, variable) = match name {
            "openai" => (ProviderKind::Openai, "https://api.openai.com/v1", chat, "OPENAI_API_KEY"),
            "anthropic" => (
                ProviderKind::Anthropic,
                "https://api.anthropic.com/v1",
                vec![domain::DialectId::AnthropicMessages],
                "ANTHROPIC_API_KEY",
            ),
            "groq" => (
                ProviderKind::OpenaiCompatible,
                "https://api.groq.com/openai/v1",
                chat,
                "GROQ_API_KEY",
            ),
            "mistral" => (
                ProviderKind::OpenaiCompatible,
                "https://api.mistral.ai/v1",
                chat,
                "MISTRAL_API_KEY",
            ),
            _ => return None,
        };
        Some(PresetFacts {
            kind,
            base_url: Some(base_url.into()),
            base_urls: Vec::new(),
            address: Vec::new(),
            residency: Vec::new(),
            header_variables: Vec::new(),
            dialects,
            key_variables: vec![variable.into()],
            key_required: true,
            aws: None,
            oci: false,
            tokens: None,
        })
    }

    fn names(&self) -> Vec<String> {
        ["anthropic", "groq", "mistral", "openai"].map(Into::into).into()
    }
}

/// A configuration that must pass.
pub(crate) fn good(text: &str, env: &Fake) -> config::Loaded {
    config::load(text, "outrigger.yaml", env, &FewPresets).unwrap_or_else(|problems| {
        let shown: Vec<String> = problems.iter().map(|it| config::render(it, text)).collect();
        panic!("{}", shown.join("\n"))
    })
}

/// A configuration that must not pass.
pub(crate) fn bad(text: &str, env: &Fake) -> Vec<config::Diagnostic> {
    match config::load(text, "outrigger.yaml", env, &FewPresets) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problems) => problems,
    }
}
