//! What tests need from the package registries, installed once into folders of the cache.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use crate::tools;

/// The Python of a virtual environment that has the packages of a requirements file; `options` are more words for pip.
pub(crate) fn python(name: &str, requirements: &Path, options: &[&str]) -> Result<PathBuf> {
    let folder = tools::keyed_folder(name, &[requirements.to_path_buf()])?;
    let python = folder.join("bin/python");
    once(&folder, || {
        tools::output(Command::new("python3").args(["-m", "venv"]).arg(&folder))
            .context("python3 -m venv (on Debian: python3-venv)")?;
        tools::output(
            Command::new(&python)
                .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
                .args(options)
                .arg("-r")
                .arg(requirements),
        )?;
        Ok(())
    })?;
    Ok(python)
}

/// The `node_modules` of the packages that a folder's lock file names.
pub(crate) fn javascript(name: &str, source: &Path) -> Result<PathBuf> {
    let files = ["package.json", "package-lock.json", ".npmrc"].map(|file| source.join(file));
    let folder = tools::keyed_folder(name, &files)?;
    once(&folder, || {
        for file in &files {
            std::fs::copy(file, folder.join(file.file_name().unwrap_or_default()))?;
        }
        let options = ["ci", "--ignore-scripts", "--loglevel=error"];
        tools::output(Command::new("npm").args(options).current_dir(&folder)).map(drop)
    })?;
    Ok(folder.join("node_modules"))
}

/// Makes a folder's content unless it was completed before.
pub(crate) fn once(folder: &Path, make: impl FnOnce() -> Result<()>) -> Result<()> {
    let mark = folder.join(".complete");
    if mark.exists() {
        return Ok(());
    }
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    make()?;
    std::fs::write(mark, "")?;
    Ok(())
}
