//! What a test can do only on a control plane of its own: read the audit log, stop and start the API server.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::children::Managed;
use super::{AuditEvent, ControlPlane, audit};

/// How long the API server may take to end in good order before it is killed.
const ORDERLY: Duration = Duration::from_secs(2);

impl ControlPlane {
    /// All audit events so far.
    pub fn audit(&self) -> Vec<AuditEvent> {
        self.audit_since(0)
    }

    /// The audit log's length, for [`ControlPlane::audit_since`].
    pub fn audit_mark(&self) -> usize {
        self.audit_text().len()
    }

    /// The audit events after a mark.
    pub fn audit_since(&self, mark: usize) -> Vec<AuditEvent> {
        audit::parse(&self.audit_text()[mark..])
    }

    /// Every finished attempt of `user` to change something, successful or not.
    pub fn audit_writes_by(&self, user: &str) -> Vec<AuditEvent> {
        let mut events = self.audit();
        events.retain(|event| event.user() == user && event.is_write());
        events
    }

    fn audit_text(&self) -> String {
        self.own_or("the audit log");
        let path = self.work.path().join("audit.log");
        let log =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        // Whole lines only, so that a mark is never inside of one.
        log[..log.rfind('\n').map_or(0, |end| end + 1)].to_owned()
    }

    /// Stops the API server in good order, or kills it after a few seconds; the port refuses afterwards.
    pub async fn stop_apiserver(&self) {
        let apiserver = self.take_apiserver();
        apiserver.signal(Signal::SIGTERM);
        if super::poll(ORDERLY, async || apiserver.exited()).await.is_err() {
            apiserver.signal(Signal::SIGKILL);
            apiserver.wait_exit(Duration::from_secs(10)).await;
        }
    }

    /// Kills the API server; the port refuses afterwards.
    pub async fn kill_apiserver(&self) {
        let apiserver = self.take_apiserver();
        apiserver.signal(Signal::SIGKILL);
        apiserver.wait_exit(Duration::from_secs(10)).await;
    }

    /// Starts the API server again: same port, same data.
    pub async fn start_apiserver(&self) {
        assert!(
            self.own_or("kube-apiserver").apiserver.lock().unwrap().is_none(),
            "kube-apiserver runs already"
        );
        self.launch_apiserver();
        self.wait_ready().await.unwrap_or_else(|why| panic!("{why}"));
    }

    /// Stops and starts the API server.
    pub async fn restart_apiserver(&self) {
        self.stop_apiserver().await;
        self.start_apiserver().await;
    }

    /// Freezes the API server: connections are accepted by the kernel and never answered.
    pub fn pause_apiserver(&self) {
        self.with_apiserver(Managed::freeze);
    }

    /// Ends [`ControlPlane::pause_apiserver`].
    pub fn resume_apiserver(&self) {
        self.with_apiserver(|apiserver| apiserver.signal(Signal::SIGCONT));
    }

    fn with_apiserver(&self, act: impl FnOnce(&Managed)) {
        let apiserver = self.own_or("kube-apiserver").apiserver.lock().unwrap();
        act(apiserver.as_ref().expect("kube-apiserver runs"));
    }

    fn take_apiserver(&self) -> Managed {
        self.own_or("kube-apiserver").apiserver.lock().unwrap().take().expect("kube-apiserver runs")
    }
}
