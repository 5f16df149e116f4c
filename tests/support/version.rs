//! The supported Kubernetes versions and where their programs are.

use std::path::PathBuf;

/// The Kubernetes minors the tests run against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The oldest supported one.
    V1_33,
    /// The newest one.
    V1_36,
}

impl Version {
    /// Both.
    pub const ALL: [Version; 2] = [Version::V1_33, Version::V1_36];

    /// `1.33` or `1.36`.
    pub fn minor(self) -> &'static str {
        match self {
            Version::V1_33 => "1.33",
            Version::V1_36 => "1.36",
        }
    }

    /// The folder of the programs: of the environment, of the cache that `tests/controlplane/build.sh` fills, of envtest.
    pub(super) fn programs(self) -> PathBuf {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let variable = format!("CONTROLPLANE_BIN_{}", self.minor().replace('.', "_"));
        if let Some(folder) = set(&variable) {
            return folder;
        }
        let cache = set("CONFIGURABLE_AGENTS_CACHE")
            .or_else(|| Some(set("XDG_CACHE_HOME")?.join("configurable-agents")))
            .or_else(|| Some(set("HOME")?.join(".cache/configurable-agents")));
        let built = cache.map(|cache| cache.join(format!("controlplane/v{}/bin", self.minor())));
        let complete = |folder: &PathBuf| folder.join("kubectl").exists();
        built.filter(complete).or_else(|| set("KUBEBUILDER_ASSETS").filter(complete)).unwrap_or_else(|| {
            panic!(
                "there are no control-plane programs of Kubernetes {0}: run tests/controlplane/build.sh {0} once (or \
                 tests/run.sh, which does), or set {variable} or KUBEBUILDER_ASSETS to their folder",
                self.minor()
            )
        })
    }
}
