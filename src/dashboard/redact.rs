//! Objects as everybody may see them: what may be a secret is not in it.

use std::borrow::Cow;

use kube::ResourceExt as _;

use crate::api::v1alpha1::AgentEndpoint;

/// What stands in its place.
const HIDDEN: &str = "(hidden)";

/// Headers whose values tell nobody anything.
const HARMLESS: [&str; 6] =
    ["accept", "accept-encoding", "accept-language", "cache-control", "content-type", "user-agent"];

/// Annotation in which `kubectl apply` keeps the object as it was sent.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object without values of request headers and of the path's query, and without copies of them.
pub fn redacted(object: &AgentEndpoint) -> Cow<'_, AgentEndpoint> {
    let http = object.spec.probe.as_ref().and_then(|probe| probe.http.as_ref());
    let secret = http.is_some_and(|http| {
        !http.headers.is_empty() || http.path.as_ref().is_some_and(|path| path.contains('?'))
    });
    let copied = object.annotations().contains_key(LAST_APPLIED) || object.metadata.managed_fields.is_some();
    if !secret && !copied {
        return Cow::Borrowed(object);
    }
    let mut object = object.clone();
    object.metadata.managed_fields = None;
    if let Some(annotations) = &mut object.metadata.annotations {
        annotations.remove(LAST_APPLIED);
    }
    if let Some(http) = object.spec.probe.as_mut().and_then(|probe| probe.http.as_mut()) {
        for header in &mut http.headers {
            if !HARMLESS.contains(&header.name.to_ascii_lowercase().as_str()) {
                HIDDEN.clone_into(&mut header.value);
            }
        }
        if let Some((path, _)) = http.path.as_deref().and_then(|path| path.split_once('?')) {
            http.path = Some(format!("{path}?{HIDDEN}"));
        }
    }
    Cow::Owned(object)
}

/// The spec as its author wrote it.
pub fn yaml(object: &AgentEndpoint) -> String {
    let spec = serde_json::to_value(&redacted(object).spec).unwrap_or_default();
    serde_saphyr::to_string(&serde_json::json!({ "spec": spec })).unwrap_or_default()
}
