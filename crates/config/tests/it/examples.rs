//! Every file of `examples/` passes; every file of `examples/bad/` is refused with messages that were read.

use std::path::{Path, PathBuf};

use crate::surroundings::{Fake, FewPresets, bad, good};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name)
}

fn files(name: &str) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|it| it.unwrap().path())
        .filter(|it| it.extension().is_some_and(|it| it == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn every_example_passes() {
    for path in files("examples") {
        let text = std::fs::read_to_string(&path).unwrap();
        let loaded = config::load(&text, "outrigger.yaml", &Fake::complete(), catalog::builtin());
        let loaded = loaded.unwrap_or_else(|problems| panic!("{}: {problems:?}", path.display()));
        assert_eq!(loaded.warnings, vec![], "{}", path.display());
    }
}

#[test]
fn every_bad_example_is_refused_and_says_why() {
    for path in files("examples/bad") {
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let env = Fake { no_files: true, ..Fake::with(&[("OPENAI_API_KEY", "x")]) };
        let file = format!("{name}.yaml");
        let problems = config::load(&text, &file, &env, &FewPresets).unwrap_err();
        let shown: Vec<String> = problems.iter().map(|it| config::render(it, &text)).collect();
        insta::assert_snapshot!(name, shown.join("\n"));
        for problem in problems {
            assert!(config::explain(problem.code).is_some(), "{} is not explained", problem.code);
        }
    }
}

#[test]
fn three_lines_add_any_compatible_server() {
    let text = std::fs::read_to_string(folder("examples/three-lines.yaml")).unwrap();
    assert_eq!(text.lines().count(), 3);
    let config = good(&text, &Fake::default()).config;
    let provider = &config.providers[0];
    assert_eq!(provider.name.as_str(), "house");
    assert_eq!(provider.kind, config::ProviderKind::OpenaiCompatible);
    assert_eq!(provider.base_url, "http://127.0.0.1:8000/v1");
    assert_eq!((provider.preset.as_deref(), provider.keys.len()), (None, 0));
}

#[test]
fn a_warning_alone_does_not_refuse() {
    let text = "providers:\n  openai: {key: sk-plain}\n";
    let loaded = good(text, &Fake::default());
    assert_eq!(loaded.warnings.len(), 1);
    assert_eq!((loaded.warnings[0].code, loaded.warnings[0].line), ("W0303", 2));
    let json = config::to_json(&loaded.warnings[0]);
    assert_eq!(json["severity"], "warning");
    assert!(!format!("{loaded:?}").contains("sk-plain"));
}

#[test]
fn problems_come_in_the_files_order_and_all_at_once() {
    let text = "providers: [openai]\nserver: {drian: 5s}\nledger: {durability: strcit}\n";
    let problems = bad(text, &Fake::with(&[("OPENAI_API_KEY", "x")]));
    let places: Vec<_> = problems.iter().map(|it| (it.code, it.line, it.column)).collect();
    assert_eq!(places, [("E0102", 2, 10), ("E0108", 3, 22)]);
    assert_eq!(problems[1].suggestion.as_deref(), Some("strict"));
}
