//! The image: the recipe without an engine gives the same bytes each time, holds nothing that is not needed, and is
//! what the Dockerfile makes. With any file as the program; the real one runs on the node (tests/node/).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(relative: &str) -> String {
    std::fs::read_to_string(repository().join(relative)).unwrap()
}

/// A folder with one certificate, and a file that stands for the program.
fn inputs() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let authority = rcgen::generate_simple_self_signed(vec!["an authority".into()]).unwrap();
    std::fs::create_dir(folder.path().join("authorities")).unwrap();
    std::fs::write(folder.path().join("authorities/one.crt"), authority.cert.pem()).unwrap();
    let program = folder.path().join("program");
    std::fs::write(&program, "a static program").unwrap();
    (folder, program)
}

fn build(folder: &Path, program: &Path, image: &Path, epoch: &str) -> Output {
    Command::new(repository().join("deploy/image/build.sh"))
        .arg("--program")
        .arg(program)
        .arg(image)
        .env("CA_FOLDER", folder.join("authorities"))
        .env("SOURCE_DATE_EPOCH", epoch)
        .output()
        .unwrap()
}

fn tar(args: &[&str], file: &Path) -> Vec<u8> {
    let output = Command::new("tar").args(args).arg("-f").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

struct Image {
    file: PathBuf,
    manifest: Value,
    config: Value,
}

impl Image {
    fn open(file: PathBuf) -> Image {
        let part = |name: &str| -> Value {
            let output = Command::new("tar").arg("-xOf").arg(&file).arg(name).output().unwrap();
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{name}: {error}"))
        };
        let blob = |descriptor: &Value| {
            part(&descriptor["digest"].as_str().unwrap().replacen("sha256:", "blobs/sha256/", 1))
        };
        let manifest = blob(&part("index.json")["manifests"][0]);
        let config = blob(&manifest["config"]);
        Image { file, manifest, config }
    }

    /// `mode owner/group path` of every entry of the layer.
    fn entries(&self, folder: &Path) -> Vec<String> {
        let digest = self.manifest["layers"][0]["digest"].as_str().unwrap();
        let name = digest.replacen("sha256:", "blobs/sha256/", 1);
        let layer = folder.join("layer.tar.gz");
        let output = Command::new("tar").arg("-xOf").arg(&self.file).arg(name).output().unwrap();
        std::fs::write(&layer, output.stdout).unwrap();
        let listing = String::from_utf8(tar(&["-tvz", "--numeric-owner"], &layer)).unwrap();
        let words = |line: &str| -> String {
            let all: Vec<_> = line.split_whitespace().collect();
            format!("{} {} {}", all[0], all[1], all[5])
        };
        listing.lines().map(words).collect()
    }
}

fn image(folder: &Path, program: &Path, name: &str) -> Image {
    let file = folder.join(name);
    let output = build(folder, program, &file, "0");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Image::open(file)
}

#[test]
fn two_builds_of_the_same_files_are_the_same_to_the_byte_and_the_time_is_that_of_source_date_epoch() {
    let (folder, program) = inputs();
    let one = image(folder.path(), &program, "one.tar");
    let two = image(folder.path(), &program, "two.tar");
    assert_eq!(std::fs::read(one.file).unwrap(), std::fs::read(two.file).unwrap());
    let later = folder.path().join("later.tar");
    assert!(build(folder.path(), &program, &later, "1700000000").status.success());
    assert_eq!(Image::open(later).config["created"], "2023-11-14T22:13:20Z");
}

#[test]
fn the_image_holds_the_program_and_the_certificates_and_its_user_can_write_nothing() {
    let (folder, program) = inputs();
    let image = image(folder.path(), &program, "image.tar");
    let expected = [
        "-rwxr-xr-x 0/0 configurable-agents",
        "drwxr-xr-x 0/0 etc/",
        "drwxr-xr-x 0/0 etc/ssl/",
        "drwxr-xr-x 0/0 etc/ssl/certs/",
        "-rw-r--r-- 0/0 etc/ssl/certs/ca-certificates.crt",
    ];
    assert_eq!(image.entries(folder.path()), expected);
    assert_eq!(image.config["config"]["User"], "65532:65532");
}

#[test]
fn a_program_that_needs_a_loader_is_refused() {
    let (folder, _) = inputs();
    let dynamic = Path::new(env!("CARGO_BIN_EXE_configurable-agents"));
    let output = build(folder.path(), dynamic, &folder.path().join("image.tar"), "0");
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("is not static"));
}

/// The instructions of the Dockerfile's last stage, with their continuation lines joined.
fn last_stage() -> Vec<(String, String)> {
    let text = read("deploy/image/Dockerfile").replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = |line: &str| {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap();
        (word.to_owned(), rest.trim().to_owned())
    };
    let all: Vec<_> = lines.map(split).collect();
    let from = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    all[from..].to_vec()
}

#[test]
fn the_dockerfile_and_the_recipe_without_an_engine_make_the_same_image() {
    let (folder, program) = inputs();
    let config = image(folder.path(), &program, "image.tar").config["config"].take();
    let mut expected: BTreeMap<&str, Value> = BTreeMap::new();
    for (word, rest) in last_stage() {
        match word.as_str() {
            "FROM" => assert_eq!(rest, "scratch"),
            "ARG" => assert_eq!(rest, "VERSION"),
            // All files of both come from root.sh.
            "COPY" => assert_eq!(rest, "--from=build /image/ /"),
            "ENV" => drop(expected.insert("Env", serde_json::json!([rest]))),
            "USER" => drop(expected.insert("User", rest.into())),
            "ENTRYPOINT" => drop(expected.insert("Entrypoint", serde_json::from_str(&rest).unwrap())),
            "LABEL" => {
                let rest = rest.replace("${VERSION}", env!("CARGO_PKG_VERSION"));
                let pairs = rest.split("\" ").map(|pair| pair.trim().trim_end_matches('"'));
                let labels = pairs.map(|pair| pair.split_once("=\"").unwrap());
                let labels: BTreeMap<_, _> = labels.collect();
                expected.insert("Labels", serde_json::to_value(labels).unwrap());
            }
            other => panic!("the recipe does not know {other}"),
        }
    }
    for key in ["Env", "User", "Entrypoint", "Labels"] {
        assert_eq!(Some(&config[key]), expected.get(key), "{key}");
    }
    assert!(
        read("deploy/image/Dockerfile")
            .contains("RUN deploy/image/root.sh \"$(deploy/image/binary.sh)\" /image")
    );
    assert!(read("deploy/image/build.sh").contains("\"$here/root.sh\" \"$program\""));
}

#[test]
fn the_dockerfile_builds_with_the_toolchain_of_the_checkout() {
    let toolchain: String = read("rust-toolchain.toml")
        .lines()
        .find_map(|line| line.strip_prefix("channel = ").map(str::to_owned))
        .unwrap();
    let base = format!("library/rust:{}-slim-bookworm AS build", toolchain.trim_matches('"'));
    assert!(read("deploy/image/Dockerfile").contains(&base), "{base}");
}
