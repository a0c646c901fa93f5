//! The price table that `outrigger catalog import` leaves in the data folder, and the catalog with it on top.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::{Catalog, Overlay, OverlayError};
use domain::UnixMicros;

/// Its name in the data folder. The first line says since when it counts (microseconds since 1970), the rest is the
/// overlay.
const FILE: &str = "catalog-overlay.txt";

/// The catalog in force; cheap to clone.
#[derive(Clone, Debug)]
pub enum CatalogInForce {
    /// The built-in one.
    Builtin,
    /// With an import on top.
    Imported(Arc<Import>),
}

/// An import as it was read.
#[derive(Debug)]
pub struct Import {
    /// Since when it counts.
    pub from: UnixMicros,
    /// Models in it.
    pub models: usize,
    text: String,
    catalog: Catalog,
}

/// Why an import can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file can't be read or written.
    #[error("the imported prices in {path} can't be used")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is not what an import writes.
    #[error(
        "the imported prices in {path} can't be read; import the table again, or delete the file"
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: OverlayError,
    },
}

impl Deref for CatalogInForce {
    type Target = Catalog;

    fn deref(&self) -> &Catalog {
        match self {
            Self::Builtin => catalog::builtin(),
            Self::Imported(import) => &import.catalog,
        }
    }
}

impl CatalogInForce {
    /// The catalog of a data folder as it is now. What has not changed since `before` is not read anew.
    pub fn of(dir: &Path, before: &Self) -> Result<Self, ImportError> {
        let path = dir.join(FILE);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::Builtin),
            Err(source) => return Err(ImportError::File { path, source }),
        };
        if let Self::Imported(import) = before
            && import.text == text
        {
            return Ok(before.clone());
        }
        match read(&text) {
            Ok((overlay, from)) => Ok(Self::Imported(Arc::new(Import {
                from,
                models: overlay.len(),
                catalog: catalog::builtin().with_overlay(&overlay, from),
                text,
            }))),
            Err(source) => Err(ImportError::Damaged { path, source }),
        }
    }
}

fn read(text: &str) -> Result<(Overlay, UnixMicros), OverlayError> {
    let (head, rest) = text.split_once('\n').ok_or(OverlayError { line: 1 })?;
    let micros = head.strip_prefix("from ").and_then(|it| it.parse().ok());
    let from = UnixMicros::from_micros(micros.ok_or(OverlayError { line: 1 })?);
    let overlay = Overlay::parse(rest).map_err(|error| OverlayError { line: error.line + 1 })?;
    Ok((overlay, from))
}

/// Puts an import into a data folder, at once and wholly. A gateway that runs there takes it at its next reload.
pub fn write(dir: &Path, overlay: &Overlay, from: UnixMicros) -> Result<(), ImportError> {
    let path = dir.join(FILE);
    let text = format!("from {}\n{}", from.micros(), overlay.to_text());
    let draft = path.with_extension("new");
    let put = || {
        std::fs::create_dir_all(dir)?;
        std::fs::write(&draft, text)?;
        std::fs::rename(&draft, &path)
    };
    put().map_err(|source| ImportError::File { path: path.clone(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "# outrigger catalog overlay 1\n";

    #[test]
    fn a_folder_without_an_import_has_the_built_in_catalog() {
        let dir = tempfile::tempdir().unwrap();
        let found = CatalogInForce::of(dir.path(), &CatalogInForce::Builtin).unwrap();
        assert!(matches!(found, CatalogInForce::Builtin));
    }

    #[test]
    fn what_has_not_changed_is_not_read_anew_and_what_was_deleted_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &Overlay::default(), UnixMicros::from_secs(7)).unwrap();
        let first = CatalogInForce::of(dir.path(), &CatalogInForce::Builtin).unwrap();
        let CatalogInForce::Imported(import) = &first else { panic!("{first:?}") };
        assert_eq!(import.from, UnixMicros::from_secs(7));
        let again = CatalogInForce::of(dir.path(), &first).unwrap();
        assert!(matches!(&again, CatalogInForce::Imported(it) if Arc::ptr_eq(it, import)));
        std::fs::remove_file(dir.path().join(FILE)).unwrap();
        let gone = CatalogInForce::of(dir.path(), &again).unwrap();
        assert!(matches!(gone, CatalogInForce::Builtin));
    }

    #[test]
    fn a_damaged_import_is_refused_with_its_line_and_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        for (text, line) in [
            ("", 1),
            ("from x\n", 1),
            ("from 1\nnot a table\n", 2),
            (&format!("from 1\n{TABLE}z\n"), 3),
        ] {
            std::fs::write(dir.path().join(FILE), text).unwrap();
            let error = CatalogInForce::of(dir.path(), &CatalogInForce::Builtin).unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.contains(&format!("line {line} ")), "{text:?}: {cause}");
            assert!(error.to_string().contains("import the table again"), "{error}");
        }
    }
}
