//! The `--db-url` that people write.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::registry::Error;

/// Where the registry keeps its records: `sqlite:///relative.db` or `sqlite:////absolute.db`.
///
/// A database in memory is refused: a registry that forgets at a restart would lose what it
/// acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseUrl(PathBuf);

impl DatabaseUrl {
    /// A file given as a path.
    pub fn from_path(path: impl Into<PathBuf>) -> DatabaseUrl {
        DatabaseUrl(path.into())
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<DatabaseUrl, Error> {
        let refuse = |cause| Err(Error::DatabaseUrl { url: without_credentials(text), cause });
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("it has no scheme");
        };
        match scheme {
            "sqlite" => {}
            "postgres" | "postgresql" => {
                return refuse("this release stores in SQLite only, not in PostgreSQL");
            }
            _ => return refuse("the scheme is not sqlite"),
        }
        if rest.contains(":memory:") || rest.is_empty() || rest == "/" {
            return refuse("a database in memory would lose what the registry acknowledged");
        }
        let Some(path) = rest.strip_prefix('/') else {
            return refuse("a host is not allowed: the path follows three slashes");
        };
        if path.contains(['?', '#']) {
            return refuse("parameters are not supported");
        }
        if path.contains('\0') {
            return refuse("the path contains a zero byte");
        }
        Ok(DatabaseUrl(PathBuf::from(path)))
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "sqlite:///{}", self.0.display())
    }
}

/// The URL may be one of a server with a password, and it is about to be printed.
fn without_credentials(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn three_slashes_are_relative_and_four_absolute() {
        let url: DatabaseUrl = "sqlite:///registry.db".parse().unwrap();
        assert_eq!(url.path(), Path::new("registry.db"));
        let url: DatabaseUrl = "sqlite:////var/lib/registry.db".parse().unwrap();
        assert_eq!(url.path(), Path::new("/var/lib/registry.db"));
        assert_eq!(url.to_string(), "sqlite:////var/lib/registry.db");
    }

    #[test]
    fn what_is_not_a_file_is_refused_with_a_reason_and_without_the_password() {
        for (text, cause) in [
            ("registry.db", "no scheme"),
            ("sqlite://:memory:", "in memory"),
            ("sqlite:///:memory:", "in memory"),
            ("sqlite://", "in memory"),
            ("sqlite://host/file.db", "three slashes"),
            ("sqlite:///a.db?mode=ro", "parameters"),
            ("mysql://h/d", "not sqlite"),
            ("postgresql://u:secret@h/d", "PostgreSQL"),
        ] {
            let error = text.parse::<DatabaseUrl>().unwrap_err();
            assert!(error.cause().contains(cause), "{text}: {}", error.cause());
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
