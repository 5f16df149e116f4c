//! The `--db-url` that people write.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::postgres::PostgresUrl;
use crate::registry::Error;

/// Where the registry keeps its records: `sqlite:///relative.db`, `sqlite:////absolute.db` or
/// `postgres://user@host/database`. It is shown without its password.
///
/// A database in memory is refused: a registry that forgets at a restart would lose what it
/// acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A database of one or several servers.
    Postgres(PostgresUrl),
}

impl DatabaseUrl {
    /// A file given as a path.
    pub fn from_path(path: impl Into<PathBuf>) -> DatabaseUrl {
        DatabaseUrl::Sqlite(path.into())
    }

    /// The database file, where it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            DatabaseUrl::Sqlite(path) => Some(path),
            DatabaseUrl::Postgres(_) => None,
        }
    }

    /// The database file, for who can use nothing else.
    pub fn into_file(self) -> Result<PathBuf, Error> {
        match self {
            DatabaseUrl::Sqlite(path) => Ok(path),
            DatabaseUrl::Postgres(url) => Err(Error::DatabaseUrl {
                url: url.to_string(),
                cause: "only the registry can use a server, here it must be an SQLite file",
            }),
        }
    }
}

impl FromStr for DatabaseUrl {
    type Err = Error;

    fn from_str(text: &str) -> Result<DatabaseUrl, Error> {
        let refuse = |cause| Error::DatabaseUrl { url: without_credentials(text), cause };
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refuse("it has no scheme"));
        };
        match scheme {
            "sqlite" => file(rest).map(DatabaseUrl::Sqlite),
            "postgres" | "postgresql" => PostgresUrl::parse(rest).map(DatabaseUrl::Postgres),
            _ => Err("the scheme is not sqlite or postgres"),
        }
        .map_err(refuse)
    }
}

impl std::fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DatabaseUrl::Sqlite(path) => write!(f, "sqlite:///{}", path.display()),
            DatabaseUrl::Postgres(url) => url.fmt(f),
        }
    }
}

fn file(rest: &str) -> Result<PathBuf, &'static str> {
    if rest.contains(":memory:") || rest.is_empty() || rest == "/" {
        return Err("a database in memory would lose what the registry acknowledged");
    }
    let Some(path) = rest.strip_prefix('/') else {
        return Err("a host is not allowed: the path follows three slashes");
    };
    if path.contains(['?', '#']) {
        return Err("parameters are not supported");
    }
    if path.contains('\0') {
        return Err("the path contains a zero byte");
    }
    Ok(PathBuf::from(path))
}

/// The URL may be one of a server with a password, and it is about to be printed: of what cannot be
/// read nobody knows where the password ends.
fn without_credentials(text: &str) -> String {
    match text.split_once("://") {
        Some(("sqlite", _)) if !text.contains('@') => {
            text.split(['?', '#']).next().unwrap_or_default().to_owned()
        }
        Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || c == '+') => {
            format!("{scheme}://***")
        }
        None if !text.contains(['@', ':', '?']) => text.to_owned(),
        _ => "***".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn three_slashes_are_relative_and_four_absolute() {
        let url: DatabaseUrl = "sqlite:///registry.db".parse().unwrap();
        assert_eq!(url.path(), Some(Path::new("registry.db")));
        let url: DatabaseUrl = "sqlite:////var/lib/registry.db".parse().unwrap();
        assert_eq!(url.path(), Some(Path::new("/var/lib/registry.db")));
        assert_eq!(url.to_string(), "sqlite:////var/lib/registry.db");
    }

    #[test]
    fn what_is_no_database_is_refused_with_a_reason_and_without_the_password() {
        for (text, cause) in [
            ("registry.db", "no scheme"),
            ("sqlite://:memory:", "in memory"),
            ("sqlite:///:memory:", "in memory"),
            ("sqlite://", "in memory"),
            ("sqlite://host/file.db", "three slashes"),
            ("sqlite:///a.db?mode=ro", "parameters"),
            ("mysql://h/d", "not sqlite or postgres"),
            ("postgresql://u:secret@h", "names no database"),
            ("postgresql://u:secret@h:x/d", "cannot be read"),
            ("postgresql://u:secret@h/d?sslmode=maybe", "sslmode"),
            ("postgresql://u:secret?x@h/d", "percent"),
            ("postgresql://u:secret#x@h/d", "percent"),
            ("postgresql://u:12/secret@h/d", "percent"),
            ("u:secret@h/d", "no scheme"),
            ("postgresql://u@h/d?password=secret", "parameter"),
            ("postgresql://u:secret@h/d?target_session_attrs=standby", "read-write"),
        ] {
            let error = text.parse::<DatabaseUrl>().unwrap_err();
            assert!(error.cause().contains(cause), "{text}: {}", error.cause());
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
