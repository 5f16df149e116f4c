use serde_json::{Map, Value, json};

use super::*;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("not an object: {other}"),
    }
}

fn matches(filter: &str, metadata: Value) -> bool {
    let mut read = Filter::default();
    read.add(filter).unwrap();
    read.matches(&[&object(metadata)])
}

#[test]
fn values_compare_as_in_the_original() {
    let metadata = json!({
        "capability": "research", "model": "gpt-4o", "gpu": true, "seats": 4, "ratio": 0.5, "none": null,
        "capabilities": ["llm", "vision", 3], "nested": {"llm": {"size": "large"}}, "star": "a*b",
        "dotted.key": "yes",
    });
    for (filter, expected) in [
        (r#"{"capability": "research"}"#, true),
        (r#"{"capability": "Research"}"#, false),
        (r#"{"capability": "research", "model": "claude-*"}"#, false),
        (r#"{"capability": "research", "model": "gpt-*"}"#, true),
        (r#"{"model": "*4o"}"#, true),
        (r#"{"model": "*"}"#, true),
        (r#"{"model": "gpt-?o"}"#, false), // a question mark alone is itself
        (r#"{"model": "gpt-?o*"}"#, true),
        (r#"{"model": "gpt-[0-9]*"}"#, true),
        (r#"{"model": "gpt-[!0-9]*"}"#, false),
        (r#"{"model": "[*"}"#, false),
        (r#"{"star": "a*b"}"#, true),
        (r#"{"model": ["gpt-4o", "other"]}"#, true),
        (r#"{"model": ["gpt-*"]}"#, false), // in a list a text is itself
        (r#"{"capabilities": "vision"}"#, true),
        (r#"{"capabilities": "vis*"}"#, false),
        (r#"{"capabilities": ["audio", "llm"]}"#, true),
        (r#"{"capabilities": ["audio"]}"#, false),
        (r#"{"capabilities": 3}"#, false),
        (r#"{"nested.llm.size": "l*"}"#, true),
        (r#"{"nested.llm": {"size": "large"}}"#, true),
        (r#"{"nested.llm.size.more": "large"}"#, false),
        (r#"{"dotted.key": "yes"}"#, true),
        (r#"{"gpu": true}"#, true),
        (r#"{"gpu": 1}"#, true),
        (r#"{"gpu": "true"}"#, false),
        (r#"{"seats": 4.0}"#, true),
        (r#"{"seats": "4"}"#, false),
        (r#"{"ratio": 0.5}"#, true),
        (r#"{"none": null}"#, true),
        (r#"{"missing": null}"#, true),
        (r#"{"missing": "*"}"#, false),
        ("{}", true),
        ("", true),
    ] {
        assert_eq!(matches(filter, metadata.clone()), expected, "{filter}");
    }
}

#[test]
fn pairs_are_texts_and_numbers_and_truth_values_alike() {
    let metadata =
        json!({"capability": "research", "model": "gpt-4o", "gpu": true, "seats": 4, "port": "80"});
    for (filter, expected) in [
        ("capability=research,model=gpt-*", true),
        (" capability = research , model=gpt-4o,", true),
        ("capability=research,model=claude", false),
        ("gpu=true", true),
        ("gpu=false", false),
        ("seats=4", true),
        ("port=80", true),
        ("missing=null", true),
    ] {
        assert_eq!(matches(filter, metadata.clone()), expected, "{filter}");
    }
    let mut filter = Filter::default();
    filter.add_pair("name=a, b").unwrap();
    assert!(filter.matches(&[&object(json!({"name": "a, b"}))]));
}

#[test]
fn the_first_object_that_has_a_key_decides() {
    let (first, second) = (object(json!({"a": 1})), object(json!({"a": 2, "b": 3})));
    let mut filter = Filter::default();
    filter.add("a=1,b=3").unwrap();
    assert!(filter.matches(&[&first, &second]));
    assert!(!filter.matches(&[&second, &first]));
}

#[test]
fn what_cannot_be_read_names_the_key() {
    let error = |text: &str| Filter::default().add(text).unwrap_err().to_string();
    assert_eq!(error(r#"{"capability":}"#), r#"`capability` has no value: {"capability":}"#);
    assert_eq!(error("capability"), "`capability` has no value: capability");
    assert_eq!(error("a=b,c="), "`c` has no value: c=");
    assert!(error("=b").contains("without a key"));
    assert!(error(r#"{"a": 1"#).contains("EOF"));
    assert!(error(&"x".repeat(MAX_TEXT + 1)).contains("longer"));
    assert!(error(&"a=b,".repeat(MAX_CONDITIONS + 1)).contains("more than 64"));
}

#[test]
fn a_pattern_full_of_stars_costs_no_more_than_pattern_times_text() {
    // Backtracking over every star would take longer than the universe has.
    let text = "a".repeat(10_000);
    let pattern = format!("{}b", "*a".repeat(64));
    assert!(!Glob::new(&pattern).matches(&text));
    assert!(Glob::new(&"*a".repeat(64)).matches(&text));
}
