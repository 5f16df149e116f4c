//! Schemas of the strings and lists that users type: their bounds, and the sentences that refuse the rest.
//!
//! A rule is CEL where its message has to be a sentence, and a `pattern` where the form speaks for itself. No sizes are
//! given in CEL that the schema can give: bounds are what keeps the rules affordable for the API server.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A rule about one value. The message follows the house style of Kubernetes: "must …".
fn rule(expression: impl Into<String>, message: &str) -> Value {
    json!({"rule": expression.into(), "message": message, "reason": "FieldValueInvalid"})
}

/// A rule about an object that is reported at one of its fields.
pub(super) fn rule_at(path: &str, reason: &str, expression: &str, message: &str) -> Value {
    json!({"rule": expression, "message": message, "fieldPath": path, "reason": reason})
}

/// The schema of an optional enumeration. Without it kube's rewriting of `Option<Enum>` prefers the description of the type to
/// that of the field.
pub(super) fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

fn text(min: u32, max: u32, rules: &[Value]) -> Schema {
    let mut schema = json_schema!({"type": "string", "maxLength": max});
    if min > 0 {
        schema.insert("minLength".into(), min.into());
    }
    if !rules.is_empty() {
        schema.insert("x-kubernetes-validations".into(), rules.into());
    }
    schema
}

fn patterned(min: u32, max: u32, pattern: &str) -> Schema {
    let mut schema = text(min, max, &[]);
    schema.insert("pattern".into(), pattern.into());
    schema
}

/// One DNS name: lower case, absolute, labels of at most 63. A last label that begins with a letter is what tells it from
/// the many spellings of an IPv4 address that resolvers take (`0x7f000001`, `127.1`). The shortest A-label has three
/// characters behind `xn--`; whether a longer one decodes is left to the resolver.
const DNS_NAME: &str = r"self.matches(r'^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?[.])*[a-z]([-a-z0-9]{0,61}[a-z0-9])?$') && !self.matches(r'(^|[.])xn--[^.]{0,2}([.]|$)')";

/// The host of a target.
pub(super) fn host(_: &mut SchemaGenerator) -> Schema {
    let rules = [rule(
        format!("isIP(self) ? ip.isCanonical(self) : {DNS_NAME}"),
        "must be a lower-case DNS name whose last label begins with a letter, or an IP address in canonical form without brackets or zone",
    )];
    text(1, 253, &rules)
}

/// A DNS name and no address.
pub(super) fn dns_name(_: &mut SchemaGenerator) -> Schema {
    let rules = [rule(
        format!("!isIP(self) && {DNS_NAME}"),
        "must be a lower-case DNS name whose last label begins with a letter",
    )];
    text(1, 253, &rules)
}

/// The name of a Service: a DNS-1035 label.
pub(super) fn service_name(_: &mut SchemaGenerator) -> Schema {
    patterned(1, 63, "^[a-z]([-a-z0-9]*[a-z0-9])?$")
}

/// A Service port by number, or by its IANA service name (single hyphens, at least one letter).
pub(super) fn service_port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true, "minimum": 1, "maximum": 65535, "maxLength": 15,
        "pattern": "^([a-z0-9]+-)*[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*$",
    })
}

/// A count of targets, or a percentage of them.
pub(super) fn min_ready(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true, "minimum": 0, "maximum": 32, "maxLength": 4,
        "pattern": "^(100|[1-9]?[0-9])%$",
    })
}

/// The name of a Secret or `ConfigMap`: a DNS-1123 subdomain.
pub(super) fn object_name(_: &mut SchemaGenerator) -> Schema {
    patterned(1, 253, "^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
}

/// A key inside a Secret or `ConfigMap`. As there, `.` and a leading `..` are refused.
pub(super) fn data_key(_: &mut SchemaGenerator) -> Schema {
    patterned(1, 253, "^([-_a-zA-Z0-9]|[.][-_a-zA-Z0-9])[-._a-zA-Z0-9]*$")
}

/// Path and optional query, exactly as they go into the request line. `%2f` and `%5c` count as separators, because there
/// are servers that decode before they look for `..`.
pub(super) fn request_path(_: &mut SchemaGenerator) -> Schema {
    const CHARACTER: &str = "[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}";
    let form = format!(r#"self.matches(r"^/(({CHARACTER})({CHARACTER}|/)*)?([?]({CHARACTER}|[/?])*)?$")"#);
    let rules = [
        rule(
            form,
            "must begin with `/`, not with `//`, and have only characters of a URL path and query: no space, no fragment, anything else as %XX",
        ),
        rule(
            r"!self.matches(r'(?i)^[^?]*(/|%2f|%5c)([.]|%2e){1,2}(/|%2f|%5c|[?]|$)')",
            "must not have a `.` or `..` segment, also not as `%2e`",
        ),
        rule(
            r"!self.matches(r'(?i)%([01][0-9a-f]|7f)')",
            "must not have an encoded control character such as `%00`",
        ),
    ];
    text(1, 1024, &rules)
}

/// Headers that a proxy or a metadata service acts upon; nobody sets these through us.
const TRUSTED_ELSEWHERE: &str = r"!self.matches(r'(?i)^x-(forwarded|real-ip|client-ip|cluster-client-ip|remote|original|rewrite|http-method|method-override|envoy|google|aws|amz|aliyun|vault)')";
const TRUSTED_ELSEWHERE_MESSAGE: &str = "must not be a header that proxies or metadata services act upon: X-Forwarded-*, X-Real-Ip, X-Client-Ip, X-Cluster-Client-Ip, X-Remote-*, X-Original-*, X-Rewrite-*, X-Http-Method*, X-Method-Override, X-Envoy-*, X-Google-*, X-Aws-*, X-Amz-*, X-Aliyun-*, X-Vault-*";

/// The name of a header that a probe may send.
pub(super) fn header_name(_: &mut SchemaGenerator) -> Schema {
    let rules = [
        rule(
            r"self.matches(r'(?i)^(accept|accept-language|x-[a-z0-9]([-a-z0-9]*[a-z0-9])?)$')",
            "must be `Accept`, `Accept-Language`, or `X-` followed by letters, digits and `-`",
        ),
        rule(TRUSTED_ELSEWHERE, TRUSTED_ELSEWHERE_MESSAGE),
    ];
    text(1, 64, &rules)
}

/// The name of the header that carries a credential.
pub(super) fn credential_header(_: &mut SchemaGenerator) -> Schema {
    let rules = [
        rule(
            r"self.matches(r'(?i)^(authorization|api-key|x-[a-z0-9]([-a-z0-9]*[a-z0-9])?)$')",
            "must be `Authorization`, `Api-Key`, or `X-` followed by letters, digits and `-`",
        ),
        rule(TRUSTED_ELSEWHERE, TRUSTED_ELSEWHERE_MESSAGE),
    ];
    text(1, 64, &rules)
}

/// The value of a header: printable ASCII that neither begins nor ends with a space.
pub(super) fn header_value(_: &mut SchemaGenerator) -> Schema {
    patterned(1, 256, "^[!-~]([ -~]*[!-~])?$")
}

/// What stands before a credential. A trailing space is wanted.
pub(super) fn credential_prefix(_: &mut SchemaGenerator) -> Schema {
    patterned(0, 64, "^([!-~][ -~]*)?$")
}

/// The name that is asked for in the gRPC health protocol.
pub(super) fn grpc_service(_: &mut SchemaGenerator) -> Schema {
    patterned(0, 253, "^[!-~]*$")
}

/// HTTP statuses.
pub(super) fn statuses(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "minItems": 1, "maxItems": 16, "x-kubernetes-list-type": "set",
        "items": {
            "type": "integer", "format": "int32", "minimum": 100, "maximum": 599,
            "description": "An HTTP status, 100 to 599.",
        },
    })
}

/// Text for people: no control character, nothing invisible, nothing that changes the direction of writing.
pub(super) fn display_text(_: &mut SchemaGenerator) -> Schema {
    patterned(
        1,
        253,
        r"^[\p{L}\p{M}\p{N}\p{P}\p{S}]([\p{L}\p{M}\p{N}\p{P}\p{S} ]*[\p{L}\p{M}\p{N}\p{P}\p{S}])?$",
    )
}

/// The URL that callers of the agent dial.
pub(super) fn url(_: &mut SchemaGenerator) -> Schema {
    const CHARACTER: &str = "[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}";
    let form = format!(
        r#"self.matches(r"^https?://([a-zA-Z0-9]([-a-zA-Z0-9.]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(:[0-9]{{1,5}})?(/({CHARACTER}|/)*)?([?]({CHARACTER}|[/?])*)?$") && isURL(self) && (url(self).getPort() == '' || (int(url(self).getPort()) >= 1 && int(url(self).getPort()) <= 65535))"#
    );
    let rules = [rule(form, "must be an absolute http or https URL without user name, password or fragment")];
    text(1, 2048, &rules)
}

/// The id of an agent in the registry. It becomes one segment of a URL, so it begins and ends with a letter or digit.
pub(super) fn agent_id(_: &mut SchemaGenerator) -> Schema {
    let rules = [rule(
        r"self.matches(r'^[A-Za-z0-9]([-A-Za-z0-9._~]*[A-Za-z0-9])?$')",
        "must have only letters, digits, `.`, `_`, `~` and `-`, and begin and end with a letter or digit",
    )];
    text(1, 253, &rules)
}

/// The class of an orchestrator; empty is the class without a name.
pub(super) fn class_name(_: &mut SchemaGenerator) -> Schema {
    patterned(0, 63, "^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$")
}

/// What an agent is said to be able to do.
pub(super) fn capabilities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "set",
        "items": {
            "type": "string", "minLength": 1, "maxLength": 64,
            "pattern": "^[A-Za-z0-9]([-A-Za-z0-9._:/]*[A-Za-z0-9])?$",
            "description": "A capability: letters, digits, '-', '_', '.', ':' and '/', at most 64.",
        },
    })
}

/// What an agent says that it is able to do; made fit before it is written, in the agent's order.
pub(super) fn reported_capabilities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16, "x-kubernetes-list-type": "atomic",
        "items": {"type": "string", "maxLength": 64, "description": "A capability in the agent's own words."},
    })
}

/// Free key and value pairs for the record in the registry.
pub(super) fn metadata(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object", "maxProperties": 16,
        "additionalProperties": {
            "type": "string", "maxLength": 256,
            "pattern": r"^[\p{L}\p{M}\p{N}\p{P}\p{S} ]*$",
            "description": "A value: at most 256 characters, no control characters.",
        },
        "x-kubernetes-validations": [rule(
            r"self.all(key, key.size() <= 63 && key.matches(r'^[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?$'))",
            "must have keys of at most 63 letters, digits, `-`, `_`, `.` and `/` that begin and end with a letter or digit",
        )],
    })
}
