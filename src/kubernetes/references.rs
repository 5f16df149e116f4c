//! Secrets and `ConfigMaps` that specs name: read one by one, by GET, as long as an endpoint names them. A watch would
//! need the right to list, and with it to read them all.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::Client;
use kube::api::GetParams;
use kube::core::{Request, Resource};
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::{Problem, problem_of};
use crate::domain::EndpointId;
use crate::domain::reference::{Need, Reference, ReferenceKind, Supply};
use crate::engine::Changes;
use crate::vault::{Object, Reading, Vault};

/// Each object is read again this often, and so a change takes effect,
const AGAIN: Duration = Duration::from_secs(5);
/// unless so many are named that this would be more than 50 calls per second: then less often.
const APART: Duration = Duration::from_millis(20);
/// An object that a target seems to know a newer version of is read at once, but not more often than this.
const SUSPECT_APART: Duration = Duration::from_secs(1);

/// What a tenant binds in the own namespace: `ClusterRoles`, or `Role/NAME`.
#[derive(Clone, Debug)]
pub struct ReaderRoles {
    /// `get` on Secrets.
    pub secrets: String,
    /// `get` on `ConfigMaps`.
    pub config_maps: String,
}

/// Reads them into the vault.
pub struct References {
    client: Client,
    vault: Vault,
    roles: ReaderRoles,
    /// Who has to look again.
    changes: Changes,
    /// What was last said of an object that could not be read.
    told: Mutex<HashMap<Reference, String>>,
}

impl References {
    /// Nothing is read yet.
    pub fn new(client: Client, vault: Vault, roles: ReaderRoles, changes: Changes) -> Self {
        References { client, vault, roles, changes, told: Mutex::default() }
    }

    /// What is there of what an endpoint needs from now on. `None`: the API server gave no answer.
    pub async fn supplies(&self, id: &EndpointId, needs: &[Need]) -> Option<BTreeMap<Need, Supply>> {
        for reference in self.vault.claim(id, needs) {
            self.read(&reference).await?;
        }
        self.vault.supplies(needs)
    }

    /// An endpoint needs nothing any more.
    pub fn release(&self, id: &EndpointId) {
        self.vault.claim(id, &[]);
    }

    /// Keeps what is named up to date until `stop`.
    pub async fn keep_read(&self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.read_all() => {}
            () = self.read_suspects() => {}
        }
    }

    async fn read_all(&self) {
        loop {
            let used = self.vault.used();
            self.told().retain(|reference, _| used.contains(reference));
            let pause = AGAIN.checked_div(u32::try_from(used.len()).unwrap_or(u32::MAX)).unwrap_or(AGAIN);
            if used.is_empty() {
                tokio::time::sleep(pause).await;
            }
            for reference in used {
                tokio::time::sleep(pause.max(APART)).await;
                self.read(&reference).await;
            }
        }
    }

    async fn read_suspects(&self) {
        loop {
            let began = Instant::now();
            for reference in self.vault.suspects().await {
                self.read(&reference).await;
                tokio::time::sleep(APART).await;
            }
            tokio::time::sleep_until(began + SUSPECT_APART).await;
        }
    }

    /// Everybody who needs it looks again when it is not what was known. `None`: the API server gave no answer; what
    /// was known stays.
    async fn read(&self, reference: &Reference) -> Option<()> {
        let reading = match reference.kind {
            ReferenceKind::Secret => self.get::<Secret>(reference).await.map(|found| {
                found.map(|secret| {
                    let data = secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0));
                    (secret.metadata, data.collect::<Vec<_>>())
                })
            }),
            ReferenceKind::ConfigMap => self.get::<ConfigMap>(reference).await.map(|found| {
                found.map(|map| {
                    let text = map.data.unwrap_or_default().into_iter();
                    let text = text.map(|(key, value)| (key, value.into_bytes()));
                    let binary = map.binary_data.unwrap_or_default().into_iter();
                    (map.metadata, text.chain(binary.map(|(key, value)| (key, value.0))).collect())
                })
            }),
        };
        let reading = match reading {
            Ok(Some((metadata, data))) => Reading::Object(Object::new(
                // Versions of two objects of one name may be equal.
                format!(
                    "{} {}",
                    metadata.uid.unwrap_or_default(),
                    metadata.resource_version.unwrap_or_default()
                ),
                &metadata.labels.unwrap_or_default(),
                &metadata.annotations.unwrap_or_default(),
                data,
            )),
            Ok(None) => Reading::Missing,
            Err(Problem::Forbidden(why)) => Reading::Forbidden { grant: self.grant(reference, &why) },
            Err(problem) => {
                self.say(reference, &problem.to_string());
                return None;
            }
        };
        self.told().remove(reference);
        self.vault.put(reference, reading).into_iter().for_each(|id| self.changes.push(id));
        Some(())
    }

    /// `None`: it does not exist. The answer is read here: kube's own reading would log what it cannot read.
    async fn get<K>(&self, reference: &Reference) -> Result<Option<K>, Problem>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
        K: Resource<Scope = kube::core::NamespaceResourceScope>,
    {
        let what = reference.kind.as_str();
        let url = K::url_path(&(), Some(&reference.namespace));
        let request = Request::new(url).get(&reference.name, &GetParams::default());
        let request = request.map_err(|error| Problem::Other(error.to_string()))?;
        match tokio::time::timeout(super::CALL, self.client.request_text(request)).await {
            Ok(Ok(text)) => serde_json::from_str(&text)
                .map(Some)
                .map_err(|_| Problem::Other(format!("{what}: the answer cannot be read"))),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(None),
            Ok(Err(kube::Error::Api(status))) if status.code == 403 => {
                Err(Problem::Forbidden(status.message.clone()))
            }
            Ok(Err(error)) => Err(problem_of(&error, what)),
            Err(_) => Err(Problem::Timeout),
        }
    }

    fn say(&self, reference: &Reference, problem: &str) {
        let before = self.told().insert(reference.clone(), problem.to_owned());
        if before.as_deref() != Some(problem) {
            let (kind, namespace, name) = (reference.kind.as_str(), &reference.namespace, &reference.name);
            tracing::warn!(kind, %namespace, %name, "cannot read what an endpoint names: {problem}; trying again");
        }
    }

    fn told(&self) -> std::sync::MutexGuard<'_, HashMap<Reference, String>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The `RoleBinding` that would let us read it, as a manifest in one line: whoever refuses us knows our name.
    fn grant(&self, reference: &Reference, refusal: &str) -> String {
        let role = match reference.kind {
            ReferenceKind::Secret => &self.roles.secrets,
            ReferenceKind::ConfigMap => &self.roles.config_maps,
        };
        grant(&reference.namespace, role, refusal)
    }
}

fn grant(namespace: &str, role: &str, refusal: &str) -> String {
    let user = refusal.split_once("User \"").and_then(|(_, rest)| rest.split('"').next());
    let Some(user) = user.filter(|user| !user.is_empty() && !user.contains(['\\', '{', '}'])) else {
        return String::new();
    };
    let account = user.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
    let subject = match account {
        Some((namespace, name)) => {
            format!("{{kind: ServiceAccount, name: \"{name}\", namespace: \"{namespace}\"}}")
        }
        None => format!("{{kind: User, apiGroup: rbac.authorization.k8s.io, name: \"{user}\"}}"),
    };
    let (kind, role) = role.split_once('/').unwrap_or(("ClusterRole", role));
    // Quoted: a namespace may be called 123 or null.
    format!(
        "{{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, \
         metadata: {{name: \"{role}\", namespace: \"{namespace}\"}}, \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {kind}, name: \"{role}\"}}, \
         subjects: [{subject}]}}"
    )
}

#[cfg(test)]
mod tests {
    use super::grant;

    #[test]
    fn the_grant_names_the_account_that_the_api_server_refused() {
        let refusal = r#"secrets "s" is forbidden: User "system:serviceaccount:ns:orchestrator" cannot get resource "secrets" in API group "" in the namespace "team-a""#;
        let text = grant("team-a", "reader", refusal);
        assert!(
            text.contains(r#"subjects: [{kind: ServiceAccount, name: "orchestrator", namespace: "ns"}]"#)
        );
        assert!(text.contains(r#"metadata: {name: "reader", namespace: "team-a"}"#) && !text.contains('\n'));
        let person = grant("a", "r", r#"forbidden: User "jane@example.com" cannot get"#);
        assert!(
            person.contains(r#"kind: User, apiGroup: rbac.authorization.k8s.io, name: "jane@example.com""#)
        );
        assert_eq!(grant("a", "r", "no"), "");
        let own = grant("a", "Role/r", refusal);
        assert!(own.contains(r#"kind: Role, name: "r""#) && own.contains(r#"metadata: {name: "r""#), "{own}");
    }
}
