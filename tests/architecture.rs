//! The dependency rules: who may use whom, in `use` lines and in full paths alike.
//!
//! Every path in every file under `src/` is read with `syn`, test code included where it is inside
//! the file. Paths that begin with `crate`, `self` or `super` are resolved to a top-level module;
//! the first segment of any other path is looked up among the crates of `Cargo.toml`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use syn::visit::Visit;

/// Module → (own modules it may use, crates it may use beside `ANYWHERE`).
const RULES: &[(&str, &[&str], &[&str])] = &[
    ("domain", &[], &["ipnet", "sha2"]),
    ("api", &["domain"], &["k8s_openapi", "kube", "schemars", "serde_saphyr"]),
    (
        "probe",
        &["domain", "vault"],
        &[
            "tokio",
            "tokio_rustls",
            "tokio_util",
            "h2",
            "hickory_resolver",
            "hyper",
            "hyper_util",
            "http",
            "http_body_util",
            "rustls",
            "rustls_native_certs",
        ],
    ),
    ("manifest", &["api", "domain"], &["cel", "granit_parser", "regex", "strsim"]),
    ("vault", &["domain"], &["http", "rustls", "secrecy", "tokio"]),
    ("engine", &["domain", "probe"], &["prometheus_client", "tokio", "tokio_util"]),
    ("web", &[], &["reqwest", "rustls"]),
    ("registry_client", &["domain", "web"], &["reqwest", "tokio", "tokio_util", "rand"]),
    ("mirror", &["domain", "registry_client"], &["prometheus_client", "tokio", "tokio_util", "rand", "uuid"]),
    (
        "kubernetes",
        &["api", "domain", "engine", "mirror", "ops", "registry_client", "vault", "view"],
        &["http", "kube", "k8s_openapi", "prometheus_client", "tokio", "tokio_util", "tower", "rand"],
    ),
    (
        "standalone",
        &["api", "domain", "engine", "manifest", "mirror", "ops", "registry_client", "vault", "view"],
        &["k8s_openapi", "kube", "notify", "serde_saphyr", "sqlx", "tokio", "tokio_util", "uuid"],
    ),
    (
        "registry",
        &["domain", "ops"],
        &[
            "axum",
            "http_body_util",
            "hyper",
            "hyper_util",
            "prometheus_client",
            "sha2",
            "sqlx",
            "tokio",
            "tokio_util",
            "tower",
            "tower_http",
            "rand",
            "uuid",
            "http",
        ],
    ),
    ("view", &["api", "domain"], &["k8s_openapi", "kube", "prometheus_client", "tokio"]),
    ("orchestrator_client", &["domain", "view", "web"], &["reqwest"]),
    (
        "dashboard",
        &["api", "domain", "view"],
        &[
            "axum",
            "form_urlencoded",
            "kube",
            "maud",
            "prometheus_client",
            "serde_saphyr",
            "sha2",
            "tokio",
            "tower_http",
            "uuid",
        ],
    ),
    (
        "ops",
        &[],
        &[
            "axum",
            "clap",
            "hyper",
            "hyper_util",
            "prometheus_client",
            "tokio",
            "tokio_util",
            "tower_http",
            "tracing_subscriber",
        ],
    ),
    (
        "cli",
        &[
            "api",
            "dashboard",
            "domain",
            "engine",
            "kubernetes",
            "manifest",
            "mirror",
            "ops",
            "orchestrator_client",
            "probe",
            "registry",
            "registry_client",
            "standalone",
            "vault",
            "view",
        ],
        &[
            "axum",
            "clap",
            "clap_complete",
            "ipnet",
            "prometheus_client",
            "rand",
            "rlimit",
            "serde_saphyr",
            "strsim",
            "terminal_size",
            "tokio",
            "tokio_util",
            "textwrap",
            "unicode_width",
            "uuid",
        ],
    ),
];

/// Crates without I/O that any module may use.
const ANYWHERE: &[&str] = &[
    "std",
    "core",
    "alloc",
    "serde",
    "serde_json",
    "jiff",
    "thiserror",
    "futures",
    "tracing",
    "proptest",
    "tempfile",
];

/// Calls that `domain` must not make: a clock, randomness, a task.
const IMPURE: &[&[&str]] = &[
    &["Timestamp", "now"],
    &["Zoned", "now"],
    &["SystemTime", "now"],
    &["Instant", "now"],
    &["std", "net", "TcpStream"],
    &["std", "net", "UdpSocket"],
    &["std", "fs"],
    &["std", "env"],
    &["std", "thread"],
    &["std", "process"],
];

/// Paths with the number of inline modules around each.
#[derive(Default)]
struct Paths {
    found: Vec<Vec<String>>,
    depths: Vec<usize>,
    depth: usize,
}

impl Paths {
    fn note(&mut self) {
        self.depths.resize(self.found.len(), self.depth);
    }

    /// A path of more than one segment: one alone is a name in scope (a variable may be called
    /// `http`), and the `use` line that brought it is looked at.
    fn whole(&mut self, path: Vec<String>) {
        if path.len() > 1 {
            self.found.push(path);
            self.note();
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.depth += 1;
        syn::visit::visit_item_mod(self, item);
        self.depth -= 1;
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.whole(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        syn::visit::visit_path(self, path);
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        flatten(&item.tree, &mut Vec::new(), &mut self.found);
        self.note();
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        syn::visit::visit_macro(self, item);
        // What stands inside a macro call is tokens: paths are picked out of them.
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in flat(item.tokens.clone()) {
            match token.as_str() {
                ":" => colons += 1,
                text if text.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_') => {
                    if colons != 2 {
                        self.whole(std::mem::take(&mut path));
                    }
                    path.push(text.to_owned());
                    colons = 0;
                }
                _ => {
                    self.whole(std::mem::take(&mut path));
                    colons = 0;
                }
            }
        }
        self.whole(path);
    }
}

fn flat(tokens: proc_macro2::TokenStream) -> Vec<String> {
    tokens
        .into_iter()
        .flat_map(|token| match token {
            proc_macro2::TokenTree::Group(group) => {
                let mut inner = vec!["(".to_owned()];
                inner.extend(flat(group.stream()));
                inner.push(")".to_owned());
                inner
            }
            other => vec![other.to_string()],
        })
        .collect()
}

fn flatten(tree: &syn::UseTree, before: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, found);
            before.pop();
        }
        syn::UseTree::Name(name) => found.push(with(before, name.ident.to_string())),
        syn::UseTree::Rename(name) => found.push(with(before, name.ident.to_string())),
        syn::UseTree::Glob(_) => found.push(before.clone()),
        syn::UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before, found)),
    }
}

fn with(before: &[String], last: String) -> Vec<String> {
    before.iter().cloned().chain([last]).collect()
}

fn source_files(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The module path of a file below `src`: `kubernetes/lease.rs` is `[kubernetes, lease]`.
fn module_of(file: &Path, src: &Path) -> Vec<String> {
    let relative = file.strip_prefix(src).unwrap().with_extension("");
    let mut parts: Vec<String> = relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    parts
}

/// Top-level modules and outer crates that a file's paths lead to.
fn uses(
    file: &Path,
    src: &Path,
    crates: &BTreeSet<String>,
) -> (BTreeSet<String>, BTreeSet<String>, Vec<Vec<String>>) {
    let text = std::fs::read_to_string(file).unwrap();
    let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut paths = Paths::default();
    paths.visit_file(&parsed);
    let here = module_of(file, src);
    let (mut own, mut outer) = (BTreeSet::new(), BTreeSet::new());
    for (path, depth) in paths.found.iter().zip(&paths.depths) {
        let ups = path.iter().take_while(|segment| *segment == "super").count();
        let first = path.first().map(String::as_str).unwrap_or_default();
        if first == "crate" {
            own.extend(path.get(1).cloned());
        } else if ups > 0 && ups >= here.len() + depth {
            own.extend(path.get(ups).cloned());
        } else if crates.contains(first) {
            outer.insert(first.to_owned());
        }
    }
    (own, outer, paths.found)
}

fn crates() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    section
        .lines()
        .filter_map(|line| line.split(['=', ' ']).next().filter(|name| !name.is_empty()))
        .map(|name| name.replace('-', "_"))
        .chain(["proptest"].map(str::to_owned))
        .collect()
}

#[test]
fn no_module_uses_what_the_rules_do_not_give_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let crates = crates();
    assert!(crates.contains("kube") && crates.len() > 20, "{crates:?}");
    let mut files = Vec::new();
    source_files(&src, &mut files);
    assert!(files.len() > 50);
    let modules: BTreeMap<&str, _> = RULES.iter().map(|(name, own, outer)| (*name, (own, outer))).collect();
    let mut broken = Vec::new();
    for file in files {
        let module = module_of(&file, &src);
        let Some(top) = module.first().filter(|top| !["lib", "main"].contains(&top.as_str())) else {
            continue;
        };
        let Some((may_own, may_outer)) = modules.get(top.as_str()) else {
            broken.push(format!("{}: module `{top}` has no rule", file.display()));
            continue;
        };
        let (own, outer, paths) = uses(&file, &src, &crates);
        for used in own.iter().filter(|used| modules.contains_key(used.as_str())) {
            if used != top && !may_own.contains(&used.as_str()) {
                broken.push(format!("{}: `{top}` may not use `crate::{used}`", file.display()));
            }
        }
        for used in &outer {
            if !may_outer.contains(&used.as_str()) && !ANYWHERE.contains(&used.as_str()) {
                broken.push(format!("{}: `{top}` may not use the crate `{used}`", file.display()));
            }
        }
        let is_test = file.file_stem().is_some_and(|stem| stem.to_str().unwrap().ends_with("_tests"));
        if top == "domain" && !is_test {
            for impure in IMPURE {
                if paths.iter().any(|path| path.windows(impure.len()).any(|window| window == *impure)) {
                    broken.push(format!("{}: `domain` may not use {}", file.display(), impure.join("::")));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn a_forbidden_path_is_found_in_a_use_line_in_a_full_path_and_in_a_macro() {
    let directory = tempfile::tempdir().unwrap();
    let module = directory.path().join("domain");
    std::fs::create_dir(&module).unwrap();
    let file = module.join("x.rs");
    let crates = crates();
    for text in [
        "use crate::{engine::{Engine as _}, domain};",
        "fn f() { crate::engine::Engine::new(); }",
        "fn f() -> crate::engine::Engine { loop {} }",
        "fn f() { println!(\"{}\", crate::engine::x()); }",
        "fn f() { super::super::engine::x(); }",
        "mod tests { fn f() { super::super::super::engine::x(); } }",
    ] {
        std::fs::write(&file, text).unwrap();
        let (own, _, _) = uses(&file, directory.path(), &crates);
        assert!(own.contains("engine"), "{text}");
    }
    for text in ["use tokio::time;", "fn f() { tokio::spawn(x); }", "fn f() { vec![tokio::spawn(x)]; }"] {
        std::fs::write(&file, text).unwrap();
        assert!(uses(&file, directory.path(), &crates).1.contains("tokio"), "{text}");
    }
}
