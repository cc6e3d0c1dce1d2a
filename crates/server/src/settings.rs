//! Every knob of the server, in one place.
//!
//! `keys` holds the one list: name, default and explanation of each setting. The struct, the
//! documented TOML file, the flags and the environment variables are all made from it, so they
//! cannot disagree. Three layers are laid over the defaults, later ones win: a TOML file, then
//! `LODGEPOLE_*` variables, then flags. A layer is a table of TOML values and is checked by one
//! deserialiser, so a value is refused for the same reason wherever it came from.
//!
//! Components (clock, random numbers, the service) are arguments of the code, never settings.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use lodgepole_storage::{SourceOptions, Sources};
use serde::{Deserialize, Serialize};

mod keys;
mod regions;
#[cfg(test)]
mod tests;

pub use keys::{KEYS, Key, Settings};

/// Prefix of the environment variables: the setting `data_dir` is `LODGEPOLE_DATA_DIR`.
pub const ENVIRONMENT_PREFIX: &str = "LODGEPOLE_";

/// How far above the control port the ports of indexes reach when the range is `auto`.
const INDEX_PORTS_AUTO: u16 = 1_000;

/// Longest project id: with the longest name of an index it still fits a label of the DNS.
const PROJECT_ID_BYTES_MAX: usize = 16;

/// Least memory for building one segment: records may be large, and segments should not be tiny.
const INDEX_BATCH_BYTES_MIN: u64 = 1 << 20;

/// Why the settings cannot be used. The text names the place to correct.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {problem}")]
pub struct SettingsError {
    /// The file, variable or flag.
    origin: String,
    /// What is wrong there.
    problem: String,
}

/// How the address of an index is written in replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HostFormat {
    /// As the caller can use it: `http://localhost:5081` for one that came without TLS, the bare
    /// form for one that came with it and for names of a domain.
    Auto,
    /// With the scheme that the caller used.
    Url,
    /// `localhost:5081`: what Pinecone Local answers, and what code written for it expects.
    Bare,
}

/// Where the certificate for TLS comes from, unless two files are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TlsMode {
    /// There is none: no TLS.
    Off,
    /// A local authority, made on the first start.
    Local,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

/// Which ports indexes may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum IndexPorts {
    /// The ports that follow the control port.
    Auto,
    /// No ports: indexes are told apart by their host names.
    None,
    /// This range, both ends included.
    Range {
        /// Lowest port.
        first: u16,
        /// Highest port.
        last: u16,
    },
}

impl IndexPorts {
    /// The range as numbers, both ends included, given the control port.
    #[must_use]
    pub fn range(self, control_port: u16) -> std::ops::RangeInclusive<u16> {
        match self {
            Self::Auto => {
                control_port.saturating_add(1)..=control_port.saturating_add(INDEX_PORTS_AUTO)
            }
            // Never opened: they only number the indexes, in case that ports are opened later.
            Self::None if control_port < u16::MAX / 2 => control_port + 1..=u16::MAX,
            Self::None => 1..=control_port - 1,
            Self::Range { first, last } => first..=last,
        }
    }
}

impl TryFrom<String> for IndexPorts {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match &*text {
            "auto" => return Ok(Self::Auto),
            "none" => return Ok(Self::None),
            _ => {}
        }
        let range = text.split_once('-').and_then(|(first, last)| {
            Some((first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?))
        });
        match range {
            Some((first, last)) if first > 0 && first <= last => Ok(Self::Range { first, last }),
            _ => Err(format!("'{text}' is neither `auto`, `none` nor a range such as 5081-5090")),
        }
    }
}

impl From<IndexPorts> for String {
    fn from(ports: IndexPorts) -> Self {
        ports.to_string()
    }
}

impl fmt::Display for IndexPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::None => f.write_str("none"),
            Self::Range { first, last } => write!(f, "{first}-{last}"),
        }
    }
}

/// Settings given by hand, collected from the weakest layer to the strongest.
#[derive(Debug, Default)]
pub struct Layers {
    merged: toml::Table,
}

impl Layers {
    /// No layer: the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lays the text of a TOML file over what was collected so far.
    ///
    /// # Errors
    /// When the text is no TOML, names an unknown setting, or gives one a value it cannot have.
    pub fn file(self, path: &str, text: &str) -> Result<Self, SettingsError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| SettingsError {
            origin: path.to_owned(),
            problem: error.to_string().trim_end().to_owned(),
        })?;
        self.table(path, table)
    }

    /// Lays `LODGEPOLE_*` variables over what was collected so far. An empty variable counts as
    /// absent.
    ///
    /// # Errors
    /// When a variable holds a value that its setting cannot have.
    pub fn environment(
        self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, SettingsError> {
        KEYS.iter().try_fold(self, |layers, key| {
            let name = key.environment_name();
            match variable(&name) {
                Some(text) if !text.is_empty() => layers.text(&name, key, &text),
                _ => Ok(layers),
            }
        })
    }

    /// Lays one flag over what was collected so far.
    ///
    /// # Errors
    /// When the setting cannot have that value.
    pub fn flag(self, key: &Key, text: &str) -> Result<Self, SettingsError> {
        self.text(&format!("--{}", key.flag_name()), key, text)
    }

    /// The defaults with all layers laid over them.
    ///
    /// # Errors
    /// When settings that were all right one by one do not go together.
    pub fn settings(self) -> Result<Settings, SettingsError> {
        let settings = deserialize("settings", self.merged)?;
        settings.check()?;
        Ok(settings)
    }

    fn text(self, origin: &str, key: &Key, text: &str) -> Result<Self, SettingsError> {
        let problem = |what: &str| SettingsError {
            origin: origin.to_owned(),
            problem: format!("'{text}' is not {what}"),
        };
        let value = match key.default_value() {
            toml::Value::Integer(_) => {
                let digits = text.replace('_', "");
                toml::Value::Integer(digits.parse().map_err(|_| problem("a whole number"))?)
            }
            toml::Value::Boolean(_) => {
                toml::Value::Boolean(text.parse().map_err(|_| problem("true or false"))?)
            }
            toml::Value::String(_)
            | toml::Value::Float(_)
            | toml::Value::Datetime(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_) => toml::Value::String(text.to_owned()),
        };
        self.table(origin, toml::Table::from_iter([(key.name.to_owned(), value)]))
    }

    /// WHY: each layer is deserialised by itself as well, so that an error names its origin.
    fn table(mut self, origin: &str, table: toml::Table) -> Result<Self, SettingsError> {
        deserialize(origin, table.clone())?;
        self.merged.extend(table);
        Ok(self)
    }
}

fn deserialize(origin: &str, table: toml::Table) -> Result<Settings, SettingsError> {
    table.try_into().map_err(|error: toml::de::Error| SettingsError {
        origin: origin.to_owned(),
        problem: error.to_string().trim_end().replace('\n', " "),
    })
}

impl Settings {
    /// Reads a variable of the process; the only place that does.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place for settings")]
    pub fn process_variable(name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    /// The documented settings file with every default, as `lodgepole config --defaults` prints it.
    #[must_use]
    pub fn documented_defaults() -> String {
        let mut text = String::from(
            "# Settings of Lodgepole, each with its default. Pass the file with --config FILE or\n\
             # LODGEPOLE_CONFIG. The variable LODGEPOLE_<NAME> wins over the file, the flag\n\
             # --<name> over both. Leave out what you do not change.\n",
        );
        for key in KEYS {
            text.push('\n');
            for line in key.documentation() {
                text.push_str(if line.is_empty() { "#" } else { "# " });
                text.push_str(line);
                text.push('\n');
            }
            text.push_str(&format!("{} = {}\n", key.name, key.default_value()));
        }
        text
    }

    /// Rules that concern more than one value, or that a type cannot express.
    fn check(&self) -> Result<(), SettingsError> {
        let refuse = |name: &str, problem: String| {
            Err(SettingsError { origin: format!("setting {name}"), problem })
        };
        self.check_tls().and_then(|()| self.check_domain())?;
        self.check_imports()?;
        let range = self.index_ports.range(self.listen.port());
        let opens_ports = self.index_ports != IndexPorts::None;
        if opens_ports && self.listen.port() != 0 && range.contains(&self.listen.port()) {
            return refuse(
                "index_ports",
                format!("the range {} holds the control port {}", self.index_ports, self.listen),
            );
        }
        if self.request_bytes_max == 0 {
            return refuse("request_bytes_max", "must be at least 1".to_owned());
        }
        if self.upsert_bytes_max == 0 {
            return refuse("upsert_bytes_max", "must be at least 1".to_owned());
        }
        if self.connections_max == 0 {
            return refuse("connections_max", "must be at least 1".to_owned());
        }
        self.check_indexing()?;
        for (name, bytes_max) in [
            ("request_bytes_max", self.request_bytes_max),
            ("upsert_bytes_max", self.upsert_bytes_max),
        ] {
            if self.request_buffer_bytes < bytes_max {
                let problem = format!("must be at least {name}, {bytes_max}");
                return refuse("request_buffer_bytes", problem);
            }
        }
        Ok(())
    }

    fn check_tls(&self) -> Result<(), SettingsError> {
        let is_given = |path: &PathBuf| !path.as_os_str().is_empty();
        let (certificate, key) = (is_given(&self.tls_cert), is_given(&self.tls_key));
        if certificate != key {
            let missing = if certificate { "tls_key" } else { "tls_cert" };
            return Err(refusal(missing, "a certificate and its key are given together"));
        }
        if certificate && self.tls == TlsMode::Local {
            return Err(refusal("tls", "choose either `local` or tls_cert with tls_key"));
        }
        if self.tls_only && !certificate && self.tls == TlsMode::Off {
            return Err(refusal("tls_only", "needs TLS: set tls, or tls_cert with tls_key"));
        }
        Ok(())
    }

    fn check_indexing(&self) -> Result<(), SettingsError> {
        for (name, value, least) in [
            ("index_from_rows", self.index_from_rows, 1),
            ("index_from_bytes", self.index_from_bytes, 1),
            ("index_batch_bytes", self.index_batch_bytes, INDEX_BATCH_BYTES_MIN),
        ] {
            if value < least {
                return Err(refusal(name, &format!("must be at least {least}")));
            }
        }
        Ok(())
    }

    fn check_imports(&self) -> Result<(), SettingsError> {
        let endpoint = &self.import_s3_endpoint;
        let is_address = ["http://", "https://"].iter().any(|scheme| endpoint.starts_with(scheme));
        if !endpoint.is_empty() && !is_address {
            return Err(refusal("import_s3_endpoint", "must start with http:// or https://"));
        }
        Ok(())
    }

    /// Where imports may come from.
    pub(crate) fn sources(&self) -> Sources {
        let set = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let folders =
            self.import_dirs.split(',').map(str::trim).filter(|folder| !folder.is_empty());
        Sources::new(SourceOptions {
            // A folder without a name in full is one below where the server was started.
            folders: folders.filter_map(|folder| std::path::absolute(folder).ok()).collect(),
            s3_endpoint: set(&self.import_s3_endpoint),
            s3_region: set(&self.import_s3_region),
        })
    }

    fn check_domain(&self) -> Result<(), SettingsError> {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric();
        let labels = || self.domain.split('.');
        let is_label = |label: &str| {
            let inner = |byte: u8| is_letter(byte) || byte == b'-';
            (1..=63).contains(&label.len()) && label.bytes().all(inner)
        };
        if !self.domain.is_empty() && !labels().all(is_label) {
            return Err(refusal("domain", "must be a domain name such as lodgepole.example.com"));
        }
        let project = &self.project_id;
        if !project.bytes().all(is_letter) || project.len() > PROJECT_ID_BYTES_MAX {
            return Err(refusal("project_id", "must be at most 16 letters and digits"));
        }
        if self.index_ports == IndexPorts::None && self.domain.is_empty() {
            return Err(refusal("index_ports", "`none` needs domain, by which indexes are found"));
        }
        Ok(())
    }

    /// Where certificates are kept.
    #[must_use]
    pub fn tls_folder(&self) -> PathBuf {
        if self.tls_dir.as_os_str().is_empty() {
            self.data_dir.join("tls")
        } else {
            self.tls_dir.clone()
        }
    }
}

fn refusal(name: &str, problem: &str) -> SettingsError {
    SettingsError { origin: format!("setting {name}"), problem: problem.to_owned() }
}

/// WHY: the default of `listen` is a constant address, so building it cannot fail.
fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5080))
}

fn default_data_dir() -> PathBuf {
    PathBuf::from("./data")
}
