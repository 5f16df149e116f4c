//! Whatever else is down, every page is a page.

use configurable_agents::domain::StatusWord;
use configurable_agents::view::Records;
use std::sync::Arc;

use crate::fixtures::{Fixture, before, endpoint, now, some_records, states};
use crate::http::{get, serve};

const PAGES: [&str; 6] =
    ["/ui/", "/ui/activity", "/ui/registry", "/ui/system", "/ui/help", "/ui/endpoints/team-a/research"];

#[tokio::test]
async fn no_state_of_anything_else_makes_a_page_fail() {
    for (name, fixture) in states() {
        let address = serve(&fixture).await;
        for page in PAGES {
            let answer = get(address, page).await;
            let there = fixture.view.rows().keys().any(|id| id.to_string() == "team-a/research");
            let expected = if page.contains("/endpoints/") && !there { 404 } else { 200 };
            assert_eq!(answer.status, expected, "{name} {page}");
            assert!(answer.text().contains("</footer></body></html>"), "{name} {page} is whole");
        }
    }
}

#[tokio::test]
async fn each_state_says_what_is_the_case_and_what_to_do() {
    let expected: &[(&str, &str, &[&str])] = &[
        (
            "normal",
            "/ui/",
            &[
                "(1 failing) Agent endpoints",
                "<strong>1</strong> failing, <strong>1</strong> rejected",
                "Connection<wbr>Refused",
            ],
        ),
        (
            "empty",
            "/ui/",
            &["No agent endpoints yet", "kubectl apply -f agent.yaml", "all namespaces", "register"],
        ),
        ("empty-standalone", "/ui/", &["No agent endpoints yet", "deploy/samples", "Standalone"]),
        ("empty", "/ui/registry", &["The registry holds no agents yet"]),
        ("empty", "/ui/activity", &["Nothing has changed yet"]),
        ("all-ready", "/ui/", &["All 1 ready.", "Last probe"]),
        ("pending", "/ui/", &["Not<wbr>Yet<wbr>Probed"]),
        (
            "rejected",
            "/ui/endpoints/team-b/metadata-thief",
            &["spec.targets[0].host", "What to do", "--allow-targets"],
        ),
        ("rejected", "/ui/endpoints/team-b/odd", &["cannot be read", "expected 1 to 65535"]),
        ("stuck", "/ui/", &["No probe has finished since", "statuses may be old"]),
        (
            "mass-failure",
            "/ui/",
            &[
                "42 of 50 healthy targets began to fail within one period.",
                "The fault may be on this side (network, DNS): statuses are held until",
                "then become Unknown",
                "Canary &lt;b&gt;resolver&lt;/b&gt; fails: no answer within 3 s.",
            ],
        ),
        (
            "mass-failure-unknown",
            "/ui/",
            &["what fails is Unknown until it answers", "No canary vouches for it (--canary HOST:PORT)"],
        ),
        ("registry-away", "/ui/", &["is not reachable", "31 changes wait"]),
        ("registry-away", "/ui/registry", &["connection refused", "records have not been read yet"]),
        ("registry-away", "/ui/endpoints/team-a/research", &["connection refused", "Conditions"]),
        ("registry-away", "/ui/system", &["agent-registry start", "Nothing is lost"]),
        ("registry-garbage", "/ui/registry", &["the answer is not JSON"]),
        ("no-registry", "/ui/registry", &["No registry is connected", "agent-registry start"]),
        ("no-registry", "/ui/system", &["--registry-url none"]),
        ("standby", "/ui/", &["this replica waits (active: ", "orchestrator-0"]),
        (
            "crd-missing",
            "/ui/",
            &["CRD is not installed", "crds | kubectl apply --server-side -f -", "have not been read yet"],
        ),
        (
            "forbidden",
            "/ui/",
            &["kubectl auth can-i list agentendpoints", "kubectl apply -f deploy/rbac.yaml"],
        ),
        ("api-away", "/ui/", &["has not answered for 6 minutes", "research"]),
        ("database-locked", "/ui/", &["database is locked", "research"]),
    ];
    let states: Vec<_> = states();
    for (state, path, texts) in expected {
        let (_, fixture) = states.iter().find(|(name, _)| name == state).unwrap();
        let page = get(serve(fixture).await, path).await.text();
        for text in *texts {
            assert!(page.contains(text), "{state} {path} lacks “{text}”:\n{page}");
        }
    }
}

#[tokio::test]
async fn what_the_registry_said_last_is_shown_with_its_date_when_it_is_gone() {
    let mut fixture = Fixture::normal();
    let asked = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let first = Arc::clone(&asked);
    fixture.fetch = Some(Arc::new(move || {
        let n = first.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Box::pin(async move { if n == 0 { Ok((some_records(), false)) } else { Err("gone".to_owned()) } })
    }));
    // A clock that runs: an answer is asked for again when it is older than two seconds.
    static CLOCK: std::sync::atomic::AtomicI64 = std::sync::atomic::AtomicI64::new(0);
    let clock =
        || now() + jiff::SignedDuration::from_secs(CLOCK.fetch_add(5, std::sync::atomic::Ordering::SeqCst));
    let mut shown = fixture.shown();
    shown.records = Records::new(fixture.fetch.clone(), clock);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes =
        configurable_agents::dashboard::router(shown, configurable_agents::dashboard::Settings::default());
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    assert!(!get(address, "/ui/registry").await.text().contains("did not answer"));
    let page = get(address, "/ui/registry").await.text();
    assert!(page.contains("did not answer") && page.contains("What follows is what it said"), "{page}");
    assert!(page.contains("walk-in"), "the last records are still there");
}

#[tokio::test]
async fn a_registry_that_never_answers_holds_no_page_up() {
    let mut fixture = Fixture::normal();
    fixture.fetch = Some(Arc::new(|| Box::pin(std::future::pending())));
    let address = serve(&fixture).await;
    let start = std::time::Instant::now();
    assert!(get(address, "/ui/registry").await.text().contains("has not answered yet"));
    assert!(get(address, "/ui/endpoints/team-a/research").await.text().contains("Conditions"));
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
}

#[tokio::test]
async fn a_deleted_endpoint_is_410_with_what_was_known_and_one_that_never_was_is_404() {
    let fixture = Fixture::normal();
    let address = serve(&fixture).await;
    fixture.view.retain(|id| id.name != "writer");
    let gone = get(address, "/ui/endpoints/team-a/writer").await;
    assert_eq!(gone.status, 410);
    for text in ["was deleted", "ConnectionRefused", "Failing", "../.././?ns=team-a"] {
        assert!(gone.text().contains(text), "{text}: {}", gone.text());
    }
    let never = get(address, "/ui/endpoints/team-a/nobody").await;
    assert_eq!(never.status, 404);
    assert!(never.text().contains("kubectl get aep -n team-a") && never.text().contains("../../assets/"));
}

#[tokio::test]
async fn a_page_of_slow_endpoints_is_not_called_stuck() {
    let fixture = Fixture::empty().with(|system| system.probes.last_finished_at = Some(before(600)));
    let mut slow = crate::fixtures::value("a", "slow", StatusWord::Ready, 5000);
    slow["spec"]["probe"]["periodSeconds"] = serde_json::json!(3600);
    fixture.view.put(crate::fixtures::object(slow));
    let address = serve(&fixture).await;
    assert!(!get(address, "/ui/").await.text().contains("No probe has finished"));
    fixture.view.put(endpoint("a", "quick", StatusWord::Ready, 5000));
    assert!(get(address, "/ui/").await.text().contains("No probe has finished"));
}

#[tokio::test]
async fn a_bug_in_a_page_is_a_page_with_a_request_id_and_the_others_go_on() {
    let address = serve(&Fixture { bug: true, ..Fixture::normal() }).await;
    let answer = get(address, "/ui/").await;
    assert_eq!(answer.status, 500);
    assert!(answer.text().contains("Request id: ") && !answer.text().contains("a bug"));
    assert!(answer.header("content-security-policy").is_some());
    let json = get(address, "/api/v1/status").await;
    assert_eq!((json.status, json.header("content-type")), (500, Some("application/problem+json")));
    assert_eq!(get(address, "/api/v1/endpoints").await.status, 200);
}
