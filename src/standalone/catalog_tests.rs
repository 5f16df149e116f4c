use tokio::time::Instant;

use super::*;

fn one(name: &str, host: &str) -> String {
    format!(
        "apiVersion: agents.configurable.dev/v1alpha1\nkind: AgentEndpoint\nmetadata: {{name: {name}}}\nspec: {{targets: [{{host: {host}, port: 80}}]}}\n---\n"
    )
}

fn reading(files: &[(&str, Content)]) -> Reading {
    let copy = |content: &Content| match content {
        Content::Same => Content::Same,
        Content::Unreadable(why) => Content::Unreadable(why.clone()),
        Content::New(_) => unreachable!("use text()"),
    };
    let files = files.iter().map(|(name, c)| (PathBuf::from(name), copy(c))).collect();
    Reading { at: Instant::now(), files, too_many: false }
}

fn texts(files: &[(&str, &str)]) -> Reading {
    let new = |text: &str| Content::New(Box::new(crate::manifest::read(text.as_bytes())));
    Reading {
        at: Instant::now(),
        files: files.iter().map(|(name, text)| (PathBuf::from(name), new(text))).collect(),
        too_many: false,
    }
}

fn names(catalog: &Catalog) -> Vec<String> {
    catalog.endpoints().map(|(id, object)| format!("{}@{}", id.name, object.spec.targets[0].host)).collect()
}

fn update(catalog: &mut Catalog, reading: Reading) -> News {
    catalog.update(Path::new("dir"), Ok(reading))
}

#[test]
fn a_file_gone_bad_keeps_what_it_declared_and_is_told_once_and_mended_once() {
    let mut catalog = Catalog::default();
    assert_eq!(
        update(&mut catalog, texts(&[("a.yaml", &(one("a", "x") + &one("b", "x")))])),
        News::default()
    );
    // The good document of a bad file counts, and what can no longer be read stays.
    let bad = one("a", "w") + "kind: [\n";
    let news = update(&mut catalog, texts(&[("a.yaml", &bad)]));
    assert_eq!(names(&catalog), ["a@w", "b@x"]);
    assert!(news.worse.len() == 1 && news.worse[0].starts_with("a.yaml:"), "{news:?}");
    assert!(catalog.incomplete().unwrap().starts_with("a.yaml:"));
    assert_eq!(update(&mut catalog, reading(&[("a.yaml", Content::Same)])), News::default(), "said once");
    let news = update(&mut catalog, texts(&[("a.yaml", &one("a", "z"))]));
    assert_eq!((names(&catalog), news.mended), (vec!["a@z".to_owned()], vec![PathBuf::from("a.yaml")]));
    assert_eq!(catalog.incomplete(), None);
}

#[test]
fn what_cannot_be_read_is_not_gone_and_what_is_gone_is() {
    let mut catalog = Catalog::default();
    update(&mut catalog, texts(&[("a.yaml", &one("a", "x")), ("b.yaml", &one("b", "x"))]));
    let unreadable = Content::Unreadable("Permission denied".to_owned());
    let news = update(&mut catalog, reading(&[("a.yaml", unreadable), ("b.yaml", Content::Same)]));
    assert_eq!(names(&catalog), ["a@x", "b@x"]);
    assert_eq!(news.worse, ["a.yaml: cannot be read: Permission denied"]);
    let news = catalog.update(Path::new("dir"), Err(std::io::Error::other("No such directory")));
    assert_eq!(names(&catalog), ["a@x", "b@x"]);
    assert_eq!(news.worse, ["dir: the directory cannot be read: No such directory"]);
    update(&mut catalog, reading(&[("b.yaml", Content::Same)]));
    assert_eq!((names(&catalog), catalog.incomplete()), (vec!["b@x".to_owned()], None));
}

#[test]
fn of_two_that_declare_the_same_name_the_first_stays_until_it_lets_go() {
    let mut catalog = Catalog::default();
    update(&mut catalog, texts(&[("b.yaml", &one("a", "b"))]));
    let news = update(&mut catalog, texts(&[("a.yaml", &one("a", "a")), ("b.yaml", &one("a", "b"))]));
    assert_eq!(names(&catalog), ["a@b"]);
    assert_eq!(
        news.worse,
        ["a.yaml:1:1: metadata.name: default/a is declared in b.yaml too; that one counts"]
    );
    let news = update(&mut catalog, texts(&[("a.yaml", &one("a", "a")), ("b.yaml", "# moved\n")]));
    assert_eq!((names(&catalog), news.mended), (vec!["a@a".to_owned()], vec![PathBuf::from("a.yaml")]));
    let news = update(&mut catalog, texts(&[("a.yaml", &(one("a", "a") + &one("a", "c")))]));
    assert_eq!(names(&catalog), ["a@a"]);
    assert_eq!(news.worse, ["a.yaml:6:1: metadata.name: default/a is declared twice; the first one counts"]);
}

#[test]
fn a_file_with_many_problems_is_told_in_few_lines() {
    let bad = "kind: [\n---\n".repeat(50);
    let news = update(&mut Catalog::default(), texts(&[("a.yaml", &bad)]));
    assert_eq!(news.worse.len(), MAX_LINES + 1);
    assert_eq!(news.worse[MAX_LINES], "a.yaml: and 30 more");
}

#[test]
fn a_file_that_was_emptied_keeps_what_it_declared_and_one_with_a_comment_does_not() {
    let mut catalog = Catalog::default();
    update(&mut catalog, texts(&[("a.yaml", &(one("a", "x") + &one("b", "x")))]));
    for empty in ["", "---\n"] {
        update(&mut catalog, texts(&[("a.yaml", empty)]));
        assert_eq!(names(&catalog), ["a@x", "b@x"]);
        let what = "a.yaml: it is empty; delete the file to withdraw what it declared";
        assert_eq!(catalog.incomplete().as_deref(), Some(what));
    }
    update(&mut catalog, reading(&[("a.yaml", Content::Same)]));
    assert!(catalog.incomplete().is_some(), "it still is");
    update(&mut catalog, texts(&[("a.yaml", &one("a", "x"))]));
    assert_eq!((names(&catalog), catalog.incomplete()), (vec!["a@x".to_owned()], None));
    update(&mut catalog, texts(&[("a.yaml", "# none any more\n"), ("b.yaml", "")]));
    assert_eq!((names(&catalog), catalog.incomplete()), (Vec::new(), None));
}

#[test]
fn an_edit_of_what_cannot_change_is_refused_and_the_last_good_stays() {
    let with_id = |host: &str, id: &str| {
        one("a", host).replace("spec: {targets", &format!("spec: {{agentID: default.{id}, targets"))
    };
    let mut catalog = Catalog::default();
    update(&mut catalog, texts(&[("a.yaml", &with_id("x", "one"))]));
    let news = update(&mut catalog, texts(&[("a.yaml", &(with_id("w", "other") + &one("b", "w")))]));
    assert_eq!(names(&catalog), ["a@x", "b@w"]);
    assert!(
        news.worse.len() == 1 && news.worse[0].starts_with("a.yaml:1:1: spec.agentID: field is immutable"),
        "{news:?}"
    );
    update(&mut catalog, texts(&[("a.yaml", &one("b", "w"))]));
    let news = update(&mut catalog, texts(&[("a.yaml", &with_id("w", "other"))]));
    assert_eq!((names(&catalog), news.worse), (vec!["a@w".to_owned()], Vec::new()), "it was deleted before");
}
