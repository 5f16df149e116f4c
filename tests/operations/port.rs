//! Where health and metrics are.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::bed::{Bed, SOON, get, lock};
use crate::support::{Proc, eventually, free_port};

#[tokio::test(flavor = "multi_thread")]
async fn with_a_port_of_their_own_health_and_metrics_are_there_and_only_there() {
    let bed = Bed::start().await;
    let orchestrator = bed.orchestrator(&[]).await;
    for path in ["/livez", "/readyz", "/metrics"] {
        for (ops, main) in [(orchestrator.ops, orchestrator.port), (bed.registry.ops, bed.registry.port)] {
            assert_eq!(get(ops, path, None).await.0, 200, "{path}");
            let beside = get(main, path, None).await.0;
            let stays = main == bed.registry.port && path != "/metrics";
            assert_eq!(
                beside,
                if stays { 200 } else { 404 },
                "{path}: the registry's API has its own health calls"
            );
        }
    }
    assert_eq!(get(orchestrator.ops, "/ui/", None).await.0, 404);
    let (_, text) = get(orchestrator.ops, "/readyz", None).await;
    for check in ["[+]started ok", "[+]manifests ok", "[+]database ok", "check passed"] {
        assert!(text.contains(check), "{text}");
    }
    let (_, text) = get(bed.registry.ops, "/readyz", None).await;
    assert!(text.contains("[+]store ok"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_one_they_are_beside_the_rest() {
    let bed = Bed::start().await;
    let [port, registry] = [(); 2].map(|()| free_port(Ipv4Addr::LOCALHOST));
    let _registry = Proc::start(
        &["agent-registry", "start", &format!("--port={registry}"), "--db-url=sqlite:///r.db"],
        &[],
    );
    let _orchestrator = Proc::start(
        &[
            "orchestrator",
            "start",
            &format!("--manifests={}", bed.manifests().display()),
            "--db-url=sqlite:///s.db",
            &format!("--port={port}"),
            "--registry-url=none",
        ],
        &[],
    );
    for port in [port, registry] {
        for path in ["/livez", "/readyz", "/metrics"] {
            eventually(SOON, path, async || get(port, path, None).await.0 == 200).await;
        }
    }
    let (_, text) = get(port, "/metrics", None).await;
    assert!(!text.contains("registry_up"), "there is no registry to be up:\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_with_what_to_do() {
    let bed = Bed::start().await;
    for command in [["orchestrator", "start"], ["agent-registry", "start"]] {
        let ops = format!("--ops-listen=127.0.0.1:{}", bed.registry.ops);
        let port = format!("--port={}", free_port(Ipv4Addr::LOCALHOST));
        let mut args = vec![command[0], command[1], &ops, &port];
        let manifests = format!("--manifests={}", bed.manifests().display());
        if command[0] == "orchestrator" {
            args.push(&manifests);
        }
        let process = Proc::start(&args, &[]);
        let status = process.wait_exit(Duration::from_secs(20)).await;
        let said = process.stderr();
        assert!(!status.success() && said.contains("--ops-listen 127.0.0.1:"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_that_cannot_store_is_alive_not_ready_and_well_again_by_itself() {
    let bed = Bed::start().await;
    let held = lock(bed.registry.database()).await;
    eventually(SOON, "not ready", async || get(bed.registry.ops, "/readyz", None).await.0 == 503).await;
    let (_, text) = get(bed.registry.ops, "/readyz", None).await;
    assert!(text.contains("[-]store failed"), "{text}");
    assert_eq!(get(bed.registry.ops, "/livez", None).await.0, 200);
    drop(held);
    eventually(SOON, "ready again", async || get(bed.registry.ops, "/readyz", None).await.0 == 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_own_port_for_operations_is_never_probed() {
    let bed = Bed::start().await;
    let orchestrator = bed.orchestrator(&[]).await;
    bed.declare("itself", orchestrator.ops, &serde_json::json!({"http": {"path": "/metrics"}}));
    let labels = [("name", "itself"), ("status", "rejected"), ("reason", "TargetNotPermitted")];
    orchestrator.shows("endpoint_info", &labels, |value| value > 0.5).await;
}
