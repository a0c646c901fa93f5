//! The imported price table of the data folder, and the catalog with it on top.

use catalog::Overlay;
use domain::UnixMicros;
use server::imported::{self, CatalogInForce};

use crate::cli::Global;
use crate::exit::{Context as _, Done, Failure};
use crate::surroundings;

/// The built-in catalog, with the import on top where there is one.
pub(crate) fn catalog(global: &Global) -> Result<CatalogInForce, Failure> {
    let dir = surroundings::data_dir(global);
    CatalogInForce::of(&dir, &CatalogInForce::Builtin).cant("use the catalog")
}

/// Puts an import in place.
pub(crate) fn write(global: &Global, overlay: &Overlay, from: UnixMicros) -> Done {
    imported::write(&surroundings::data_dir(global), overlay, from).cant("keep the import")
}
