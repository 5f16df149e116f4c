use super::*;
use crate::cli::output::Screen;

fn record(own_metadata: Option<&str>, mirrored: bool) -> RecordView {
    let common = json!({
        "createdAt": "2026-11-23T07:00:00Z", "asOf": "2026-11-23T07:00:56Z", "expiresAt": "2026-11-23T07:01:56Z",
        "ttlSeconds": 60, "live": true,
    });
    let with = |more: Value| {
        let mut whole = common.clone();
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    let own = own_metadata.map(|metadata| {
        with(json!({
            "source": {"kind": "Agent", "id": "scout"}, "agentName": "Scout\u{1b}[31m",
            "addresses": [{"host": "fd00::1", "port": 8003}], "agentMetadata": metadata,
        }))
    });
    let said = mirrored.then(|| {
        with(json!({
            "source": {"kind": "Orchestrator", "id": "o"}, "agentName": "Declared", "status": "Failing",
            "endpoint": {"namespace": "team", "name": "scout", "uid": "u"}, "reason": "ConnectionRefused",
            "protocol": "http", "url": "https://scout.example", "capabilities": ["research", "write"],
            "metadata": {"team": "a", "tier": "gold"},
            "addresses": [{"host": "a", "port": 1, "status": "Failing"}, {"host": "b", "port": 2, "status": "Ready"}],
        }))
    });
    let contributions: Vec<Value> = own.into_iter().chain(said).collect();
    let record = json!({"agentID": "scout", "isAlive": false, "contributions": contributions});
    serde_json::from_value(record).unwrap()
}

fn times() -> Times {
    Times { now: "2026-11-23T07:01:00Z".parse().unwrap(), absolute: false }
}

#[test]
fn rows_name_address_age_and_sources_and_cannot_harm() {
    let records = [record(Some("{}"), true), record(None, true)];
    let screen = Screen { terminal: false, width: None, colours: false };
    let text =
        listing(&records, Format::Wide, &times()).unwrap().render(Format::Wide, &screen, document).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("AGENT ID  NAME"), "{text}");
    assert!(lines[1].contains("Scout\\u{1b}[31m"), "{text}");
    assert!(
        lines[1].contains("[fd00::1]:8003") && lines[1].contains("AgentEndpoint team/scout, self-registered")
    );
    assert!(lines[2].contains("b:2") && lines[2].contains(" 4s "), "the first ready address: {text}");
    assert!(
        lines[2].ends_with("Failing  ConnectionRefused  http      https://scout.example  research,write"),
        "{text}"
    );
}

#[test]
fn metadata_of_the_agent_then_declared_then_fields() {
    let both = record(Some(r#"{"tier": "silver", "status": "beta", "nested": {"x": [1, "two"]}}"#), true);
    for (filter, expected) in [
        ("tier=silver", true),
        ("tier=gold", false),
        ("team=a", true),
        ("status=beta", true),
        ("status=Failing", false),
        ("record.status=Failing", true),
        ("record.agent_id=scout", true),
        ("nested.x=two", true),
        ("reason=Connection*", true),
        ("capabilities=research", true),
        ("agent_id=sc*", true),
        ("is_alive=false", true),
        ("port=8003", true),
        ("host=fd00::1", true),
        ("protocol=http,url=https://*", true),
        ("endpoint=team/scout", true),
        ("self_registered=true", true),
        ("nothing=x", false),
    ] {
        let mut read = Filter::default();
        read.add(filter).unwrap();
        assert_eq!(matches(&read, &both), expected, "{filter}");
    }
    for broken in ["not json", "[1]", "null"] {
        let mut read = Filter::default();
        read.add("agent_id=scout").unwrap();
        assert!(matches(&read, &record(Some(broken), false)), "{broken}");
    }
}
