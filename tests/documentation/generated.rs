//! References that are made of the program: `UPDATE_DOCS=1 cargo test --test documentation` writes them anew.

use std::fmt::Write as _;

use configurable_agents::api::schema;
use configurable_agents::cli;
use serde_json::Value;

use crate::support::console::{read, repository};

const HOW: &str = "`UPDATE_DOCS=1 cargo test --test documentation`";

fn is_up_to_date(file: &str, text: &str) {
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(repository().join(file), text).unwrap();
    }
    assert!(
        read(file) == text,
        "{file} is not what the program says: run UPDATE_DOCS=1 cargo test --test documentation"
    );
}

/// `a to b`, or one of them.
fn between(low: &Value, high: &Value, what: &str) -> Option<String> {
    match (low.is_null(), high.is_null()) {
        (false, false) if low == high => Some(format!("{low}{what}")),
        (false, false) => Some(format!("{low} to {high}{what}")),
        (true, false) => Some(format!("at most {high}{what}")),
        (false, true) => Some(format!("at least {low}{what}")),
        (true, true) => None,
    }
}

/// Type, bounds and default of a field, in one line.
fn facts(schema: &Value, required: bool) -> String {
    let text = |key: &str| schema[key].as_str().unwrap_or_default();
    let kind = match text("type") {
        "array" => format!("list of {}s", schema["items"]["type"].as_str().unwrap()),
        "object" if schema["additionalProperties"].is_object() => "map of strings".to_owned(),
        "" => "integer or string".to_owned(),
        _ if text("format") == "date-time" => "time (RFC 3339)".to_owned(),
        kind => kind.to_owned(),
    };
    let mut facts = vec![kind];
    facts.extend(required.then(|| "required".to_owned()));
    let words = schema["enum"].as_array().or_else(|| schema["items"]["enum"].as_array());
    facts.extend(words.map(|words| {
        let words: Vec<String> = words.iter().map(|w| format!("`{}`", w.as_str().unwrap())).collect();
        format!("one of {}", words.join(", "))
    }));
    facts.extend(between(&schema["minimum"], &schema["maximum"], ""));
    let length = if kind_is_either(schema) { " characters as a string" } else { " characters" };
    facts.extend(between(&schema["minLength"], &schema["maxLength"], length));
    facts.extend(between(&schema["minItems"], &schema["maxItems"], " items"));
    facts.extend(between(&schema["minProperties"], &schema["maxProperties"], " keys"));
    facts.extend(match text("x-kubernetes-list-type") {
        "map" => {
            let keys = schema["x-kubernetes-list-map-keys"].as_array().unwrap();
            let keys: Vec<&str> = keys.iter().map(|key| key.as_str().unwrap()).collect();
            Some(format!("each `{}` once", keys.join("` + `")))
        }
        "set" => Some("each once".to_owned()),
        _ => None,
    });
    facts.extend((!schema["default"].is_null()).then(|| format!("default `{}`", schema["default"])));
    facts.join(" · ")
}

fn kind_is_either(schema: &Value) -> bool {
    schema["x-kubernetes-int-or-string"] == true
}

/// Rules of a field, with what is said when they are broken.
fn rules(schema: &Value, text: &mut String) {
    if let Some(pattern) = schema["pattern"].as_str() {
        write!(text, "\n- Pattern: `{pattern}`").unwrap();
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let message = rule["message"].as_str().or_else(|| rule["messageExpression"].as_str()).unwrap();
        let rule = rule["rule"].as_str().unwrap();
        let rule = rule.split_whitespace().collect::<Vec<_>>().join(" ");
        // A rule may have backticks, but not two in a row.
        write!(text, "\n- Rule: {message} — `` {rule} ``").unwrap();
    }
}

/// A field and all below it.
fn field(path: &str, schema: &Value, required: bool, text: &mut String) {
    let description = schema["description"].as_str().unwrap();
    write!(text, "\n### `{path}`\n\n{}\n\n{description}\n", facts(schema, required)).unwrap();
    let mut all = String::new();
    rules(schema, &mut all);
    let items = &schema["items"];
    rules(items, &mut all);
    if !all.is_empty() {
        writeln!(text, "{all}").unwrap();
    }
    let (path, below) = if items["properties"].is_object() {
        (format!("{path}[]"), items)
    } else {
        (path.to_owned(), schema)
    };
    fields(&path, below, text);
}

fn fields(path: &str, schema: &Value, text: &mut String) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        field(&format!("{path}.{name}"), property, required.contains(&name.as_str()), text);
    }
}

fn agent_endpoint() -> String {
    let crd: Value = serde_saphyr::from_str(&schema::crd_yaml()).unwrap();
    let (spec, version) = (&crd["spec"], &crd["spec"]["versions"][0]);
    let root = &version["schema"]["openAPIV3Schema"];
    let mut text = format!(
        "# AgentEndpoint\n\nGenerated from the CustomResourceDefinition: {HOW}.\n\
         How the fields work together: [Status model](../explanation/status-model.md), [Probing](../explanation/probing.md). \
         What the conditions mean: [Conditions and reasons](conditions.md).\n\n{}\n\n\
         `apiVersion: {}/{}`, `kind: {}`, {}, short name `{}`, category `{}`.\n",
        root["description"].as_str().unwrap(),
        spec["group"].as_str().unwrap(),
        version["name"].as_str().unwrap(),
        spec["names"]["kind"].as_str().unwrap(),
        spec["scope"].as_str().unwrap().to_lowercase(),
        spec["names"]["shortNames"][0].as_str().unwrap(),
        spec["names"]["categories"][0].as_str().unwrap(),
    );
    text.push_str("\n## Columns\n\n| column | shown by | from | meaning |\n|---|---|---|---|\n");
    for column in version["additionalPrinterColumns"].as_array().unwrap() {
        let cell = |key: &str| column[key].as_str().unwrap();
        let wide = if column["priority"] == 1 { "`-o wide`" } else { "`kubectl get aep`" };
        writeln!(
            text,
            "| {} | {wide} | `{}` | {} |",
            cell("name").to_uppercase(),
            cell("jsonPath"),
            cell("description")
        )
        .unwrap();
    }
    for part in ["spec", "status"] {
        let schema = &root["properties"][part];
        write!(text, "\n## {part}\n\n{}\n", schema["description"].as_str().unwrap()).unwrap();
        let mut all = String::new();
        rules(schema, &mut all);
        if !all.is_empty() {
            writeln!(text, "{all}").unwrap();
        }
        fields(part, schema, &mut text);
    }
    text
}

/// The first value that an expression of a template names.
fn named_value(component: &str, line: &str) -> Option<String> {
    line.split("{{").nth(1)?.split("}}").next()?.split_whitespace().find_map(|word| {
        let own = word.strip_prefix('.').filter(|name| !name.is_empty());
        let all = word.strip_prefix("$.Values.").map(str::to_owned);
        all.or_else(|| own.map(|name| format!("{component}.{name}")))
    })
}

/// The value of the Helm chart that sets a flag: read off the component's template.
fn helm_value(component: &str, template: &str, flag: &str, variable: &str) -> String {
    let lines: Vec<&str> = template.lines().map(|line| line.trim().trim_start_matches("- ")).collect();
    // A variable that the chart sets wins over the file; its value may be named below, in a reference to a Secret.
    let named = |line: &&str| {
        line.strip_prefix("name: ").is_some_and(|name| {
            name == variable
                || name.split("}}_").nth(1).is_some_and(|end| variable.ends_with(&format!("_{end}")))
        })
    };
    if let Some(at) = lines.iter().position(named).filter(|_| !variable.is_empty()) {
        let secret = lines[at..].iter().take(4).find(|line| line.starts_with("name: {{ ."));
        let found = secret.and_then(|line| named_value(component, line));
        return found.map_or_else(|| "(the chart)".to_owned(), |name| format!("`{name}`"));
    }
    let flag = format!("--{flag}");
    let sets = |line: &&str| line.trim_matches('\'').split('=').next() == Some(flag.as_str());
    let Some(at) = lines.iter().position(sets) else {
        return format!("`{component}.settings`");
    };
    // Between `with` and `end` the name is on the line before.
    let before = at.checked_sub(1).map(|n| lines[n]).filter(|line| line.starts_with("{{- "));
    let found = named_value(component, lines[at]).or_else(|| named_value(component, before?));
    found.map_or_else(|| "(the chart)".to_owned(), |name| format!("`{name}`"))
}

/// Flags of a server: each is a key of the file as well. With the template of its pods, where there is a chart.
fn settings(command: &clap::Command, component: &str, template: Option<&str>, text: &mut String) {
    let (head, rule) = if template.is_some() { ("| Helm value ", "---|") } else { ("", "") };
    write!(
        text,
        "\n| flag, and key in the file | environment {head}| default | meaning |\n|---|---|{rule}---|---|\n"
    )
    .unwrap();
    for arg in long(command) {
        let (name, variable, default, help) = cells(arg);
        let helm = template
            .map(|template| {
                format!("{} | ", helm_value(component, template, &name, variable.trim_matches('`')))
            })
            .unwrap_or_default();
        writeln!(text, "| `--{name}` | {variable} | {helm}{default} | {help} |").unwrap();
    }
}

/// Flags of a command that asks: those with an environment variable.
fn variables(command: &clap::Command, text: &mut String) {
    text.push_str("\n| flag | environment | default | meaning |\n|---|---|---|---|\n");
    for arg in long(command).filter(|arg| arg.get_env().is_some()) {
        let (name, variable, default, help) = cells(arg);
        writeln!(text, "| `--{name}` | {variable} | {default} | {help} |").unwrap();
    }
}

fn long(command: &clap::Command) -> impl Iterator<Item = &clap::Arg> {
    let none = ["help", "version", "color", "config", "print-config"];
    command.get_arguments().filter(move |arg| arg.get_long().is_some_and(|long| !none.contains(&long)))
}

/// Flag, variable, default, help.
fn cells(arg: &clap::Arg) -> (String, String, String, String) {
    let code = |text: String| if text.is_empty() { text } else { format!("`{text}`") };
    let variable = arg.get_env().map(|env| env.to_string_lossy().into_owned()).unwrap_or_default();
    let default: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let help = arg.get_help().unwrap().to_string().replace('|', "\\|");
    let help = format!("{}.", help.trim_end_matches('.'));
    (arg.get_long().unwrap().to_owned(), code(variable), code(default.join(",")), help)
}

fn configuration() -> String {
    let mut root = cli::command();
    root.build();
    let find = |path: &[&str]| path.iter().fold(&root, |at, name| at.find_subcommand(name).unwrap()).clone();
    let mut text = format!(
        "# Configuration\n\nGenerated from the program: {HOW}.\n\n\
         The two servers take every setting as a flag, and as a key of the YAML file that `--config FILE` (or `CONFIGURABLE_AGENTS_CONFIG`) names \
         (the flag without its dashes; lists as lists or with commas); many as an environment variable. \
         A flag wins over the environment, the environment over the file, the file over the default; an empty variable is none. \
         An unknown key is an error that names the nearest one. `--print-config` prints every setting with its source, as such a file:\n\n\
         <!-- console: program -->\n\n```console\n$ configurable-agents orchestrator start --default-period-seconds 30 --print-config\n…\n\
         default-period-seconds: 30 # flag\n…\n```\n\n\
         The dashboard's system page shows the same. The whole help: [Command line](cli.md).\n"
    );
    for (title, path, component, template) in [
        ("Orchestrator", ["orchestrator", "start"], "orchestrator", "orchestrator/deployment.yaml"),
        ("Agent registry", ["agent-registry", "start"], "registry", "registry/workload.yaml"),
    ] {
        write!(text, "\n## {title}\n\n`configurable-agents {}`\n", path.join(" ")).unwrap();
        let template = repository().join("charts/configurable-agents/templates").join(template);
        let template = std::fs::read_to_string(template).ok();
        settings(&find(&path), component, template.as_deref(), &mut text);
    }
    text.push_str("\n## Commands that ask\n\nThese read no file.\n");
    for path in [
        &["orchestrator", "status"][..],
        &["orchestrator", "discover"],
        &["agent-registry", "list"],
        &["agent-registry", "cleanup"],
        &["agent-registry", "get"],
        &["agent-registry", "register"],
        &["agent-registry", "deregister"],
    ] {
        write!(text, "\n### `{}`\n", path.join(" ")).unwrap();
        variables(&find(path), &mut text);
    }
    text.push_str("\nFurther variables, for all commands: `configurable-agents help environment` ([the same here](cli.md#configurable-agents-help-environment)).\n");
    text
}

#[test]
fn the_reference_of_agentendpoint_is_what_the_crd_says() {
    is_up_to_date("docs/reference/agentendpoint.md", &agent_endpoint());
}

#[test]
fn the_reference_of_the_configuration_is_what_the_program_takes() {
    is_up_to_date("docs/reference/configuration.md", &configuration());
}
