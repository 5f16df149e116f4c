//! A node of its own, with our image on it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::children::Managed;
use crate::support::kubectl::{Kubectl, Output};
use crate::support::{AuditEvent, audit, eventually};

/// How long something that happens in a pod may take.
pub const SOON: Duration = Duration::from_secs(60);
/// How long one call of helm may take.
const HELM: Duration = Duration::from_mins(4);

/// The Helm majors that the chart works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Helm {
    Three,
    Four,
}

/// A running node; it and all of its own is gone when this is dropped.
pub struct Node {
    dir: PathBuf,
    /// The first process of the node's process namespace: the kernel ends all others with it.
    hold: Option<Managed>,
    tools: PathBuf,
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn chart() -> String {
    repository().join("charts/configurable-agents").display().to_string()
}

fn script() -> PathBuf {
    repository().join("tests/node/node.sh")
}

/// Our image: made by `tests/run.sh`, which says where it is.
fn image() -> PathBuf {
    let image = std::env::var_os("NODE_IMAGE").map(PathBuf::from).filter(|file| file.exists());
    image.expect(
        "NODE_IMAGE names no image: run tests/run.sh, or `deploy/image/build.sh /tmp/image.tar` and set it to that",
    )
}

/// The folder of this checkout's node.
fn folder() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("node")
}

/// Removes what a test run that was killed left there: the folder and empty cgroups.
pub fn clean() {
    run(&["wipe"], &folder(), &[]);
}

impl Node {
    /// Starts the one node of this checkout: what an earlier run left there is removed first.
    pub async fn start() -> Node {
        let began = Instant::now();
        clean();
        let dir = folder();
        std::fs::create_dir_all(dir.join("log")).unwrap();
        let tools = dir.join("tools");
        std::fs::create_dir_all(&tools).unwrap();
        for tool in ["kubectl", "helm3", "helm4", "bash"] {
            let text =
                format!("#!/bin/sh\nexec {} run {} {tool} \"$@\"\n", script().display(), dir.display());
            let file = tools.join(tool);
            std::fs::write(&file, text).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut node = Node { dir, hold: None, tools };
        node.boot();
        run(&["load"], &node.dir, &[image().to_str().unwrap()]);
        println!(
            "node: {:.1} s from nothing to a Service that answers by name",
            began.elapsed().as_secs_f64()
        );
        node
    }

    fn boot(&mut self) {
        let log = self.dir.join("log/hold");
        self.hold = Some(Managed::start("the node's namespaces", &script(), &log, &log, |command| {
            command.arg("hold").arg(&self.dir);
        }));
        run(&["up"], &self.dir, &[]);
    }

    /// As a power cut does: every process ends at once; then it starts again.
    pub fn restart(&mut self) {
        self.hold = None;
        run(&["down"], &self.dir, &[]);
        self.boot();
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn tool(&self, name: &str) -> Kubectl {
        Kubectl::new(self.tools.join(name), &self.dir.join("conf/admin.conf"), &self.dir.join("cache"))
    }

    pub async fn kubectl(&self, args: &[&str]) -> Output {
        self.tool("kubectl").run_within(Duration::from_mins(2), args, None).await
    }

    pub async fn json(&self, args: &[&str]) -> Value {
        self.kubectl(&[args, &["-o", "json"]].concat()).await.json()
    }

    /// One field by JSONPath; empty when it is not there.
    pub async fn field(&self, what: &[&str], path: &str) -> String {
        let output = format!("-o=jsonpath={path}");
        self.kubectl(&[&["get"], what, &[&output]].concat()).await.stdout
    }

    pub async fn apply(&self, objects: &[Value]) {
        let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects});
        self.tool("kubectl").run_stdin(&["apply", "-f", "-"], &list.to_string()).await.ok();
    }

    pub async fn helm(&self, version: Helm, args: &[&str]) -> Output {
        let program = match version {
            Helm::Three => "helm3",
            Helm::Four => "helm4",
        };
        self.tool(program).run_within(HELM, args, None).await
    }

    /// A command of our own program inside the release's orchestrator pod: there is no shell to use instead.
    pub async fn inside(&self, namespace: &str, workload: &str, args: &[&str]) -> Output {
        let exec = ["exec", "-n", namespace, workload, "--", "/configurable-agents"];
        self.kubectl(&[&exec[..], args].concat()).await
    }

    /// A POST of JSON from the node, which reaches every pod; `kubectl create --raw` sends no content type.
    pub async fn post(&self, namespace: &str, service: &str, port: u16, path: &str, body: &Value) -> String {
        const SCRIPT: &str = r#"exec 3<>/dev/tcp/$1/$2 && printf 'POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' "$3" "$1" "${#4}" "$4" >&3 && cat <&3"#;
        let address = self.field(&["service", "-n", namespace, service], "{.spec.clusterIP}").await;
        let (port, body) = (port.to_string(), body.to_string());
        let args = ["-c", SCRIPT, "bash", &address, &port, path, &body];
        self.tool("bash").run_within(SOON, &args, None).await.ok().stdout
    }

    /// Waits for a condition of an AgentEndpoint; how long that took.
    pub async fn wait(&self, namespace: &str, name: &str, condition: &str) -> Duration {
        let began = Instant::now();
        let (what, condition) = (format!("aep/{name}"), format!("--for=condition={condition}"));
        self.kubectl(&["wait", "-n", namespace, &what, &condition, "--timeout=60s"]).await.ok();
        began.elapsed()
    }

    /// Waits until what a workload wants is there and ready.
    pub async fn rolled_out(&self, namespace: &str, workload: &str) {
        self.kubectl(&["rollout", "status", "-n", namespace, workload, "--timeout=90s"]).await.ok();
    }

    /// A namespace in which pods must meet the `restricted` Pod Security Standard and no packet passes unasked.
    pub async fn strict_namespace(&self, name: &str) {
        self.apply(&[crate::objects::namespace(name), crate::objects::deny_all(name)]).await;
        // A pod that is made before them waits for seconds.
        eventually(SOON, "the namespace is furnished", async || {
            let account = self.kubectl(&["get", "serviceaccount", "default", "-n", name]).await;
            let root = self.kubectl(&["get", "configmap", "kube-root-ca.crt", "-n", name]).await;
            account.status.success() && root.status.success()
        })
        .await;
    }

    /// The API server's audit log.
    pub fn audit(&self) -> Vec<AuditEvent> {
        audit::parse(&std::fs::read_to_string(self.dir.join("log/audit")).unwrap())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            keep_logs(&self.dir);
        }
        self.hold = None;
        run(&["wipe"], &self.dir, &[]);
    }
}

/// For the reader of a failed run: what the parts said last is copied beside the folder that goes.
fn keep_logs(dir: &Path) {
    let kept = dir.with_file_name("node-logs-of-the-last-failure");
    let copy = Command::new("sh")
        .args(["-c", "rm -rf \"$2\" && cp -r \"$1\" \"$2\"", "sh"])
        .arg(dir.join("log"))
        .arg(&kept)
        .status();
    if copy.is_ok_and(|status| status.success()) {
        println!("the node's logs are in {}", kept.display());
    }
}

/// node.sh, with all it says when it fails.
fn run(words: &[&str], dir: &Path, more: &[&str]) {
    let output = Command::new(script()).args(words).arg(dir).args(more).output().unwrap();
    let failed = !output.status.success();
    if failed && !std::thread::panicking() {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        panic!("node.sh {words:?}: {}{}", text(&output.stdout), text(&output.stderr));
    }
}
