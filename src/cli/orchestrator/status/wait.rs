//! `--wait`: until it has come about, or the time is up.

use std::time::Duration;

use rand::RngExt as _;

use super::{Asked, StatusArgs, Wanted};
use crate::cli::orchestrator::status::rows::Read;
use crate::cli::{CliError, Code};
use crate::domain::StatusWord;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(1);

/// Flags that make no sense together.
pub fn check(args: &StatusArgs) -> Result<(), CliError> {
    let wrong = |what: &str, hint: &str| Err(CliError::new(Code::Usage, what.to_owned()).hint(hint));
    match (args.wanted, &args.name) {
        (Some(Wanted::AllReady), Some(_)) => {
            wrong("--for all-ready is about all endpoints", "leave NAME out, or use --for ready")
        }
        (None | Some(Wanted::AllReady), _) | (_, Some(_)) => Ok(()),
        (Some(_), None) => wrong("this --for is about one endpoint", "name it, or use --for all-ready"),
    }
}

fn wanted(args: &StatusArgs) -> Wanted {
    let default = if args.name.is_some() { Wanted::Ready } else { Wanted::AllReady };
    args.wanted.unwrap_or(default)
}

/// Asks again and again, with growing pauses of at most a second.
pub async fn until(asked: &Asked) -> Result<(), CliError> {
    let wanted = wanted(&asked.args);
    let mut last = "no answer yet".to_owned();
    let asking = async {
        let mut pause = FIRST;
        loop {
            match look(asked, wanted).await {
                Ok(None) => return Ok(()),
                Ok(Some(missing)) => last = missing,
                // Who is away may come back, and what does not exist may be made.
                Err(error) if matches!(error.kind(), Code::Unreachable | Code::NotFound) => {
                    let text = error.to_string();
                    let what = text.lines().next().unwrap_or_default();
                    what.trim_start_matches("error: ").clone_into(&mut last);
                }
                Err(error) => return Err(error),
            }
            let jitter = rand::rng().random_range(0.5..1.0);
            tokio::time::sleep(pause.mul_f64(jitter)).await;
            pause = (pause * 2).min(LONGEST);
        }
    };
    if let Ok(result) = tokio::time::timeout(asked.args.timeout, asking).await {
        return result;
    }
    let limit = asked.args.timeout.as_secs();
    Err(CliError::new(Code::TimedOut, format!("it did not come about within {limit} s"))
        .cause(last)
        .hint("wait longer with --timeout, or look: `configurable-agents orchestrator status`"))
}

/// What is still missing; `None` when it has come about.
async fn look(asked: &Asked, wanted: Wanted) -> Result<Option<String>, CliError> {
    if wanted == Wanted::AllReady {
        return Ok(all_ready(&asked.endpoints(&asked.args.status).await?));
    }
    let id = match asked.id().await {
        Ok(id) => id,
        Err(error) if error.kind() == Code::NotFound && wanted == Wanted::Deleted => None,
        Err(error) => return Err(error),
    };
    let object = match &id {
        Some(id) => asked.client.endpoint(id).await.map_err(|e| asked.explain(&e))?,
        None => None,
    };
    let Some(read) = object.and_then(Read::of) else {
        let done = wanted == Wanted::Deleted;
        return Ok((!done).then(|| "there is no such endpoint yet".to_owned()));
    };
    Ok(one(&read, wanted))
}

fn one(read: &Read, wanted: Wanted) -> Option<String> {
    let row = &read.row;
    let is = match wanted {
        Wanted::Ready => matches!(row.word, StatusWord::Ready | StatusWord::Degraded),
        Wanted::Degraded => row.word == StatusWord::Degraded,
        Wanted::Failing => row.word == StatusWord::Failing,
        Wanted::Rejected => row.word == StatusWord::Rejected,
        Wanted::Unknown => row.word == StatusWord::Unknown,
        Wanted::Paused => row.word == StatusWord::Paused,
        Wanted::AllReady | Wanted::Deleted => false,
    };
    match (is, read.is_current()) {
        (true, true) => None,
        (true, false) => Some(format!("{} has a newer spec than its status", row.id)),
        (false, _) => Some(format!("{} is {} ({})", row.id, row.word, row.reason)),
    }
}

fn all_ready(endpoints: &[Read]) -> Option<String> {
    if endpoints.is_empty() {
        return Some("there is no endpoint yet".to_owned());
    }
    let mut missing = endpoints.iter().filter(|read| read.row.word != StatusWord::Paused);
    let first = missing.find_map(|read| one(read, Wanted::Ready))?;
    let others = missing.filter(|read| one(read, Wanted::Ready).is_some()).count();
    Some(if others == 0 { first } else { format!("{first}, and {others} more are not ready") })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn endpoint(ready: &str, generation: i64, observed: i64, suspended: bool) -> Read {
        let reason = match (suspended, ready) {
            (true, _) => "Suspended",
            (_, "True") => "Ready",
            (_, "False") => "ConnectionRefused",
            _ => "NotYetProbed",
        };
        Read::of(json!({
            "apiVersion": "agents.configurable.dev/v1alpha1", "kind": "AgentEndpoint",
            "metadata": {"name": "a", "namespace": "ns", "generation": generation},
            "spec": {"targets": [{"host": "a.example", "port": 80}], "suspend": suspended},
            "status": {"observedGeneration": observed, "conditions": [{
                "type": "Ready", "status": ready, "reason": reason, "message": "",
                "lastTransitionTime": "2026-11-23T07:00:00Z",
            }]},
        }))
        .unwrap()
    }

    #[test]
    fn ready_is_of_the_newest_spec() {
        assert_eq!(one(&endpoint("True", 2, 2, false), Wanted::Ready), None);
        assert!(one(&endpoint("True", 2, 1, false), Wanted::Ready).unwrap().contains("newer spec"));
        let missing = one(&endpoint("False", 2, 2, false), Wanted::Ready).unwrap();
        assert_eq!(missing, "ns/a is Failing (ConnectionRefused)");
        assert_eq!(one(&endpoint("False", 1, 1, false), Wanted::Failing), None);
    }

    #[test]
    fn all_ready_wants_one_and_leaves_paused_ones_out() {
        assert!(all_ready(&[]).is_some());
        let (ready, paused) = (endpoint("True", 1, 1, false), endpoint("Unknown", 1, 1, true));
        assert_eq!(paused.row.word, StatusWord::Paused);
        assert_eq!(all_ready(&[ready, paused]), None);
        let bad = [endpoint("False", 1, 1, false), endpoint("Unknown", 1, 1, false)];
        assert!(all_ready(&bad).unwrap().ends_with("and 1 more are not ready"));
    }
}
