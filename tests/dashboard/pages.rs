//! Parameters, links, what stands where.

use std::collections::BTreeSet;

use configurable_agents::dashboard::Settings;
use configurable_agents::domain::StatusWord;

use crate::fixtures::{Fixture, endpoint};
use crate::http::{Answer, ask, get, serve};

/// Names in the order of the table's rows.
fn rows(page: &str) -> Vec<String> {
    page.split("<tr id=\"r-").skip(1).filter_map(|row| row.split('"').next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_list_puts_problems_first_and_takes_every_filter_from_the_address() {
    let address = serve(&Fixture::normal()).await;
    let page = get(address, "/ui/").await.text();
    assert_eq!(rows(&page)[..3], ["team-a/writer", "team-b/metadata-thief", "team-b/billing-assistant"]);
    for (query, expected) in [
        ("status=failing", vec!["team-a/writer"]),
        ("status=failing,rejected", vec!["team-a/writer", "team-b/metadata-thief"]),
        ("ns=team-c&sort=name", vec!["team-c/summariser", "team-c/translator"]),
        ("q=WRITER", vec!["team-a/writer"]),
        ("label=team%3Dteam-c&sort=since", vec!["team-c/translator", "team-c/summariser"]),
        ("cap=nothing", vec![]),
        ("proto=tcp", vec![]),
    ] {
        let page = get(address, &format!("/ui/?{query}")).await.text();
        assert_eq!(rows(&page), expected, "{query}");
    }
    let none = get(address, "/ui/?q=zzz&ns=team-a").await.text();
    for text in ["0 of 8 match", "href=\"./?ns=team-a\"", "href=\"./?q=zzz\"", "Show all endpoints"] {
        assert!(none.contains(text), "{text}: {none}");
    }
    assert!(!none.contains("No agent endpoints yet"));
}

#[tokio::test]
async fn a_list_of_many_has_pages_and_one_beyond_the_last_shows_the_last() {
    let address = serve(&Fixture::many(130)).await;
    for (query, count, text) in [
        ("", 100, "Page 1 of 2"),
        ("?page=2", 30, "Page 2 of 2"),
        ("?page=99", 30, "Page 2 of 2"),
        ("?size=25&page=6", 5, "Page 6 of 6"),
    ] {
        let page = get(address, &format!("/ui/{query}")).await.text();
        assert_eq!(rows(&page).len(), count, "{query}");
        assert!(page.contains(text), "{query}");
    }
}

#[tokio::test]
async fn a_value_that_is_not_allowed_is_400_and_names_those_that_are() {
    let address = serve(&Fixture::normal()).await;
    for (path, text) in [
        ("/ui/?status=broken", "failing, rejected, degraded"),
        ("/ui/?sort=age", "problems, name, namespace, since"),
        ("/ui/?size=7", "25, 50, 100, 200"),
        ("/ui/?page=0", "a number from 1"),
        ("/ui/?proto=gopher", "http, tcp, grpc, a2a, mcp"),
        ("/ui/?label=a+in+(b", "closing parenthesis"),
        ("/ui/?colour=red", "no such parameter; use q, status"),
        ("/ui/activity?to=broken", "failing, rejected"),
        ("/ui/activity?x=1", "ns, name, to, page, size"),
        ("/ui/registry?state=dead", "mirrored, self, orphan, expired"),
        ("/ui/system?x=1", "takes no parameters"),
        ("/ui/endpoints/team-a/writer?range=1h", "takes no parameters"),
    ] {
        let answer = get(address, path).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(answer.text().contains(text), "{path}: {}", answer.text());
    }
    let long = get(address, &format!("/ui/?q={}", "x".repeat(600))).await;
    assert_eq!(long.status, 400);
    assert_eq!(get(address, &format!("/ui/?q={}", "x".repeat(5000))).await.status, 414);
}

#[tokio::test]
async fn the_address_that_a_form_makes_is_shortened_to_what_says_something() {
    let address = serve(&Fixture::normal()).await;
    let answer = get(address, "/ui/?q=a+b&ns=&proto=&label=&sort=problems&size=100&page=1").await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("./?q=a+b")));
    let answer = get(address, "/ui/activity?ns=&name=&to=").await;
    assert_eq!((answer.status, answer.header("location")), (307, Some("activity")));
    assert_eq!(get(address, "/").await.header("location"), Some("ui/"));
    assert_eq!(get(address, "/ui").await.header("location"), Some("ui/"));
}

#[tokio::test]
async fn the_endpoint_page_has_all_that_was_asked_for_and_no_secret() {
    let address = serve(&Fixture::normal()).await;
    let page = get(address, "/ui/endpoints/team-a/writer").await.text();
    for text in [
        "Failing",
        "ConnectionRefused",
        "2 min ago",
        "What to do",
        "Start the agent",
        "kubectl get aep writer -n team-a -o yaml",
        "kubectl describe aep writer -n team-a",
        "configurable-agents orchestrator status writer -n team-a",
        "Accepted",
        "Reachable",
        "Healthy",
        "Registered",
        "10.1.2.3:8001",
        "[2001:db8::1]:8001",
        "HeartbeatOkProbeFailed",
        "The agent itself",
        "lease-1",
        "(hidden)",
        "application/json",
        "path: /health",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(!page.contains("s3cr3t"));
    let json = get(address, "/api/v1/endpoints/team-a/writer").await.text();
    assert!(!json.contains("s3cr3t") && json.contains("(hidden)"), "{json}");
    assert!(!get(address, "/api/v1/endpoints").await.text().contains("s3cr3t"));
    for (path, word) in [("team-b/planner", "ProbeOkHeartbeatLost"), ("team-c/summariser", "RecordMissing")] {
        assert!(get(address, &format!("/ui/endpoints/{path}")).await.text().contains(word), "{word}");
    }
}

#[tokio::test]
async fn without_a_cluster_no_kubectl_is_offered() {
    let fixture =
        Fixture::normal().with(|system| system.mode = configurable_agents::view::system::Mode::Standalone);
    let page = get(serve(&fixture).await, "/ui/endpoints/team-a/writer").await.text();
    assert!(!page.contains("kubectl") && page.contains("orchestrator status writer"), "{page}");
}

#[tokio::test]
async fn activity_and_registry_show_and_filter_what_they_have() {
    let fixture = Fixture::normal();
    fixture.view.put(endpoint("team-a", "writer", StatusWord::Ready, 1));
    let address = serve(&fixture).await;
    let page = get(address, "/ui/activity?name=writer&to=ready").await.text();
    assert_eq!(page.matches("<tr id=\"t-").count(), 1, "{page}");
    assert_eq!(get(address, "/ui/activity?name=writer").await.text().matches("<tr id=\"t-").count(), 2);
    for (query, ids) in [
        ("", vec!["team-a.research", "team-a.writer", "team-b.planner", "elsewhere.agent", "walk-in"]),
        ("?state=mirrored", vec!["team-a.research", "team-a.writer", "team-b.planner"]),
        ("?state=self", vec!["team-a.research", "team-a.writer", "team-b.planner", "walk-in"]),
        ("?state=orphan", vec!["elsewhere.agent"]),
        ("?state=expired", vec!["team-b.planner"]),
        ("?q=WALK", vec!["walk-in"]),
        ("?q=zzz", vec![]),
    ] {
        let page = get(address, &format!("/ui/registry{query}")).await.text();
        let found: Vec<_> =
            page.split("<tr id=\"a-").skip(1).filter_map(|row| row.split('"').next()).collect();
        assert_eq!(found, ids, "{query}");
    }
    let page = get(address, "/ui/registry").await.text();
    for text in ["orphaned", "lease-2", "elsewhere/agent", "expired <time", "vouched <time", "not alive"] {
        assert!(page.contains(text), "{text}");
    }
    let system = get(address, "/ui/system").await.text();
    for text in ["orchestrator-0", "4 ms", "1.2", "--default-period-seconds", "agentendpoints"] {
        assert!(system.contains(text), "{text}: {system}");
    }
}

#[tokio::test]
async fn without_a_script_every_page_is_reached_by_links_and_forms_below_any_prefix() {
    let settings = Settings { base_path: "/x/y".to_owned(), ..Settings::default() };
    let (address, _) = Fixture::normal().serve(settings).await;
    assert_eq!(get(address, "/x/y").await.header("location"), Some("y/ui/"));
    assert_eq!(get(address, "/x/y/").await.header("location"), Some("ui/"));
    let (mut seen, mut open) = (BTreeSet::new(), vec!["/x/y/ui/".to_owned()]);
    while let Some(path) = open.pop() {
        if !seen.insert(path.clone()) || seen.len() > 300 {
            continue;
        }
        let answer = get(address, &path).await;
        assert!([200, 307].contains(&answer.status), "{path}: {}", answer.status);
        if answer.header("content-type").is_none_or(|kind| !kind.starts_with("text/html")) {
            continue;
        }
        let page = answer.text();
        for link in page.split("href=\"").skip(1).chain(page.split("src=\"").skip(1)) {
            let link = link.split('"').next().unwrap().replace("&amp;", "&");
            if link.starts_with('#') || link.starts_with("https://agents.example/") {
                continue;
            }
            assert!(!link.starts_with('/') && !link.contains("://"), "{path} has the absolute link {link}");
            let target = join(&path, &link);
            assert!(target.starts_with("/x/y/"), "{path}: {link} leads out to {target}");
            open.push(target);
        }
    }
    for page in [
        "/x/y/ui/activity",
        "/x/y/ui/registry",
        "/x/y/ui/system",
        "/x/y/ui/help",
        "/x/y/ui/endpoints/team-a/writer",
        "/x/y/api/v1/status",
    ] {
        assert!(seen.contains(page), "{page} was not reached: {seen:?}");
    }
    assert_eq!(get(address, "/ui/").await.status, 200, "for a proxy that takes the prefix away");
}

fn join(page: &str, link: &str) -> String {
    let (path, query) = link.split_once('?').map_or((link, None), |(path, query)| (path, Some(query)));
    let mut parts: Vec<&str> = page.split('?').next().unwrap().split('/').collect();
    parts.pop();
    for step in path.split('/') {
        match step {
            ".." => drop(parts.pop()),
            "." => {}
            step => parts.push(step),
        }
    }
    if path.ends_with('.') {
        parts.push("");
    }
    let path = parts.join("/");
    query.map_or(path.clone(), |query| format!("{path}?{query}"))
}

#[tokio::test]
async fn a_page_that_has_not_changed_is_304_and_one_that_has_is_not() {
    let fixture = Fixture::normal();
    let address = serve(&fixture).await;
    for path in ["/ui/", "/ui/?status=failing", "/ui/registry", "/ui/system", "/ui/endpoints/team-a/writer"] {
        let tag = get(address, path).await.header("etag").unwrap().to_owned();
        let again = async || -> Answer { ask(address, "GET", path, &[("If-None-Match", &tag)]).await };
        let same = again().await;
        assert_eq!((same.status, same.body.len()), (304, 0), "{path}");
        fixture.system.lock().unwrap().now += jiff::SignedDuration::from_secs(5);
        assert_eq!(again().await.status, 304, "{path}: ages alone are no change");
        fixture.system.lock().unwrap().checks.insert(path.to_owned(), "a problem".to_owned());
        assert_eq!(again().await.status, 200, "{path}");
    }
    let tag = get(address, "/ui/").await.header("etag").unwrap().to_owned();
    fixture.view.put(endpoint("team-a", "writer", StatusWord::Ready, 1));
    assert_eq!(ask(address, "GET", "/ui/", &[("If-None-Match", &tag)]).await.status, 200);
    let other = get(address, "/ui/?sort=name").await.header("etag").unwrap().to_owned();
    assert_eq!(ask(address, "GET", "/ui/", &[("If-None-Match", &other)]).await.status, 200);
}

#[tokio::test]
async fn what_is_sent_is_small() {
    let address = serve(&Fixture::many(10_000)).await;
    let page = get(address, "/ui/").await.text();
    assert_eq!(rows(&page).len(), 100);
    let zipped = async |path: String| -> usize {
        let answer = ask(address, "GET", &path, &[("Accept-Encoding", "gzip")]).await;
        assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path}");
        answer.body.len()
    };
    let asset = |end: &str| {
        let name = page.split('"').find(|part| part.starts_with("assets/") && part.ends_with(end)).unwrap();
        format!("/ui/{name}")
    };
    let (script, style) = (zipped(asset(".js")).await, zipped(asset(".css")).await);
    let frame = zipped("/ui/?q=nothing-has-this-name".to_owned()).await;
    let list = zipped("/ui/".to_owned()).await;
    assert!(script <= 10_000 && style <= 6_000, "script {script}, style {style}");
    assert!(script + style + frame <= 30_000, "before the data: {}", script + style + frame);
    assert!(list <= 40_000, "list {list}");
}
