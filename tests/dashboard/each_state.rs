//! One fixture for each state that pages can be in.

use configurable_agents::domain::StatusWord;
use configurable_agents::view::System;
use configurable_agents::view::system::{CanaryAnswer, MassFailure, Mode, ProbeNumbers, RegistryLink, Role};
use jiff::Timestamp;

use super::{Fixture, before, endpoint, hostile, unreadable};

/// Every state that a page can be in, with its name.
pub fn states() -> Vec<(&'static str, Fixture)> {
    let registry = |change: fn(&mut RegistryLink)| {
        move |system: &mut System| {
            if let Some(link) = &mut system.registry {
                change(link);
            }
        }
    };
    let all_ready = Fixture::empty();
    all_ready.view.put(endpoint("team-a", "research", StatusWord::Ready, 4000));
    let rejected = Fixture::empty();
    rejected.view.put(endpoint("team-b", "metadata-thief", StatusWord::Rejected, 60));
    rejected.view.put(unreadable(
        "team-b",
        "odd",
        "spec.targets[0].port: invalid value: 70000, expected 1 to 65535",
    ));
    let pending = Fixture::empty();
    pending.view.put(endpoint("team-c", "translator", StatusWord::Unknown, 3));
    vec![
        ("normal", Fixture::normal()),
        ("empty", Fixture::empty().records(Vec::new())),
        (
            "empty-standalone",
            Fixture::empty().records(Vec::new()).with(|system| {
                system.mode = Mode::Standalone;
                system.leader = None;
                "deploy/samples".clone_into(&mut system.objects);
                system.database = Some("configurable-agents.db".to_owned());
            }),
        ),
        ("all-ready", all_ready),
        ("pending", pending),
        ("rejected", rejected),
        ("stuck", Fixture::normal().with(|system| system.probes.last_finished_at = Some(before(600)))),
        ("mass-failure", mass_failure(Some(before(-240)), true)),
        ("mass-failure-unknown", mass_failure(None, false)),
        (
            "registry-away",
            Fixture::normal()
                .with(registry(|link| {
                    link.reachable = Some(false);
                    link.away_since = Some(before(900));
                    link.pending = 31;
                    link.problem = Some("connection refused".to_owned());
                }))
                .registry_fails("http://localhost:8000: connection refused"),
        ),
        ("registry-garbage", Fixture::normal().registry_fails("the answer is not JSON: expected value at line 1 column 1")),
        ("no-registry", {
            let mut fixture = Fixture::normal().with(|system| system.registry = None);
            fixture.fetch = None;
            fixture
        }),
        (
            "standby",
            Fixture::normal().with(|system| {
                system.role = Role::Standby;
                system.probes = ProbeNumbers::default();
            }),
        ),
        (
            "crd-missing",
            Fixture::empty().check(
                "agentendpoints",
                "the AgentEndpoint CRD is not installed in this cluster; hint: configurable-agents crds | kubectl apply --server-side -f -",
            ),
        ),
        (
            "forbidden",
            Fixture::empty().check(
                "agentendpoints",
                "not allowed: agentendpoints.agents.configurable.dev is forbidden: User \"x\" cannot list resource; hint: kubectl auth can-i --list, and deploy/rbac.yaml for what is needed",
            ),
        ),
        ("api-away", Fixture::normal().check("agentendpoints", "the API server has not answered for 6 minutes")),
        ("database-locked", Fixture::normal().check("database", "database is locked; statuses are kept in memory")),
        ("hostile", hostile()),
    ]
}

/// Most targets fail at once, and so does a canary, if there are any.
fn mass_failure(held_until: Option<Timestamp>, canaries: bool) -> Fixture {
    let answer = |name: &str, problem: Option<&str>| CanaryAnswer {
        name: name.to_owned(),
        problem: problem.map(str::to_owned),
    };
    let mut answers =
        vec![answer("API server", None), answer("<b>resolver</b>", Some("no answer within 3 s"))];
    answers.retain(|_| canaries);
    Fixture::normal().with(move |system| {
        system.mass_failure =
            Some(MassFailure { since: before(60), healthy: 50, failing: 42, held_until, canaries: answers });
    })
}
