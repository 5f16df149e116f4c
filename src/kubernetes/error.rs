//! What can go wrong with the API server, in words that say what to do.

use crate::api;

/// Why cluster mode cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig: {cause}")]
    Kubeconfig {
        /// Why not.
        cause: String,
    },
    /// There is none, and this is not a pod.
    #[error("no cluster: there is no kubeconfig and this is not a pod ({cause})")]
    NoCluster {
        /// What was tried.
        cause: String,
    },
    /// The resolver cannot be set up.
    #[error("cannot set up the DNS resolver: {cause}")]
    Resolver {
        /// Why not.
        cause: String,
    },
    /// The Lease went to another replica.
    #[error("lost the Lease: another replica is active")]
    LeaseLost,
    /// The watch is broken for good.
    #[error("the watch does not work any more: {cause}")]
    WatchDead {
        /// Why.
        cause: String,
    },
}

/// What went wrong with a call, by what can be done about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// 403.
    #[error("not allowed: {0}")]
    Forbidden(String),
    /// 401.
    #[error("the API server does not accept our credentials (401)")]
    Unauthorized,
    /// The resource type is not there.
    #[error(
        "the AgentEndpoint CRD is not installed in this cluster; \
         hint: configurable-agents crds | kubectl apply --server-side -f -"
    )]
    CrdMissing,
    /// 404 of an object.
    #[error("the object does not exist any more")]
    Gone,
    /// 409: the object changed.
    #[error("the object changed meanwhile")]
    Conflict,
    /// No answer in time.
    #[error("the API server did not answer in time")]
    Timeout,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl Problem {
    /// One word, for a label.
    pub const fn label(&self) -> &'static str {
        match self {
            Problem::Forbidden(_) => "forbidden",
            Problem::Unauthorized => "unauthorized",
            Problem::CrdMissing => "crd_missing",
            Problem::Gone => "gone",
            Problem::Conflict => "conflict",
            Problem::Timeout => "timeout",
            Problem::Other(_) => "other",
        }
    }
}

/// Sorts an error. `what` names what was asked for.
pub fn problem_of(error: &kube::Error, what: &str) -> Problem {
    match error {
        kube::Error::Api(status) => match status.code {
            401 => Problem::Unauthorized,
            403 => Problem::Forbidden(format!(
                "{}; hint: kubectl auth can-i --list, and deploy/rbac.yaml for what is needed",
                status.message
            )),
            // A missing type answers in plain text, without a reason of an object.
            404 if what == api::PLURAL => Problem::CrdMissing,
            404 => Problem::Gone,
            409 => Problem::Conflict,
            _ => Problem::Other(format!("{what}: {} ({})", status.message, status.code)),
        },
        other => {
            let mut text = format!("{what}: {other}");
            let mut source = std::error::Error::source(other);
            while let Some(cause) = source {
                let cause_text = cause.to_string();
                if !text.contains(&cause_text) {
                    text.push_str(": ");
                    text.push_str(&cause_text);
                }
                source = cause.source();
            }
            Problem::Other(text)
        }
    }
}

/// Sorts an error of a watch.
pub fn problem_of_watch(error: &kube::runtime::watcher::Error, what: &str) -> Problem {
    use kube::runtime::watcher::Error;
    match error {
        Error::InitialListFailed(e) | Error::WatchStartFailed(e) | Error::WatchFailed(e) => {
            problem_of(e, what)
        }
        Error::WatchError(status) => Problem::Other(format!("{what}: {} ({})", status.message, status.code)),
        other @ Error::NoResourceVersion => Problem::Other(format!("{what}: {other}")),
    }
}
