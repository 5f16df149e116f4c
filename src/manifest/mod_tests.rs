use super::*;

const GOOD: &str = "apiVersion: agents.configurable.dev/v1alpha1\nkind: AgentEndpoint\nmetadata: {name: a}\nspec:\n  targets:\n  - {host: 10.0.0.1, port: 80}\n";

fn problems(text: &str) -> Vec<String> {
    read(text.as_bytes()).problems.iter().map(ToString::to_string).collect()
}

#[test]
fn every_keyword_and_rule_of_the_shipped_crd_is_checked() {
    let schema = SCHEMA.as_ref().unwrap();
    assert!(schema.fields["spec"].fields.len() > 5);
    let text = format!("{GOOD}  probe: {{}}\n");
    let manifest = read(text.as_bytes());
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    assert_eq!(manifest.endpoints[0].id.to_string(), "default/a");
}

#[test]
fn all_problems_of_a_document_are_found_at_once_and_name_their_places() {
    let text = format!(
        "# c\n---\n{}",
        GOOD.replace("port: 80", "port: 80000, hots: x")
            + "  probe:\n    httpp: {path: /}\n    periodSeconds: '5'\n  suspend: maybe\nstatus: {foo: 1}\n"
    );
    let found = problems(&text);
    let expected = [
        "8:28: spec.targets[0].port: 80000 is not 1 to 65535",
        "8:35: spec.targets[0].hots: unknown field (did you mean `host`?)",
        "10:5: spec.probe.httpp: unknown field (did you mean `http`?)",
        "11:20: spec.probe.periodSeconds: must be a whole number, not the text \"5\"",
        "12:12: spec.suspend: must be true or false, not the text \"maybe\"",
        "13:10: status.foo: unknown field",
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_key_that_stands_there_twice_is_a_warning_as_for_kubectl() {
    let manifest = read((GOOD.to_owned() + "  suspend: true\n  suspend: false\n").as_bytes());
    assert!(manifest.problems.is_empty() && !manifest.endpoints[0].object.spec.suspend);
    assert!(manifest.warnings[0].to_string().starts_with("8:3: `suspend` stands here and in line 7"));
}

#[test]
fn one_document_hides_no_other_and_other_kinds_are_counted() {
    let bad = GOOD.replace("name: a", "name: b").replace("10.0.0.1", "'127.1'");
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n";
    let manifest = read(format!("x: [1,\n---\n{service}---\n{bad}---\n{GOOD}---\n{GOOD}").as_bytes());
    let names: Vec<_> = manifest.endpoints.iter().map(|endpoint| endpoint.id.name.as_str()).collect();
    assert_eq!((names, manifest.others, manifest.problems.len()), (vec!["a", "a"], 1, 2));
    assert!(manifest.problems[1].field == "spec.targets[0].host", "{:?}", manifest.problems);
    assert!(manifest.warnings[0].message.contains("default/a is already declared in line"));
}

#[test]
fn aliases_are_written_out_within_bounds() {
    let laughs = (0..8).fold("x:\n- &a [x, x, x, x, x, x, x, x, x]\n".to_owned(), |text, level| {
        let (name, of) = (char::from(b'b' + level), char::from(b'a' + level));
        text + &format!("- &{name} [{}]\n", vec![format!("*{of}"); 9].join(", "))
    });
    let found = problems(&(laughs + GOOD));
    assert!(found.len() == 1 && found[0].contains("too many values"), "{found:?}");
    let own = GOOD.replace("metadata: {name: a}", "metadata: &m {name: a, annotations: *m}");
    assert!(problems(&own)[0].contains("inside of what it stands for"));
}

/// Lists inside of each other, each with an anchor of its own that is called by its level.
fn nested(levels: usize, inner: &str) -> String {
    let open: Vec<String> = (0..levels).map(|level| format!("&n{level} [")).collect();
    format!("x: {}{inner}{}\n", open.concat(), "]".repeat(levels))
}

#[test]
fn anchors_inside_of_anchors_are_kept_within_bounds() {
    let wide = nested(90, &"1,".repeat(200_000));
    let found = problems(&wide);
    assert!(found.len() == 1 && found[0].contains("too much in its anchors"), "{found:?}");
    let long = nested(90, &"a".repeat(1_000_000));
    let found = problems(&long);
    assert!(found.len() == 1 && found[0].contains("too much in its anchors"), "{found:?}");
    assert!(problems(&nested(90, "1").replace("x:", "kind: List\napiVersion: v1\nitems: []\nx:")).is_empty());
}

#[test]
fn aliases_of_a_long_text_are_written_out_within_bounds() {
    let text = format!("a: &a {}\nb: [{}]\n", "a".repeat(1_000_000), "*a,".repeat(500));
    let found = problems(&text);
    assert!(found.len() == 1 && found[0].contains("more than 16 MiB of text"), "{found:?}");
}

#[test]
fn aliases_make_no_tree_that_is_deeper_than_a_text_may_be() {
    let chain = |links: usize| {
        let (open, close) = ("[".repeat(50), "]".repeat(50));
        let link = |link: usize| format!("x{link}: &x{link} {open}*x{}{close}\n", link - 1);
        let lines: Vec<String> = (1..=links).map(link).collect();
        problems(&format!("apiVersion: v1\nkind: ConfigMap\nx0: &x0 [1]\n{}", lines.concat()))
    };
    assert_eq!(chain(3), Vec::<String>::new());
    let found = chain(2000);
    assert!(found.len() == 1 && found[0].contains("deeper than 200 levels"), "{found:?}");
}

#[test]
fn an_edit_is_refused_where_the_api_server_refuses_it() {
    let object = |more: &str| read(format!("{GOOD}{more}").as_bytes()).endpoints.remove(0).object;
    let refused = |before: &str, now: &str| {
        let problems = edit_problems(&object(before), &object(now), Position::START);
        problems.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(refused("", "  suspend: true\n"), Vec::<String>::new());
    let (one, other) = ("  agentID: default.x\n", "  agentID: default.y\n");
    assert_eq!(refused(one, &format!("{one}  suspend: true\n")), Vec::<String>::new());
    for (before, now) in [(one, other), ("", one), (one, "")] {
        let found = refused(before, now);
        assert!(found.len() == 1 && found[0].contains("1:1: spec.agentID: field is immutable"), "{found:?}");
    }
}

#[test]
fn every_rule_about_a_change_stands_where_it_is_found() {
    fn reached(schema: &Schema) -> usize {
        let own = schema.rules.iter().filter(|rule| rule.transition).count();
        own + schema.fields.values().map(reached).sum::<usize>()
    }
    let crd = serde_json::to_value(crate::api::schema::crd()).unwrap();
    let rules = crd.to_string().matches("\"rule\":").count();
    let about_changes = crd.to_string().split("\"rule\":").filter(|rule| rule.contains("oldSelf")).count();
    assert!(rules > about_changes && about_changes > 0);
    assert_eq!(reached(&SCHEMA.as_ref().unwrap().fields["spec"]), about_changes);
}

#[test]
fn a_file_is_blank_when_nobody_wrote_anything_into_it() {
    for text in ["", "\n \n", "---\n---\n\n"] {
        assert!(read(text.as_bytes()).blank, "{text:?}");
    }
    for text in ["# nothing any more\n", GOOD, "kind: List\n"] {
        assert!(!read(text.as_bytes()).blank, "{text:?}");
    }
}

#[test]
fn secrets_and_config_maps_are_kept_and_what_is_wrong_with_one_is_told_without_its_value() {
    let text = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: ns, labels: {l: v}}\n\
                data: {token: Q0FOQVJZ}\nstringData: {plain: CANARY}\n---\n\
                apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\ndata: {ca.crt: CANARY}\n---\n\
                apiVersion: v1\nkind: Secret\nmetadata: {name: c}\nstringData: {token: 424242}\n---\n\
                apiVersion: v1\nkind: Secret\nmetadata: {name: d}\ndata: [CANARY]\n";
    let manifest = read(text.as_bytes());
    let names: Vec<String> = manifest
        .data
        .iter()
        .map(|object| format!("{}/{}", object.reference.namespace, object.reference))
        .collect();
    assert_eq!(names, ["ns/Secret a", "default/ConfigMap b", "default/Secret c", "default/Secret d"]);
    assert_eq!(manifest.data[0].encoded["token"].1, "Q0FOQVJZ");
    assert_eq!(manifest.data[0].labels["l"], "v");
    assert_eq!(manifest.data[1].plain["ca.crt"], "CANARY");
    let problems: Vec<String> = manifest.problems.iter().map(ToString::to_string).collect();
    assert_eq!(problems, ["15:21: stringData.token: must be text", "20:7: data: must be a map"]);
    let shown = format!("{manifest:?}");
    for value in ["CANARY", "Q0FOQVJZ", "424242"] {
        assert!(!shown.contains(value), "{value}");
    }
}
