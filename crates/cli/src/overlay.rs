//! The imported price table in the data folder, and the catalog with it on top.

use std::path::PathBuf;

use catalog::{Catalog, Overlay};
use domain::UnixMicros;

use crate::cli::Global;
use crate::exit::{Context as _, Done, Exit, Failure};
use crate::surroundings;

/// Its name in the data folder. The first line says from when it counts (microseconds since 1970), the rest is
/// the overlay.
const FILE: &str = "catalog-overlay.txt";

/// Where it is.
pub(crate) fn path(global: &Global) -> PathBuf {
    surroundings::data_dir(global).join(FILE)
}

/// The built-in catalog, with the import on top where there is one.
pub(crate) fn catalog(global: &Global) -> Result<Catalog, Failure> {
    let built_in = catalog::builtin();
    match read(global)? {
        Some((overlay, from)) => Ok(built_in.with_overlay(&overlay, from)),
        None => Ok(built_in.with_overlay(&Overlay::default(), UnixMicros::default())),
    }
}

/// The import and from when it counts.
pub(crate) fn read(global: &Global) -> Result<Option<(Overlay, UnixMicros)>, Failure> {
    let path = path(global);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).cant(format!("read {}", path.display())),
    };
    let damaged = || Failure::new(Exit::Failed, format!("{} is damaged", path.display()));
    let (from, rest) = text.split_once('\n').ok_or_else(damaged)?;
    let micros = from.strip_prefix("from ").and_then(|it| it.parse().ok()).ok_or_else(damaged)?;
    let overlay = Overlay::parse(rest).cant(format!("read {}", path.display()))?;
    Ok(Some((overlay, UnixMicros::from_micros(micros))))
}

/// Puts an import in place, at once and wholly.
pub(crate) fn write(global: &Global, overlay: &Overlay, from: UnixMicros) -> Done {
    let path = path(global);
    let folder = surroundings::data_dir(global);
    std::fs::create_dir_all(&folder).cant(format!("make {}", folder.display()))?;
    let draft = path.with_extension("new");
    let text = format!("from {}\n{}", from.micros(), overlay.to_text());
    std::fs::write(&draft, text).cant(format!("write {}", draft.display()))?;
    std::fs::rename(&draft, &path).cant(format!("write {}", path.display()))
}
