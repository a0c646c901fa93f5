//! Tables of others, read from excerpts of the real files.

use catalog::import::{
    Format, ImportError, Imported, Newer, compare, import, import_genai_prices, import_litellm,
};
use catalog::{Mode, Overlay, PriceSheet, builtin};
use domain::{Price, UnixMicros};

const LITELLM: &str = include_str!("fixtures/litellm.json");
const GENAI: &str = include_str!("fixtures/genai.json");

fn usd(text: &str) -> Price {
    Price::from_usd_per_million(text).unwrap()
}

fn at(text: &str) -> UnixMicros {
    let time: jiff::Timestamp = text.parse().unwrap();
    UnixMicros::from_micros(time.as_microsecond())
}

fn sheet<'a>(table: &'a Imported, host: &str, model: &str, mode: Mode) -> &'a PriceSheet {
    let (found, _) = table.find(host, model).unwrap();
    found.entry.prices.as_ref().unwrap().latest(mode).unwrap()
}

#[test]
fn litellm_prices_are_exact_by_mode_and_tier() {
    let table = import_litellm(LITELLM).unwrap();
    let gpt = sheet(&table, "openai", "gpt-4o", Mode::Standard);
    assert_eq!((gpt.rates.input, gpt.rates.output), (usd("2.5"), usd("10")));
    assert_eq!(gpt.rates.cache_read, Some(usd("1.25")));
    let fast = sheet(&table, "openai", "gpt-4o", Mode::Fast);
    assert_eq!((fast.rates.input, fast.rates.output), (usd("4.25"), usd("17")));
    let claude = sheet(&table, "anthropic", "claude-sonnet-4-5", Mode::Standard);
    assert_eq!(claude.rates.cache_read, Some(usd("0.3")), "the noise of floats is gone");
    assert_eq!(claude.rates.cache_write_long, Some(usd("6")));
    let gemini = sheet(&table, "google", "gemini-2.5-pro", Mode::Standard);
    let (above, threshold) = gemini.rates_for(200_001);
    assert_eq!((threshold, above.input, above.output), (200_000, usd("2.5"), usd("15")));
    let qwen = sheet(&table, "alibaba", "qwen-flash", Mode::Standard);
    assert_eq!((qwen.rates.input, qwen.rates_for(256_001).0.input), (usd("0.05"), usd("0.25")));
    let embedding = sheet(&table, "openai", "text-embedding-3-small", Mode::Standard);
    assert_eq!((embedding.rates.input, embedding.rates.output), (usd("0.02"), Price::ZERO));
}

#[test]
fn what_litellm_prices_at_zero_counts_as_unknown_and_nonsense_is_named() {
    let table = import_litellm(LITELLM).unwrap();
    let (llama, _) = table.find("vertex", "meta/llama-3.1-8b-instruct-maas").unwrap();
    assert_eq!(llama.entry.prices, None);
    assert_eq!(llama.entry.facts.max_output, Some(2_048));
    let skipped: Vec<&str> = table.skipped.iter().map(|it| it.key.as_str()).collect();
    assert_eq!(skipped, ["bad name/x", "bad/price"]);
    assert!(table.find("openai", "dall-e-3").is_none());
}

#[test]
fn genai_prices_keep_dates_tiers_variants_and_names() {
    let table = import_genai_prices(GENAI).unwrap();
    let (sonnet, _) = table.find("anthropic", "claude-sonnet-4.6-20260101").unwrap();
    let prices = sonnet.entry.prices.as_ref().unwrap();
    let before = prices.at(at("2026-03-12T00:00:00Z"), Mode::Standard).unwrap();
    assert_eq!(before.rates_for(200_001).0.cache_write_long, Some(usd("12")));
    let after = prices.at(at("2026-03-13T00:00:00Z"), Mode::Standard).unwrap();
    assert!(after.tiers.is_empty());
    assert_eq!(prices.latest(Mode::Batch).unwrap().rates.output, usd("7.5"));
    assert_eq!(prices.changes().len(), 3, "a variant of no known mode is left out");
}

#[test]
fn a_price_that_depends_on_the_hour_is_not_taken_for_a_fixed_one() {
    let table = import_genai_prices(GENAI).unwrap();
    let (chat, _) = table.find("deepseek", "deepseek-vl-chat").unwrap();
    assert_eq!(chat.entry.prices, None);
    assert!(table.skipped.iter().any(|it| it.key == "deepseek/deepseek-chat"));
    // Regular expressions are not evaluated: only the id itself matches.
    assert!(table.find("xai", "grok-9").is_none() && table.find("xai", "grok-regex").is_some());
}

#[test]
fn the_format_is_told_by_the_outline_and_rubbish_is_refused() {
    assert_eq!(import(LITELLM, "2026-11-20").unwrap().format, Format::Litellm);
    assert_eq!(import(GENAI, "").unwrap().format, Format::GenaiPrices);
    assert!(matches!(import("prices", ""), Err(ImportError::UnknownFormat)));
    assert!(matches!(import("{}", ""), Err(ImportError::Empty(Format::Litellm))));
    assert!(matches!(import("[]", ""), Err(ImportError::Empty(Format::GenaiPrices))));
    assert!(matches!(import("{\"a\": 1}", ""), Err(ImportError::Json { .. })));
    assert!(matches!(import("[{\"id\": 1}]", ""), Err(ImportError::Json { .. })));
}

#[test]
fn every_differing_figure_is_reported_with_its_newer_side() {
    let changed = LITELLM
        .replace(
            "\"input_cost_per_token\": 2.5e-06, \"input",
            "\"input_cost_per_token\": 2.6e-06, \"input",
        )
        .replace("\"max_output_tokens\": 16384", "\"max_output_tokens\": 999");
    let table = import(&changed, "2026-11-20").unwrap();
    let result = compare(builtin(), &table, at("2026-11-20T00:00:00Z"));
    let of_gpt: Vec<_> = result
        .disagreements
        .iter()
        .filter(|it| it.model == "gpt-4o")
        .map(|it| (it.field.as_str(), it.ours.as_deref(), it.theirs.as_deref(), it.newer))
        .collect();
    assert_eq!(
        of_gpt,
        [
            ("max_output", Some("16384"), Some("999"), Newer::Theirs),
            ("input", Some("2.50"), Some("2.60"), Newer::Theirs),
        ]
    );
    assert!(result.only_ours.iter().any(|it| it == "openai/gpt-5.6"));
    assert!(result.agreeing >= 1 && result.compared > result.agreeing);
}

#[test]
fn an_overlay_survives_its_text_form_and_counts_from_its_day_on() {
    let changed = LITELLM.replace(
        "\"output_cost_per_token\": 1e-05, \"output",
        "\"output_cost_per_token\": 9e-06, \"output",
    );
    let table = import(&changed, "2026-11-20").unwrap();
    let overlay = Overlay::of(&table);
    let text = overlay.to_text();
    let reread = Overlay::parse(&text).unwrap();
    assert_eq!(reread.to_text(), text);
    assert_eq!(reread.len(), overlay.len());

    let start = at("2026-11-20T00:00:00Z");
    let catalog = builtin().with_overlay(&reread, start);
    let output = |time| {
        let prices = catalog.prices("openai", "gpt-4o").unwrap();
        prices.at(time, Mode::Standard).unwrap().rates.output
    };
    assert_eq!(output(at("2026-11-19T23:59:59Z")), usd("10"));
    assert_eq!(output(start), usd("9"));
    // What isn't in the overlay stays, and what agrees makes no new version.
    assert_eq!(catalog.prices("openai", "gpt-5.6"), builtin().prices("openai", "gpt-5.6"));
    assert_eq!(
        catalog.prices("mistral", "mistral-large-latest"),
        builtin().prices("mistral", "mistral-large-latest")
    );
}

#[test]
fn a_damaged_overlay_is_refused_with_its_line() {
    let text = Overlay::of(&import(LITELLM, "").unwrap()).to_text();
    assert_eq!(Overlay::parse("something").unwrap_err().line, 1);
    let broken = text.replacen("\np,", "\np,,,", 1);
    assert!(Overlay::parse(&broken).is_err());
}
