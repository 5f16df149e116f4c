//! What the chart refuses, and how it says so.

use crate::helm::{Helm, objects};

#[test]
fn a_misspelt_or_mistyped_value_is_refused_by_its_name() {
    for helm in Helm::BOTH {
        for (set, named) in [
            ("replicaCuont=2", "replicaCuont"),
            ("orchestrator.replicaCuont=2", "replicaCuont"),
            ("registry.persistance.size=1Gi", "persistance"),
            ("networkPolicy.enable=true", "enable"),
            ("metrics.serviceMonitor.intervall=1s", "intervall"),
            ("orchestrator.replicas=two", "/orchestrator/replicas"),
            ("orchestrator.replicas=-1", "/orchestrator/replicas"),
            ("crds.install=maybe", "/crds/install"),
            ("image.digest=sha256:short", "/image/digest"),
            ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
            ("watchNamespaces=team-a", "/watchNamespaces"),
            ("orchestrator.logLevel=loud", "/orchestrator/logLevel"),
            ("orchestrator.class=No_Label", "/orchestrator/class"),
            ("orchestrator.allowTargets[0]=10.0.0.1", "/orchestrator/allowTargets/0"),
            ("orchestrator.settings.Default_Period=3", "Default_Period"),
            ("orchestrator.livenessProbe.period=3", "period"),
            ("orchestrator.terminationGracePeriodSeconds=5", "/orchestrator/terminationGracePeriodSeconds"),
            ("registry.database.existingSecret=No Name", "/registry/database/existingSecret"),
            ("registry.persistence.accessModes[0]=ReadWriteMany", "/registry/persistence/accessModes/0"),
            ("registry.externalURL=agents.example", "/registry/externalURL"),
            ("networkPolicy.registry.from[0].namespaceSelectors.x=y", "namespaceSelectors"),
            ("networkPolicy.apiServer.ports[0]=99999", "/networkPolicy/apiServer/ports/0"),
        ] {
            let refused = helm.template("one", &["--set", set]);
            let refused = refused.expect_err(set);
            assert!(refused.contains(named), "{helm:?} {set}: {refused}");
        }
    }
}

#[test]
fn two_registries_on_sqlite_are_refused_with_the_reason() {
    for helm in Helm::BOTH {
        let refused = helm.template("one", &["--set", "registry.replicas=2"]).unwrap_err();
        for words in [
            "registry.replicas: 2 replicas need PostgreSQL",
            "registry.database.existingSecret",
            "one writer",
        ] {
            assert!(refused.contains(words), "{refused}");
        }
        let postgres = ["--set", "registry.replicas=2", "--set", "registry.database.existingSecret=database"];
        helm.template("one", &postgres).unwrap();
    }
}

#[test]
fn an_older_kubernetes_is_refused() {
    for helm in Helm::BOTH {
        let refused = helm.template("one", &["--kube-version", "1.32.9"]).unwrap_err();
        assert!(refused.contains("1.33"), "{refused}");
        helm.template("one", &["--kube-version", "1.33.0-gke.1"]).unwrap();
    }
}

#[test]
fn a_parent_chart_renders_it_with_its_global_values() {
    let parent = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(parent.path().join(name), text).unwrap();
    write("Chart.yaml", "apiVersion: v2\nname: parent\nversion: 1.0.0\n");
    write(
        "values.yaml",
        "global: {imageRegistry: mirror.example, imagePullSecrets: [{name: shared}], of: {others: true}}\n\
         configurable-agents: {orchestrator: {replicas: 2}}\n",
    );
    std::fs::create_dir(parent.path().join("charts")).unwrap();
    std::os::unix::fs::symlink(crate::helm::chart(), parent.path().join("charts/configurable-agents"))
        .unwrap();
    for helm in Helm::BOTH {
        let path = parent.path().display().to_string();
        let text = helm.run(&["template", "one", &path, "--kube-version", "1.36.0"]).unwrap();
        let objects = objects(&text);
        let deployment = crate::helm::of_kind(&objects, "Deployment")[0];
        let spec = &deployment["spec"]["template"]["spec"];
        assert_eq!(deployment["spec"]["replicas"], 2);
        assert_eq!(spec["imagePullSecrets"][0]["name"], "shared");
        assert!(spec["containers"][0]["image"].as_str().unwrap().starts_with("mirror.example/"), "{spec}");
    }
}
