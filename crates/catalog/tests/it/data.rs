//! The compiled-in data is whole: every row is understood, versions are unique, facts carry provenance.

use std::collections::{BTreeMap, BTreeSet};

use catalog::{Grade, Mode, builtin};
use domain::{Layer, valid_name};

const PRICES: &str = include_str!("../../data/prices.csv");
const MODELS: &str = include_str!("../../data/models.csv");
const LIFECYCLE: &str = include_str!("../../data/lifecycle.csv");

#[test]
fn every_row_of_every_table_is_understood() {
    let mut changes = 0;
    let mut models = BTreeSet::new();
    for host in builtin().hosts() {
        for entry in builtin().entries_of(host) {
            assert_eq!(entry.facts.host, host);
            assert!(valid_name(&entry.facts.model), "{}", entry.facts.model);
            changes += entry.prices.as_ref().map_or(0, |prices| prices.changes().len());
            models.insert((host.to_owned(), entry.facts.model.to_string()));
        }
    }
    assert_eq!(changes, PRICES.lines().count());
    let key = |line: &str| {
        let mut fields = line.split(',').map(str::to_owned);
        (fields.next().unwrap(), fields.next().unwrap())
    };
    let in_files: BTreeSet<_> = PRICES.lines().chain(MODELS.lines()).map(key).collect();
    assert_eq!(models, in_files);
    for line in LIFECYCLE.lines() {
        let (host, model) = key(line);
        let row = builtin().lifecycle(&host, &model).unwrap();
        assert_eq!((&*row.host, &*row.model), (&*host, &*model));
        assert!(!row.source.is_empty() && !row.checked.is_empty(), "{line}");
    }
}

#[test]
fn tables_are_sorted_so_that_a_host_is_one_stretch() {
    for file in [PRICES, MODELS, LIFECYCLE] {
        let mut seen = BTreeSet::new();
        let mut last = "";
        for line in file.lines() {
            let host = line.split(',').next().unwrap();
            assert!(host == last || seen.insert(host), "{host} stands in two places");
            last = host;
        }
    }
}

#[test]
fn a_price_version_names_one_sheet() {
    let mut versions = BTreeMap::new();
    for host in builtin().hosts() {
        for entry in builtin().entries_of(host) {
            for sheet in entry.prices.iter().flat_map(catalog::PriceTimeline::sheets) {
                let name = format!("{host}/{} {}", entry.facts.model, sheet.mode);
                let before = versions.insert(sheet.version, (name.clone(), sheet.clone()));
                assert!(before.is_none(), "{name} and {before:?} share a version");
            }
        }
    }
    assert!(versions.len() > 4_000, "{}", versions.len());
}

/// Ledgers refer to versions: this one must never change.
#[test]
fn versions_are_stable_across_releases() {
    let timeline = builtin().prices("openai", "gpt-5.6").unwrap();
    let sheet = timeline.latest(Mode::Standard).unwrap();
    let text = sheet.version.to_string();
    assert_eq!(catalog::PriceVersion::parse(&text), Some(sheet.version));
    assert_eq!(timeline.by_version(sheet.version), Some(sheet));
    insta::assert_snapshot!(text, @"446ddb84f77c7242");
}

#[test]
fn every_price_says_who_and_when() {
    for host in builtin().hosts() {
        for entry in builtin().entries_of(host) {
            for sheet in entry.prices.iter().flat_map(catalog::PriceTimeline::sheets) {
                let name = format!("{host}/{} {}", entry.facts.model, sheet.mode);
                assert!(!sheet.source.is_empty(), "{name}");
                assert_eq!(sheet.checked.len(), 10, "{name}: {}", sheet.checked);
                assert!(sheet.grade >= Grade::B, "{name}: tables of others are never A");
                for tier in &sheet.tiers {
                    assert!(
                        tier.rates.input >= sheet.rates.input,
                        "{name}: a cheaper long context"
                    );
                }
            }
        }
    }
}

#[test]
fn presets_are_whole_and_their_hosts_exist() {
    let names: Vec<&str> = builtin().presets().map(|preset| &*preset.name).collect();
    let expected = [
        "anthropic",
        "aws-claude",
        "azure-claude",
        "azure-deployments",
        "azure-foundry",
        "azure-openai",
        "bedrock",
        "bedrock-mantle",
        "bedrock-mantle-claude",
        "bedrock-mantle-openai",
        "bedrock-openai",
        "cloudflare-workers-ai",
        "cohere",
        "coreweave",
        "databricks",
        "deepseek",
        "demo",
        "fireworks",
        "gemini",
        "google-claude",
        "groq",
        "llama-cpp-python",
        "llama.cpp",
        "meta-llama-api",
        "mistral",
        "nvidia-nim",
        "oci",
        "oci-openai",
        "ollama",
        "openai",
        "openai-compatible",
        "openrouter",
        "sglang",
        "tgi",
        "together",
        "vertex",
        "vertex-express",
        "vllm",
        "xai",
    ];
    assert_eq!(names, expected);
    for preset in builtin().presets() {
        let name = &preset.name;
        assert!(!preset.dialects.is_empty(), "{name}");
        let host = &preset.catalog_host;
        assert!(host.is_empty() || builtin().has_host(host), "{name}: no such host {host}");
        assert!(!preset.base_url.ends_with('/'), "{name}");
        let facts = builtin().provider_facts(name).unwrap();
        for layer in Layer::ALL.into_iter().filter(|layer| layer.is_partition()) {
            assert!(facts.layer(layer).count() <= 1, "{name}: two nodes of {layer}");
        }
        for fact in &facts.layers {
            assert!(!fact.node.source.is_empty() && !fact.node.date.is_empty(), "{name}");
            let guessed =
                fact.node.source.contains("inferred") || fact.node.source.contains("assumed");
            assert_eq!(
                guessed,
                fact.node.grade == Grade::D,
                "{name} {}: {:?}",
                fact.layer,
                fact.node
            );
        }
    }
}

#[test]
fn the_page_of_providers_lists_every_preset() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/providers.md");
    let page = std::fs::read_to_string(page).unwrap();
    for preset in builtin().presets() {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{}` |", preset.name)));
        let row = row.unwrap_or_else(|| panic!("{} is not there", preset.name));
        assert!(row.contains(&*preset.title), "{row}");
        for name in preset.key_env.iter().chain(preset.header_env.iter().flat_map(|it| &it.1)) {
            assert!(page.contains(&**name), "{}: {name}", preset.name);
        }
        for part in preset.address.iter().flat_map(|it| &it.env) {
            assert!(page.contains(&**part), "{}: {part}", preset.name);
        }
    }
}

#[test]
fn makers_cover_most_models_and_carry_stakes() {
    let mut unknown = Vec::new();
    let mut all = 0;
    for host in builtin().hosts() {
        for facts in builtin().models_of(host) {
            all += 1;
            if builtin().canonical(host, &facts.model).is_none() {
                unknown.push(format!("{host}/{}", facts.model));
            }
        }
    }
    assert!(unknown.len() * 20 < all, "{} of {all}: {unknown:?}", unknown.len());
    let openai = builtin().maker("openai").unwrap();
    let microsoft = openai.equity.iter().find(|edge| edge.holder == "microsoft").unwrap();
    assert_eq!(microsoft.stake_bp.value, Some(2_700));
    assert_eq!(microsoft.stake_bp.grade, Grade::B);
    let anthropic = builtin().maker("anthropic").unwrap();
    let holders: BTreeSet<&str> = anthropic.equity.iter().map(|edge| &*edge.holder).collect();
    assert!(holders.is_superset(&BTreeSet::from(["amazon", "google"])));
}
