//! Values from the environment: `OUTRIGGER__SERVER__DRAIN=5min` sets `server.drain`, and a few short names.

use crate::check::{Problem, Problems};
use crate::spec::{Field, Kind, ROOT};
use crate::tree::{Entry, Node, Place, Value};
use crate::{Env, suggest};

/// Short names of the commonest settings.
const SHORT: &[(&str, &[&str])] = &[
    ("OUTRIGGER_API", &["server", "api"]),
    ("OUTRIGGER_ADMIN", &["server", "admin"]),
    ("OUTRIGGER_DATA_DIR", &["ledger", "dir"]),
    ("OUTRIGGER_LOG", &["telemetry", "log"]),
    ("OUTRIGGER_LOG_FORMAT", &["telemetry", "log_format"]),
];

const PREFIX: &str = "OUTRIGGER__";

/// Puts the environment's values into the tree. They win over the file's.
pub(crate) fn apply(root: &mut Node, env: &dyn Env, problems: &mut Problems<'_>) {
    let mut vars = env.outrigger_vars();
    vars.sort();
    for (name, value) in &vars {
        if let Some((_, path)) = SHORT.iter().find(|(short, _)| short == name) {
            let path: Vec<String> = path.iter().map(|part| (*part).into()).collect();
            set(root, &path, name, value);
        }
    }
    for (name, value) in &vars {
        let Some(rest) = name.strip_prefix(PREFIX) else { continue };
        let parts: Vec<&str> = rest.split("__").collect();
        match resolve(root, &ROOT, &parts) {
            Ok(path) => set(root, &path, name, value),
            Err(problem) => problems.error(&Place::variable(name), problem),
        }
    }
}

/// Finds the keys that the parts of a variable's name mean. Names of the user's own may hold `-` and `.`, which
/// no variable can: they match `_`.
fn resolve(node: &Node, kind: &Kind, parts: &[&str]) -> Result<Vec<String>, Problem> {
    let Some((first, rest)) = parts.split_first() else {
        return if scalar(kind) {
            Ok(Vec::new())
        } else {
            Err(Problem::new("E0501", "only single values can be set from the environment"))
        };
    };
    match kind {
        Kind::Section(fields) => below_section(node, fields, first, rest),
        Kind::Map(_, kind) => {
            let known = node.entries().iter().find(|entry| same(&entry.key, first));
            let key = known.map_or_else(|| first.to_ascii_lowercase(), |entry| entry.key.clone());
            let below = known.map_or_else(Node::empty_map, |entry| entry.value.clone());
            let mut path = vec![key];
            path.extend(resolve(&below, kind, rest)?);
            Ok(path)
        }
        Kind::OneOf(kinds) => {
            let inner = kinds.iter().find(|it| matches!(it, Kind::Map(..) | Kind::Section(_)));
            match inner {
                Some(kind) => resolve(node, kind, parts),
                None => Err(no_such(first)),
            }
        }
        Kind::Word(_) | Kind::Scalar(_) | Kind::List(_) => Err(no_such(first)),
    }
}

fn below_section(
    node: &Node,
    fields: &'static [Field],
    first: &str,
    rest: &[&str],
) -> Result<Vec<String>, Problem> {
    let wanted = first.to_ascii_lowercase();
    let Some(field) = fields.iter().find(|field| field.name == wanted) else {
        let near = suggest::key(&wanted, fields.iter().map(|field| field.name));
        return Err(no_such(&wanted).instead(near.map(|near| near.name)));
    };
    let below = node.get(field.name).cloned().unwrap_or_else(Node::empty_map);
    let mut path = vec![field.name.to_owned()];
    path.extend(resolve(&below, &field.kind, rest)?);
    Ok(path)
}

fn scalar(kind: &Kind) -> bool {
    match kind {
        Kind::Word(_) | Kind::Scalar(_) => true,
        Kind::OneOf(kinds) => kinds.iter().any(scalar),
        Kind::List(_) | Kind::Map(..) | Kind::Section(_) => false,
    }
}

fn no_such(part: &str) -> Problem {
    Problem::new("E0501", format!("the variable names no setting: there is no `{part}`"))
}

fn same(key: &str, part: &str) -> bool {
    let fold = |text: &str| text.to_ascii_lowercase().replace(['-', '.'], "_");
    fold(key) == fold(part)
}

/// Sets the value at a path, making the mappings on the way.
fn set(node: &mut Node, path: &[String], variable: &str, value: &str) {
    let place = Place::variable(variable);
    let Some((key, rest)) = path.split_first() else {
        node.value = Value::Scalar { text: value.into(), quoted: false };
        node.place = place;
        return;
    };
    to_map(node, &place);
    let Value::Map(entries) = &mut node.value else { return };
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *key) {
        set(&mut entry.value, rest, variable, value);
        return;
    }
    let mut below = Node { value: Value::Null, place: place.clone() };
    set(&mut below, rest, variable, value);
    entries.push(Entry { key: key.clone(), key_place: place, value: below });
}

/// A list of names (`providers: [openai]`) becomes the mapping it stands for; anything else an empty one.
fn to_map(node: &mut Node, place: &Place) {
    if matches!(node.value, Value::Map(_)) {
        return;
    }
    let named = node.items().iter().filter_map(|item| {
        let value = Node { value: Value::Null, place: item.place.clone() };
        Some(Entry { key: item.text()?.into(), key_place: item.place.clone(), value })
    });
    node.value = Value::Map(named.collect());
    if node.place.variable.is_none() && node.entries().is_empty() {
        node.place = place.clone();
    }
}
