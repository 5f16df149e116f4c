//! `crds`.

use crate::program;

#[test]
fn the_crds_command_prints_what_the_repository_holds() {
    let here = tempfile::tempdir().unwrap();
    let output = program(&["crds"], here.path());
    let committed = include_str!("../../crds/agentendpoints.yaml");
    assert!(output.status.success() && output.stderr.is_empty());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), committed);
    program(&["crds", "--out", "."], here.path());
    assert_eq!(std::fs::read_to_string(here.path().join("agentendpoints.yaml")).unwrap(), committed);
}
