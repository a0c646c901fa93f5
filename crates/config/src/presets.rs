//! The catalog's presets in the configuration's words.

use catalog::{AuthStyle, Catalog, Preset};

use crate::{PresetFacts, Presets, ProviderKind};

impl Presets for Catalog {
    fn facts(&self, name: &str) -> Option<PresetFacts> {
        self.preset(name).map(of)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.presets().map(|it| it.name.to_string()).collect();
        names.sort();
        names
    }
}

fn of(preset: &Preset) -> PresetFacts {
    let kind = match &*preset.name {
        "openai" => ProviderKind::Openai,
        "anthropic" => ProviderKind::Anthropic,
        "demo" => ProviderKind::Demo,
        _ => ProviderKind::OpenaiCompatible,
    };
    PresetFacts {
        kind,
        base_url: (!preset.base_url.is_empty()).then(|| preset.base_url.to_string()),
        base_urls: preset.base_urls.iter().map(|(id, url)| (*id, url.to_string())).collect(),
        address: preset.address.clone(),
        residency: preset
            .residency
            .iter()
            .map(|(place, url)| (place.to_string(), url.to_string()))
            .collect(),
        header_variables: preset
            .header_env
            .iter()
            .map(|(name, env)| (name.to_string(), env.iter().map(ToString::to_string).collect()))
            .collect(),
        dialects: preset.dialects.clone(),
        key_variables: preset.key_env.iter().map(ToString::to_string).collect(),
        key_required: !matches!(preset.auth, AuthStyle::None | AuthStyle::Aws | AuthStyle::Oci)
            && !preset.key_env.is_empty(),
        aws: (preset.auth == AuthStyle::Aws).then(|| preset.aws_service.to_string()),
        oci: preset.auth == AuthStyle::Oci,
        tokens: preset.tokens.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogs_presets_are_usable_by_their_names() {
        let catalog = catalog::builtin();
        let openai = catalog.facts("openai").unwrap();
        assert_eq!(openai.kind, ProviderKind::Openai);
        assert!(openai.key_required && openai.key_variables.contains(&"OPENAI_API_KEY".into()));
        for name in catalog.names() {
            let facts = catalog.facts(&name).unwrap();
            assert!(!facts.dialects.is_empty(), "{name}");
        }
    }
}
