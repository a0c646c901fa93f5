//! Lookups say what they found and how.

use catalog::{LifecycleStatus, Matched, Mode, builtin};
use domain::{Money, Price, UnixMicros, Usage};

fn at(text: &str) -> UnixMicros {
    let time: jiff::Timestamp = text.parse().unwrap();
    UnixMicros::from_micros(time.as_microsecond())
}

fn usd(text: &str) -> Price {
    Price::from_usd_per_million(text).unwrap()
}

#[test]
fn a_dated_price_holds_from_its_moment_on() {
    let prices = builtin().prices("openai", "gpt-5.6").unwrap();
    let before = prices.at(at("2026-08-20T23:59:59Z"), Mode::Standard).unwrap();
    let after = prices.at(at("2026-08-21T00:00:00Z"), Mode::Standard).unwrap();
    assert_eq!((before.rates.input, before.rates.output), (usd("5"), usd("30")));
    assert_eq!((after.rates.input, after.rates.output), (usd("4"), usd("20")));
    assert_ne!(before.version, after.version);
}

#[test]
fn batch_and_long_context_have_prices_of_their_own() {
    let prices = builtin().prices("openai", "gpt-5.6").unwrap();
    let now = at("2026-11-22T00:00:00Z");
    let batch = prices.at(now, Mode::Batch).unwrap();
    assert_eq!((batch.rates.input, batch.rates.output), (usd("2"), usd("10")));
    let sheet = prices.at(now, Mode::Standard).unwrap();
    let usage = |input| Usage { input, output: 1_000, ..Usage::default() };
    // 272,000 x 4 + 1,000 x 20, and one token more at 8 and 30 for all.
    assert_eq!(sheet.cost(&usage(272_000)).unwrap(), Money::from_usd("1.108").unwrap());
    assert_eq!(sheet.cost(&usage(272_001)).unwrap(), Money::from_usd("2.206008").unwrap());
}

#[test]
fn a_mode_before_its_first_offer_has_no_price() {
    let prices = builtin().prices("openai", "gpt-5.1").unwrap();
    assert!(prices.at(at("2026-11-22T00:00:00Z"), Mode::Fast).is_some());
    assert!(prices.at(at("2026-09-30T00:00:00Z"), Mode::Fast).is_none());
    assert!(prices.at(at("2026-11-22T00:00:00Z"), Mode::Ultrafast).is_none());
}

#[test]
fn peak_hours_cost_twice_and_reservations_know() {
    let prices = builtin().prices("deepseek", "deepseek-v4-flash").unwrap();
    // Monday 2026-11-16: peak 01:00-04:00 and 06:00-10:00 UTC.
    let night = prices.at(at("2026-11-16T05:00:00Z"), Mode::Standard).unwrap();
    let peak = prices.at(at("2026-11-16T02:00:00Z"), Mode::Standard).unwrap();
    assert_eq!((night.rates.input, night.rates.output), (usd("0.15"), usd("0.6")));
    assert_eq!((peak.rates.input, peak.rates.output), (usd("0.3"), usd("1.2")));
    let bound = domain::WorstCase { input: 1_000_000, output: Some(0) };
    let most = |from, until| {
        let span = (at(from), at(until));
        let none = domain::Features::NONE;
        prices.worst_case(span, Mode::Standard, &bound, none).unwrap().unwrap()
    };
    assert_eq!(
        most("2026-11-16T04:30:00Z", "2026-11-16T04:40:00Z"),
        Money::from_usd("0.15").unwrap()
    );
    assert_eq!(
        most("2026-11-16T05:55:00Z", "2026-11-16T06:05:00Z"),
        Money::from_usd("0.3").unwrap()
    );
}

#[test]
fn names_are_found_by_alias_date_case_and_prefix() {
    let matched = |host, model| {
        let found = builtin().find_prices(host, model)?;
        Some((found.entry.facts.model.to_string(), found.matched))
    };
    let some = |model: &str, how| Some((model.to_owned(), how));
    assert_eq!(matched("openai", "gpt-4o"), some("gpt-4o", Matched::Exact));
    assert_eq!(matched("openai", "GPT-4o"), some("gpt-4o", Matched::Case));
    // The dearer first snapshot is listed apart and must not fall back to the family.
    assert_eq!(matched("openai", "gpt-4o-2024-05-13"), some("gpt-4o-2024-05-13", Matched::Exact));
    assert_eq!(matched("openai", "gpt-4o-2031-01-01"), some("gpt-4o", Matched::DateSuffix));
    assert_eq!(matched("google", "models/gemini-2.5-pro"), some("gemini-2.5-pro", Matched::Prefix));
    assert_eq!(matched("cohere", "command-r-03-2024"), some("command-r", Matched::Alias));
    let dated = some("anthropic.claude-sonnet-4-5-20250929-v1:0", Matched::Exact);
    assert_eq!(matched("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"), dated);
    assert_eq!(matched("openai", "no-such-model"), None);
    assert_eq!(matched("no-such-host", "gpt-4o"), None);
}

#[test]
fn limits_are_known_for_the_models_people_use() {
    let facts = builtin().model("anthropic", "claude-sonnet-4-5").unwrap();
    assert_eq!((facts.max_input, facts.max_output), (Some(200_000), Some(64_000)));
    let facts = builtin().model("openai", "gpt-4o-2031-01-01").unwrap();
    assert_eq!((&*facts.model, facts.max_output), ("gpt-4o", Some(16_384)));
}

#[test]
fn near_names_are_suggested() {
    assert_eq!(builtin().suggest("anthropic", "claude-sonet-4-5", 1), ["claude-sonnet-4-5"]);
    assert!(builtin().suggest("openai", "zzzz", 3).is_empty());
}

#[test]
fn life_cycles_come_with_dates_and_advice() {
    let row = builtin().lifecycle("anthropic", "claude-opus-4-1").unwrap();
    assert_eq!(&*row.model, "claude-opus-4-1-20250805");
    assert_eq!((&*row.deprecated, &*row.shutdown), ("2026-06-05", "2026-08-05"));
    assert_eq!(&*row.replacement, "anthropic/claude-opus-4-8");
    // The page was read before the shutdown; the day decides.
    assert_eq!(row.status_on("2026-08-04"), LifecycleStatus::Deprecated);
    assert_eq!(row.status_on("2026-08-05"), LifecycleStatus::Retired);
}

#[test]
fn the_canonical_key_is_one_for_all_hosts() {
    let key = |host, model| builtin().canonical(host, model).map(|it| it.key);
    let sonnet = Some("anthropic/claude-sonnet-4-5".to_owned());
    assert_eq!(key("anthropic", "claude-sonnet-4-5-20250929"), sonnet);
    assert_eq!(key("bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"), sonnet);
    assert_eq!(key("vertex", "claude-sonnet-4-5@20250929"), sonnet);
    assert_eq!(key("azure", "eu/gpt-4o-2024-08-06"), Some("openai/gpt-4o".to_owned()));
    assert_eq!(key("openai", "gpt-4.1"), Some("openai/gpt-4.1".to_owned()));
    assert_eq!(key("groq", "openai/gpt-oss-120b"), Some("openai/gpt-oss-120b".to_owned()));
    assert_eq!(
        key("cloudflare-workers-ai", "@cf/meta/llama-3.1-8b-instruct"),
        Some("meta/llama-3.1-8b-instruct".to_owned())
    );
    assert_eq!(key("", "some-local-file"), None);
}
