//! Our verdict on manifests is that of `kubectl apply` and the API server: on the corpus, and on random objects.

use std::path::PathBuf;

use configurable_agents::api::{GROUP, VERSION};
use configurable_agents::manifest;
use futures::StreamExt as _;
use serde_json::json;

use crate::bed::{Bed, root};
use crate::generate;

/// Calls of kubectl at once.
const AT_ONCE: usize = 4;

pub async fn the_corpus_gets_the_same_verdict_from_kubectl_and_from_us(bed: &Bed) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/manifests");
    let files = ["good", "bad"].into_iter().flat_map(|verdict| {
        let entries = std::fs::read_dir(folder.join(verdict)).unwrap();
        entries.map(move |entry| (entry.unwrap().path(), verdict == "good")).collect::<Vec<_>>()
    });
    let verdicts = futures::stream::iter(files).map(|(file, good)| async move {
        let name = file.display().to_string();
        let theirs = bed.kubectl(&["apply", "--dry-run=server", "-f", &name]).await;
        let ours = manifest::read(&std::fs::read(&file).unwrap());
        let agree = theirs.status.success() == good && ours.problems.is_empty() == good;
        (!agree).then(|| {
            format!("{name}: kubectl {}: {}; we: {:?}", theirs.status, theirs.stderr.trim(), ours.problems)
        })
    });
    let all: Vec<Option<String>> = verdicts.buffer_unordered(AT_ONCE).collect().await;
    assert!(all.len() > 200, "{}", all.len());
    let wrong: Vec<String> = all.into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub async fn random_objects_get_the_same_verdict_from_kubectl_and_from_us(bed: &Bed) {
    const OBJECTS: u64 = 600;
    let schema = root()["properties"]["spec"].clone();
    let objects: Vec<String> = (0..OBJECTS)
        .map(|seed| {
            let spec = generate::spec(&schema, &mut generate::Random::new(seed), seed % 3 != 0);
            let (version, name) = (format!("{GROUP}/{VERSION}"), format!("seed-{seed}"));
            json!({"apiVersion": version, "kind": "AgentEndpoint", "metadata": {"name": name}, "spec": spec})
                .to_string()
        })
        .collect();
    // As YAML documents, several in one file: kubectl goes on after one that is refused.
    let mut accepted = Vec::new();
    let mut wrong = Vec::new();
    for (part, chunk) in objects.chunks(100).enumerate() {
        let text = format!("# part {part}\n---\n{}\n", chunk.join("\n---\n"));
        let args = ["apply", "--dry-run=server", "-f", "-"];
        let output = bed.plane.kubectl_stdin(&args, &text).await;
        let ours = manifest::read(text.as_bytes());
        for seed in (part * 100..).take(chunk.len()) {
            let theirs = output.stdout.contains(&format!("/seed-{seed} created"));
            let good = ours.endpoints.iter().any(|endpoint| endpoint.id.name == format!("seed-{seed}"));
            if theirs != good {
                let line = 3 + 2 * (seed - part * 100);
                let problems: Vec<_> = ours.problems.iter().filter(|p| p.at.line == line).collect();
                let said: Vec<_> = output
                    .stderr
                    .split("The AgentEndpoint")
                    .filter(|t| t.contains(&format!("seed-{seed}\"")))
                    .collect();
                wrong.push(format!(
                    "seed {seed}: kubectl {theirs} {said:?}, we {good} {problems:?}: {}",
                    objects[seed]
                ));
            }
            accepted.extend(theirs.then_some(seed));
        }
    }
    assert!(wrong.is_empty(), "{} of {OBJECTS}:\n{}", wrong.len(), wrong.join("\n"));
    let share = accepted.len() as u64 * 100 / OBJECTS;
    println!("{} of {OBJECTS} random objects were accepted", accepted.len());
    assert!((20..=80).contains(&share), "{share} % accepted: one of the two verdicts is hardly tried");
}
