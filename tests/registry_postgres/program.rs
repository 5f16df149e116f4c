//! The program with a database URL: where it comes from, and where its password does not go.

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Output, Stdio};

use sqlx::Connection as _;

use crate::registry_support::eventually;
use crate::registry_support::postgres::{PASSWORD, PASSWORD_IN_URL, Postgres};

fn program(args: &[&str], password: bool) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_configurable-agents"));
    command.args(args).env_clear();
    if password {
        command.env("PGPASSWORD", PASSWORD);
    }
    command
}

fn has_no_password(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(!text.contains(PASSWORD) && !text.contains(PASSWORD_IN_URL), "{text}");
    }
}

struct Running(Option<Child>);

impl Running {
    /// Ends it as a supervisor does; what it wrote.
    fn end(mut self) -> Output {
        let child = self.0.take().unwrap();
        let id = i32::try_from(child.id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), nix::sys::signal::Signal::SIGTERM).unwrap();
        child.wait_with_output().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

#[tokio::test]
async fn the_url_comes_from_a_file_and_the_password_goes_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let url = Postgres::shared().database().await;
    let file = folder.path().join("url");
    std::fs::write(&file, format!("{url}\n")).unwrap();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let (port_flag, file_flag) = (format!("--port={port}"), format!("--db-url-file={}", file.display()));
    let start = ["agent-registry", "start", &port_flag, &file_flag];
    let process = program(&start, false).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let process = Running(Some(process));
    let name = url.rsplit('/').next().unwrap();
    eventually("it serves", async || tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok()).await;
    let mut connection = Postgres::shared().connect(name).await;
    eventually("it notes that it runs", async || {
        let noted = sqlx::query_scalar::<_, i64>("SELECT last_running_at FROM registry_state");
        noted.fetch_one(&mut connection).await.is_ok_and(|at| at > 0)
    })
    .await;
    connection.close().await.unwrap();

    // Without its password the URL does for those who have PGPASSWORD.
    let bare = url.replace(&format!(":{PASSWORD_IN_URL}"), "");
    let listed = program(&["agent-registry", "list", "--db-url", &bare], true).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    assert!(String::from_utf8_lossy(&listed.stderr).contains("postgres://***@127.0.0.1"), "{listed:?}");
    let wrong = program(&["agent-registry", "list", "--db-url", &bare], false).output().unwrap();
    assert_eq!(wrong.status.code(), Some(1), "{wrong:?}");
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("PGPASSWORD"), "{wrong:?}");
    let printed = ["agent-registry", "start", "--db-url", &url, "--print-config"];
    let printed = program(&printed, false).output().unwrap();
    assert!(printed.status.success(), "{printed:?}");
    assert!(String::from_utf8_lossy(&printed.stdout).contains("postgres://***@127.0.0.1"), "{printed:?}");

    let ended = process.end();
    assert!(ended.status.success(), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("postgres://***@"), "{ended:?}");
    for output in [listed, wrong, printed, ended] {
        has_no_password(&output);
    }
}

/// TLS with a certificate that is checked, and what is refused.
#[tokio::test]
async fn tls_is_verified_where_the_url_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (right, wrong) = (folder.path().join("right.crt"), folder.path().join("wrong.crt"));
    std::fs::write(&right, made.cert.pem()).unwrap();
    std::fs::write(&wrong, other.cert.pem()).unwrap();
    let server = Postgres::start_with_tls(&made.cert.pem(), &made.signing_key.serialize_pem());
    let list = |host: &str, parameters: &str| {
        let url = server.url("postgres").replace("127.0.0.1", host) + parameters;
        let output = program(&["agent-registry", "list", "--db-url", &url], false).output().unwrap();
        has_no_password(&output);
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let root = |path: &std::path::Path| format!("?sslmode=verify-full&sslrootcert={}", path.display());
    let (ok, said) = list("localhost", &root(&right));
    assert!(ok, "{said}");
    let (ok, said) = list("localhost", "?sslmode=require");
    assert!(ok, "{said}");
    for (host, parameters) in [
        ("localhost", root(&wrong)),
        ("127.0.0.1", root(&right)),
        ("localhost", "?sslmode=disable".to_owned()),
    ] {
        let (ok, said) = list(host, &parameters);
        assert!(!ok, "{host} {parameters}");
        assert!(said.contains("cannot connect to the database"), "{said}");
    }
}
