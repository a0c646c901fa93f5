//! Every key of the complete example, misspelled in every one-letter way: each is refused at its place, and the
//! right name comes first.

#![expect(clippy::string_slice, reason = "the example is ASCII, and a panic is a failed test")]

use crate::surroundings::{Fake, FewPresets};

/// Keys that the user chose: no misspelling of them is wrong.
const OWN: &[&str] = &[
    "anthropic",
    "openai",
    "groq",
    "house",
    "demo",
    "fast",
    "smart",
    "all",
    "search",
    "ci",
    "agents",
    "fast-tokens",
    "x-team",
    "x-api-token",
];

struct Key {
    line: usize,
    start: usize,
    name: String,
}

/// Finds the keys without the parser under test: a word and a colon, outside comments and quotes.
fn keys(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let code = content.split(" #").next().unwrap();
        if code.trim_start().starts_with('#') {
            continue;
        }
        for (colon, _) in code.match_indices(':') {
            let before = &code[..colon];
            let word =
                |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '/' || c == '.';
            let start = before.rfind(|c| !word(c)).map_or(0, |at| at + 1);
            let name = &before[start..];
            let ends = code[colon + 1..].starts_with(' ') || colon + 1 == code.len();
            if ends && !name.is_empty() && !name.contains('/') && !OWN.contains(&name) {
                keys.push(Key { line, start, name: name.into() });
            }
        }
    }
    keys
}

fn misspellings(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut all = Vec::new();
    for at in 0..letters.len() {
        let mut drop = letters.clone();
        drop.remove(at);
        let mut double = letters.clone();
        double.insert(at, letters[at]);
        all.extend([drop, double]);
        if at + 1 < letters.len() {
            let mut swap = letters.clone();
            swap.swap(at, at + 1);
            all.push(swap);
        }
        for letter in ['q', 'w', 'z'] {
            let mut other = letters.clone();
            other[at] = letter;
            let mut more = letters.clone();
            more.insert(at, letter);
            all.extend([other, more]);
        }
    }
    let mut all: Vec<String> = all.into_iter().map(|it| it.into_iter().collect()).collect();
    all.sort();
    all.dedup();
    all.retain(|it| it != name && !it.is_empty());
    all
}

fn with_line(text: &str, line: usize, new: &str) -> String {
    let lines = text.lines().enumerate();
    lines.map(|(at, old)| if at == line { new } else { old }).collect::<Vec<_>>().join("\n")
}

#[test]
fn five_thousand_misspelled_keys_are_refused_at_their_place_with_the_right_name_first() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/complete.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let (mut cases, mut right) = (0, 0);
    for key in keys(&text) {
        let content = text.lines().nth(key.line).unwrap();
        for typo in misspellings(&key.name) {
            let end = key.start + key.name.len();
            let line = format!("{}{typo}{}", &content[..key.start], &content[end..]);
            let mutated = with_line(&text, key.line, &line);
            let Err(problems) = config::load(&mutated, "f", &Fake::complete(), &FewPresets) else {
                panic!("`{typo}` for `{}` was accepted", key.name);
            };
            // A misspelling that is another key of the section is refused for what it holds instead.
            let here = |it: &&config::Diagnostic| it.code == "E0102";
            let Some(problem) = problems.iter().find(here) else {
                assert!(problems.iter().any(|it| it.line == key.line + 1), "{typo}: {problems:?}");
                continue;
            };
            cases += 1;
            let place = (problem.line, problem.column, problem.width);
            assert_eq!(place, (key.line + 1, key.start + 1, typo.len()), "{typo}");
            right += usize::from(problem.suggestion.as_deref() == Some(&*key.name));
        }
    }
    assert!(cases >= 5_000, "{cases} cases");
    assert!(right * 100 >= cases * 95, "{right} of {cases}");
}

#[test]
fn a_value_of_the_wrong_shape_is_refused_at_its_place() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/complete.yaml");
    let text = std::fs::read_to_string(path).unwrap();
    let mut cases = 0;
    for key in keys(&text) {
        let content = text.lines().nth(key.line).unwrap();
        let value = key.start + key.name.len() + 2;
        let Some(rest) = content.get(value..) else { continue };
        if rest.starts_with(['{', '[', '#']) {
            continue;
        }
        let len = rest.find([',', '}']).unwrap_or(rest.len());
        let line = format!("{}{{zz: [1]}}{}", &content[..value], &rest[len..]);
        let mutated = with_line(&text, key.line, &line);
        let problems = config::load(&mutated, "f", &Fake::complete(), &FewPresets).unwrap_err();
        let places: Vec<_> = problems.iter().map(|it| (it.line, it.column)).collect();
        let inside = (key.line + 1, value + 2);
        let before = (key.line + 1, value + 1);
        assert!(places.contains(&before) || places.contains(&inside), "{line}: {places:?}");
        cases += 1;
    }
    assert!(cases > 50, "{cases}");
}
