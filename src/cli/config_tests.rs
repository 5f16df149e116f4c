use super::*;

fn given(file: Option<&str>, args: &[&str]) -> Result<Vec<Setting>, CliError> {
    let folder = tempfile::tempdir().unwrap();
    let mut all: Vec<OsString> = ["configurable-agents", "orchestrator", "start"].map(OsString::from).into();
    if let Some(text) = file {
        let path = folder.path().join("config.yaml");
        std::fs::write(&path, text).unwrap();
        all.extend([OsString::from("--config"), path.into()]);
    }
    all.extend(args.iter().map(OsString::from));
    matches(crate::cli::command(), &all).map(|(_, settings)| settings)
}

fn one(settings: &[Setting], name: &str) -> (String, String) {
    let setting = settings.iter().find(|setting| setting.name == name).unwrap();
    (setting.value.clone(), setting.source.clone())
}

fn pair(value: &str, source: &str) -> (String, String) {
    (value.to_owned(), source.to_owned())
}

#[test]
fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
    let file = "port: 9100\nclass: gold\nwith-registry: true\nallow-targets: [10.0.0.0/8, 127.0.0.0/8]\n";
    let settings = given(Some(file), &["--class", "silver"]).unwrap();
    assert_eq!(one(&settings, "port"), pair("9100", "file"));
    assert_eq!(one(&settings, "class"), pair("silver", "flag"));
    assert_eq!(one(&settings, "with-registry"), pair("true", "file"));
    assert_eq!(one(&settings, "allow-targets"), pair("10.0.0.0/8,127.0.0.0/8", "file"));
    assert_eq!(one(&settings, "with-sample-agent"), pair("false", "default"));
    assert_eq!(one(&settings, "default-period-seconds"), pair("10", "default"));
    // What the file switches on, a flag switches off.
    let settings = given(Some(file), &["--with-registry=false", "--with-sample-agent"]).unwrap();
    assert_eq!(one(&settings, "with-registry"), pair("false", "flag"));
    assert_eq!(one(&settings, "with-sample-agent"), pair("true", "flag"));
    assert!(settings.iter().all(|setting| setting.name != "config" && setting.name != "help"));
}

#[test]
fn what_the_file_may_not_say_is_refused_and_named() {
    for (file, told) in [
        ("prot: 1\n", "did you mean `port`?"),
        ("port: many\n", "port"),
        ("port: {a: 1}\n", "`port` must be"),
        ("- port\n", "no mapping"),
        ("port: [\n", "config.yaml"),
        ("config: x\n", "unknown key `config`"),
    ] {
        let error = given(Some(file), &[]).unwrap_err();
        assert!(error.to_string().contains(told), "{file}: {error}");
        assert_eq!(error.kind(), Code::Usage);
    }
    for empty in ["", "# only a comment\n", "port:\n"] {
        assert_eq!(one(&given(Some(empty), &[]).unwrap(), "port"), pair("9000", "default"), "{empty:?}");
    }
}

#[test]
fn what_is_printed_can_be_read_again_and_holds_no_password() {
    let settings = given(None, &["--registry-url", "https://me:s3cr@t@h:1/x?api_token=abc&b=c"]).unwrap();
    let text = render(&settings);
    assert!(!text.contains("s3cr") && !text.contains("abc"), "{text}");
    assert!(text.contains("registry-url: \"https://***@h:1/x?api_token=***&b=c\""), "{text}");
    let again = given(Some(&text), &[]).unwrap();
    let values = |settings: &[Setting]| -> Vec<String> { settings.iter().map(|s| s.value.clone()).collect() };
    assert_eq!(values(&again), values(&settings), "{text}");
}

#[test]
fn only_what_can_be_a_secret_is_hidden() {
    for (value, shown) in [
        ("http://localhost:8000", "http://localhost:8000"),
        ("sqlite:///file@home.db", "sqlite:///file@home.db"),
        ("postgres://u:p@h/d", "postgres://***@h/d"),
        ("none", "none"),
        ("http://u@h", "http://***@h"),
    ] {
        assert_eq!(without_secrets(value), shown);
    }
}
