//! `--jq EXPR`: a jq filter over what `--json` would print, by the `jaq` crates. No file is read.

use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, Vars, data, unwrap_valr};
use jaq_json::{Val, read};
use serde_json::Value;

use crate::exit::{Exit, Failure};

/// Formats of jq that the crates leave to the program around them.
const FORMATS: &str = r#"
def @json: tojson;
def @csv: map(if type == "string" then "\"" + gsub("\""; "\"\"") + "\"" elif . == null then "" else tojson end)
    | join(",");
def @tsv: map(if type == "string" then gsub("\\\\"; "\\\\") | gsub("\t"; "\\t") | gsub("\n"; "\\n") | gsub("\r"; "\\r")
    elif . == null then "" else tojson end) | join("\t");
"#;

type Filter = jaq_core::Filter<data::JustLut<Val>>;

/// Whether an expression can be used; for the command line's parser.
pub(crate) fn checked(expression: &str) -> Result<String, String> {
    compiled(expression).map(|_| expression.to_owned())
}

/// What the filter makes of a document: each result as JSON on one line.
pub(crate) fn apply(expression: &str, document: &Value) -> Result<Vec<String>, Failure> {
    let failed =
        |why: &dyn std::fmt::Display| Failure::new(Exit::Failed, format!("--jq failed: {why}"));
    let filter = compiled(expression).map_err(|error| failed(&error))?;
    let input = read::parse_single(document.to_string().as_bytes());
    let input = input.map_err(|error| failed(&error))?;
    let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new([]));
    let results = filter.id.run((context, input)).map(unwrap_valr);
    results.map(|it| it.map(|it| it.to_string()).map_err(|error| failed(&error))).collect()
}

fn compiled(expression: &str) -> Result<Filter, String> {
    let formats = jaq_core::load::parse(FORMATS, |parser| parser.defs()).unwrap_or_default();
    let definitions =
        jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs()).chain(formats);
    let functions = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let arena = Arena::default();
    let file = File { code: expression, path: () };
    let modules = Loader::new(definitions)
        .load(&arena, file)
        .map_err(|_| format!("`{expression}` is not a jq expression"))?;
    Compiler::default().with_funs(functions).compile(modules).map_err(|errors| {
        let unknown =
            errors.iter().flat_map(|(_, errors)| errors).map(|(name, _)| format!("`{name}`"));
        format!("unknown in the jq expression: {}", unknown.collect::<Vec<_>>().join(", "))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(expression: &str, document: &Value) -> Vec<String> {
        apply(expression, document).unwrap()
    }

    #[test]
    fn formats_that_scripts_use_are_there() {
        let row = json!(["a\"b", 1, null, "c\td\\", true]);
        assert_eq!(of("@csv", &row), [json!("\"a\"\"b\",1,,\"c\td\\\",true").to_string()]);
        assert_eq!(of("@tsv", &row), [json!("a\"b\t1\t\tc\\td\\\\\ttrue").to_string()]);
        assert_eq!(of("@json", &json!([1])), ["\"[1]\""]);
        assert_eq!(of("@sh", &json!("it's")), [json!("'it'\\''s'").to_string()]);
    }

    #[test]
    fn large_numbers_keep_every_figure() {
        assert_eq!(of(".[0]", &json!([u64::MAX])), [u64::MAX.to_string()]);
    }

    #[test]
    fn what_is_no_expression_or_names_the_unknown_is_refused_before_anything_is_done() {
        assert!(checked(".a[").unwrap_err().contains("not a jq expression"));
        assert!(checked("lenght, $x").unwrap_err().contains("`lenght`"));
    }
}
