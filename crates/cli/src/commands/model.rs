//! `outrigger model`: what can be asked for, its facts and its price.

use catalog::{Mode, PriceSheet, Rates};
use clap_complete::engine::ArgValueCandidates;
use domain::{Money, Price, Usage};
use serde_json::{Value, json};

use crate::cli::Global;
use crate::exit::{Done, Exit, Failure};
use crate::{clock, names, overlay, surroundings};

/// What stands in a table for a figure that nobody knows.
const UNKNOWN: &str = "?";

/// List models, show one, compute a price.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  outrigger model ls\n  outrigger model show openai/gpt-5-mini\n  outrigger model price openai/gpt-5-mini --input 1000 --output 500"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List the models of the configured providers.
    #[command(
        after_help = "Examples:\n  outrigger model ls\n  outrigger model ls --provider openai\n  outrigger model ls --json"
    )]
    Ls {
        /// Only those of this provider.
        #[arg(long, add = ArgValueCandidates::new(names::providers))]
        provider: Option<String>,
    },
    /// Show what is known of a model: limits, prices, life cycle, who stands behind it.
    #[command(
        after_help = "Examples:\n  outrigger model show openai/gpt-5-mini\n  outrigger model show anthropic/claude-haiku-4-5\n  outrigger model show openai/gpt-5 --json"
    )]
    Show {
        /// The offer: provider/model.
        #[arg(add = ArgValueCandidates::new(names::offers))]
        offer: String,
    },
    /// Compute what a request costs.
    #[command(
        after_help = "Examples:\n  outrigger model price openai/gpt-5-mini --input 1000 --output 500\n  outrigger model price anthropic/claude-haiku-4-5 --input 2000 --cache-read 100000 --output 800\n  outrigger model price openai/gpt-5 --input 1000 --output 500 --mode batch"
    )]
    Price {
        /// The offer: provider/model.
        #[arg(add = ArgValueCandidates::new(names::offers))]
        offer: String,
        /// Fresh input tokens.
        #[arg(long, default_value_t = 0)]
        input: u64,
        /// Input tokens read from the provider's cache.
        #[arg(long, default_value_t = 0)]
        cache_read: u64,
        /// Input tokens written to the provider's cache.
        #[arg(long, default_value_t = 0)]
        cache_write: u64,
        /// Output tokens.
        #[arg(long, default_value_t = 0)]
        output: u64,
        /// How it is processed.
        #[arg(long, default_value = "standard", value_parser = ["standard", "batch", "flex", "fast"])]
        mode: String,
    },
}

pub(crate) fn run(args: &Args, global: &Global) -> Done {
    match &args.command {
        Command::Ls { provider } => ls(provider.as_deref(), global),
        Command::Show { offer } => show(offer, global),
        Command::Price { offer, input, cache_read, cache_write, output, mode } => {
            let usage = Usage {
                input: *input,
                cache_read: *cache_read,
                cache_write: *cache_write,
                output: *output,
                ..Usage::default()
            };
            price(offer, &usage, mode, global)
        }
    }
}

fn usd(price: Price) -> String {
    Money::from_pico(price.pico_per_million()).to_string()
}

fn ls(only: Option<&str>, global: &Global) -> Done {
    let output = global.output();
    let configuration = surroundings::load(global)?;
    let catalog = overlay::catalog(global)?;
    let now = clock::now();
    let providers = &configuration.loaded.config.providers;
    if let Some(name) = only
        && !providers.iter().any(|it| it.name.as_str() == name)
    {
        return Err(super::provider::unknown(name, providers));
    }
    let mut rows = Vec::new();
    let mut list = Vec::new();
    for provider in providers.iter().filter(|it| only.is_none_or(|name| it.name.as_str() == name)) {
        let host = host(provider, &catalog);
        for model in models(provider, &catalog) {
            let facts = catalog.model(&host, &model);
            let own = own_price(&configuration.loaded.config, provider, &model);
            let sheet = catalog.prices(&host, &model).and_then(|it| it.at(now, Mode::Standard));
            let rates = own.or_else(|| sheet.map(|it| it.rates));
            let free = provider.kind == config::ProviderKind::Demo;
            let figure = |price: Option<Price>| match price {
                Some(price) => usd(price),
                None if free => "0.00".into(),
                None => UNKNOWN.into(),
            };
            let tokens =
                |count: Option<u64>| count.map_or_else(|| UNKNOWN.into(), |it| it.to_string());
            let offer = format!("{}/{model}", provider.name);
            let (input, out) =
                (figure(rates.map(|it| it.input)), figure(rates.map(|it| it.output)));
            let context = facts.and_then(|it| it.max_input);
            let known = |figure: &str| (figure != UNKNOWN).then(|| figure.to_owned());
            list.push(json!({"offer": offer, "input_usd_per_million": known(&input), "output_usd_per_million": known(&out),
                "max_input_tokens": context, "max_output_tokens": facts.and_then(|it| it.max_output)}));
            rows.push(vec![
                offer,
                input,
                out,
                tokens(context),
                tokens(facts.and_then(|it| it.max_output)),
            ]);
        }
    }
    output.listing(&json!({"models": list}), "models", || {
        let head = ["offer", "input USD/1M", "output USD/1M", "max input", "max output"];
        output.table(&head, &rows, &[1, 2, 3, 4])
    })
}

/// The catalog host whose prices and limits count for a provider; empty when there is none.
pub(crate) fn host(provider: &config::Provider, catalog: &catalog::Catalog) -> String {
    let preset = provider.preset.as_deref().and_then(|name| catalog.preset(name));
    preset.map(|it| it.catalog_host.to_string()).unwrap_or_default()
}

/// A provider's models: its own list, else the catalog's.
pub(crate) fn models(provider: &config::Provider, catalog: &catalog::Catalog) -> Vec<String> {
    if provider.kind == config::ProviderKind::Demo {
        return fake_provider::MODELS.iter().map(|it| (*it).to_owned()).collect();
    }
    if !provider.models.is_empty() {
        return provider.models.iter().map(|it| it.as_str().to_owned()).collect();
    }
    catalog.models_of(&host(provider, catalog)).map(|it| it.model.to_string()).collect()
}

fn own_price(config: &config::Config, provider: &config::Provider, model: &str) -> Option<Rates> {
    let offer = format!("{}/{model}", provider.name);
    let own = config.prices.overrides.iter().find(|it| it.offer.to_string() == offer)?;
    Some(Rates {
        cache_read: own.cache_read,
        cache_write: own.cache_write,
        reasoning: own.reasoning,
        ..Rates::new(own.input, own.output)
    })
}

/// The provider and model that an offer names.
fn resolve<'a>(
    offer: &'a str,
    configuration: &'a surroundings::Configuration,
) -> Result<(&'a config::Provider, &'a str), Failure> {
    let Some((name, model)) = offer.split_once('/') else {
        let message = format!("`{offer}` is not an offer: write `provider/model`");
        return Err(Failure::new(Exit::Usage, message).hint("`outrigger model ls` lists them"));
    };
    let providers = &configuration.loaded.config.providers;
    let provider = providers.iter().find(|it| it.name.as_str() == name);
    provider.map(|it| (it, model)).ok_or_else(|| super::provider::unknown(name, providers))
}

fn sheet(
    provider: &config::Provider,
    model: &str,
    mode: Mode,
    config: &config::Config,
    catalog: &catalog::Catalog,
) -> Option<PriceSheet> {
    let key = format!("{}/{model}", provider.name);
    if let Some(rates) = own_price(config, provider, model) {
        return Some(PriceSheet::new(&key, mode, rates, Vec::new()));
    }
    if provider.kind == config::ProviderKind::Demo {
        return Some(PriceSheet::new(&key, mode, Rates::default(), Vec::new()));
    }
    catalog.prices(&host(provider, catalog), model)?.at(clock::now(), mode).cloned()
}

fn show(offer: &str, global: &Global) -> Done {
    let output = global.output();
    let configuration = surroundings::load(global)?;
    let catalog = overlay::catalog(global)?;
    let (provider, model) = resolve(offer, &configuration)?;
    let host = host(provider, &catalog);
    let facts = catalog.model(&host, model);
    let life = catalog.lifecycle(&host, model);
    let canonical = catalog.canonical(&host, model);
    let sheet = sheet(provider, model, Mode::Standard, &configuration.loaded.config, &catalog);
    let layers = layers(provider, &catalog);
    let value = json!({
        "offer": offer,
        "model": canonical.as_ref().map(|it| &it.key),
        "maker": canonical.as_ref().map(|it| &it.maker.value),
        "max_input_tokens": facts.and_then(|it| it.max_input),
        "max_output_tokens": facts.and_then(|it| it.max_output),
        "price": sheet.as_ref().map(price_json),
        "lifecycle": life.map(|it| json!({"status": it.status_on(&clock::today()).as_str(), "released": it.released,
            "deprecated": it.deprecated, "shutdown": it.shutdown, "replacement": it.replacement,
            "source": it.source, "checked": it.checked})),
        "layers": layers.iter().map(|(layer, nodes)| json!({"layer": layer, "nodes": nodes})).collect::<Vec<_>>(),
    });
    output.either(&value, || {
        let mut lines = vec![("offer".to_owned(), offer.to_owned())];
        if let Some(canonical) = &canonical {
            lines.push(("model".into(), canonical.key.clone()));
        }
        if let Some(facts) = facts {
            let tokens =
                |it: Option<u64>| it.map_or_else(|| "unknown".into(), |it| format!("{it} tokens"));
            lines.push(("input".into(), format!("at most {}", tokens(facts.max_input))));
            lines.push(("output".into(), format!("at most {}", tokens(facts.max_output))));
        }
        lines.push(("price".into(), sheet.as_ref().map_or_else(|| "unknown".into(), price_line)));
        for tier in sheet.iter().flat_map(|it| &it.tiers) {
            let text = format!(
                "above {} input tokens: {}",
                tier.above_input_tokens,
                rates_line(&tier.rates)
            );
            lines.push((String::new(), text));
        }
        if let Some(life) = life {
            lines.push(("life".into(), life_line(life)));
        }
        lines.extend(layers.iter().map(|(layer, nodes)| (layer.clone(), nodes.clone())));
        for (name, text) in lines {
            output.line(&format!("{name:<13} {text}"))?;
        }
        Ok(())
    })
}

fn price_json(sheet: &PriceSheet) -> Value {
    json!({
        "input_usd_per_million": usd(sheet.rates.input),
        "output_usd_per_million": usd(sheet.rates.output),
        "cache_read_usd_per_million": sheet.rates.cache_read.map(usd),
        "cache_write_usd_per_million": sheet.rates.cache_write.map(usd),
        "tiers": sheet.tiers.iter().map(|tier| json!({"above_input_tokens": tier.above_input_tokens,
            "input_usd_per_million": usd(tier.rates.input), "output_usd_per_million": usd(tier.rates.output)}))
            .collect::<Vec<_>>(),
        "version": sheet.version.to_string(),
        "source": sheet.source, "checked": sheet.checked, "grade": sheet.grade.as_str(),
    })
}

fn rates_line(rates: &Rates) -> String {
    let mut line = format!("{} in, {} out", usd(rates.input), usd(rates.output));
    for (name, price) in [("cache read", rates.cache_read), ("cache write", rates.cache_write)] {
        if let Some(price) = price {
            line = format!("{line}, {} {name}", usd(price));
        }
    }
    line + " (USD per 1M tokens)"
}

fn price_line(sheet: &PriceSheet) -> String {
    let source = if sheet.source.is_empty() { "your configuration" } else { &sheet.source };
    format!("{}; grade {}, {source} {}", rates_line(&sheet.rates), sheet.grade, sheet.checked)
}

fn life_line(life: &catalog::Lifecycle) -> String {
    let mut line = life.status_on(&clock::today()).as_str().to_owned();
    let dates = [
        ("released", &life.released),
        ("deprecated", &life.deprecated),
        ("shutdown", &life.shutdown),
    ];
    for (name, date) in dates.iter().filter(|(_, date)| !date.is_empty()) {
        line = format!("{line}, {name} {date}");
    }
    if !life.replacement.is_empty() {
        line = format!("{line}, replaced by {}", life.replacement);
    }
    line
}

/// A provider's nodes of a layer, bare.
pub(crate) fn nodes(
    provider: &config::Provider,
    catalog: &catalog::Catalog,
    layer: domain::Layer,
) -> Vec<String> {
    if let Some((_, nodes)) = provider.layers.iter().find(|(it, _)| *it == layer) {
        return nodes.clone();
    }
    let known = provider.preset.as_deref().and_then(|name| catalog.provider_facts(name));
    let facts = known.into_iter().flat_map(|facts| facts.layer(layer));
    facts.map(|fact| fact.value.to_string()).collect()
}

/// Each layer's nodes: the configuration's word first, else the catalog's with grade.
pub(crate) fn layers(
    provider: &config::Provider,
    catalog: &catalog::Catalog,
) -> Vec<(String, String)> {
    let known = provider.preset.as_deref().and_then(|name| catalog.provider_facts(name));
    let mut layers = Vec::new();
    for layer in domain::Layer::ALL {
        if let Some((_, nodes)) = provider.layers.iter().find(|(it, _)| *it == layer) {
            layers.push((layer.to_string(), format!("{} (your configuration)", nodes.join(", "))));
            continue;
        }
        let nodes: Vec<String> = known
            .into_iter()
            .flat_map(|facts| facts.layer(layer))
            .map(|fact| format!("{} (grade {})", fact.value, fact.grade))
            .collect();
        if !nodes.is_empty() {
            layers.push((layer.to_string(), nodes.join(", ")));
        }
    }
    layers
}

fn price(offer: &str, usage: &Usage, mode: &str, global: &Global) -> Done {
    let output = global.output();
    let configuration = surroundings::load(global)?;
    let catalog = overlay::catalog(global)?;
    let mode = Mode::parse(mode)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("there is no mode `{mode}`")))?;
    let (provider, model) = resolve(offer, &configuration)?;
    let Some(sheet) = sheet(provider, model, mode, &configuration.loaded.config, &catalog) else {
        let message = format!("no {mode} price is known for `{offer}`");
        let hint = "give one under `prices.overrides` in the configuration, or `outrigger catalog import FILE`";
        return Err(Failure::new(Exit::Failed, message).hint(hint));
    };
    let cost = sheet.cost(usage).map_err(|error| Failure::new(Exit::Failed, error))?;
    let value = json!({"offer": offer, "mode": mode.as_str(), "cost_usd": cost.to_string(), "price": price_json(&sheet)});
    output.either(&value, || {
        output.line(&format!("{cost} USD"))?;
        output.say(&format!("at {}", price_line(&sheet)));
        Ok(())
    })
}
