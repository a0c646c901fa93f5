//! The JSON documents are an interface: `docs/cli.md` lists their fields, and this compares.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::place::Place;

/// The names between backticks.
fn names(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn fields(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// The first row of the document's list; none where it has no list of objects.
fn row(document: &Value) -> Option<&Value> {
    let lists = document.as_object().unwrap().values().filter_map(Value::as_array);
    lists.filter_map(|list| list.first()).find(|it| it.is_object())
}

#[test]
fn every_document_has_the_fields_that_its_description_lists() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md"));
    let page = page.unwrap();
    let table = page.split("## JSON documents").nth(1).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.trim_matches('|').split(" | ").collect())
        .collect();
    assert!(rows.len() > 25, "{}", rows.len());
    let place = Place::new();
    place.configure("providers: [demo]\ncapabilities: {fast: [demo/echo]}\n");
    let gateway = place.serve(&[]);
    let request = place.json(&["try", "hi", "--json"])["request_id"].as_str().unwrap().to_owned();
    for cells in &rows {
        let command = cells[0].trim().trim_matches('`');
        let copy = place.at("copy").display().to_string();
        let real =
            command.replace("REQUEST", &request).replace("MESSAGE", "hi").replace("FOLDER", &copy);
        let mut args: Vec<&str> = real.split(' ').collect();
        args.push("--json");
        // A machine may have findings.
        let (_, out, err) = place.run(&args);
        let document: Value =
            serde_json::from_str(&out).unwrap_or_else(|it| panic!("{command}: {it}: {out}{err}"));
        assert_eq!(fields(&document), names(cells[1]), "{command}");
        let described = match cells.get(2).map_or("", |it| it.trim()).strip_prefix("as `") {
            Some(other) => rows.iter().find(|it| it[0].contains(other)).unwrap()[2],
            None => cells.get(2).copied().unwrap_or_default(),
        };
        let shown = row(&document).map(fields).unwrap_or_default();
        assert_eq!(shown, names(described), "{command}");
    }
    gateway.stop();
}
