//! The bad inputs of the rubric that the schema refuses.

use serde_json::{Value, json};

use crate::rules::{credentials, each, header, host, path, with};

/// One bad input: its id in the rubric, the spec, and the field that the refusal names.
pub type Bad = (&'static str, Value, &'static str);

/// Bad inputs that the schema refuses.
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn bad_inputs() -> Vec<Bad> {
    let mut table: Vec<Bad> = Vec::new();
    let mut add = |id: &'static str, path: &'static str, specs: Vec<Value>| {
        table.extend(specs.into_iter().map(|spec| (id, spec, path)));
    };
    let at_host = "spec.targets[0].host";
    add("X02", at_host, each(host, ["[::1]", "0:0:0:0:0:0:0:1", "::0001", "::127.0.0.1"]));
    add("X05", at_host, each(host, ["::ffff:169.254.169.254", "::ffff:a9fe:a9fe"]));
    add(
        "X07",
        at_host,
        each(host, ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "1.1", "127.0.0.1.", "a.0x1"]),
    );
    add("X08", at_host, each(host, ["fe80::1%eth0", "fe80::1%25eth0"]));
    add("X14", at_host, each(host, ["LOCALHOST."]));
    add(
        "X16",
        at_host,
        each(
            host,
            [
                "user:pw@a.example",
                "a.example/x",
                "a.example?x",
                "a.example#x",
                "a\\b",
                "a.example:8080",
                "[a",
                ".a",
                "a.",
                "-a",
                "a-",
                "a..b",
                " a",
                "a ",
                "http://a",
            ],
        ),
    );
    add(
        "X22",
        at_host,
        each(
            host,
            [
                String::new(),
                format!("{}a", "a.".repeat(127)) + "b.c",
                "l".repeat(64),
                format!("{}.example", "l".repeat(64)),
                "a..b".into(),
                "_x.y".into(),
                "Example".into(),
                "a.example.".into(),
            ],
        ),
    );
    add(
        "X23",
        at_host,
        each(
            host,
            [
                "bücher.example",
                "аgent.example",
                "a\u{200b}b.example",
                "a\u{202e}b",
                "xn--a",
                "xn--.example",
                "xn--a.example",
            ],
        ),
    );

    let unsafe_text = ["\r", "\n", "\0", "\t", " ", "ü", "\u{7f}"];
    let inside = |text: &str| format!("a{text}b");
    add("X15", "spec.probe.http.path", each(|text| path(format!("/{}", inside(text))), unsafe_text));
    add(
        "X15",
        "spec.probe.tls.serverName",
        each(|text| with("/probe/tls/serverName", inside(text)), unsafe_text),
    );
    add(
        "X15",
        "spec.probe.grpc.service",
        each(|text| with("/probe/grpc/service", inside(text)), unsafe_text),
    );
    let value = |text: &str| with("/probe/http/headers", json!([{"name": "X-A", "value": text}]));
    add(
        "X15",
        "spec.probe.http.headers[0].value",
        each(|text: &str| value(&inside(text)), ["\r", "\n", "\0", "\t", "ü", "\u{7f}"]),
    );
    add("X15", "spec.probe.http.headers[0].value", each(value, [" a", "a ", ""]));
    add(
        "X15",
        "spec.probe.credentialsRef.prefix",
        each(|text: &str| credentials("/probe/credentialsRef/prefix", inside(text)), ["\r", "\n", "\0", "ü"]),
    );
    add(
        "X15",
        "spec.registration.agentName",
        each(
            |text: &str| with("/registration/agentName", inside(text)),
            ["\n", "\u{202e}", "\u{200b}", "\0"],
        ),
    );

    add(
        "X18",
        "spec.probe.http.path",
        each(path, ["health", "//evil.example/", "http://evil/", "/../../x", "/%2e%2e/", "/%00", ""]),
    );
    add("X18", "spec.probe.http.path", vec![path(format!("/{}", "a".repeat(8191)))]);
    add(
        "X19",
        "spec.probe.http.headers[0].name",
        each(header, ["Authorization", "Cookie", "Metadata-Flavor", "Host", "X-Forwarded-Host", ""]),
    );
    add(
        "X19",
        "spec.probe.http.method",
        each(|method: &str| with("/probe/http/method", method), ["DELETE", "POST", "get", ""]),
    );

    let at_port = "spec.targets[0].port";
    add(
        "X21",
        at_port,
        each(
            |port: Value| with("/targets/0/port", port),
            [json!(0), json!(65536), json!(-1), json!("80"), json!(80.5), json!("1e3"), Value::Null],
        ),
    );
    add("X21", at_port, vec![json!({"targets": [{"host": "agent.example"}]})]);
    let port = |port: Value| json!({"serviceRef": {"name": "a", "port": port}});
    add(
        "X21",
        "spec.serviceRef.port",
        each(
            port,
            [
                json!(0),
                json!(65536),
                json!("80"),
                json!("http_"),
                json!("a--b"),
                json!("-a"),
                json!("a2345678901234567"),
                json!(1.5),
                json!(true),
            ],
        ),
    );
    add("X21", "spec.targets", vec![json!({"targets": []})]);
    let many = |count: i32| json!({"targets": (1..=count).map(|port| json!({"host": "a.example", "port": port})).collect::<Vec<_>>()});
    add("A06", "spec.targets", vec![many(33)]);
    add(
        "A11",
        "spec.targets[1]",
        vec![json!({"targets": [{"host": "a.example", "port": 1}, {"host": "a.example", "port": 1}]})],
    );

    let probe = |field: &'static str| move |value: Value| with(&format!("/probe/{field}"), value);
    let beyond = || {
        vec![
            json!(0),
            json!(-1),
            json!(2_147_483_648_i64),
            json!(9_223_372_036_854_775_808_u64),
            json!("5s"),
            json!(1.5),
        ]
    };
    add("X24", "spec.probe.periodSeconds", each(probe("periodSeconds"), beyond()));
    add("X24", "spec.probe.timeoutSeconds", each(probe("timeoutSeconds"), beyond()));
    add(
        "X24",
        "spec.probe.timeoutSeconds",
        vec![with("/probe", json!({"periodSeconds": 1, "timeoutSeconds": 2}))],
    );
    add(
        "X24",
        "spec.probe.latencyThresholdMilliseconds",
        each(probe("latencyThresholdMilliseconds"), beyond()),
    );
    for (field, at) in [
        ("failureThreshold", "spec.probe.failureThreshold"),
        ("successThreshold", "spec.probe.successThreshold"),
    ] {
        add("X24", at, each(probe(field), [json!(0), json!(11), json!(1_000_000)]));
    }
    add(
        "X24",
        "spec.registration.ttlSeconds",
        each(
            |ttl: Value| with("/registration/ttlSeconds", ttl),
            [json!(14), json!(3601), json!("60"), json!(0.5)],
        ),
    );
    add(
        "A06",
        "spec.minReady",
        each(
            |value: Value| with("/minReady", value),
            [json!(33), json!(-1), json!("101%"), json!("1"), json!("007%"), json!("-1%"), json!(1.5)],
        ),
    );

    add(
        "X25",
        "spec.probe.onAuthenticationRequired",
        vec![with("/probe/onAuthenticationRequired", "Ignore")],
    );
    add("X25", "spec.registration.policy", vec![with("/registration/policy", "Copy")]);
    add("X25", "spec.probe", vec![with("/probe", json!({"http": {}, "mcp": {}}))]);
    add("X25", "spec", vec![json!({}), Value::Null]);

    let names = || ["../x", "a/b", "Upper", "", "a_b", ".a", "a..b", "-a"];
    add(
        "X27",
        "spec.probe.credentialsRef.name",
        each(|name: &str| credentials("/probe/credentialsRef/name", name), names()),
    );
    add("X27", "spec.probe.tls.caRef.name", each(|name: &str| with("/probe/tls/caRef/name", name), names()));
    add(
        "X27",
        "spec.probe.tls.clientCertificateRef.name",
        each(|name: &str| with("/probe/tls/clientCertificateRef/name", name), names()),
    );
    add(
        "X27",
        "spec.serviceRef.name",
        each(
            |name: &str| json!({"serviceRef": {"name": name, "port": 80}}),
            ["../x", "a/b", "Upper", "", "a.b", "1a", "a-"],
        ),
    );
    add(
        "X27",
        "spec.probe.credentialsRef.key",
        each(
            |key: &str| credentials("/probe/credentialsRef/key", key),
            ["../x", "a/b", ".", "..", "..a", ""],
        ),
    );
    add(
        "X27",
        "spec.probe.tls.caRef.kind",
        vec![with("/probe/tls/caRef", json!({"kind": "Pod", "name": "a"}))],
    );
    add(
        "A06",
        "spec.className",
        each(|class: String| with("/className", class), ["A".into(), "a.b".into(), "c".repeat(64)]),
    );
    add("A06", "spec.agentID", vec![with("/agentID", "i".repeat(254)), with("/agentID", "")]);
    table
}

/// Fields that do not exist: the way to another namespace, to a body, to another host.
pub fn unknown_fields() -> Vec<Value> {
    vec![
        with("/hots", json!([])),
        with("/probe/http/body", "x"),
        with("/probe/http/host", "evil.example"),
        with("/probe/tcp/port", 1),
        with("/probe/tls/caRef", json!({"name": "a", "namespace": "other"})),
        credentials("/probe/credentialsRef/namespace", "other"),
    ]
}
