//! The command lines of etcd, kube-apiserver and kube-controller-manager.

use std::path::Path;

use super::children::Managed;
use super::{ControlPlane, free_port};

impl ControlPlane {
    pub(super) fn launch_apiserver(&self) {
        let own = self.own_or("kube-apiserver");
        let log = self.work.path().join("apiserver.log");
        let process =
            Managed::start("kube-apiserver", &own.programs.join("kube-apiserver"), &log, &log, |command| {
                command.current_dir(self.work.path()).args([
                    &format!("--etcd-servers=http://127.0.0.1:{}", own.etcd_port),
                    &format!("--secure-port={}", own.port),
                    "--bind-address=127.0.0.1",
                    // Else it looks for a default route, which a network of the test's own has not.
                    "--advertise-address=127.0.0.1",
                    "--endpoint-reconciler-type=none",
                    "--tls-cert-file=api.crt",
                    "--tls-private-key-file=api.key",
                    "--client-ca-file=ca.crt",
                    "--token-auth-file=tokens.csv",
                    "--authorization-mode=Node,RBAC",
                    "--enable-admission-plugins=PodSecurity,NodeRestriction",
                    "--service-account-issuer=https://kubernetes.default.svc",
                    "--service-account-key-file=sa.pub",
                    "--service-account-signing-key-file=sa.key",
                    "--service-cluster-ip-range=10.96.0.0/16",
                    "--allow-privileged=true",
                    "--audit-policy-file=audit.json",
                    "--audit-log-path=audit.log",
                    "--audit-log-mode=blocking",
                    "--audit-log-maxsize=4000",
                ]);
            });
        *own.apiserver.lock().unwrap() = Some(process);
    }

    pub(super) fn start_manager(&self) -> Managed {
        let log = self.work.path().join("controller-manager.log");
        let program = self.own_or("kube-controller-manager").programs.join("kube-controller-manager");
        Managed::start("kube-controller-manager", &program, &log, &log, |command| {
            command.current_dir(self.work.path()).args([
                "--kubeconfig=kubeconfig",
                "--secure-port=0",
                "--leader-elect=false",
                "--use-service-account-credentials",
                "--service-account-private-key-file=sa.key",
                "--root-ca-file=ca.crt",
                "--kube-api-qps=500",
                "--kube-api-burst=1000",
            ]);
        })
    }
}

/// Starts etcd on this port, with its data in `folder`.
pub(super) fn start_etcd(programs: &Path, folder: &Path, port: u16) -> Managed {
    let log = folder.join("etcd.log");
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{}", free_port([127, 0, 0, 1].into()));
    Managed::start("etcd", &programs.join("etcd"), &log, &log, |command| {
        command.current_dir(folder).args([
            "--name=test",
            "--data-dir=etcd",
            "--log-level=error",
            "--unsafe-no-fsync",
            &format!("--listen-client-urls={client}"),
            &format!("--advertise-client-urls={client}"),
            &format!("--listen-peer-urls={peer}"),
            &format!("--initial-advertise-peer-urls={peer}"),
            &format!("--initial-cluster=test={peer}"),
        ]);
    })
}
