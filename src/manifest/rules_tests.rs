use serde_json::json;

use super::*;

fn holds(rule: &str, value: &Json) -> Result<bool, String> {
    Rule::compile(&json!({"rule": rule}))?.holds(value, None)
}

#[test]
fn the_functions_that_kubernetes_adds_are_there() {
    let table = [
        ("isIP(self)", "10.1.2.3", true),
        ("isIP(self)", "::ffff:10.1.2.3", false),
        ("isIP(self)", "fe80::1%eth0", false),
        ("isIP(self)", "a", false),
        ("ip.isCanonical(self)", "2001:db8::1", true),
        ("ip.isCanonical(self)", "2001:DB8::1", false),
        ("ip.isCanonical(self)", "0:0:0:0:0:0:0:1", false),
        ("self.lowerAscii() == 'x-ä'", "X-ä", true),
        ("isURL(self)", "https://a.999/x", true),
        ("isURL(self)", "http://[::1]:80", true),
        ("isURL(self)", "http://[1.2.3.4]/", false),
        ("isURL(self)", "http://[:::]/", false),
        ("isURL(self)", "http://a:b/", false),
        ("isURL(self)", "a.example", false),
        ("url(self).getPort() == ''", "http://a/", true),
        ("int(url(self).getPort()) == 80", "http://[::1]:00080?x", true),
        ("self.matches(r'(?i)^[a-z]+$')", "Ab", true),
    ];
    for (rule, text, expected) in table {
        assert_eq!(holds(rule, &json!(text)), Ok(expected), "{rule} {text}");
    }
}

#[test]
fn presence_lists_and_maps_are_read_and_a_wrong_type_is_an_error() {
    let value = json!({"a": {"b": 1}, "list": [{"n": "x"}, {"n": "X"}], "none": {}});
    let unique = "self.list.all(h, self.list.exists_one(o, o.n.lowerAscii() == h.n.lowerAscii()))";
    assert_eq!(holds(unique, &value), Ok(false));
    assert_eq!(holds("has(self.a) && has(self.a.b) && !has(self.c) && self.a.b <= 1", &value), Ok(true));
    assert_eq!(holds("[has(self.a), has(self.c)].filter(set, set).size() <= 1", &value), Ok(true));
    assert_eq!(holds("self.none.all(key, key.size() <= 1)", &value), Ok(true));
    assert!(holds("self.a <= 1", &value).is_err());
}

#[test]
fn a_rule_about_a_change_knows_the_value_before() {
    let rule = Rule::compile(&json!({"rule": "!has(self.a) || self.a >= oldSelf.a"})).unwrap();
    assert!(rule.transition);
    assert_eq!(rule.holds(&json!({"a": 2}), Some(&json!({"a": 1}))), Ok(true));
    assert_eq!(rule.holds(&json!({"a": 1}), Some(&json!({"a": 2}))), Ok(false));
}
