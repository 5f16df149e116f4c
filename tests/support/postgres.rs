//! A real PostgreSQL server in a folder of its own, on a free port of loopback. It ends with the test program in
//! whichever way that ends, and its folder goes.
#![allow(dead_code, reason = "each test target uses a part of this module")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up fails by a panic that says why"
)]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::{Connection as _, PgConnection};

/// The password of the user `registry`; it must not turn up anywhere.
pub const PASSWORD: &str = "hunter2 & more";
/// The same inside a URL.
pub const PASSWORD_IN_URL: &str = "hunter2%20%26%20more";
/// For starting, stopping, and every look at the server.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server. Dropping it ends it.
pub struct Postgres {
    folder: PathBuf,
    port: u16,
    settings: Vec<String>,
    /// Waits for the end of this program, however it comes, and clears up.
    sweeper: Child,
}

impl Postgres {
    /// A server that all tests of a program share. What it acknowledges need not be on disk.
    pub fn shared() -> &'static Postgres {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| Postgres::start(&["fsync=off", "max_connections=300"]))
    }

    /// A server of its own, with these settings.
    pub fn start(settings: &[&str]) -> Postgres {
        let server = Postgres::prepare(settings);
        server.up();
        server
    }

    /// A server that takes connections over TLS only.
    pub fn start_with_tls(certificate: &str, key: &str) -> Postgres {
        use std::os::unix::fs::PermissionsExt as _;
        let server = Postgres::prepare(&["ssl=on", "ssl_cert_file=tls.crt", "ssl_key_file=tls.key"]);
        let rules = "local all all scram-sha-256\nhostssl all all all scram-sha-256\n";
        for (name, text) in [("tls.crt", certificate), ("tls.key", key), ("pg_hba.conf", rules)] {
            let path = server.data().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            if let Some((user, group)) = owner() {
                chown(&path, Some(user), Some(group)).unwrap();
            }
        }
        server.up();
        server
    }

    fn prepare(settings: &[&str]) -> Postgres {
        let folder = tempfile::Builder::new().prefix("postgres-").tempdir().unwrap().keep();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        if let Some((user, group)) = owner() {
            chown(&folder, Some(user), Some(group)).unwrap();
        }
        // When the pipe to it closes, the test program is gone.
        let sweeper = Command::new("sh")
            .args([
                "-c",
                "read -r line; kill -QUIT \"$(head -n1 \"$1/data/postmaster.pid\")\"; rm -rf \"$1\"",
                "-",
            ])
            .arg(&folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server =
            Postgres { folder, port, settings: settings.iter().map(ToString::to_string).collect(), sweeper };
        let password = server.folder.join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        if let Some((user, group)) = owner() {
            chown(&password, Some(user), Some(group)).unwrap();
        }
        server.run("initdb", |command| {
            command.args(["--no-sync", "--auth=scram-sha-256", "--username=registry", "--encoding=UTF8"]);
            command.args(["--locale=C.UTF-8", "--pwfile"]).arg(&password).arg("-D").arg(server.data());
        });
        server
    }

    /// Starts it again after [`Postgres::down`].
    pub fn up(&self) {
        let own = [
            format!("port={}", self.port),
            "listen_addresses=127.0.0.1".to_owned(),
            format!("unix_socket_directories={}", self.folder.display()),
        ];
        let options: Vec<String> =
            own.iter().chain(&self.settings).map(|setting| format!("-c {setting}")).collect();
        let options = options.join(" ");
        self.run("pg_ctl", |command| {
            command.args(["start", "-w", "-t", "30", "-o", &options, "-l"]).arg(self.folder.join("log"));
            command.arg("-D").arg(self.data());
        });
        let start = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            assert!(start.elapsed() < DEADLINE, "{}", self.log());
            std::thread::yield_now();
        }
    }

    /// Stops it as a power cut does.
    pub fn down(&self) {
        self.run("pg_ctl", |command| {
            command.args(["stop", "-m", "immediate", "-w", "-t", "30", "-D"]).arg(self.data());
        });
    }

    /// The port of loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its data and settings.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://registry:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}", self.port)
    }

    /// A new, empty database; its URL.
    pub async fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("registry_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.execute("postgres", &format!("CREATE DATABASE {name}")).await;
        self.url(&name)
    }

    /// Runs one statement in a database.
    pub async fn execute(&self, database: &str, statement: &str) {
        let mut connection = self.connect(database).await;
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    /// A connection of the test's own.
    pub async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect(&self.url(database)).await.unwrap()
    }

    /// Copies a database into an empty one with the server's own programs.
    pub fn dump_and_restore(&self, from: &str, into: &str) {
        let dump = self.folder.join(format!("{from}.dump"));
        let connect = |command: &mut Command, database: &str| {
            command.env("PGPASSWORD", PASSWORD).args(["-h", "127.0.0.1", "-U", "registry", "-d", database]);
            command.arg(format!("-p{}", self.port));
        };
        self.run("pg_dump", |command| {
            connect(command, from);
            command.args(["-Fc", "-f"]).arg(&dump);
        });
        self.run("pg_restore", |command| {
            connect(command, into);
            command.args(["--exit-on-error", "--single-transaction"]).arg(&dump);
        });
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    fn run(&self, program: &str, configure: impl FnOnce(&mut Command)) {
        let path = programs().join(program);
        let mut command = if owner().is_some() {
            // The server refuses to run as root.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(&path);
            command
        } else {
            Command::new(&path)
        };
        configure(&mut command);
        // A file, not a pipe: the server keeps it open.
        let said = self.folder.join(format!("{program}.out"));
        let output = std::fs::File::create(&said).unwrap();
        command.current_dir(&self.folder).stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let status = command.status().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let said = std::fs::read_to_string(said).unwrap_or_default();
        assert!(status.success(), "{program}: {said}\n{}", self.log());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        let _ = self.sweeper.wait();
    }
}

/// The folder of `initdb` and `pg_ctl`, the newest release where there are several.
fn programs() -> PathBuf {
    if let Some(folder) = std::env::var_os("POSTGRES_BIN") {
        return folder.into();
    }
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = installed
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path())))
        .max();
    match newest {
        Some((_, path)) => path.join("bin"),
        None => panic!("no PostgreSQL: install Debian's package postgresql, or set POSTGRES_BIN"),
    }
}

/// The user `postgres`, where this program is root.
fn owner() -> Option<(u32, u32)> {
    if !is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap();
    let line = users.lines().find(|line| line.starts_with("postgres:")).expect("a user postgres");
    let fields: Vec<&str> = line.split(':').collect();
    Some((fields[2].parse().unwrap(), fields[3].parse().unwrap()))
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
}
