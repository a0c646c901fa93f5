//! Whatever code or word the product prints, `outrigger explain` knows it, offline.

use std::collections::BTreeSet;
use std::path::Path;

use domain::{ErrorClass, OutcomeClass, UsageQuality};
use serde_json::Value;

use crate::place::Place;

fn explained(code: &str) -> config::Explained {
    config::explain(code).unwrap_or_else(|| panic!("{code} is not explained"))
}

#[test]
fn every_code_of_the_data_plane_is_explained_with_its_status() {
    for kind in server::errors::CATALOGUE {
        assert_eq!(explained(kind.code).status, Some(kind.status), "{}", kind.code);
    }
}

#[test]
fn every_code_of_the_admin_api_is_explained_with_its_status() {
    let document = include_str!("../../../server/src/admin/openapi.json");
    let document: Value = serde_json::from_str(document).unwrap();
    let problems = document["x-outrigger-problems"].as_object().unwrap();
    assert!(problems.len() > 8);
    for (code, problem) in problems {
        assert_eq!(explained(code).status.map(u64::from), problem["status"].as_u64(), "{code}");
    }
}

/// The codes that stand in the configuration's sources, between quotes.
fn raised(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            raised(&path, codes);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            let figures = |it: &&str| it.len() == 4 && it.parse::<u16>().is_ok();
            let quoted = text.split('"').filter_map(|it| it.strip_prefix('E')).filter(figures);
            codes.extend(quoted.map(|it| format!("E{it}")));
        }
    }
}

#[test]
fn every_code_of_the_configuration_is_explained() {
    let mut codes = BTreeSet::new();
    raised(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../config/src")), &mut codes);
    assert!(codes.len() > 20, "{codes:?}");
    for code in &codes {
        explained(code);
    }
}

#[test]
fn every_word_of_the_ledgers_rows_is_explained() {
    for outcome in OutcomeClass::ALL {
        explained(outcome.as_str());
    }
    for error in ErrorClass::ALL {
        explained(error.as_str());
    }
    for quality in (0..=u8::MAX).filter_map(UsageQuality::from_code) {
        explained(quality.as_str());
    }
    for fate in [domain::Fate::Emulated, domain::Fate::Approximated, domain::Fate::Dropped] {
        explained(fate.as_str());
    }
    for word in (0..=u8::MAX).map(policy::code_word).filter(|it| *it != "unknown") {
        explained(word);
    }
}

#[test]
fn no_code_is_explained_twice_and_each_says_why_and_what_to_do() {
    let place = Place::new();
    let listed = place.json(&["explain", "--all", "--json"]);
    let mut seen = BTreeSet::new();
    for it in listed["codes"].as_array().unwrap() {
        let text = |key: &str| it[key].as_str().unwrap().to_owned();
        assert!(seen.insert(text("code")), "{it}");
        assert!(text("why").len() > 10 && text("fix").ends_with('.'), "{it}");
    }
    assert!(place.good(&["explain", "breaker_timeout"]).contains("failed too often"));
}
