//! What comes from further files and from the environment.

use super::*;

#[test]
fn secrets_come_from_the_environment_before_the_file() {
    let mut config = with("/nats", json!({"address": "nats://n", "username": "file", "password": "file"}));
    config["main"] = json!({"backend-token": "file"});
    let secrets = |config: &Value, set: &[&str]| {
        let variable = |name: &str| set.contains(&name).then(|| format!("value of {name}").into());
        let settings =
            Settings::from_json_and(&variable, config.to_string().as_bytes(), Path::new("config.json"));
        let settings = settings.map_err(|error| error.to_string())?;
        assert!(!settings.effective().to_string().contains("value of"), "none is shown");
        let nats = settings.nats.unwrap();
        let text =
            |secret: Option<Secret>| secret.map_or_else(String::new, |secret| secret.reveal().to_owned());
        Ok::<_, String>([nats.username, nats.password, settings.main.backend_token].map(text))
    };
    let all = ["CC_NATS_USERNAME", "CC_NATS_PASSWORD", "CC_BACKEND_TOKEN"];
    assert_eq!(secrets(&config, &[]).unwrap(), ["file", "file", "file"]);
    assert_eq!(secrets(&config, &all).unwrap(), all.map(|name| format!("value of {name}")));
    assert_eq!(secrets(&config, &all[2..]).unwrap(), ["file", "file", "value of CC_BACKEND_TOKEN"]);
    config["nats"] = json!({"address": "nats://n"});
    config["main"] = Value::Null;
    assert_eq!(secrets(&config, &all).unwrap(), all.map(|name| format!("value of {name}")));
    for name in all {
        let file = format!("{name}_FILE");
        let error = secrets(&config, &[&*file]).unwrap_err();
        assert!(error.contains(&format!("{file}: cannot use \"value of {file}\": No such file")), "{error}");
    }
}

#[test]
fn a_section_may_be_a_file_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let files = [
        ("main", "main-file", json!({"addr": ":1"})),
        ("metrics", "metrics-file", json!({"m": {"frequency": 7}})),
        ("metric-store", "metric-store-file", json!({"retention-in-memory": "1h"})),
        ("nats", "nats-file", json!({"address": "nats://x"})),
    ];
    let mut config = json!({});
    for (section, key, value) in &files {
        fs::write(path(section), value.to_string()).unwrap();
        config[key] = json!(path(section));
    }
    let settings = load(&config).unwrap();
    assert_eq!(settings.main.addr, ":1");
    assert!(settings.metrics.find(b"m").is_some());
    assert_eq!(settings.metric_store.retention_in_memory, HOUR);
    assert_eq!(settings.nats.unwrap().address, "nats://x");

    for (section, key, value) in &files {
        let mut both = config.clone();
        both[section] = value.clone();
        let error = load(&both).unwrap_err();
        assert!(error.contains(&format!("{key}: the section {section:?}")), "{error}");

        let mut missing = config.clone();
        missing[key] = json!("/does/not/exist.json");
        let error = load(&missing).unwrap_err();
        assert!(error.contains(&format!("{key}: cannot read \"/does/not/exist.json\"")), "{error}");
    }
    fs::write(path("metrics"), "{\n oops").unwrap();
    let error = load(&config).unwrap_err();
    assert!(error.contains(&path("metrics")) && error.contains("line 2"), "{error}");
}

#[test]
fn files_are_read_and_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    let error = Settings::load(Some(&path)).unwrap_err();
    assert!(matches!(error, SettingsError::Read { .. }), "{error:?}");
    assert!(
        error.to_string().contains(path.to_str().unwrap()) && error.to_string().contains("-config"),
        "{error}"
    );

    fs::write(&path, minimal().to_string()).unwrap();
    assert_eq!(Settings::load(Some(&path)).unwrap().source, Some(path.clone()));

    fs::File::create(&path).unwrap().set_len(bounds::CONFIG_FILE_BYTES_MAX + 1).unwrap();
    assert!(matches!(Settings::load(Some(&path)), Err(SettingsError::TooLarge { .. })));
    let endless = Settings::load(Some(Path::new("/dev/zero")));
    assert!(matches!(endless, Err(SettingsError::TooLarge { .. })));
}
