//! Goal: settings come from the right layer, mistakes are named, and the documented file is true.
//! Method: small layers over the defaults; the documented file is read back.
use super::*;

fn no_variables(_: &str) -> Option<String> {
    None
}

fn key(name: &str) -> &'static Key {
    KEYS.iter().find(|key| key.name == name).unwrap()
}

#[test]
fn without_layers_the_defaults_hold() {
    let settings = Layers::new().environment(no_variables).unwrap().settings().unwrap();
    assert_eq!(settings, Settings::default());
    assert_eq!(settings.listen.to_string(), "127.0.0.1:5080");
    assert_eq!(settings.index_ports.range(5080), 5081..=6080);
}

#[test]
fn a_flag_wins_over_a_variable_and_a_variable_over_the_file() {
    let file = "listen = \"127.0.0.1:1\"\nconnections_max = 1\nlog_level = \"warn\"\n";
    let variable = |name: &str| match name {
        "LODGEPOLE_LISTEN" => Some("127.0.0.1:2".to_owned()),
        "LODGEPOLE_CONNECTIONS_MAX" => Some("2".to_owned()),
        "LODGEPOLE_DATA_DIR" => Some(String::new()),
        _ => None,
    };
    let settings = Layers::new()
        .file("lodgepole.toml", file)
        .and_then(|layers| layers.environment(variable))
        .and_then(|layers| layers.flag(key("listen"), "127.0.0.1:3"))
        .and_then(Layers::settings)
        .unwrap();
    assert_eq!(settings.listen.port(), 3, "the flag");
    assert_eq!(settings.connections_max, 2, "the variable");
    assert_eq!(settings.log_level, "warn", "the file");
    assert_eq!(settings.data_dir, PathBuf::from("./data"), "an empty variable is absent");
}

#[test]
fn a_mistake_names_the_place_where_it_was_made() {
    let unknown = Layers::new().file("a.toml", "lisen = \"127.0.0.1:1\"").unwrap_err().to_string();
    assert!(unknown.contains("a.toml") && unknown.contains("lisen"), "{unknown}");
    let variable = |name: &str| (name == "LODGEPOLE_CONNECTIONS_MAX").then(|| "many".to_owned());
    let error = Layers::new().environment(variable).unwrap_err().to_string();
    assert_eq!(error, "LODGEPOLE_CONNECTIONS_MAX: 'many' is not a whole number");
    let error = Layers::new().flag(key("listen"), "here").unwrap_err().to_string();
    assert!(error.starts_with("--listen: "), "{error}");
    let error = Layers::new().flag(key("connections_max"), "-1").unwrap_err().to_string();
    assert!(error.starts_with("--connections-max: "), "{error}");
}

#[test]
fn port_ranges_are_checked() {
    for text in ["", "5081", "0-3", "9-8", "a-b", "1-70000"] {
        assert!(Layers::new().flag(key("index_ports"), text).is_err(), "{text}");
    }
    let settings =
        Layers::new().flag(key("index_ports"), "6000-6010").and_then(Layers::settings).unwrap();
    assert_eq!(settings.index_ports.range(5080), 6000..=6010);
    let clash = Layers::new().flag(key("index_ports"), "5080-5090").and_then(Layers::settings);
    assert!(clash.unwrap_err().to_string().contains("5080"));
}

#[test]
fn limits_that_contradict_each_other_are_refused() {
    let refused =
        Layers::new().flag(key("request_buffer_bytes"), "1_000").and_then(Layers::settings);
    assert!(refused.unwrap_err().to_string().contains("request_bytes_max"));
    assert!(Layers::new().flag(key("connections_max"), "0").and_then(Layers::settings).is_err());
    for (name, text) in
        [("index_from_rows", "0"), ("index_from_bytes", "0"), ("index_batch_bytes", "1000")]
    {
        let refused = Layers::new().flag(key(name), text).and_then(Layers::settings);
        assert!(refused.unwrap_err().to_string().contains(name), "{name}");
    }
}

#[test]
fn the_documented_file_reads_back_as_the_defaults_and_explains_every_setting() {
    let text = Settings::documented_defaults();
    let settings = Layers::new().file("defaults", &text).and_then(Layers::settings).unwrap();
    assert_eq!(settings, Settings::default());
    for key in KEYS {
        assert!(key.documentation().map(str::len).sum::<usize>() > 40, "{} is explained", key.name);
        assert!(text.contains(&format!("\n{} = ", key.name)));
    }
    assert!(text.lines().all(|line| line.len() <= 100), "lines stay readable");
}

#[test]
fn switches_and_values_are_told_apart() {
    let switches: Vec<_> = KEYS.iter().filter(|key| key.is_switch()).map(|key| key.name).collect();
    assert_eq!(switches, ["tls_only", "insecure_no_auth"]);
}

#[test]
fn settings_of_tls_go_together() {
    let settings = |pairs: &[(&str, &str)]| {
        let layers = pairs
            .iter()
            .try_fold(Layers::new(), |layers, (name, text)| layers.flag(key(name), text));
        layers.and_then(Layers::settings)
    };
    for wrong in [
        &[("tls_cert", "a.pem")][..],
        &[("tls_key", "a.key")],
        &[("tls", "local"), ("tls_cert", "a.pem"), ("tls_key", "a.key")],
        &[("tls_only", "true")],
        &[("tls", "maybe")],
    ] {
        assert!(settings(wrong).is_err(), "{wrong:?}");
    }
    let files = settings(&[("tls_cert", "a.pem"), ("tls_key", "a.key"), ("tls_only", "true")]);
    assert_eq!(files.unwrap().tls_folder(), PathBuf::from("./data/tls"));
    let local = settings(&[("tls", "local"), ("tls_dir", "/ca")]).unwrap();
    assert_eq!(local.tls_folder(), PathBuf::from("/ca"));
}

#[test]
fn a_domain_is_checked_and_ports_can_be_left_out_only_with_one() {
    let none = || Layers::new().flag(key("index_ports"), "none").unwrap();
    assert!(none().settings().unwrap_err().to_string().contains("domain"));
    let with = none().flag(key("domain"), "db.example.com").and_then(Layers::settings).unwrap();
    assert_eq!(with.index_ports.range(5080), 5081..=65_535);
    assert_eq!(with.index_ports.range(65_535), 1..=65_534);
    for wrong in ["a..b", "a b", ".com", "x_y.com"] {
        let refused = Layers::new().flag(key("domain"), wrong).and_then(Layers::settings);
        assert!(refused.is_err(), "{wrong}");
    }
    for wrong in ["a-b", "12345678901234567"] {
        let refused = Layers::new().flag(key("project_id"), wrong).and_then(Layers::settings);
        assert!(refused.is_err(), "{wrong}");
    }
}
