//! Objects made from the schema of the CRD: values at and around its bounds, deterministic by seed.

use serde_json::{Map, Value, json};

/// `SplitMix64`: small, seeded, and the same everywhere.
pub struct Random(u64);

impl Random {
    /// A generator that always gives the same numbers for the same seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let index = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from[index].clone()
    }
}

/// A spec made from `schema`. A wild one leaves the schema's bounds here and there; a tame one keeps them, and our rules.
pub fn spec(schema: &Value, random: &mut Random, wild: bool) -> Value {
    let mut spec = value(schema, "spec", random, wild);
    if !wild {
        tame(&mut spec, random);
    }
    spec
}

fn value(schema: &Value, name: &str, random: &mut Random, wild: bool) -> Value {
    if wild && random.one_in(90) {
        return random.pick(&[
            json!(null),
            json!(""),
            json!([]),
            json!({}),
            json!(-1),
            json!(1e300),
            json!(true),
            json!("\u{0}"),
        ]);
    }
    if let Some(words) = schema["enum"].as_array() {
        return random.pick(words);
    }
    if schema["x-kubernetes-int-or-string"] == true {
        return if random.one_in(2) {
            integer(schema, name, random, wild)
        } else {
            json!(text(schema, name, random, wild))
        };
    }
    match schema["type"].as_str() {
        Some("integer") => integer(schema, name, random, wild),
        Some("boolean") => json!(random.one_in(2)),
        Some("string") => json!(text(schema, name, random, wild)),
        Some("array") => array(schema, name, random, wild),
        _ => object(schema, name, random, wild),
    }
}

fn integer(schema: &Value, name: &str, random: &mut Random, wild: bool) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "bounds are whole numbers")]
    let bound = |key: &str| schema[key].as_f64().unwrap_or(0.0) as i64;
    let (low, high) = (bound("minimum"), bound("maximum"));
    let between = low + i64::try_from(random.below(u64::try_from(high - low).unwrap_or(0))).unwrap_or(0);
    let mut choices = vec![json!(low), json!(high), json!(low + 1), json!(high - 1), json!(between)];
    // 5.0 is 5 to the server, but not to its rules, which then say "expected int, got float64".
    if wild || !["periodSeconds", "timeoutSeconds"].contains(&name) {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        choices.push(json!(between as f64));
    }
    if wild && random.one_in(20) {
        choices = Vec::from([json!(low - 1), json!(high + 1)]);
    }
    random.pick(&choices)
}

fn array(schema: &Value, name: &str, random: &mut Random, wild: bool) -> Value {
    let (least, most) = (schema["minItems"].as_u64().unwrap_or(0), schema["maxItems"].as_u64().unwrap_or(1));
    let mut lengths = vec![least, least.max(1), least.max(2), most];
    if wild && random.one_in(10) {
        lengths.push(most + 1);
    }
    let length = random.pick(&lengths);
    let mut items: Vec<Value> = Vec::new();
    for _ in 0..length {
        let item = value(&schema["items"], name, random, wild);
        let keys = schema["x-kubernetes-list-map-keys"].as_array();
        let key = |item: &Value| match keys {
            Some(keys) => json!(
                keys.iter()
                    .map(|key| item[key.as_str().unwrap_or_default()].to_string().to_lowercase())
                    .collect::<Vec<_>>()
            ),
            None => item.as_f64().map_or_else(|| item.clone(), |number| json!(number)),
        };
        if (wild && random.one_in(10)) || items.iter().all(|other| key(other) != key(&item)) {
            items.push(item);
        }
    }
    json!(items)
}

fn object(schema: &Value, name: &str, random: &mut Random, wild: bool) -> Value {
    let mut fields = Map::new();
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
        let needed = required.iter().any(|name| name == field);
        if (needed && !(wild && random.one_in(60))) || (!needed && random.one_in(2)) {
            fields.insert(field.clone(), value(schema, field, random, wild));
        }
    }
    if schema["additionalProperties"].is_object() {
        let most = schema["maxProperties"].as_u64().unwrap_or(1);
        for index in 0..random.pick(&[0, 1, most, if wild { most + 1 } else { 2 }]) {
            let key = random.pick(&["team", "a.b/c", "k"]);
            fields
                .insert(format!("{key}{index}"), value(&schema["additionalProperties"], name, random, wild));
        }
    }
    Value::Object(fields)
}

/// Strings that are right for a field of this name, from its shortest to its longest; and some that are not.
fn text(schema: &Value, name: &str, random: &mut Random, wild: bool) -> String {
    let most = usize::try_from(schema["maxLength"].as_u64().unwrap_or(64)).unwrap_or(64);
    if wild && random.one_in(40) {
        return random.pick(&[
            String::new(),
            "x".repeat(most + 1),
            "ü".into(),
            " a".into(),
            "a\n".into(),
            "../a".into(),
            "A:b".into(),
            "%00".into(),
            "\u{202e}a".into(),
        ]);
    }
    let long = |unit: &str| unit.repeat(most / unit.len());
    let name_of = |length: usize| format!("{}a", "a.".repeat(length / 2))[..length | 1].to_owned();
    let choices: Vec<String> = match name {
        "host" => vec![
            "10.1.2.3".into(),
            "::1".into(),
            "2001:db8::1".into(),
            "a".into(),
            "research.example".into(),
            name_of(most),
            format!("{}.example", "l".repeat(63)),
        ],
        "serverName" => vec!["a".into(), "agent.example".into(), name_of(most)],
        "path" | "cardPath" => vec![
            "/".into(),
            "/health".into(),
            "/a?b=c".into(),
            "/%C3%BC".into(),
            format!("/{}", "p".repeat(most - 1)),
        ],
        "url" => vec![
            "https://a.example".into(),
            "http://[2001:db8::1]:80/".into(),
            format!("https://a.example/{}", "p".repeat(most - 18)),
        ],
        "header" => vec!["Authorization".into(), "api-key".into(), format!("X-{}", "h".repeat(most - 2))],
        "prefix" => vec![String::new(), "Bearer ".into(), long("p")],
        "service" => vec![String::new(), "grpc.health.v1.Health".into(), long("s")],
        "capabilities" => {
            vec!["web_search".into(), "a".into(), format!("urn:c/{}", random.below(1000)), long("c")]
        }
        "agentName" => {
            vec!["Research".into(), "Ünïcode Ägent №1".into(), "研究 — 助手".into(), long("n"), "n".into()]
        }
        "metadata" => vec![String::new(), "a".into(), " spaces ".into(), long("m"), "ü".repeat(most)],
        "agentID" => vec!["a".into(), "team-a.research".into(), "a~b_c".into(), long("i")],
        "className" => vec![String::new(), "blue".into(), long("c")],
        "minReady" => vec!["0%".into(), "1%".into(), "99%".into(), "100%".into()],
        "port" => vec!["http".into(), "a".into(), "8080a".into(), "grpc-web".into(), long("p")],
        "value" => vec!["v".into(), "a b".into(), "\"'\\".into(), long("v")],
        "key" => vec!["token".into(), "ca.crt".into(), ".a".into(), long("k")],
        // A header where a value stands beside it, else the name of an object.
        "name" if most == 64 => vec![
            "Accept".into(),
            "accept-language".into(),
            format!("X-Trace-{}", random.below(1000)),
            format!("X-{}", "h".repeat(most - 2)),
        ],
        _ => vec!["a".into(), "research-token".into(), long("n")],
    };
    random.pick(&choices)
}

/// Keeps what only our rules know: one union member, a timeout within the period, credentials over verified TLS.
fn tame(spec: &mut Value, random: &mut Random) {
    let Some(fields) = spec.as_object_mut() else {
        return;
    };
    let (unwanted, wanted) =
        if random.one_in(3) { ("targets", "serviceRef") } else { ("serviceRef", "targets") };
    if fields.contains_key(wanted) {
        fields.remove(unwanted);
    } else if !fields.contains_key(unwanted) {
        fields.insert("targets".into(), json!([{"host": "a.example", "port": 1}]));
    }
    let Some(probe) = fields.get_mut("probe").and_then(Value::as_object_mut) else {
        return;
    };
    let kept = random.pick(&["http", "tcp", "grpc", "a2a", "mcp"]);
    for protocol in ["http", "tcp", "grpc", "a2a", "mcp"] {
        if protocol != kept {
            probe.remove(protocol);
        }
    }
    if let (Some(period), Some(timeout)) = (
        probe.get("periodSeconds").and_then(Value::as_f64),
        probe.get("timeoutSeconds").and_then(Value::as_f64),
    ) && timeout > period
    {
        probe.insert("timeoutSeconds".into(), probe["periodSeconds"].clone());
    }
    if let Some(tls) = probe.get_mut("tls").and_then(Value::as_object_mut)
        && tls.get("verification") == Some(&json!("Skip"))
    {
        tls.remove("caRef");
    }
    let verified = probe.get("tls").is_some_and(|tls| tls["verification"] != "Skip");
    let same = probe.get("credentialsRef").is_some_and(|credentials| {
        let header = credentials["header"].as_str().unwrap_or_default();
        let headers = probe.get("http").and_then(|http| http["headers"].as_array());
        headers.is_some_and(|headers| {
            headers
                .iter()
                .any(|other| other["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(header)))
        })
    });
    if !verified || same || probe.contains_key("tcp") {
        probe.remove("credentialsRef");
    }
}
