//! Files with manifests: which there are, and what is in them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Larger files are not manifests.
pub const MAX_FILE: u64 = 4 * 1024 * 1024;

/// More files than this are not read.
pub const MAX_FILES: usize = 10_000;

/// The `*.yaml`, `*.yml` and `*.json` files of a directory (not of those below it), in order of their names, and
/// whether there are more than [`MAX_FILES`]. A name that begins with a dot is nobody's manifest: editors and
/// mounted `ConfigMap`s keep their own files so.
///
/// # Errors
/// When the directory itself cannot be read.
pub fn list(directory: &Path) -> std::io::Result<(Vec<PathBuf>, bool)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let extension = path.extension().and_then(|extension| extension.to_str());
        // What cannot be looked at stays: it is not gone.
        let other = std::fs::metadata(&path).is_ok_and(|metadata| !metadata.is_file());
        if !hidden && matches!(extension, Some("yaml" | "yml" | "json")) && !other {
            files.push(path);
        }
    }
    files.sort();
    let too_many = files.len() > MAX_FILES;
    files.truncate(MAX_FILES);
    Ok((files, too_many))
}

/// A file's content.
///
/// # Errors
/// When it cannot be read, or is larger than [`MAX_FILE`].
pub fn content(file: &Path) -> std::io::Result<Vec<u8>> {
    let opened = std::fs::File::open(file)?;
    bounded(opened)
}

/// Everything that can be read, up to [`MAX_FILE`].
///
/// # Errors
/// When it cannot be read, or there is more.
pub fn bounded(reader: impl std::io::Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(std::io::Error::other("larger than 4 MiB"));
    }
    Ok(bytes)
}
