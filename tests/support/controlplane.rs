//! A real control plane on loopback: etcd, kube-apiserver (RBAC, `PodSecurity`, audit log), kube-controller-manager.
//! Or, with `KUBECONFIG_UNDER_TEST`, the user's own cluster, where what needs the audit log or a restart is not there.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::children::Managed;
use super::cluster::write_kubeconfig;
use super::kubectl::Kubectl;
use super::launch::start_etcd;
use super::version::Version;
use super::{audit, certificates, free_port, poll};

const READY: Duration = Duration::from_mins(1);
const USER_KUBECONFIG: &str = "KUBECONFIG_UNDER_TEST";

/// A cluster under test; all of its own that runs is ended by process id on drop.
#[derive(Debug)]
pub struct ControlPlane {
    pub(super) kubectl: Kubectl,
    pub(super) cluster: Value,
    own: Option<Own>,
    pub(super) work: TempDir,
}

#[derive(Debug)]
pub(super) struct Own {
    pub(super) version: Version,
    pub(super) programs: PathBuf,
    pub(super) port: u16,
    pub(super) etcd_port: u16,
    pub(super) manager: Option<Managed>,
    pub(super) apiserver: Mutex<Option<Managed>>,
    pub(super) etcd: Managed,
}

impl ControlPlane {
    /// Starts a control plane of the tests' own and waits until its default `ServiceAccount`s are there.
    pub async fn start(version: Version) -> ControlPlane {
        let mut why = String::new();
        for _ in 0..3 {
            match Self::try_start(version).await {
                Ok(plane) => return plane,
                Err(missing) => why = missing,
            }
        }
        panic!("the control plane {} did not start in three attempts: {why}", version.minor());
    }

    /// One control plane per version for all tests of a target; it ends with the test process.
    pub async fn shared(version: Version) -> &'static ControlPlane {
        static OLDEST: OnceCell<ControlPlane> = OnceCell::const_new();
        static NEWEST: OnceCell<ControlPlane> = OnceCell::const_new();
        let cell = match version {
            Version::V1_33 => &OLDEST,
            Version::V1_36 => &NEWEST,
        };
        cell.get_or_init(|| Self::start(version)).await
    }

    /// The user's cluster, when `KUBECONFIG_UNDER_TEST` names a kubeconfig; kubectl is that of `PATH`.
    pub async fn user() -> Option<ControlPlane> {
        let kubeconfig = PathBuf::from(std::env::var_os(USER_KUBECONFIG)?);
        let work = super::work_dir();
        let kubectl = Kubectl::new(PathBuf::from("kubectl"), &kubeconfig, &work.path().join("cache"));
        let view = kubectl.run(&["config", "view", "--raw", "--flatten", "--minify", "-o=json"]).await.json();
        Some(ControlPlane { kubectl, cluster: view["clusters"][0]["cluster"].clone(), own: None, work })
    }

    /// The user's cluster when there is one, else a control plane of the tests' own.
    pub async fn any(version: Version) -> ControlPlane {
        match Self::user().await {
            Some(plane) => plane,
            None => Self::start(version).await,
        }
    }

    async fn try_start(version: Version) -> Result<ControlPlane, String> {
        let programs = version.programs();
        let work = super::work_dir();
        let folder = work.path();
        let token = uuid::Uuid::new_v4().simple().to_string();
        certificates::write(folder);
        std::fs::write(folder.join("audit.json"), audit::POLICY).expect("write the audit policy");
        std::fs::write(folder.join("tokens.csv"), format!("{token},admin,admin,\"system:masters\"\n"))
            .expect("write the tokens");
        let (port, etcd_port) = (free_port([127, 0, 0, 1].into()), free_port([127, 0, 0, 1].into()));
        let cluster = json!({
            "server": format!("https://127.0.0.1:{port}"),
            "certificate-authority": folder.join("ca.crt"),
        });
        let kubeconfig = folder.join("kubeconfig");
        write_kubeconfig(&kubeconfig, &cluster, &json!({ "token": token }), "default");

        let kubectl = Kubectl::new(programs.join("kubectl"), &kubeconfig, &folder.join("cache"));
        let etcd = start_etcd(&programs, folder, etcd_port);
        let own =
            Own { version, programs, port, etcd_port, manager: None, apiserver: Mutex::new(None), etcd };
        let mut plane = ControlPlane { kubectl, cluster, own: Some(own), work };
        plane.launch_apiserver();
        plane.wait_ready().await?;
        let manager = plane.start_manager();
        plane.own.as_mut().expect("an own control plane").manager = Some(manager);
        poll(READY, async || {
            let args = ["get", "serviceaccounts", "-A", "--field-selector=metadata.name=default", "-o=name"];
            let found = plane.kubectl(&args).await.stdout.lines().count();
            if found >= 4 { Ok(()) } else { Err(format!("{found} of 4 default ServiceAccounts")) }
        })
        .await?;
        Ok(plane)
    }

    pub(super) async fn wait_ready(&self) -> Result<(), String> {
        let own = self.own_or("kube-apiserver");
        let verdict = poll(READY, async || {
            let ready = self.kubectl(&["get", "--raw", "/readyz", "--request-timeout=5s"]).await;
            if ready.status.success() {
                return Ok(Ok(()));
            }
            let gone = own.apiserver.lock().unwrap().as_ref().and_then(Managed::exited);
            match gone.or_else(|| own.etcd.exited()) {
                Some(status) => Ok(Err(format!("ended with {status}"))),
                None => Err(ready.stderr),
            }
        });
        let failure = match verdict.await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(failure)) | Err(failure) => failure,
        };
        let log = own.apiserver.lock().unwrap().as_ref().map(Managed::tail).unwrap_or_default();
        Err(format!("kube-apiserver is not ready: {failure}\n{log}\n{}", own.etcd.tail()))
    }

    /// Whether this control plane is the tests' own: audit log and restarts are there.
    pub fn own(&self) -> bool {
        self.own.is_some()
    }

    /// Its version, when it is the tests' own.
    pub fn version(&self) -> Version {
        self.own_or("the version").version
    }

    pub(super) fn own_or(&self, what: &str) -> &Own {
        let own = self.own.as_ref();
        own.unwrap_or_else(|| {
            panic!("{what} is there only on a control plane of the tests' own, not on {USER_KUBECONFIG}")
        })
    }
}
