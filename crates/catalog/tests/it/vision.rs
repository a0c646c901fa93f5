//! What images cost: never below the vendors' own examples, nor below their rules as they publish them, written again
//! here in the vendors' own arithmetic.

use catalog::{Grade, ImageRule, builtin, image_rule};
use domain::{ImageDetail, ImageInput};
use proptest::prelude::*;

const DETAILS: [ImageDetail; 4] =
    [ImageDetail::Auto, ImageDetail::Low, ImageDetail::High, ImageDetail::Original];

fn most(model: &str, size: Option<(u32, u32)>, detail: ImageDetail) -> u64 {
    image_rule(model).unwrap().value.most_tokens(ImageInput { size, detail })
}

/// Model, width, height, detail, tokens.
type Example = (&'static str, u32, u32, ImageDetail, u64);

/// <https://developers.openai.com/api/docs/guides/images-vision>, "Calculating costs" (September 2026), and before it
/// <https://platform.openai.com/docs/guides/vision/calculating-costs>.
const OPENAI: [Example; 8] = [
    ("gpt-4o", 1_024, 1_024, ImageDetail::High, 765),
    ("gpt-4o", 2_048, 4_096, ImageDetail::High, 1_105),
    ("gpt-4o", 4_096, 8_192, ImageDetail::Low, 85),
    ("gpt-5.4", 1_024, 1_024, ImageDetail::High, 1_229),
    ("gpt-5.4", 2_048, 2_048, ImageDetail::High, 3_000),
    // 1,024 and 1,452 patches, times 1.62.
    ("gpt-4.1-mini", 1_024, 1_024, ImageDetail::Auto, 1_659),
    ("gpt-4.1-mini", 1_800, 2_400, ImageDetail::Auto, 2_353),
    ("gpt-5-nano", 1_024, 1_024, ImageDetail::High, 2_520),
];

/// <https://platform.claude.com/docs/en/build-with-claude/vision>, "Calculate image costs" and "How Claude resizes and
/// pads images" (September 2026).
const ANTHROPIC: [Example; 13] = [
    ("claude-sonnet-4-6", 200, 200, ImageDetail::Auto, 64),
    ("claude-sonnet-4-6", 1_000, 1_000, ImageDetail::Auto, 1_296),
    ("claude-sonnet-4-6", 1_092, 1_092, ImageDetail::Auto, 1_521),
    ("claude-sonnet-4-6", 1_920, 1_080, ImageDetail::Auto, 1_560),
    ("claude-sonnet-4-6", 2_000, 1_500, ImageDetail::Auto, 1_564),
    ("claude-sonnet-4-6", 3_840, 2_160, ImageDetail::Auto, 1_560),
    ("claude-sonnet-4-6", 1_075, 1_520, ImageDetail::Auto, 33 * 47),
    ("claude-opus-4-8", 200, 200, ImageDetail::Auto, 64),
    ("claude-opus-4-8", 1_000, 1_000, ImageDetail::Auto, 1_296),
    ("claude-opus-4-7", 1_092, 1_092, ImageDetail::Auto, 1_521),
    ("claude-opus-4-8", 1_920, 1_080, ImageDetail::Auto, 2_691),
    ("claude-opus-4-8", 2_000, 1_500, ImageDetail::Auto, 3_888),
    ("claude-opus-4-8", 3_840, 2_160, ImageDetail::Auto, 4_784),
];

/// Measured, by <https://community.openai.com/t/1281361> (rounding at the border of a tile) and
/// <https://huggingface.co/datasets/JOHNISKING/image-token-cost> (October 2026).
const MEASURED: [Example; 8] = [
    ("gpt-4.1", 2_049, 513, ImageDetail::High, 1_445),
    ("gpt-4.1", 2_050, 513, ImageDetail::High, 765),
    ("gpt-4.1-mini", 4_000, 1_474, ImageDetail::High, 2_488),
    ("gpt-6-astra", 1_920, 1_080, ImageDetail::Auto, 2_448),
    ("gpt-6-astra", 4_032, 3_024, ImageDetail::Auto, 14_364),
    ("gpt-6-astra", 4_032, 3_024, ImageDetail::High, 2_942),
    ("gpt-5.5", 3_840, 2_160, ImageDetail::Auto, 9_792),
    ("gpt-5.5", 4_032, 3_024, ImageDetail::Auto, 11_868),
];

#[test]
fn no_example_of_a_vendor_costs_more() {
    for (model, width, height, detail, tokens) in
        OPENAI.into_iter().chain(ANTHROPIC).chain(MEASURED)
    {
        for size in [(width, height), (height, width)] {
            let bound = most(model, Some(size), detail);
            assert!(bound >= tokens, "{model} {size:?} {detail:?}: {bound} < {tokens}");
        }
    }
}

/// Where nothing is scaled, the bound is the count itself; a token more where the vendor says so.
#[test]
fn an_image_that_is_not_scaled_costs_what_it_costs() {
    for (model, size, detail, tokens) in [
        ("gpt-4o", (512, 512), ImageDetail::Auto, 255),
        ("gpt-4o", (1_024, 1_024), ImageDetail::High, 765),
        ("gpt-4o", (2_048, 4_096), ImageDetail::Auto, 1_105),
        ("gpt-4o-mini", (100, 100), ImageDetail::Low, 2_833),
        ("gpt-5.6-sol", (1_024, 1_024), ImageDetail::Auto, 1_229 + 1),
        ("claude-opus-4-8", (1_920, 1_080), ImageDetail::Auto, 2_691),
        ("claude-haiku-4-5", (200, 200), ImageDetail::High, 64),
    ] {
        assert_eq!(most(model, Some(size), detail), tokens, "{model} {size:?}");
    }
}

/// A URL, or a head that can't be read: as much as any image.
#[test]
fn an_image_of_unknown_size_costs_the_most() {
    for (model, detail, tokens) in [
        ("gpt-4o", ImageDetail::Auto, 85 + 8 * 170),
        ("gpt-4o", ImageDetail::Low, 85),
        // By far the dearest: the old allowance of 5,000 tokens for any image was a tenth of it.
        ("openai/gpt-4o-mini", ImageDetail::High, 2_833 + 8 * 5_667),
        ("gpt-5.6", ImageDetail::Auto, 36_001),
        ("gpt-5.6", ImageDetail::High, 3_001),
        ("gpt-6.1-sol", ImageDetail::Original, 36_001),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", ImageDetail::Auto, 1_568),
        ("claude-opus-5-5", ImageDetail::Auto, 4_784),
        ("claude-sonnet-5", ImageDetail::Auto, 4_784),
        ("somebodys-model", ImageDetail::Low, 48_600),
    ] {
        assert_eq!(most(model, None, detail), tokens, "{model}");
    }
    assert_eq!(most("somebodys-model", Some((64, 64)), ImageDetail::Auto), 8_192);
}

#[test]
fn every_row_is_understood_and_says_who_and_when() {
    let table = include_str!("../../data/vision.csv");
    let rows: Vec<&str> = table.lines().filter(|line| !line.starts_with('#')).skip(1).collect();
    for row in &rows {
        assert_eq!(row.matches(',').count(), 4, "{row}");
        let pattern = row.split(',').next().unwrap();
        let fact = image_rule(pattern).unwrap_or_else(|| panic!("{row}"));
        assert!(row.contains(&*fact.source) && fact.date.len() == 7, "{row}");
        assert_eq!(fact.source.contains("assumed"), fact.grade == Grade::D, "{row}");
    }
    let patterns: Vec<&str> = rows.iter().map(|row| row.split(',').next().unwrap()).collect();
    let unique: std::collections::BTreeSet<&&str> = patterns.iter().collect();
    assert_eq!(unique.len(), patterns.len());
}

/// Every model of the two vendors that publish their rules has a rule of theirs.
#[test]
fn the_models_of_openai_and_anthropic_do_not_fall_back() {
    let fallback = image_rule("somebodys-model").unwrap().value;
    for facts in builtin().models_of("anthropic") {
        let rule = image_rule(&facts.model).unwrap().value;
        let sees =
            !facts.model.starts_with("claude-2") && !facts.model.starts_with("claude-instant");
        assert!(!sees || matches!(rule, ImageRule::Patches { side: 28, .. }), "{}", facts.model);
    }
    for facts in builtin().models_of("openai") {
        let name = facts.model.strip_prefix("ft:").unwrap_or(&facts.model);
        let sees = ["gpt-4o", "gpt-4.1", "gpt-4-turbo", "gpt-5", "gpt-6", "o1", "o3", "o4"];
        let sees = sees.iter().any(|prefix| name.starts_with(prefix));
        assert!(!sees || image_rule(&facts.model).unwrap().value != fallback, "{}", facts.model);
    }
}

/// OpenAI's patch rule in its own arithmetic.
fn openai_patches((width, height): (u32, u32), budget: f64, most_pixels: f64) -> f64 {
    let (mut width, mut height) = (f64::from(width), f64::from(height));
    let long = width.max(height);
    if long > most_pixels {
        (width, height) =
            ((width * most_pixels / long).round(), (height * most_pixels / long).round());
    }
    let count = |width: f64, height: f64| (width / 32.0).ceil() * (height / 32.0).ceil();
    if count(width, height) <= budget {
        return count(width, height);
    }
    let shrink = (32.0 * 32.0 * budget / (width * height)).sqrt();
    let exact = |side: f64| (side * shrink / 32.0).floor() / (side * shrink / 32.0);
    let shrink = shrink * exact(width).min(exact(height));
    count((width * shrink).floor(), (height * shrink).floor())
}

/// OpenAI's tile rule in its own arithmetic; `round` is what happens to the shorter side.
fn openai_tiles((width, height): (u32, u32), round: fn(f64) -> f64) -> f64 {
    let (mut long, mut short) = (f64::from(width.max(height)), f64::from(width.min(height)));
    if long > 2_048.0 {
        (long, short) = (2_048.0, round(short * 2_048.0 / long));
    }
    if short > 768.0 {
        (long, short) = ((long * 768.0 / short).floor(), 768.0);
    }
    (long / 512.0).ceil() * (short / 512.0).ceil()
}

/// Anthropic's own reference, `resized_size` and `count_image_tokens`.
fn claude_tokens((width, height): (u32, u32), max_edge: u32, max_tokens: u32) -> u32 {
    let count = |width: u32, height: u32| width.div_ceil(28) * height.div_ceil(28);
    let fits = |width: u32, height: u32| {
        width.div_ceil(28) * 28 <= max_edge
            && height.div_ceil(28) * 28 <= max_edge
            && count(width, height) <= max_tokens
    };
    let (width, height) = (width.max(height), width.min(height));
    if fits(width, height) {
        return count(width, height);
    }
    let other = |long: u32| {
        let scaled = f64::from(long) * f64::from(height) / f64::from(width);
        (scaled.round_ties_even() as u32).max(1)
    };
    let (mut low, mut high) = (1, width);
    while low + 1 < high {
        let middle = u32::midpoint(low, high);
        if fits(middle, other(middle)) { low = middle } else { high = middle }
    }
    count(low, other(low))
}

fn sizes() -> impl Strategy<Value = (u32, u32)> {
    let side = || prop_oneof![1u32..70, 1u32..2_600, 1u32..65_536];
    (side(), side())
}

proptest! {
    #[test]
    fn no_image_costs_more_by_the_vendors_own_rules(size in sizes()) {
        for (model, detail, budget, pixels, times) in [
            ("gpt-4.1-mini", ImageDetail::Auto, 6_144.0, 2_048.0, 1.62),
            ("gpt-4.1-mini", ImageDetail::High, 1_536.0, 2_048.0, 1.62),
            ("gpt-5.2", ImageDetail::Low, 6_144.0, 2_048.0, 1.2),
            ("gpt-5.4", ImageDetail::Low, 6_144.0, 2_048.0, 1.2),
            ("gpt-5.4", ImageDetail::High, 2_500.0, 2_048.0, 1.2),
            ("gpt-5.4-nano", ImageDetail::Original, 10_000.0, 6_000.0, 2.46),
            ("gpt-5.5", ImageDetail::Auto, 10_000.0, 6_000.0, 1.2),
            ("gpt-6-astra", ImageDetail::Low, 256.0, 512.0, 1.2),
            ("gpt-6-astra", ImageDetail::High, 2_500.0, 65_535.0, 1.2),
            ("o4-mini", ImageDetail::High, 1_536.0, 2_048.0, 1.72),
        ] {
            let tokens = (openai_patches(size, budget, pixels) * times).ceil() as u64;
            let bound = most(model, Some(size), detail);
            prop_assert!(bound >= tokens, "{} {:?}: {} < {}", model, size, bound, tokens);
        }
        // Beyond 30,000 patches the provider refuses the request, which costs nothing.
        let whole = openai_patches(size, f64::INFINITY, 65_535.0);
        if whole <= 30_000.0 {
            let tokens = (whole * 1.2).ceil() as u64;
            prop_assert!(most("gpt-5.6-luna", Some(size), ImageDetail::Auto) >= tokens);
        }
        for round in [f64::floor, f64::round, f64::ceil] {
            let tokens = 85 + 170 * openai_tiles(size, round) as u64;
            let bound = most("gpt-4o", Some(size), ImageDetail::High);
            prop_assert!(bound >= tokens, "gpt-4o {:?}: {} < {}", size, bound, tokens);
        }
        for (model, edge, budget) in [("claude-haiku-4-5", 1_568, 1_568), ("claude-opus-5", 2_576, 4_784)] {
            let tokens = u64::from(claude_tokens(size, edge, budget));
            let bound = most(model, Some(size), ImageDetail::Auto);
            prop_assert!(bound >= tokens, "{} {:?}: {} < {}", model, size, bound, tokens);
        }
    }

    /// A larger image never has a smaller bound, and none has one above that of an unknown size.
    #[test]
    fn the_unknown_image_is_the_largest(size in sizes(), detail in 0usize..4) {
        for model in ["gpt-4o", "gpt-4o-mini", "gpt-5.4", "gpt-6", "claude-opus-5", "claude-3-haiku", "other"] {
            let detail = DETAILS[detail];
            prop_assert!(most(model, Some(size), detail) <= most(model, None, detail));
        }
    }
}
