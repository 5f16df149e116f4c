//! The dashboard in a real Chromium. `tests/run.sh` installs what this needs; by hand: `npm ci` in a
//! copy of this folder's `package*.json`, `BROWSER_MODULES` set to that copy, and Chromium in `CHROMIUM`
//! (default `/usr/bin/chromium`).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../dashboard/fixtures.rs"]
mod fixtures;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::post;
use configurable_agents::dashboard::{Live, Settings, router};
use configurable_agents::domain::StatusWord;
use fixtures::Fixture;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

/// Two cores and a browser: one test at a time, or times mean nothing.
static ONE: Mutex<()> = Mutex::new(());

/// A dashboard in a runtime of its own, so that it can end with every connection, as a process does.
struct Server {
    address: SocketAddr,
    fixture: Fixture,
    settings: Settings,
    runtime: Option<Runtime>,
}

impl Server {
    fn start(fixture: Fixture, settings: Settings) -> Server {
        let mut server =
            Server { address: (Ipv4Addr::LOCALHOST, 0).into(), fixture, settings, runtime: None };
        server.revive();
        server
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn kill(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }

    /// On the same port.
    fn revive(&mut self) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind(self.address)).unwrap();
        self.address = listener.local_addr().unwrap();
        let routes = router(self.fixture.shown(), self.settings.clone());
        runtime.spawn(async move { axum::serve(listener, routes).await.unwrap() });
        self.runtime = Some(runtime);
    }

    fn act(&mut self, what: &str) {
        let put = |namespace: &str, name: &str, word| {
            self.fixture.view.put(fixtures::endpoint(namespace, name, word, 1));
        };
        match what {
            "kill" => self.kill(),
            "revive" => self.revive(),
            "planner-fails" => put("team-b", "planner", StatusWord::Failing),
            "planner-recovers" => put("team-b", "planner", StatusWord::Ready),
            "writer-says-more" => {
                let mut writer = fixtures::value("team-a", "writer", StatusWord::Failing, 125);
                writer["status"]["conditions"][0]["message"] = json!("Something else now.");
                self.fixture.view.put(fixtures::object(writer));
            }
            other => panic!("no such action: {other}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Times that make a test short; what they are by default, `tests/dashboard` knows.
fn quick() -> Settings {
    let live = Live {
        beat: Duration::from_millis(500),
        stale_after: Duration::from_secs(3),
        poll: Duration::from_secs(1),
        ..Live::default()
    };
    Settings { live, ..Settings::default() }
}

/// Runs one topic of `run.mjs`. It asks for actions on the servers through a control port of its own.
fn browse(topic: &str, servers: Vec<(&'static str, Server)>, more: &Value) {
    let _alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let modules = std::env::var("BROWSER_MODULES")
        .expect("BROWSER_MODULES names the folder with playwright-core and axe-core; tests/run.sh sets it");
    let urls: serde_json::Map<String, Value> =
        servers.iter().map(|(name, server)| ((*name).to_owned(), json!(server.url()))).collect();
    let servers = std::sync::Arc::new(Mutex::new(servers));
    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let control = format!("http://{}", listener.local_addr().unwrap());
    let acted = std::sync::Arc::clone(&servers);
    let routes = Router::new().route(
        "/{server}/{action}",
        post(move |Path((name, action)): Path<(String, String)>| {
            let servers = std::sync::Arc::clone(&acted);
            async move {
                let act = move || {
                    let mut servers = servers.lock().unwrap();
                    let (_, server) = servers.iter_mut().find(|(other, _)| *other == name).expect("a server");
                    server.act(&action);
                };
                tokio::task::spawn_blocking(act).await.unwrap();
            }
        }),
    );
    runtime.spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let mut config = json!({ "topic": topic, "urls": urls, "control": control });
    config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser/run.mjs");
    let output = runtime.block_on(async {
        let mut command = tokio::process::Command::new("node");
        command.arg(script).arg(config.to_string()).env("BROWSER_MODULES", modules).kill_on_drop(true);
        tokio::time::timeout(Duration::from_mins(3), command.output()).await
    });
    let output = output.expect("the browser is done within 3 minutes").expect("node can be started");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{topic}:\n{said}");
}

fn normal() -> Vec<(&'static str, Server)> {
    vec![("normal", Server::start(Fixture::normal(), quick()))]
}

#[test]
fn axe_finds_nothing_on_any_page_in_any_state_in_both_themes_and_widths_and_nothing_overflows() {
    let servers =
        fixtures::states().into_iter().map(|(name, fixture)| (name, Server::start(fixture, quick())));
    let deleted = Fixture::normal();
    deleted.view.retain(|id| id.name != "writer");
    let bug = Fixture { bug: true, ..Fixture::normal() };
    let more = [("deleted", deleted), ("bug", bug)];
    let more = more.into_iter().map(|(name, fixture)| (name, Server::start(fixture, quick())));
    browse("accessibility", servers.chain(more).collect(), &json!({}));
}

/// The fixtures' clock stands still months ago; the browser's does not.
#[test]
fn ages_are_those_of_the_servers_clock() {
    browse("skew", normal(), &json!({}));
}

#[test]
fn the_six_shapes_differ_without_colour() {
    browse("shapes", normal(), &json!({}));
}

#[test]
fn everything_is_reached_by_keyboard_and_the_focus_is_always_seen() {
    browse("keyboard", normal(), &json!({}));
}

#[test]
fn without_javascript_lists_filters_pages_and_details_work() {
    let many = Server::start(Fixture::many(130), quick());
    browse(
        "no-javascript",
        vec![("normal", Server::start(Fixture::normal(), quick())), ("many", many)],
        &json!({}),
    );
}

#[test]
fn a_change_is_shown_in_place_and_a_new_order_waits_for_a_click() {
    browse("changes", normal(), &json!({}));
}

#[test]
fn paused_updates_ask_for_nothing() {
    browse("pause", normal(), &json!({}));
}

#[test]
fn eight_tabs_load_and_at_most_four_of_them_stream() {
    browse("tabs", normal(), &json!({}));
}

#[test]
fn a_server_that_dies_looks_dead_and_its_return_is_seen() {
    browse("stale", normal(), &json!({}));
}

#[test]
fn without_a_stream_the_page_polls() {
    let mut settings = quick();
    settings.live.streams = 0;
    browse("polling", vec![("normal", Server::start(Fixture::normal(), settings))], &json!({}));
}

#[test]
fn another_build_of_the_server_offers_a_reload() {
    browse("build", normal(), &json!({}));
}

#[test]
fn nothing_moves_for_those_who_ask_for_that_and_forced_colours_keep_the_shapes() {
    browse("preferences", normal(), &json!({}));
}

#[test]
fn hostile_names_and_messages_run_nothing_and_load_nothing() {
    browse("hostile", vec![("hostile", Server::start(fixtures::hostile(), quick()))], &json!({}));
}

#[test]
fn ten_thousand_endpoints_are_there_within_two_seconds() {
    browse("many", vec![("many", Server::start(Fixture::many(10_000), Settings::default()))], &json!({}));
}

#[test]
fn below_a_prefix_nothing_outside_of_it_is_asked_for() {
    let settings = Settings { base_path: "/x/y".to_owned(), ..quick() };
    browse("prefix", vec![("normal", Server::start(Fixture::normal(), settings))], &json!({}));
}

/// The demo as a process, ended when this goes.
struct Demo(std::process::Child, u16);

impl Demo {
    fn start() -> Demo {
        let free = || {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            listener.local_addr().unwrap().port()
        };
        let (port, registry) = (free(), free());
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_configurable-agents"))
            .args([
                "demo",
                "--log-level=error",
                &format!("--port={port}"),
                &format!("--registry-port={registry}"),
            ])
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let demo = Demo(child, port);
        let until = std::time::Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(std::time::Instant::now() < until, "the demo does not listen");
            std::thread::yield_now();
        }
        demo
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(self.0.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).ok();
        self.0.wait().ok();
    }
}

/// `UPDATE_SCREENSHOT=1` writes `docs/images/dashboard.png`, the picture of the README.
#[test]
fn the_demo_can_be_photographed_with_every_state_on_one_page() {
    let update = std::env::var("UPDATE_SCREENSHOT").is_ok_and(|value| value == "1");
    let file = if update {
        concat!(env!("CARGO_MANIFEST_DIR"), "/docs/images/dashboard.png").to_owned()
    } else {
        concat!(env!("CARGO_TARGET_TMPDIR"), "/dashboard.png").to_owned()
    };
    std::fs::create_dir_all(std::path::Path::new(&file).parent().unwrap()).unwrap();
    let demo = Demo::start();
    browse("screenshot", vec![], &json!({ "file": file, "url": format!("http://localhost:{}", demo.1) }));
    assert!(std::fs::metadata(&file).unwrap().len() > 10_000);
}
