//! What the dashboard can be asked to show: each state, built in this process.
#![allow(dead_code, reason = "the browser tests use a part of this module, the others another")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use configurable_agents::api::v1alpha1::Guarded;
use configurable_agents::dashboard::{Settings, Shown, router};
use configurable_agents::domain::StatusWord;
use configurable_agents::domain::agent::RecordView;
use configurable_agents::view::system::{Mode, ProbeNumbers, RegistryLink, Role, Setting};
use configurable_agents::view::{Fetch, Records, System, View};
use jiff::{SignedDuration, Timestamp};
use kube::core::DeserializeGuard;
use kube::core::error_boundary::InvalidObject;
use serde_json::{Value, json};

/// The server's clock stands.
pub fn now() -> Timestamp {
    Timestamp::constant(1_790_000_000, 0)
}

pub fn before(seconds: i64) -> Timestamp {
    now() - SignedDuration::from_secs(seconds)
}

/// An object of that state, changed `age` seconds ago.
pub fn value(namespace: &str, name: &str, word: StatusWord, age: i64) -> Value {
    let (ready, reason, message) = match word {
        StatusWord::Ready => ("True", "Ready", "All 2 targets are ready."),
        StatusWord::Degraded => {
            ("True", "LatencyAboveThreshold", "10.1.2.3:8001 answers in more than 1000 ms.")
        }
        StatusWord::Failing => (
            "False",
            "ConnectionRefused",
            "10.1.2.3:8001 refused the connection: nothing listens on that port.",
        ),
        StatusWord::Rejected => (
            "False",
            "TargetNotPermitted",
            "spec.targets[0].host: 169.254.169.254 is link-local, which the target policy denies.",
        ),
        StatusWord::Unknown => ("Unknown", "NotYetProbed", "The first probe is due."),
        StatusWord::Paused => ("Unknown", "Suspended", "spec.suspend is true."),
    };
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": before(age), "observedGeneration": 1})
    };
    let accepted = word != StatusWord::Rejected;
    let degraded = word == StatusWord::Degraded;
    json!({
        "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
        "metadata": {
            "name": name, "namespace": namespace, "uid": format!("uid-{namespace}-{name}"), "generation": 1,
            "creationTimestamp": before(90_000), "labels": {"team": namespace},
        },
        "spec": {
            "targets": [{"host": "10.1.2.3", "port": 8001}, {"host": "research.example", "port": 8001}],
            "probe": {"http": {"path": "/health", "headers": [
                {"name": "Authorization", "value": "Bearer s3cr3t"}, {"name": "Accept", "value": "application/json"}]}},
            "registration": {"capabilities": ["web_search"], "url": "https://agents.example/research"},
            "suspend": word == StatusWord::Paused,
        },
        "status": {
            "observedGeneration": 1, "protocol": "http",
            "readyTargets": i32::from(ready == "True") * 2, "totalTargets": 2,
            "readySummary": if ready == "True" { "2/2" } else { "0/2" },
            "conditions": [
                condition("Ready", ready, reason, message),
                condition("Accepted", if accepted { "True" } else { "False" }, if accepted { "Accepted" } else { reason }, if accepted { "" } else { message }),
                condition("Reachable", ready, if ready == "True" { "Reachable" } else { reason }, ""),
                condition("Healthy", ready, if ready == "True" { "Healthy" } else { reason }, ""),
                condition("Registered", "True", "Registered", ""),
                condition("Degraded", if degraded { "True" } else { "False" }, if degraded { reason } else { "AsExpected" }, ""),
            ],
            "targets": [
                {"host": "10.1.2.3", "port": 8001, "status": word.as_str(), "reason": reason, "message": message, "lastTransitionTime": before(age)},
                {"host": "2001:db8::1", "port": 8001, "status": "Ready", "reason": "Ready", "message": "", "lastTransitionTime": before(age)},
            ],
        },
    })
}

pub fn object(value: Value) -> Arc<Guarded> {
    Arc::new(DeserializeGuard(Ok(serde_json::from_value(value).unwrap())))
}

pub fn endpoint(namespace: &str, name: &str, word: StatusWord, age: i64) -> Arc<Guarded> {
    object(value(namespace, name, word, age))
}

pub fn unreadable(namespace: &str, name: &str, error: &str) -> Arc<Guarded> {
    let metadata = serde_json::from_value(json!({"name": name, "namespace": namespace})).unwrap();
    Arc::new(DeserializeGuard(Err(InvalidObject { error: error.to_owned(), metadata })))
}

pub fn system() -> System {
    System {
        version: "0.1.0".to_owned(),
        mode: Mode::Kubernetes,
        role: Role::Active,
        leader: Some("orchestrator-0".to_owned()),
        started_at: before(7300),
        now: now(),
        objects: "https://10.0.0.1:443, all namespaces".to_owned(),
        heard_at: None,
        database: None,
        counts: BTreeMap::new(),
        checks: [("agentendpoints", ""), ("lease", ""), ("services", "")]
            .map(|(name, problem)| (name.to_owned(), problem.to_owned()))
            .into(),
        registry: Some(RegistryLink {
            url: "http://localhost:8000".to_owned(),
            reachable: Some(true),
            away_since: None,
            problem: None,
            mirrored: 7,
            pending: 0,
        }),
        probes: ProbeNumbers {
            targets: 12,
            in_flight: 1,
            per_second: 1.25,
            missed_slots: 0,
            lag_p95_seconds: Some(0.004),
            last_finished_at: Some(before(1)),
        },
        configuration: [
            ("port", "9000", "default"),
            ("default-period-seconds", "10", "default"),
            ("registry-url", "http://localhost:8000", "flag"),
        ]
        .map(|(name, value, source)| Setting {
            name: name.into(),
            value: value.into(),
            source: source.into(),
        })
        .into(),
    }
}

pub fn contribution(kind: &str, source: &str, about: Option<(&str, &str)>, age: i64) -> Value {
    let mut said = json!({
        "source": {"kind": kind, "id": source}, "agentName": "Research",
        "addresses": [{"host": "10.1.2.3", "port": 8001}],
        "createdAt": before(9000), "asOf": before(age), "expiresAt": before(age - 60), "ttlSeconds": 60, "live": age < 60,
    });
    match about {
        Some((namespace, name)) => {
            said["endpoint"] =
                json!({"namespace": namespace, "name": name, "uid": format!("uid-{namespace}-{name}")});
            let fails = name == "writer";
            said["status"] = json!(if fails { "Failing" } else { "Ready" });
            said["reason"] = json!(if fails { "ConnectionRefused" } else { "Ready" });
        }
        None => said["agentMetadata"] = json!("{\"tier\": \"gold\"}"),
    }
    said
}

pub fn record(id: &str, alive: bool, contributions: &[Value]) -> RecordView {
    serde_json::from_value(json!({"agentID": id, "isAlive": alive, "contributions": contributions})).unwrap()
}

pub fn some_records() -> Vec<RecordView> {
    vec![
        record(
            "team-a.research",
            true,
            &[
                contribution("Agent", "team-a.research", None, 12),
                contribution("Orchestrator", "lease-1", Some(("team-a", "research")), 8),
            ],
        ),
        record(
            "team-a.writer",
            false,
            &[
                contribution("Agent", "team-a.writer", None, 4),
                contribution("Orchestrator", "lease-1", Some(("team-a", "writer")), 8),
            ],
        ),
        record(
            "team-b.planner",
            true,
            &[
                contribution("Agent", "team-b.planner", None, 400),
                contribution("Orchestrator", "lease-1", Some(("team-b", "planner")), 8),
            ],
        ),
        record(
            "elsewhere.agent",
            true,
            &[contribution("Orchestrator", "lease-2", Some(("elsewhere", "agent")), 8)],
        ),
        record("walk-in", true, &[contribution("Agent", "walk-in", None, 3)]),
    ]
}

/// Something to show, and handles to change it.
#[derive(Clone)]
pub struct Fixture {
    pub view: View,
    pub system: Arc<Mutex<System>>,
    pub fetch: Option<Fetch>,
    /// A page that needs the system cannot be made.
    pub bug: bool,
}

impl Fixture {
    pub fn empty() -> Fixture {
        let system = Arc::new(Mutex::new(system()));
        Fixture { view: View::new(now), system, fetch: None, bug: false }.records(some_records())
    }

    /// One endpoint of each word, and two more.
    pub fn normal() -> Fixture {
        let fixture = Fixture::empty();
        for (namespace, name, word, age) in [
            ("team-a", "research", StatusWord::Ready, 4000),
            ("team-a", "writer", StatusWord::Failing, 125),
            ("team-a", "archive", StatusWord::Paused, 200_000),
            ("team-b", "planner", StatusWord::Ready, 90),
            ("team-b", "billing-assistant", StatusWord::Degraded, 700),
            ("team-b", "metadata-thief", StatusWord::Rejected, 60),
            ("team-c", "translator", StatusWord::Unknown, 3),
            ("team-c", "summariser", StatusWord::Ready, 30),
        ] {
            fixture.view.put(endpoint(namespace, name, word, age));
        }
        fixture
    }

    pub fn many(count: usize) -> Fixture {
        let fixture = Fixture::empty();
        for n in 0..count {
            let word = if n % 100 == 7 { StatusWord::Failing } else { StatusWord::Ready };
            fixture.view.put(endpoint(&format!("team-{}", n % 40), &format!("agent-{n:05}"), word, 10));
        }
        fixture
    }

    pub fn records(mut self, records: Vec<RecordView>) -> Fixture {
        self.fetch = Some(Arc::new(move || {
            let records = records.clone();
            Box::pin(async move { Ok((records, false)) })
        }));
        self
    }

    pub fn registry_fails(mut self, problem: &str) -> Fixture {
        let problem = problem.to_owned();
        self.fetch = Some(Arc::new(move || {
            let problem = problem.clone();
            Box::pin(async move { Err(problem) })
        }));
        self
    }

    pub fn with(self, change: impl FnOnce(&mut System)) -> Fixture {
        change(&mut self.system.lock().unwrap());
        self
    }

    pub fn check(self, name: &str, problem: &str) -> Fixture {
        self.with(|system| {
            system.checks.insert(name.to_owned(), problem.to_owned());
        })
    }

    pub fn shown(&self) -> Shown {
        let (system, bug) = (Arc::clone(&self.system), self.bug);
        Shown {
            view: self.view.clone(),
            system: Arc::new(move || {
                assert!(!bug, "a bug");
                system.lock().unwrap().clone()
            }),
            records: Records::new(self.fetch.clone(), now),
            followers: prometheus_client::metrics::gauge::Gauge::default(),
        }
    }

    /// Serves on a free port of loopback until the task is aborted.
    pub async fn serve(&self, settings: Settings) -> (SocketAddr, tokio::task::JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = router(self.shown(), settings);
        (address, tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() }))
    }
}

pub const HOSTILE: [&str; 8] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "javascript:alert(1)",
    "'; alert(1); //",
    "\u{202e}gnp.exe\u{2066}",
    "مرحبا بالعالم שלום",
    "👩‍🚀🚀 emoji ✓",
    "</title></textarea><svg/onload=alert(1)>",
];

/// Names, messages, labels, metadata of others who mean harm; and very long ones.
pub fn hostile() -> Fixture {
    let long = "a".repeat(253);
    let mut records = Vec::new();
    let fixture = Fixture::empty();
    for (at, text) in HOSTILE.iter().enumerate() {
        let mut object_value = value("team-x", &format!("hostile-{at}"), StatusWord::Failing, 60);
        object_value["status"]["conditions"][0]["message"] = json!(text);
        object_value["status"]["targets"][0]["message"] = json!(text);
        object_value["metadata"]["labels"]["note"] = json!(text);
        object_value["spec"]["registration"]["url"] = json!(text);
        object_value["spec"]["registration"]["capabilities"] = json!([text]);
        object_value["status"]["agent"] = json!({"name": text, "version": text});
        fixture.view.put(object(object_value));
        let mut said = contribution("Agent", text, None, 3);
        said["agentName"] = json!(text);
        said["agentMetadata"] = json!(text);
        said["url"] = json!(text);
        said["addresses"] = json!([{"host": text, "port": 1}]);
        records.push(record(&format!("team-x.hostile-{at}"), true, &[said.clone()]));
        records.push(record(text, true, &[said]));
        // In standalone mode names come from files of the machine's owner, and still are text.
        fixture.view.put(unreadable("team-x", &format!("{text}-{at}"), text));
    }
    fixture.view.put(endpoint("team-x", &long, StatusWord::Failing, 60));
    fixture.view.put(endpoint(&"n".repeat(63), &long, StatusWord::Ready, 60));
    fixture.records(records).check("agentendpoints", HOSTILE[0])
}

/// Every state that a page can be in, with its name.
pub fn states() -> Vec<(&'static str, Fixture)> {
    let registry = |change: fn(&mut RegistryLink)| {
        move |system: &mut System| {
            if let Some(link) = &mut system.registry {
                change(link);
            }
        }
    };
    let all_ready = Fixture::empty();
    all_ready.view.put(endpoint("team-a", "research", StatusWord::Ready, 4000));
    let rejected = Fixture::empty();
    rejected.view.put(endpoint("team-b", "metadata-thief", StatusWord::Rejected, 60));
    rejected.view.put(unreadable(
        "team-b",
        "odd",
        "spec.targets[0].port: invalid value: 70000, expected 1 to 65535",
    ));
    let pending = Fixture::empty();
    pending.view.put(endpoint("team-c", "translator", StatusWord::Unknown, 3));
    vec![
        ("normal", Fixture::normal()),
        ("empty", Fixture::empty().records(Vec::new())),
        (
            "empty-standalone",
            Fixture::empty().records(Vec::new()).with(|system| {
                system.mode = Mode::Standalone;
                system.leader = None;
                "deploy/samples".clone_into(&mut system.objects);
                system.database = Some("configurable-agents.db".to_owned());
            }),
        ),
        ("all-ready", all_ready),
        ("pending", pending),
        ("rejected", rejected),
        ("stuck", Fixture::normal().with(|system| system.probes.last_finished_at = Some(before(600)))),
        (
            "registry-away",
            Fixture::normal()
                .with(registry(|link| {
                    link.reachable = Some(false);
                    link.away_since = Some(before(900));
                    link.pending = 31;
                    link.problem = Some("connection refused".to_owned());
                }))
                .registry_fails("http://localhost:8000: connection refused"),
        ),
        ("registry-garbage", Fixture::normal().registry_fails("the answer is not JSON: expected value at line 1 column 1")),
        ("no-registry", {
            let mut fixture = Fixture::normal().with(|system| system.registry = None);
            fixture.fetch = None;
            fixture
        }),
        (
            "standby",
            Fixture::normal().with(|system| {
                system.role = Role::Standby;
                system.probes = ProbeNumbers::default();
            }),
        ),
        (
            "crd-missing",
            Fixture::empty().check(
                "agentendpoints",
                "the AgentEndpoint CRD is not installed in this cluster; hint: configurable-agents crds | kubectl apply --server-side -f -",
            ),
        ),
        (
            "forbidden",
            Fixture::empty().check(
                "agentendpoints",
                "not allowed: agentendpoints.agents.configurable.dev is forbidden: User \"x\" cannot list resource; hint: kubectl auth can-i --list, and deploy/rbac.yaml for what is needed",
            ),
        ),
        ("api-away", Fixture::normal().check("agentendpoints", "the API server has not answered for 6 minutes")),
        ("database-locked", Fixture::normal().check("database", "database is locked; statuses are kept in memory")),
        ("hostile", hostile()),
    ]
}
