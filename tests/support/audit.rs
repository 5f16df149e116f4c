//! The API server's audit log: who asked for what, and what came of it.

use jiff::Timestamp;
use serde_json::Value;

/// One line of the audit log (`audit.k8s.io/v1`, `Event`).
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEvent(pub Value);

impl AuditEvent {
    fn text(&self, pointer: &str) -> &str {
        self.0.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// The user, such as `system:serviceaccount:namespace:name`.
    pub fn user(&self) -> &str {
        self.text("/user/username")
    }

    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub fn verb(&self) -> &str {
        self.text("/verb")
    }

    /// `ResponseComplete`, or `ResponseStarted` and `Panic`.
    pub fn stage(&self) -> &str {
        self.text("/stage")
    }

    /// The path with its query, as asked.
    pub fn uri(&self) -> &str {
        self.text("/requestURI")
    }

    /// The client's `User-Agent`.
    pub fn user_agent(&self) -> &str {
        self.text("/userAgent")
    }

    /// The API group, empty for the core group.
    pub fn group(&self) -> &str {
        self.text("/objectRef/apiGroup")
    }

    /// The resource, such as `agentendpoints`.
    pub fn resource(&self) -> &str {
        self.text("/objectRef/resource")
    }

    /// The subresource, such as `status`; empty when none.
    pub fn subresource(&self) -> &str {
        self.text("/objectRef/subresource")
    }

    /// The object's namespace; empty when none.
    pub fn namespace(&self) -> &str {
        self.text("/objectRef/namespace")
    }

    /// The object's name; for a create with a generated name it is empty.
    pub fn name(&self) -> &str {
        self.text("/objectRef/name")
    }

    /// The status code of the answer; 0 before there is one.
    pub fn code(&self) -> u16 {
        let code = self.0.pointer("/responseStatus/code").and_then(Value::as_u64);
        code.and_then(|code| u16::try_from(code).ok()).unwrap_or_default()
    }

    /// When the request was received.
    pub fn time(&self) -> Timestamp {
        self.timestamp("requestReceivedTimestamp")
    }

    /// When this stage was reached.
    pub fn stage_time(&self) -> Timestamp {
        self.timestamp("stageTimestamp")
    }

    /// The request's body, for what is logged with it.
    pub fn request_object(&self) -> Option<&Value> {
        self.0.get("requestObject")
    }

    /// The answer's body, for what is logged with it.
    pub fn response_object(&self) -> Option<&Value> {
        self.0.get("responseObject")
    }

    /// Whether it is a finished attempt to change something, successful or not.
    pub fn is_write(&self) -> bool {
        let write = matches!(self.verb(), "create" | "update" | "patch" | "delete" | "deletecollection");
        write && self.stage() == "ResponseComplete"
    }

    fn timestamp(&self, field: &str) -> Timestamp {
        let text = self.0.get(field).and_then(Value::as_str).unwrap_or_default();
        text.parse().unwrap_or_else(|error| panic!("{field} '{text}' of an audit event: {error}"))
    }
}

/// The events of a log's text; a last line that is still being written is left out.
pub fn parse(log: &str) -> Vec<AuditEvent> {
    let whole = log.rfind('\n').map_or("", |end| &log[..end]);
    let event = |line: &str| {
        let value = serde_json::from_str(line);
        AuditEvent(value.unwrap_or_else(|error| panic!("audit line {line}: {error}")))
    };
    whole.lines().map(event).collect()
}

/// The policy: everything about our objects, leases, secrets and events; who, what and when for the rest.
pub const POLICY: &str = r#"{
  "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
  "rules": [
    {"level": "RequestResponse", "resources": [
      {"group": "agents.configurable.dev"},
      {"group": "coordination.k8s.io", "resources": ["leases"]},
      {"group": "", "resources": ["secrets", "events"]},
      {"group": "events.k8s.io"}]},
    {"level": "Metadata"}]
}"#;
