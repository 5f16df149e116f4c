//! Each runbook is walked through: the fault is made, Prometheus fires the alert by the rule that is shipped (its times
//! shortened), the commands of "Look" print what they should, the fault is mended, the alert is gone, and so say the
//! commands of "Gone".

use std::time::Duration;

use rustls::version::TLS13;
use serde_json::json;

use crate::bed::{Bed, Orchestrator, SOON, agent, lock, read};
use crate::console;
use crate::support::prometheus::{Prometheus, program};
use crate::support::tls::{Authority, TlsAgent};
use crate::support::{Answer, Behaviour, TestDns, eventually};

struct Walk {
    alert: &'static str,
    prometheus: Prometheus,
    environment: Vec<(&'static str, String)>,
    runbook: String,
}

impl Walk {
    /// `None`: there is no Prometheus here.
    async fn begin(alert: &'static str, bed: &Bed, o: &Orchestrator) -> Option<Walk> {
        let program = program("prometheus")?;
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let environment = vec![
            ("ORCHESTRATOR_URL", url(o.port)),
            ("REGISTRY_URL", url(bed.registry.port)),
            ("OPS", url(o.ops)),
            ("REGISTRY_OPS", url(bed.registry.ops)),
        ];
        let prometheus = Prometheus::start(&program, &[o.ops, bed.registry.ops]).await;
        let runbook = read(&format!("docs/runbooks/{alert}.md"));
        let walk = Walk { alert, prometheus, environment, runbook };
        walk.prometheus.alert(alert, false).await;
        Some(walk)
    }

    async fn execute(&self, section: &str) {
        let text = self.runbook.split(&format!("\n## {section}\n")).nth(1).unwrap_or_else(|| {
            panic!("the runbook of {} has no section {section}", self.alert);
        });
        let text = text.split("\n## ").next().unwrap_or_default();
        assert!(
            console::execute(text, &self.environment).await > 0,
            "{}: {section} has no commands",
            self.alert
        );
    }

    async fn fault_is_in(&self) {
        self.prometheus.alert(self.alert, true).await;
        self.execute("Look").await;
    }

    async fn fault_is_out(&self) {
        self.prometheus.alert(self.alert, false).await;
        self.execute("Gone").await;
    }
}

/// An orchestrator over one good agent, called `research`.
async fn usual(flags: &[&str]) -> (Bed, Orchestrator, crate::support::TestAgent) {
    let bed = Bed::start().await;
    let good = agent();
    bed.declare("research", good.port(), &json!({}));
    let o = bed.orchestrator(flags).await;
    o.shows("endpoint_ready", &[("name", "research")], |value| value == 1.0).await;
    (bed, o, good)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_does_not_answer_is_alerted_and_its_runbook_works() {
    let (bed, o, good) = usual(&[]).await;
    let Some(walk) = Walk::begin("AgentEndpointDown", &bed, &o).await else { return };
    good.stop().await;
    walk.fault_is_in().await;
    good.start_again();
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_fail_together_are_alerted_and_the_runbook_works() {
    let (bed, o, good) = usual(&[]).await;
    bed.declare("second", good.port(), &json!({}));
    bed.declare("third", good.port(), &json!({}));
    o.shows("endpoints", &[("status", "ready")], |value| value == 3.0).await;
    let Some(walk) = Walk::begin("AgentEndpointsDownInNamespace", &bed, &o).await else { return };
    good.stop().await;
    walk.fault_is_in().await;
    good.start_again();
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_and_goes_is_alerted_and_the_runbook_works() {
    let (bed, o, good) = usual(&[]).await;
    let Some(walk) = Walk::begin("AgentEndpointFlapping", &bed, &o).await else { return };
    for _ in 0..6 {
        good.stop().await;
        o.shows("endpoint_ready", &[("name", "research")], |value| value == 0.0).await;
        good.start_again();
        o.shows("endpoint_ready", &[("name", "research")], |value| value == 1.0).await;
    }
    walk.fault_is_in().await;
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_that_do_not_end_are_alerted_and_the_runbook_works() {
    let (bed, o, _good) = usual(&["--max-in-flight=1"]).await;
    let Some(walk) = Walk::begin("AgentProbesStalled", &bed, &o).await else { return };
    let hangs = agent();
    hangs.set(Behaviour::Hang);
    bed.declare("hangs", hangs.port(), &json!({"periodSeconds": 3600, "timeoutSeconds": 3600}));
    walk.fault_is_in().await;
    bed.declare("hangs", hangs.port(), &json!({"timeoutSeconds": 1}));
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_that_find_no_room_are_alerted_and_the_runbook_works() {
    let (bed, o, good) = usual(&["--max-in-flight-per-host=1"]).await;
    let Some(walk) = Walk::begin("AgentProbesLate", &bed, &o).await else { return };
    bed.declare("second", good.port(), &json!({}));
    bed.declare("third", good.port(), &json!({}));
    good.set(Behaviour::Hang);
    walk.fault_is_in().await;
    good.set(Behaviour::Ok);
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_our_own_is_alerted_and_the_runbook_works() {
    let dns = TestDns::start().await;
    let canary = crate::support::free_port(std::net::Ipv4Addr::LOCALHOST);
    let (server, canary) = (format!("--dns-server={}", dns.addr()), format!("--canary=127.0.0.1:{canary}"));
    let (bed, o, good) = usual(&[&server, &canary]).await;
    for n in 1..=6 {
        let host = format!("agent-{n}.test");
        dns.set_addresses(&host, &[std::net::Ipv4Addr::LOCALHOST.into()]);
        bed.declare_in("default", &format!("agent-{n}"), &host, good.port(), &json!({"failureThreshold": 3}));
    }
    o.shows("endpoints", &[("status", "ready")], |value| value == 7.0).await;
    let Some(walk) = Walk::begin("ProbeInfrastructureSuspect", &bed, &o).await else { return };
    dns.set_everything(Some(Answer::NxDomain));
    walk.fault_is_in().await;
    o.shows("endpoints", &[("status", "ready")], |value| value == 7.0).await;
    dns.set_everything(None);
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_ends_soon_is_alerted_and_the_runbook_works() {
    let bed = Bed::start().await;
    let authority = Authority::new();
    let since_1970 = std::time::UNIX_EPOCH.elapsed().unwrap();
    let year = 1970 + i32::try_from(since_1970.as_secs() / 31_556_952).unwrap();
    let ends =
        |year| authority.issue(&["localhost"], move |of| of.not_after = rcgen::date_time_ymd(year, 1, 1));
    let far = ends(year + 50).config(&[&TLS13], None);
    let agent = TlsAgent::start(far.clone()).await;
    let bundle = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "authority", "namespace": "default"},
        "data": {"ca.crt": authority.pem},
    });
    std::fs::write(bed.manifests().join("authority.json"), bundle.to_string()).unwrap();
    let tls = json!({"caRef": {"kind": "ConfigMap", "name": "authority", "key": "ca.crt"}, "serverName": "localhost"});
    bed.declare("research", agent.port(), &json!({"tls": tls}));
    let o = bed.orchestrator(&["--certificate-expiry-days=1000"]).await;
    let in_decades = since_1970.as_secs_f64() + 1.5e9;
    o.shows("endpoint_tls_not_after_timestamp_seconds", &[("name", "research")], |at| at > in_decades).await;
    let Some(walk) = Walk::begin("AgentCertificateExpiringSoon", &bed, &o).await else { return };
    agent.set_config(ends(year + 2).config(&[&TLS13], None));
    walk.fault_is_in().await;
    agent.set_config(far);
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orchestrator_that_is_gone_is_alerted_and_the_runbook_works() {
    let (bed, mut o, _good) = usual(&[]).await;
    let Some(walk) = Walk::begin("AgentOrchestratorDown", &bed, &o).await else { return };
    o.process.kill();
    o.process.wait_exit(SOON).await;
    walk.fault_is_in().await;
    o.start_again().await;
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_that_cannot_be_written_are_alerted_and_the_runbook_works() {
    let (bed, o, good) = usual(&[]).await;
    let Some(walk) = Walk::begin("AgentStatusWritesFailing", &bed, &o).await else { return };
    let held = lock(&bed.status_database()).await;
    good.stop().await;
    walk.fault_is_in().await;
    drop(held);
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_is_gone_is_alerted_and_the_runbook_works() {
    let (mut bed, o, _good) = usual(&[]).await;
    let Some(walk) = Walk::begin("AgentRegistryMirrorFailing", &bed, &o).await else { return };
    bed.registry.process.kill();
    bed.registry.process.wait_exit(SOON).await;
    walk.fault_is_in().await;
    bed.registry.start_again();
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cannot_store_is_alerted_and_the_runbook_works() {
    let (bed, o, _good) = usual(&[]).await;
    let Some(walk) = Walk::begin("AgentRegistryStoreFailing", &bed, &o).await else { return };
    let held = lock(bed.registry.database()).await;
    walk.fault_is_in().await;
    drop(held);
    walk.fault_is_out().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_away_is_alerted_and_the_runbook_works() {
    let (bed, o, _good) = usual(&[]).await;
    let Some(walk) = Walk::begin("AgentCheckFailing", &bed, &o).await else { return };
    let away = bed.files.path().join("away");
    std::fs::rename(bed.manifests(), &away).unwrap();
    walk.fault_is_in().await;
    std::fs::rename(&away, bed.manifests()).unwrap();
    walk.fault_is_out().await;
}

/// What is wrong with nothing must be silent: the other half of each walk.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_fires_while_nothing_is_wrong() {
    let (bed, o, _good) = usual(&[]).await;
    let Some(walk) = Walk::begin("AgentEndpointDown", &bed, &o).await else { return };
    eventually(SOON, "the rules have seen some scrapes", async || {
        o.scrape().await.value("probes_started_total", &[]).is_some_and(|count| count > 10.0)
    })
    .await;
    crate::support::stays(Duration::from_secs(10), "silence", async || {
        let firing = walk.prometheus.firing().await;
        if firing.is_empty() { Ok(()) } else { Err(format!("{firing:?}")) }
    })
    .await;
}
