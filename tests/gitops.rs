//! What Argo CD and Flux conclude of an AgentEndpoint in each state, by the files of `deploy/gitops/`, run by the real
//! languages: Lua 5.1, which Argo CD has, and CEL.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cel::{Context, Program, Value as CelValue};
use configurable_agents::api::v1alpha1::AgentEndpoint;
use configurable_agents::domain::{ConditionType, Reason};
use mlua::{Lua, LuaSerdeExt as _};
use serde_json::Value;

fn folder(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/gitops").join(relative)
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The cases of a `health_test.yaml`, each with its object.
fn cases(tool: &str) -> Vec<(Value, Value)> {
    let tests = read(&folder(tool).join("health_test.yaml"))["tests"].as_array().unwrap().clone();
    let object = |case: &Value| read(&folder(tool).join(case["inputPath"].as_str().unwrap()));
    tests.iter().map(|case| (case.clone(), object(case))).collect()
}

/// As Argo CD does: `obj` is the object, the script returns status and message.
fn argo_cd(script: &str, object: &Value) -> Value {
    let lua = Lua::new();
    lua.globals().set("obj", lua.to_value(object).unwrap()).unwrap();
    let health: mlua::Value = lua.load(script).eval().unwrap_or_else(|error| panic!("{error}: {object}"));
    lua.from_value(health).unwrap()
}

/// As Flux does: a generation that was not seen, then `inProgress`, `failed`, `current`, each with the object's fields.
fn flux(expressions: &Value, object: &Value) -> &'static str {
    let observed = &object["status"]["observedGeneration"];
    if !observed.is_null() && *observed != object["metadata"]["generation"] {
        return "InProgress";
    }
    let holds = |name: &str| {
        let mut context = Context::default();
        for (field, value) in object.as_object().unwrap() {
            context.add_variable(field.as_str(), value).unwrap();
        }
        let program = Program::compile(expressions[name].as_str().unwrap()).unwrap();
        match program.execute(&context) {
            Ok(CelValue::Bool(holds)) => holds,
            other => panic!("{name}: {other:?} of {object}"),
        }
    };
    ["inProgress", "failed", "current"].into_iter().find(|name| holds(name)).map_or("InProgress", |name| {
        match name {
            "inProgress" => "InProgress",
            "failed" => "Failed",
            _ => "Current",
        }
    })
}

#[test]
fn argo_cd_concludes_the_right_health_of_every_state() {
    let script = std::fs::read_to_string(folder("argo-cd/health.lua")).unwrap();
    for (case, object) in cases("argo-cd") {
        assert_eq!(argo_cd(&script, &object), case["healthStatus"], "{}", case["inputPath"]);
    }
}

#[test]
fn flux_concludes_the_right_status_of_every_state() {
    for (case, object) in cases("flux") {
        for wish in ["declared", "answering"] {
            let expressions = &read(&folder(&format!("flux/{wish}.yaml")))[0];
            assert_eq!(expressions["kind"], "AgentEndpoint");
            assert_eq!(flux(expressions, &object), case[wish], "{wish} {}", case["inputPath"]);
        }
    }
}

#[test]
fn every_state_is_tried_and_is_one_that_the_orchestrator_writes() {
    let files = std::fs::read_dir(folder("argo-cd/testdata")).unwrap();
    let files: BTreeSet<String> =
        files.map(|file| file.unwrap().file_name().to_string_lossy().into_owned()).collect();
    let tried: BTreeSet<String> = cases("argo-cd")
        .iter()
        .map(|(case, _)| case["inputPath"].as_str().unwrap().trim_start_matches("testdata/").to_owned())
        .collect();
    assert_eq!(tried, files);
    // Flux asks about the status, which the schema's default puts into every object.
    assert_eq!(cases("flux").len() + 1, files.len());
    let known = |kind: &str| ConditionType::ALL.iter().any(|known| known.as_str() == kind);
    for (case, object) in cases("argo-cd") {
        let endpoint: AgentEndpoint = serde_json::from_value(object).unwrap();
        for condition in endpoint.status.into_iter().flat_map(|status| status.conditions) {
            assert!(known(&condition.type_), "{case}: {}", condition.type_);
            let reason = Reason::ALL.iter().any(|reason| reason.as_str() == condition.reason);
            assert!(reason, "{case}: {}", condition.reason);
        }
    }
}

#[test]
fn the_example_for_flux_is_the_file_that_is_tried() {
    let text = std::fs::read_to_string(folder("../../docs/how-to/flux.md")).unwrap();
    let block = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let example: Value = serde_saphyr::from_str(block).unwrap();
    assert_eq!(example["spec"]["healthCheckExprs"], read(&folder("flux/declared.yaml")));
}
