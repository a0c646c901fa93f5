//! Every value in force and where it came from: what `config show --origin` prints.

use crate::check::joined;
use crate::spec::{Field, Kind, Need, ROOT, Scalar};
use crate::tree::{Node, Place, Value};
use crate::{Config, scalar};

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file, at this line.
    File {
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// The product's default.
    Default,
    /// The preset of that name.
    Preset(String),
}

impl std::fmt::Display for Origin {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { file, line } => write!(out, "{file}:{line}"),
            Self::Variable(name) => write!(out, "env {name}"),
            Self::Default => out.write_str("default"),
            Self::Preset(name) => write!(out, "preset {name}"),
        }
    }
}

/// A value in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// `server.drain`.
    pub path: String,
    /// As it was written; secrets in plain text are hidden.
    pub value: String,
    /// Where it came from.
    pub origin: Origin,
}

/// All values in force, in the order of the description, users' names in the order of the file.
pub(crate) fn leaves(root: &Node, config: &Config, file: &str) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    walk(Some(root), &ROOT, "", file, &mut leaves);
    for provider in &config.providers {
        let path = format!("providers.{}.base_url", provider.name);
        let known = leaves.iter().any(|leaf| leaf.path == path);
        if let (Some(preset), false, false) =
            (&provider.preset, known, provider.base_url.is_empty())
        {
            let origin = Origin::Preset(preset.clone());
            leaves.push(Leaf { path, value: provider.base_url.clone(), origin });
        }
    }
    leaves
}

fn walk(node: Option<&Node>, kind: &Kind, path: &str, file: &str, leaves: &mut Vec<Leaf>) {
    match (kind, node.map(|it| (&it.value, it))) {
        (Kind::Section(fields), None | Some((Value::Null, _))) => {
            section(None, fields, path, file, leaves);
        }
        (Kind::Section(fields), Some((Value::Map(_), node))) => {
            section(Some(node), fields, path, file, leaves);
        }
        (Kind::Map(_, kind), Some((Value::Map(entries), _))) => {
            for entry in entries {
                walk(Some(&entry.value), kind, &joined(path, &entry.key), file, leaves);
            }
        }
        (Kind::List(kind), Some((Value::List(items), node))) => {
            let shown: Vec<String> = items.iter().map(|item| shown(item, kind)).collect();
            leaves.push(leaf(path, format!("[{}]", shown.join(", ")), &node.place, file));
        }
        (Kind::OneOf(kinds), Some((value, _))) => {
            let fits = |kind: &&Kind| match kind {
                Kind::Word(_) | Kind::Scalar(_) => matches!(value, Value::Scalar { .. }),
                Kind::List(_) => matches!(value, Value::List(_)),
                Kind::Map(..) | Kind::Section(_) => matches!(value, Value::Map(_) | Value::Null),
                Kind::OneOf(_) => false,
            };
            if let Some(kind) = kinds.iter().find(fits) {
                walk(node, kind, path, file, leaves);
            }
        }
        (_, Some((Value::Scalar { .. }, node))) => {
            leaves.push(leaf(path, shown(node, kind), &node.place, file));
        }
        _ => {}
    }
}

fn section(node: Option<&Node>, fields: &[Field], path: &str, file: &str, leaves: &mut Vec<Leaf>) {
    for field in fields {
        let path = joined(path, field.name);
        let given = node.and_then(|node| node.get(field.name));
        match (given, field.need, &field.kind) {
            (None, Need::Default(text), _) => {
                leaves.push(Leaf { path, value: text.into(), origin: Origin::Default });
            }
            // Sections that mean something by being there at all have required keys, hence no defaults to show.
            (None, _, Kind::Section(fields)) if has_required(fields) => {}
            (given, _, kind) => walk(given, kind, &path, file, leaves),
        }
    }
}

fn has_required(fields: &[Field]) -> bool {
    fields.iter().any(|field| matches!(field.need, Need::Required))
}

fn shown(node: &Node, kind: &Kind) -> String {
    let text = node.text().unwrap_or_default();
    match kind {
        Kind::Scalar(Scalar::Secret) if text != "none" => {
            scalar::secret(text).map_or_else(String::new, |secret| secret.shown())
        }
        _ => text.into(),
    }
}

fn leaf(path: &str, value: String, place: &Place, file: &str) -> Leaf {
    let origin = match &place.variable {
        Some(name) => Origin::Variable(name.clone()),
        None => Origin::File { file: file.into(), line: place.line },
    };
    Leaf { path: path.into(), value, origin }
}
