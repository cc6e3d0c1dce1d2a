//! The one list of settings.
//!
//! The macro turns each entry into a field of [`Settings`] and a row of [`KEYS`]; its doc comment
//! becomes the documentation of the field, the comment in the settings file and the help of the
//! flag. An entry says what the setting is, in which unit, and when to change it.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::regions::ExtraRegions;
use super::{HostFormat, IndexPorts, LogFormat, TlsMode, default_data_dir, default_listen};

/// One setting, as its documentation, its flag and its variable need it.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name in the settings file.
    pub name: &'static str,
    /// What stands for its value in the help text, such as `BYTES`.
    pub value_name: &'static str,
    documentation: &'static str,
}

impl Key {
    /// The name of its environment variable.
    #[must_use]
    pub fn environment_name(&self) -> String {
        format!("{}{}", super::ENVIRONMENT_PREFIX, self.name.to_uppercase())
    }

    /// The name of its flag, without the dashes.
    #[must_use]
    pub fn flag_name(&self) -> String {
        self.name.replace('_', "-")
    }

    /// Its explanation, line by line.
    pub fn documentation(&self) -> impl Iterator<Item = &'static str> {
        self.documentation.trim_end().lines().map(|line| line.strip_prefix(' ').unwrap_or(line))
    }

    /// Its default, whose type is also the type that a value must have.
    #[must_use]
    pub fn default_value(&self) -> toml::Value {
        let defaults = toml::Table::try_from(Settings::default()).unwrap_or_default();
        defaults.get(self.name).cloned().unwrap_or(toml::Value::Boolean(false))
    }

    /// Its default as a flag would be given it.
    #[must_use]
    pub fn default_text(&self) -> String {
        let value = self.default_value();
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    /// Whether it is a switch, so that its flag needs no value.
    #[must_use]
    pub fn is_switch(&self) -> bool {
        self.default_value().is_bool()
    }
}

macro_rules! settings {
    ($($(#[doc = $doc:literal])+ $name:ident: $type:ty = $default:expr, $value:literal;)+) => {
        /// What the operator decides. See [`Layers`](super::Layers) for where the values come from.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct Settings {
            $($(#[doc = $doc])+ pub $name: $type,)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        /// Every setting, in the order of the settings file.
        pub const KEYS: &[Key] = &[
            $(Key {
                name: stringify!($name),
                value_name: $value,
                documentation: concat!($($doc, "\n"),+),
            },)+
        ];
    };
}

settings! {
    /// Folder that holds everything: indexes, backups, the catalog. One server at a time may use it.
    /// Change it to put the data on another disk.
    data_dir: PathBuf = default_data_dir(), "DIR";

    /// Address and port of the control plane, the one that clients are given. On an address that
    /// other machines can reach, an API key is needed first: `lodgepole keys create`.
    listen: SocketAddr = default_listen(), "ADDR:PORT";

    /// Ports that indexes may get, one each: `auto`, the 1,000 after the control port, or a range
    /// such as 5081-5090. Change it when only some ports are published, for instance by a container.
    /// `none` opens no ports: indexes are then reached by their names below `domain`.
    index_ports: IndexPorts = IndexPorts::Auto, "auto|none|A-B";

    /// How the address of an index is written in replies: `url` (http://localhost:5081), `bare`
    /// (localhost:5081) or `auto`: as the caller can use it, which is bare over TLS and below a
    /// domain, and `url` elsewhere. Use `bare` for code that was written for Pinecone Local and adds
    /// the scheme itself. Java clients always get the bare form.
    host_format: HostFormat = HostFormat::Auto, "auto|url|bare";

    /// TLS with a certificate of a local authority: `local`, or `off`. Besides TLS, every port goes on
    /// to serve requests without it, see tls_only. See docs/certificates.md.
    tls: TlsMode = TlsMode::Off, "off|local";

    /// Certificate for TLS, a PEM file with the certificates between it and its root. It is read
    /// again when it changes; SIGHUP does it at once.
    tls_cert: PathBuf = PathBuf::new(), "FILE";

    /// Private key of tls_cert, a PEM file. Only the user of the server should be able to read it.
    tls_key: PathBuf = PathBuf::new(), "FILE";

    /// Folder of the local authority, empty for `tls` in the data folder. Change it to let several
    /// servers share one authority.
    tls_dir: PathBuf = PathBuf::new(), "DIR";

    /// More names and addresses for the certificate of the local authority, with commas between them:
    /// those under which clients call this machine. localhost, the name of the machine and the names
    /// below domain are in it anyway.
    tls_names: String = String::new(), "NAMES";

    /// Refuse requests without TLS. Set it when keys must not cross the network in clear text, and
    /// nothing on this machine calls without TLS either, such as a health check.
    tls_only: bool = false, "BOOL";

    /// Domain below which indexes have host names, on the port of the control plane:
    /// `<index>-<project>.svc.<domain>`. Set it when a wildcard in the DNS sends such names here.
    domain: String = String::new(), "DOMAIN";

    /// The project in the host names of indexes, letters and digits. Empty for one that is made on
    /// the first start. Change it when names must stay the same on another data folder.
    project_id: String = String::new(), "ID";

    /// Port in the host names of indexes; 0 for that of the control plane. Set it behind a proxy. The
    /// port of https, 443, is left out of the names.
    advertised_port: u16 = 0, "PORT";

    /// Accept any API key on an address that other machines can reach, as long as no key has been
    /// made. Only for networks where everybody may read and delete everything.
    insecure_no_auth: bool = false, "BOOL";

    /// Regions that indexes can be said to run in, besides Pinecone's own: pairs of cloud and region
    /// with commas between, such as aws:us-east-2,gcp:my-rack. The words are only kept and given
    /// back. Add what the settings of your programs name.
    regions: ExtraRegions = ExtraRegions::default(), "CLOUD:REGION,...";

    /// Pods that one index with a pod spec can be said to have: replicas times shards. More are
    /// refused. There are no pods; raise it for programs that ask for more.
    pods_max: u32 = 20, "COUNT";

    /// Which log lines are written to stderr: error, warn, info, debug or trace, or a list by module.
    /// Use `info,slatedb=warn,lodgepole_server=debug` to see every request.
    log_level: String = "info,slatedb=warn".to_owned(), "LEVEL";

    /// How log lines are written: `text` for people, `json` for log collectors.
    log_format: LogFormat = LogFormat::Text, "text|json";

    /// Largest upsert, in bytes, after decompression. 2 MiB by default, which is what Pinecone takes.
    /// Raise it for larger batches; each request in progress may take several times as much memory.
    upsert_bytes_max: usize = 2 << 20, "BYTES";

    /// Largest body of any other request, in bytes, after decompression. Raise it for filters or lists
    /// of ids that are longer.
    request_bytes_max: usize = 16 << 20, "BYTES";

    /// Folders of this machine that bulk imports may read, with commas between; none by default. Who
    /// may call the API can read every Parquet file in them. See docs/import.md.
    import_dirs: String = String::new(), "DIR,...";

    /// Address of the S3-compatible service that imports from s3:// read, such as
    /// http://127.0.0.1:9000; empty for Amazon's. Credentials are those in the environment
    /// (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY); without any, requests go unsigned.
    import_s3_endpoint: String = String::new(), "URL";

    /// Region of the buckets that imports read; empty for AWS_REGION, or else us-east-1.
    import_s3_region: String = String::new(), "REGION";

    /// Memory for the bodies of all requests in progress together, in bytes. A request that does not
    /// fit is answered with 503, which clients retry. Raise it when that happens.
    request_buffer_bytes: usize = 256 << 20, "BYTES";

    /// Connections served at once, over all ports; further ones are answered with 503 and closed.
    /// Raise it for very many clients, together with the limit on open files.
    connections_max: u32 = 10_000, "COUNT";

    /// Longest time a client may take to send the head of a request, in seconds. Raise it for very
    /// slow networks.
    header_timeout_s: u32 = 10, "SECONDS";

    /// Longest pause in the middle of a request or of a reply, in seconds; then the connection is
    /// closed. Raise it for very slow networks.
    stall_timeout_s: u32 = 30, "SECONDS";

    /// How long a connection may be idle between two requests, in seconds. Keep it above the time
    /// after which clients and proxies drop an idle connection themselves.
    idle_timeout_s: u32 = 120, "SECONDS";

    /// How long requests in progress may take to finish when the server is told to stop, in seconds.
    /// Keep it below the time after which the service manager kills the process.
    shutdown_timeout_s: u32 = 20, "SECONDS";

    /// How long closing the data may take after that, in seconds. It takes that long only when the
    /// disk does not answer any more. What was acknowledged is on it already, so nothing is lost by
    /// giving up.
    close_timeout_s: u32 = 60, "SECONDS";

    /// Memory for writes that are logged but not yet in a table file, over all indexes, in bytes.
    /// Raise it for heavy parallel loading.
    write_buffer_bytes: u64 = 256 << 20, "BYTES";

    /// Memory for blocks of table files that were read recently, over all indexes, in bytes. Raise
    /// it when fetches and listings read from disk too often.
    block_cache_bytes: u64 = 256 << 20, "BYTES";

    /// Memory for records that are in no segment yet, over all indexes, in bytes. Namespaces that
    /// were not searched for longest make room for others; one that is larger than all of it is read
    /// from disk by each query until it is indexed. Lower it on a small machine.
    tail_bytes_max: u64 = 4 << 30, "BYTES";

    /// Threads that search, 0 for one per processor. Lower it to leave processors to other programs.
    search_threads: usize = 0, "COUNT";

    /// A namespace is indexed when so many of its rows are in no segment yet. Until then they are
    /// compared one by one. Lower it when a query of a few thousand rows must take less, raise it to
    /// build less often. See docs/search.md.
    index_from_rows: u64 = 4_096, "ROWS";

    /// A namespace is also indexed when its rows that are in no segment take so many bytes, however
    /// few they are.
    index_from_bytes: u64 = 32 << 20, "BYTES";

    /// Memory for the records of one segment while a namespace is indexed that is too large for
    /// tail_bytes_max, in bytes. Lower it on a small machine; the namespace then begins as more, smaller
    /// segments.
    index_batch_bytes: u64 = 512 << 20, "BYTES";

    /// How long a segment must have been seen without use before its file is removed, in seconds.
    /// Lower it when merging needs too much disk for a time.
    segment_grace_s: u32 = 120, "SECONDS";
}
