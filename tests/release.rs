//! The release recipe: what it makes, and that a user can check it with the tools that every machine has. Needs Helm
//! and cargo-cyclonedx, which `tests/run.sh` provides.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn sh(folder: &Path, script: &str) -> Output {
    Command::new("sh").args(["-euc", script]).current_dir(folder).output().unwrap()
}

fn ok(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

fn release(folder: &Path, version: &str) -> Output {
    Command::new(repository().join("deploy/release.sh"))
        .args([version, "--sign-key", "key.pem", "--output", "out", "--program", "program"])
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn a_release_is_complete_its_checksums_are_signed_and_its_bill_of_materials_lists_what_it_is_made_of() {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let here = folder.path();
    std::fs::write(here.join("program"), "a static program").unwrap();
    ok(&sh(
        here,
        "openssl ecparam -genkey -name prime256v1 -noout -out key.pem && openssl ec -in key.pem -pubout -out key.pub",
    ));

    let refused = release(here, "9.9.9");
    assert!(!refused.status.success(), "a version that is not the checkout's");
    ok(&release(here, VERSION));

    let out = here.join("out");
    let files: BTreeSet<String> =
        std::fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    let architecture = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    for expected in [
        format!("configurable-agents-{VERSION}-linux-{architecture}"),
        format!("configurable-agents-{VERSION}-linux-{architecture}.oci.tar"),
        format!("configurable-agents-{VERSION}.cdx.json"),
        "install.yaml".to_owned(),
        "SHA256SUMS".to_owned(),
        "SHA256SUMS.sig".to_owned(),
    ] {
        assert!(files.contains(&expected), "{expected} in {files:?}");
    }
    assert!(files.iter().any(|file| Path::new(file).extension().is_some_and(|e| e == "tgz")), "{files:?}");

    // What docs/development/releasing.md tells a user to run.
    let sums = ok(&sh(&out, "sha256sum --check SHA256SUMS"));
    assert_eq!(sums.lines().count(), files.len() - 2, "every file but the sums and their signature");
    let verify = "openssl dgst -sha256 -verify ../key.pub -signature SHA256SUMS.sig SHA256SUMS";
    ok(&sh(&out, verify));
    ok(&sh(&out, "echo more >>SHA256SUMS"));
    assert!(!sh(&out, verify).status.success(), "a changed list is noticed");

    let bill = std::fs::read_to_string(out.join(format!("configurable-agents-{VERSION}.cdx.json"))).unwrap();
    let bill: Value = serde_json::from_str(&bill).unwrap();
    assert_eq!(bill["bomFormat"], "CycloneDX");
    assert_eq!(bill["specVersion"], "1.5");
    assert_eq!(bill["metadata"]["component"]["version"], VERSION);
    let names: BTreeSet<&str> =
        bill["components"].as_array().unwrap().iter().filter_map(|c| c["name"].as_str()).collect();
    for crate_ in ["serde", "tokio", "kube", "rustls", "libsqlite3-sys"] {
        assert!(names.contains(crate_), "{crate_} is not in {names:?}");
    }
    assert!(!names.contains("proptest"), "what only tests use is not shipped");
}
