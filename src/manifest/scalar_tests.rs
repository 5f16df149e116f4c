use serde_json::json;

use super::*;

fn json_of(scalar: &Scalar) -> serde_json::Value {
    match scalar {
        Scalar::Null => serde_json::Value::Null,
        Scalar::Bool(value) => json!(value),
        Scalar::Number(number) => json!(number),
        Scalar::Text(text) => json!(text),
        Scalar::Merge => json!("<<"),
    }
}

#[test]
fn plain_scalars_are_read_as_kubectl_reads_them() {
    let table = [
        ("yes", json!(true)),
        ("On", json!(true)),
        ("n", json!(false)),
        ("oN", json!("oN")),
        ("~", json!(null)),
        ("", json!(null)),
        ("010", json!(8)),
        ("0o17", json!(15)),
        ("0x50", json!(80)),
        ("-0b11", json!(-3)),
        ("0b1_1", json!(3)),
        ("8_080", json!(8080)),
        ("80_", json!(80)),
        ("_80", json!("_80")),
        ("089", json!(89)),
        ("+80", json!(80)),
        ("80.0", json!(80)),
        ("80.", json!(80)),
        ("8e1", json!(80)),
        (".5e1", json!(5)),
        ("-0.0", json!(0)),
        ("1.5", json!(1.5)),
        ("1:20", json!("1:20")),
        ("0x1p2", json!("0x1p2")),
        ("0x", json!("0x")),
        ("-", json!("-")),
        ("--5", json!("--5")),
        ("1e", json!("1e")),
        ("infinity", json!("infinity")),
        ("2020-01-01", json!("2020-01-01")),
        ("9223372036854775808", json!(9_223_372_036_854_775_808_u64)),
    ];
    for (text, expected) in table {
        assert_eq!(json_of(&plain(text).unwrap()), expected, "{text}");
    }
    assert!(plain(".inf").is_err() && plain(".NaN").is_err());
}

#[test]
fn a_tag_decides_and_must_fit() {
    assert_eq!(json_of(&tagged("int", "80").unwrap()), json!(80));
    assert_eq!(json_of(&tagged("str", "80").unwrap()), json!("80"));
    assert_eq!(json_of(&tagged("float", "5").unwrap()), json!(5));
    assert_eq!(json_of(&tagged("timestamp", "2020-01-01").unwrap()), json!("2020-01-01"));
    for (tag, text) in [("int", "x"), ("bool", "foo"), ("null", "0")] {
        assert!(tagged(tag, text).is_err(), "{tag} {text}");
    }
}
