//! Who may ask, and what every answer carries.

use std::net::{IpAddr, Ipv4Addr};

use configurable_agents::dashboard::Settings;

use crate::fixtures::Fixture;
use crate::http::{ask, get, serve};

#[tokio::test]
async fn a_name_that_is_not_ours_is_421_on_pages_and_json_alike() {
    let address = serve(&Fixture::normal()).await;
    for path in ["/", "/ui/", "/ui/events", "/api/v1/status", "/api/v1/endpoints"] {
        for host in ["evil.example", "evil.example:9000", "127.0.0.1.evil.example", ""] {
            let answer = ask(address, "GET", path, &[("Host", host)]).await;
            assert_eq!(answer.status, 421, "{path} {host}");
        }
    }
    for host in ["127.0.0.1", "localhost:1234", "[::1]:9000", "192.168.7.7:9000"] {
        assert_eq!(ask(address, "GET", "/ui/", &[("Host", host)]).await.status, 200, "{host}");
    }
    let settings = Settings {
        listen: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        allowed_hosts: vec!["agents.example".to_owned()],
        ..Settings::default()
    };
    let (address, _) = Fixture::normal().serve(settings).await;
    for (host, expected) in [
        ("agents.example", 200),
        ("orchestrator.agents.svc", 200),
        ("orchestrator", 200),
        ("evil.example", 421),
    ] {
        assert_eq!(ask(address, "GET", "/ui/", &[("Host", host)]).await.status, expected, "{host}");
    }
}

#[tokio::test]
async fn another_sites_page_is_403_and_a_link_from_there_is_followed() {
    let address = serve(&Fixture::normal()).await;
    for path in ["/ui/", "/ui/events", "/api/v1/endpoints"] {
        for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
            assert_eq!(ask(address, "GET", path, &[("Origin", origin)]).await.status, 403, "{path} {origin}");
        }
        let sub =
            [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "no-cors"), ("Sec-Fetch-Dest", "script")];
        assert_eq!(ask(address, "GET", path, &sub).await.status, 403, "{path}");
        let framed =
            [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "iframe")];
        assert_eq!(ask(address, "GET", path, &framed).await.status, 403, "{path}");
    }
    let link =
        [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")];
    assert_eq!(ask(address, "GET", "/ui/", &link).await.status, 200);
    let own = format!("http://{address}");
    assert_eq!(ask(address, "GET", "/ui/", &[("Origin", &own)]).await.status, 200);
}

#[tokio::test]
async fn only_reading_is_answered() {
    let address = serve(&Fixture::normal()).await;
    for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        for path in ["/ui/", "/ui/endpoints/team-a/writer", "/api/v1/endpoints", "/ui/nothing"] {
            let answer = ask(address, method, path, &[("Content-Length", "0")]).await;
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")), "{method} {path}");
        }
    }
    let head = ask(address, "HEAD", "/ui/", &[]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn every_answer_carries_the_headers_that_keep_a_browser_safe() {
    let address = serve(&Fixture::normal()).await;
    let page = get(address, "/ui/").await.text();
    let style = page.split('"').find(|part| part.contains(".css")).unwrap().to_owned();
    for (path, host, status) in [
        ("/ui/".to_owned(), None, 200),
        ("/".to_owned(), None, 307),
        ("/ui/?x=1".to_owned(), None, 400),
        ("/ui/nothing".to_owned(), None, 404),
        ("/api/nothing".to_owned(), None, 404),
        ("/api/v1/status".to_owned(), None, 200),
        ("/ui/".to_owned(), Some("evil.example"), 421),
        (format!("/ui/{style}"), None, 200),
    ] {
        let headers: Vec<(&str, &str)> = host.map(|host| ("Host", host)).into_iter().collect();
        let answer = ask(address, "GET", &path, &headers).await;
        assert_eq!(answer.status, status, "{path}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'")
                && policy.ends_with("frame-ancestors 'none'")
        );
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let caching = answer.header("cache-control").unwrap();
        assert_eq!(caching.contains("immutable"), path.contains(".css"), "{path}: {caching}");
        assert_eq!(caching == "no-store", !path.contains(".css"), "{path}: {caching}");
        assert!(
            answer.header("access-control-allow-origin").is_none() && answer.header("set-cookie").is_none()
        );
    }
}

#[tokio::test]
async fn no_path_leads_to_a_file() {
    let address = serve(&Fixture::normal()).await;
    for path in [
        "/ui/assets/../../Cargo.toml",
        "/ui/assets/..%2f..%2fCargo.toml",
        "/ui/assets/%2e%2e/%2e%2e/etc/passwd",
        "/ui/assets/style.css",
        "/ui/assets/",
        "/ui/../Cargo.toml",
        "/ui/assets/%00",
        "/ui/assets/%ff",
        "/ui/endpoints/%ff/x",
        "/ui/endpoints/a",
        "/ui/endpoints/a/b/c",
        "/api/v1/endpoints/%ff/x",
    ] {
        let answer = get(address, path).await;
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert!(!answer.text().contains("[package]") && !answer.text().contains("root:"), "{path}");
    }
}
