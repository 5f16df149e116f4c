//! Our own rules, each with objects on both sides of it.

use serde_json::{Value, json};

/// The least spec that is accepted.
pub fn least() -> Value {
    json!({"targets": [{"host": "agent.example", "port": 8001}]})
}

/// [`least`] with `value` at a JSON pointer; objects on the way are made.
pub fn with(pointer: &str, value: impl Into<Value>) -> Value {
    edited(least(), pointer, value)
}

/// `spec` with `value` at a JSON pointer.
pub fn edited(mut spec: Value, pointer: &str, value: impl Into<Value>) -> Value {
    let mut place = &mut spec;
    for step in pointer.split('/').skip(1) {
        place = match step.parse::<usize>() {
            Ok(index) => &mut place[index],
            Err(_) => &mut place[step],
        };
    }
    *place = value.into();
    spec
}

/// [`least`] with this host.
pub fn host(host: impl Into<Value>) -> Value {
    with("/targets/0/host", host)
}

/// [`least`] with this path of an HTTP probe.
pub fn path(path: impl Into<Value>) -> Value {
    with("/probe/http/path", path)
}

/// [`least`] with a header of this name.
pub fn header(name: &str) -> Value {
    with("/probe/http/headers", json!([{"name": name, "value": "v"}]))
}

/// [`least`] with credentials over TLS, edited.
pub fn credentials(edit: &str, value: impl Into<Value>) -> Value {
    let spec = with("/probe", json!({"tls": {}, "credentialsRef": {"name": "token"}}));
    edited(spec, edit, value)
}

/// One spec for each value.
pub fn each<T: Into<Value>>(make: impl Fn(T) -> Value, values: impl IntoIterator<Item = T>) -> Vec<Value> {
    values.into_iter().map(make).collect()
}

/// One rule of the schema: where it reports, what it says, and objects on both sides of it.
pub struct Rule {
    /// The field path of the error.
    pub path: &'static str,
    /// The whole message.
    pub message: &'static str,
    /// Refused by this rule.
    pub refused: Vec<Value>,
    /// Accepted by all rules.
    pub accepted: Vec<Value>,
}

const NAME: &str = "must be a lower-case DNS name whose last label begins with a letter";
const HOST: &str = "must be a lower-case DNS name whose last label begins with a letter, or an IP address in canonical form without brackets or zone";
const PATH_FORM: &str = "must begin with `/`, not with `//`, and have only characters of a URL path and query: no space, no fragment, anything else as %XX";
const PATH_DOTS: &str = "must not have a `.` or `..` segment, also not as `%2e`";
const PATH_CONTROL: &str = "must not have an encoded control character such as `%00`";
const HEADER: &str = "must be `Accept`, `Accept-Language`, or `X-` followed by letters, digits and `-`";
const CREDENTIAL_HEADER: &str =
    "must be `Authorization`, `Api-Key`, or `X-` followed by letters, digits and `-`";
const TRUSTED: &str = "must not be a header that proxies or metadata services act upon: X-Forwarded-*, X-Real-Ip, X-Client-Ip, X-Cluster-Client-Ip, X-Remote-*, X-Original-*, X-Rewrite-*, X-Http-Method*, X-Method-Override, X-Envoy-*, X-Google-*, X-Aws-*, X-Amz-*, X-Aliyun-*, X-Vault-*";

const TRUSTED_HEADERS: [&str; 10] = [
    "X-Forwarded-For",
    "x-forwarded-host",
    "X-Real-Ip",
    "X-REAL-IP",
    "X-Google-Metadata-Request",
    "X-Aws-Ec2-Metadata-Token",
    "X-Amz-Security-Token",
    "X-Remote-User",
    "X-HTTP-Method-Override",
    "X-Original-URL",
];

/// All rules but the one about `agentID` over time, which has a test of its own.
#[expect(clippy::too_many_lines, reason = "a table")]
pub fn rules() -> Vec<Rule> {
    let paths = [
        ("spec.probe.http.path", "/probe/http/path"),
        ("spec.probe.a2a.cardPath", "/probe/a2a/cardPath"),
        ("spec.probe.mcp.path", "/probe/mcp/path"),
    ];
    let mut rules = vec![
        Rule {
            path: "spec",
            message: "must specify exactly one of: `targets`, `serviceRef`",
            refused: vec![json!({}), with("/serviceRef", json!({"name": "a", "port": 80}))],
            accepted: vec![
                least(),
                json!({"serviceRef": {"name": "a", "port": "http"}}),
                json!({"serviceRef": {"name": "a", "port": 80, "expand": "Endpoints"}}),
            ],
        },
        Rule {
            path: "spec.targets[0].host",
            message: HOST,
            refused: each(
                host,
                [
                    "127.1",
                    "::ffff:1.2.3.4",
                    "A.example",
                    "a.example.",
                    "a.0x1",
                    "xn--a",
                    "2001:DB8::1",
                    "2001:db8:0::1",
                ],
            ),
            accepted: each(
                host,
                [
                    "10.1.2.3",
                    "::1",
                    "fe80::1",
                    "2001:db8::1",
                    "research",
                    "a-b.example",
                    "1a.example",
                    "xn--bcher-kva.example",
                    "xn--p1ai",
                ],
            ),
        },
        Rule {
            path: "spec.probe",
            message: "must specify at most one of: `http`, `tcp`, `grpc`, `a2a`, `mcp`",
            refused: vec![
                with("/probe", json!({"http": {}, "tcp": {}})),
                with("/probe", json!({"grpc": {}, "a2a": {}, "mcp": {}})),
            ],
            accepted: each(
                |probe| with("/probe", probe),
                [
                    json!({}),
                    json!({"http": {}}),
                    json!({"tcp": {}}),
                    json!({"grpc": {}}),
                    json!({"a2a": {}}),
                    json!({"mcp": {}}),
                ],
            ),
        },
        Rule {
            path: "spec.probe.timeoutSeconds",
            message: "must be less than or equal to `periodSeconds`",
            refused: vec![with("/probe", json!({"periodSeconds": 2, "timeoutSeconds": 3}))],
            accepted: each(
                |probe| with("/probe", probe),
                [
                    json!({"periodSeconds": 2}),
                    json!({"timeoutSeconds": 3600}),
                    json!({"periodSeconds": 3, "timeoutSeconds": 3}),
                ],
            ),
        },
        Rule {
            path: "spec.probe.credentialsRef",
            message: "may only be set when `tls` is set and its `verification` is not `Skip`",
            refused: vec![
                with("/probe/credentialsRef", json!({"name": "token"})),
                credentials("/probe/tls/verification", "Skip"),
            ],
            accepted: vec![
                credentials("/probe/tls", json!({})),
                credentials("/probe/tls/verification", "Full"),
            ],
        },
        Rule {
            path: "spec.probe.credentialsRef",
            message: "may not be set when `tcp` is set",
            refused: vec![credentials("/probe/tcp", json!({}))],
            accepted: vec![credentials("/probe/grpc", json!({})), credentials("/probe/mcp", json!({}))],
        },
        Rule {
            path: "spec.probe.http.headers",
            message: "must not name the header that `credentialsRef` sends",
            refused: vec![edited(
                credentials("/probe/credentialsRef/header", "X-Api-Key"),
                "/probe/http/headers",
                json!([{"name": "x-api-key", "value": "v"}]),
            )],
            accepted: vec![edited(
                credentials("/probe/credentialsRef/header", "X-Api-Key"),
                "/probe/http/headers",
                json!([{"name": "X-Team", "value": "v"}]),
            )],
        },
        Rule {
            path: "spec.probe.http.headers",
            message: "must not name a header twice; upper and lower case are the same name",
            refused: vec![with(
                "/probe/http/headers",
                json!([{"name": "X-Team", "value": "a"}, {"name": "x-team", "value": "b"}]),
            )],
            accepted: vec![with(
                "/probe/http/headers",
                json!([{"name": "X-Team", "value": "a"}, {"name": "X-Unit", "value": "a"}]),
            )],
        },
        Rule {
            path: "spec.probe.http.headers[0].name",
            message: HEADER,
            refused: each(
                header,
                [
                    "Authorization",
                    "Host",
                    "Cookie",
                    "Metadata-Flavor",
                    "X-",
                    "X-a_b",
                    "X a",
                    "Content-Length",
                ],
            ),
            accepted: each(
                header,
                ["Accept", "accept-language", "X-Team", "x-goog-user-project", "X-B3-TraceId"],
            ),
        },
        Rule {
            path: "spec.probe.http.headers[0].name",
            message: TRUSTED,
            refused: each(header, TRUSTED_HEADERS),
            accepted: each(header, ["X-Forward", "X-Realm", "X-Amazing"]),
        },
        Rule {
            path: "spec.probe.credentialsRef.header",
            message: CREDENTIAL_HEADER,
            refused: each(
                |name: &str| credentials("/probe/credentialsRef/header", name),
                ["Host", "Cookie", "Metadata-Flavor", "Proxy-Authorization", "X-a:b", "Transfer-Encoding"],
            ),
            accepted: each(
                |name: &str| credentials("/probe/credentialsRef/header", name),
                ["Authorization", "authorization", "Api-Key", "X-Api-Key", "x-goog-api-key"],
            ),
        },
        Rule {
            path: "spec.probe.credentialsRef.header",
            message: TRUSTED,
            refused: each(|name: &str| credentials("/probe/credentialsRef/header", name), TRUSTED_HEADERS),
            accepted: vec![credentials("/probe/credentialsRef/header", "X-Token")],
        },
        Rule {
            path: "spec.probe.tls.caRef",
            message: "may not be set when `verification` is `Skip`",
            refused: vec![with("/probe/tls", json!({"verification": "Skip", "caRef": {"name": "ca"}}))],
            accepted: each(
                |tls| with("/probe/tls", tls),
                [
                    json!({"verification": "Skip"}),
                    json!({"caRef": {"name": "ca"}}),
                    json!({"verification": "Full", "caRef": {"kind": "Secret", "name": "ca", "key": "ca.pem"}}),
                ],
            ),
        },
        Rule {
            path: "spec.probe.tls.serverName",
            message: NAME,
            refused: each(
                |name: &str| with("/probe/tls/serverName", name),
                ["10.1.2.3", "::1", "A.example", "a..b", "*.example"],
            ),
            accepted: each(|name: &str| with("/probe/tls/serverName", name), ["agent.example", "agent"]),
        },
        Rule {
            path: "spec.registration.url",
            message: "must be an absolute http or https URL without user name, password or fragment",
            refused: each(
                |url: &str| with("/registration/url", url),
                [
                    "ftp://a.example",
                    "//a.example",
                    "/a",
                    "https://u:p@a.example/",
                    "https://a.example/#x",
                    "https://a.example:99999/",
                    "https://a.example:0/",
                    "https:///x",
                    "javascript:alert(1)",
                    "https://a.example/a b",
                    "https://",
                ],
            ),
            accepted: each(
                |url: &str| with("/registration/url", url),
                [
                    "https://agents.example/research",
                    "http://10.1.2.3:8001",
                    "https://[2001:db8::1]:8443/a?b=c%20d",
                    "HTTPS://a.example".to_lowercase().as_str(),
                    "http://a.example:65535",
                ],
            ),
        },
        Rule {
            path: "spec.registration.metadata",
            message: "must have keys of at most 63 letters, digits, `-`, `_`, `.` and `/` that begin and end with a letter or digit",
            refused: each(
                |key: String| with("/registration/metadata", json!({key: "v"})),
                [String::new(), "-a".into(), "a b".into(), "ü".into(), "k".repeat(64)],
            ),
            accepted: each(
                |key: String| with("/registration/metadata", json!({key: "v"})),
                ["team".into(), "app.kubernetes.io/name".into(), "k".repeat(63)],
            ),
        },
        Rule {
            path: "spec.agentID",
            message: "must have only letters, digits, `.`, `_`, `~` and `-`, and begin and end with a letter or digit",
            refused: each(|id: &str| with("/agentID", id), ["a/b", "a b", "..", ".", "a:b", "ü", "-a", "a."]),
            accepted: each(
                |id: String| with("/agentID", id),
                ["team-a.research".into(), "A_b~c.d".into(), "a".into(), "i".repeat(253)],
            ),
        },
    ];
    for (field, pointer) in paths {
        let at = |path: &str| with(pointer, path);
        let good = each(
            at,
            [
                "/",
                "/health",
                "/a//b",
                "/a?b=c/../d",
                "/a%20b",
                "/.well-known/agent.json",
                "/...",
                "/a..b/c",
                "/~u/(x)'!$&*+,;=:@",
            ],
        );
        rules.push(Rule {
            path: field,
            message: PATH_FORM,
            refused: each(
                at,
                ["health", "//evil.example/", "http://evil/", "/a b", "/a#b", "/ü", "/a%2", "/a\\b", "*"],
            ),
            accepted: good,
        });
        rules.push(Rule {
            path: field,
            message: PATH_DOTS,
            refused: each(
                at,
                ["/../x", "/a/..", "/./", "/%2e%2E/", "/a/.%2e?b", "/a%2f..%2fb", "/a%5C..", "/..?x"],
            ),
            accepted: vec![],
        });
        rules.push(Rule {
            path: field,
            message: PATH_CONTROL,
            refused: each(at, ["/%00", "/a%0d%0Ab", "/%7f", "/?a=%1F"]),
            accepted: vec![],
        });
    }
    rules
}
