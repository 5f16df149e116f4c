//! Connections to `PostgreSQL`: which server takes writes, and what its errors mean.

use std::time::Duration;

use rand::seq::SliceRandom as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::time::timeout;

/// For one server. Several that do not answer must not use up a caller's patience.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Nothing that the registry asks takes as long; the server gives up, and its locks with it.
const STATEMENT_TIMEOUT: &str = "5000";
/// Below [`STATEMENT_TIMEOUT`], so that the error names the lock.
const LOCK_TIMEOUT: &str = "4000";
/// A registry that hangs between two statements must not keep others from writing.
const IDLE_IN_TRANSACTION: &str = "5000";
/// The oldest release that is tested, as `server_version_num`.
const OLDEST: i32 = 150_000;

const SSL_MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

/// A URL as libpq reads it, with one or several `host:port`. It is shown without user and password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// What stands before the hosts, the `@` included.
    user: String,
    hosts: Vec<String>,
    database: String,
    /// Without `target_session_attrs`.
    parameters: String,
}

impl PostgresUrl {
    /// Reads what follows `postgres://`.
    pub(super) fn parse(rest: &str) -> Result<PostgresUrl, &'static str> {
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = address.split_once('/').unwrap_or((address, ""));
        // An @ that comes later is one of the password's neighbours: nobody knows where that ends.
        if database.contains('@') || query.contains('@') || rest.contains('#') {
            return Err("in a password / ? # and @ must be percent-encoded: %2F, %3F, %23, %40");
        }
        if database.is_empty() {
            return Err("it names no database");
        }
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (format!("{user}@"), hosts),
            None => (String::new(), authority),
        };
        let mut parameters: Vec<&str> = Vec::new();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            match name {
                "target_session_attrs" if ["read-write", "primary"].contains(&value) => continue,
                "target_session_attrs" => return Err("target_session_attrs must be read-write"),
                "sslmode" if !SSL_MODES.contains(&value) => {
                    return Err("sslmode must be disable, prefer, require, verify-ca or verify-full");
                }
                "sslmode" | "sslrootcert" | "sslcert" | "sslkey" | "application_name" | "host" => {}
                _ => return Err("it has a parameter that is not supported"),
            }
            parameters.push(parameter);
        }
        let hosts = hosts.split(',').map(|host| if host.is_empty() { "localhost" } else { host }.to_owned());
        let url = PostgresUrl {
            user,
            hosts: hosts.collect(),
            database: database.to_owned(),
            parameters: parameters.join("&"),
        };
        url.servers().map_err(|_| "it cannot be read as a PostgreSQL URL")?;
        Ok(url)
    }

    /// One a server, in the order of the URL.
    fn servers(&self) -> Result<Vec<PgConnectOptions>, sqlx::Error> {
        self.hosts
            .iter()
            .map(|host| {
                let url = format!("postgres://{}{host}/{}?{}", self.user, self.database, self.parameters);
                let mut options: PgConnectOptions = url.parse()?;
                if options.get_application_name().is_none() {
                    options = options.application_name("configurable-agents agent-registry");
                }
                // The resolver takes an IPv6 address only without its brackets.
                let bare = options.get_host().trim_matches(['[', ']']).to_owned();
                Ok(options.host(&bare).disable_statement_logging())
            })
            .collect()
    }
}

impl std::fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let user = if self.user.is_empty() { "" } else { "***@" };
        write!(f, "postgres://{user}{}/{}", self.hosts.join(","), self.database)
    }
}

impl std::fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Bringing the schema up to date, which may wait for another registry that does so.
    Migrate,
    /// Writing: only a server that takes writes will do.
    Write,
    /// Reading: a server that takes writes if there is one, else any.
    Read,
}

/// Connects to the first server that fits. What was tried last is told when none does.
pub(super) async fn connect(url: &PostgresUrl, purpose: Purpose) -> Result<PgConnection, sqlx::Error> {
    let mut servers = url.servers()?;
    if servers.len() > 1 && purpose != Purpose::Migrate {
        // Each try begins elsewhere: one server that swallows packets must not use up every deadline.
        servers.shuffle(&mut rand::rng());
    }
    let mut failure = sqlx::Error::Configuration("no server is named".into());
    let mut read_only = None;
    for server in servers {
        let tried = timeout(CONNECT_TIMEOUT, try_connect(server, purpose)).await;
        match tried.unwrap_or_else(|_| Err(timed_out("the server did not answer in time"))) {
            Ok((connection, Role::Writable)) => return Ok(connection),
            Ok((connection, Role::ReadOnly)) => read_only = Some(connection),
            Err(error) => failure = error,
        }
    }
    match (read_only, purpose) {
        (Some(connection), Purpose::Read) => Ok(connection),
        (Some(_), _) => Err(sqlx::Error::Configuration("no server takes writes: all are read-only".into())),
        (None, _) => Err(failure),
    }
}

enum Role {
    Writable,
    ReadOnly,
}

async fn try_connect(
    server: PgConnectOptions,
    purpose: Purpose,
) -> Result<(PgConnection, Role), sqlx::Error> {
    let limits = [
        ("statement_timeout", STATEMENT_TIMEOUT),
        ("lock_timeout", LOCK_TIMEOUT),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
    ];
    let server = if purpose == Purpose::Migrate { server } else { server.options(limits) };
    let mut connection = server.connect().await?;
    // Acknowledged means on disk, whatever the server's default is.
    let (version, read_only, _): (i32, bool, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int4, \
         pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on', \
         set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
         WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)",
    )
    .fetch_one(&mut connection)
    .await?;
    if version < OLDEST {
        let cause = format!("the server is PostgreSQL {}; 15 or later is needed", version / 10_000);
        return Err(sqlx::Error::Configuration(cause.into()));
    }
    Ok((connection, if read_only { Role::ReadOnly } else { Role::Writable }))
}

/// Asks whether the other side is still there.
pub(super) async fn is_alive(connection: &mut PgConnection) -> bool {
    matches!(timeout(CONNECT_TIMEOUT, connection.ping()).await, Ok(Ok(())))
}

pub(super) fn timed_out(what: &'static str) -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, what))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn several_hosts_share_one_user_and_database_and_are_shown_without_the_password() {
        let url = PostgresUrl::parse(
            "me:pass%40word@one:5433,[::1],three/agents?sslmode=require&target_session_attrs=read-write",
        );
        let url = url.unwrap();
        let servers = url.servers().unwrap();
        let seen: Vec<_> = servers.iter().map(|s| (s.get_host().to_owned(), s.get_port())).collect();
        assert_eq!(seen, [("one".to_owned(), 5433), ("::1".to_owned(), 5432), ("three".to_owned(), 5432)]);
        assert!(servers.iter().all(|s| s.get_username() == "me" && s.get_database() == Some("agents")));
        assert_eq!(url.to_string(), "postgres://***@one:5433,[::1],three/agents");
        assert!(!format!("{url:?}").contains("pass"));
    }

    #[test]
    fn a_socket_directory_is_a_parameter() {
        let url = PostgresUrl::parse("me@/agents?host=/run/postgresql").unwrap();
        let socket = url.servers().unwrap().remove(0).get_socket().cloned();
        assert_eq!(socket, Some("/run/postgresql".into()));
    }
}
