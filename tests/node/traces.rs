//! The node itself: it leaves nothing behind.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::bed::Node;

fn lines(program: &str, args: &[&str]) -> BTreeSet<String> {
    let output = Command::new(program).args(args).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Mounts, links, firewall rules and cgroups of this machine, and the programs that run on it by name.
fn machine() -> BTreeSet<String> {
    let mut all = lines("cat", &["/proc/self/mounts"]);
    all.extend(lines("ip", &["-o", "link", "show"]));
    all.extend(lines("nft", &["list", "tables"]));
    all.extend(lines("find", &["/sys/fs/cgroup", "-maxdepth", "2", "-name", "agents-node-*"]));
    all.extend(lines("find", &["/var/lib", "/run", "-maxdepth", "1"]));
    for process in std::fs::read_dir("/proc").unwrap().flatten() {
        let name = std::fs::read_to_string(process.path().join("comm")).unwrap_or_default();
        let name = name.trim();
        // Not etcd: the control planes of other tests have one too.
        if ["kubelet", "containerd", "coredns", "kube-proxy", "kube-scheduler"].contains(&name)
            || name.starts_with("containerd-shim")
        {
            all.insert(format!("{name} {}", process.file_name().display()));
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_first_process_was_killed_leaves_nothing_behind() {
    crate::bed::clean();
    let before = machine();
    let node = Node::start().await;
    let dir = node.dir().to_owned();
    assert!(machine().len() > before.len(), "while it runs its processes are seen");
    drop(node);
    assert_eq!(machine(), before);
    assert!(!Path::new(&dir).exists());
}
