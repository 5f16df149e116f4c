//! Why the registry did not start or stopped: each variant says what was attempted.

use std::net::SocketAddr;
use std::path::PathBuf;

/// The headline is the `Display` text, [`Error::cause`] says why, [`Error::hint`] what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text is not a database URL that we know.
    #[error("invalid database URL \"{url}\"")]
    DatabaseUrl {
        /// As given, without credentials.
        url: String,
        /// What is wrong with it.
        cause: &'static str,
    },
    /// The database file cannot be opened or created.
    #[error("cannot open the database {database}")]
    OpenDatabase {
        /// The file.
        database: String,
        /// What the system or `SQLite` said.
        cause: String,
    },
    /// No server of the URL can be used.
    #[error("cannot connect to the database {database}")]
    Connect {
        /// The URL, without credentials.
        database: String,
        /// What the system or the server said.
        cause: String,
    },
    /// The file is something else.
    #[error("cannot open the database {database}")]
    NotADatabase {
        /// The file.
        database: String,
    },
    /// The file contradicts itself.
    #[error("cannot use the database {database}")]
    Damaged {
        /// The file.
        database: String,
        /// What the check found.
        cause: String,
    },
    /// A later release wrote it.
    #[error("cannot open the database {database}")]
    NewerSchema {
        /// The file, or the URL without credentials.
        database: String,
        /// The schema version that it has and we do not know.
        version: i64,
    },
    /// The schema could not be brought up to date.
    #[error("cannot migrate the database {database}")]
    Migrate {
        /// The file, or the URL without credentials.
        database: String,
        /// What the migration said.
        cause: String,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Anybody who reaches the address could write.
    #[error("refusing to serve {address} without authentication")]
    OpenToEveryone {
        /// The address.
        address: SocketAddr,
    },
    /// The token file cannot be read.
    #[error("cannot read the token file {}", path.display())]
    TokenFile {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// The store failed while starting or stopping.
    #[error("cannot {attempted}")]
    Store {
        /// What was attempted.
        attempted: &'static str,
        /// Why.
        #[source]
        source: super::store::StoreError,
    },
}

impl Error {
    /// Why it failed, in one sentence without a full stop.
    pub fn cause(&self) -> String {
        match self {
            Error::DatabaseUrl { cause, .. } => (*cause).to_owned(),
            Error::OpenDatabase { cause, .. }
            | Error::Connect { cause, .. }
            | Error::Migrate { cause, .. }
            | Error::TokenFile { cause, .. } => cause.clone(),
            Error::Damaged { cause, .. } => format!("the file is damaged: {cause}"),
            Error::NotADatabase { .. } => "the file is not an SQLite database".to_owned(),
            Error::NewerSchema { version, .. } => format!(
                "a newer release wrote it: it has schema version {version}, this release knows up \
                 to version {}",
                super::store::schema_version()
            ),
            Error::Listen { source, .. } => source.to_string(),
            Error::OpenToEveryone { .. } => {
                "the address is not loopback, so anybody who reaches it could register, change \
                 and delete agents"
                    .to_owned()
            }
            Error::Store { source, .. } => source.to_string(),
        }
    }

    /// What the operator can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Error::DatabaseUrl { .. } => {
                "use sqlite:///file.db (relative), sqlite:////var/lib/registry/file.db (absolute) or \
                 postgres://user@host/database"
            }
            Error::Connect { .. } => {
                "check that the server runs, that the URL is right, and that the password is given \
                 (PGPASSWORD, or in a file named by --db-url-file)"
            }
            Error::OpenDatabase { .. } => {
                "check that the directory exists and that this user may write to it"
            }
            Error::NotADatabase { .. } => "give the path of a registry database or of a new file",
            Error::Damaged { .. } => {
                "keep the file and the two beside it for a look, and restore the latest backup"
            }
            Error::NewerSchema { .. } => {
                "run the newer release again, or restore the backup from before the upgrade"
            }
            Error::Migrate { .. } => "restore a backup, or report this with the cause above",
            Error::Listen { .. } => "choose another port, or stop the program that has this one",
            Error::OpenToEveryone { .. } => {
                "give --auth-token-file FILE, listen on 127.0.0.1, or accept the risk with \
                 --insecure-anonymous"
            }
            Error::TokenFile { .. } => "the file has one token per line; # starts a comment",
            Error::Store { .. } => "check the disk that holds the database, or the database server",
        }
    }
}
