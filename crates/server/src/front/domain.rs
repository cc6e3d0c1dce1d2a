//! Host names of indexes: `<index>-<project>.svc.<domain>`, all on one port.
//!
//! It is the form of the hosted service. A wildcard in the DNS sends all such names here; the name
//! that a request asks for tells which index it is for. Letters count in either case, ports do not
//! count: clients differ in whether they send them.

/// The domain below which indexes have names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Domain {
    /// `.svc.<domain>`, in lower case: whatever ends so is meant for an index.
    zone: String,
    /// `-<project>`.
    project: String,
    /// `:<port>`, empty for the port of https.
    port: String,
}

/// What a host name says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named<'a> {
    /// The index of this name, if there is one.
    Index(&'a str),
    /// An index of another project, or nothing that could be one.
    Nothing,
}

/// The port that https has when none is named.
const HTTPS_PORT: u16 = 443;

impl Domain {
    /// Names below `domain`, with the port under which clients reach this server.
    pub(crate) fn new(domain: &str, project: &str, port: u16) -> Self {
        Self {
            zone: format!(".svc.{}", domain.to_ascii_lowercase()),
            project: format!("-{}", project.to_ascii_lowercase()),
            port: if port == HTTPS_PORT { String::new() } else { format!(":{port}") },
        }
    }

    /// What comes after the name of an index.
    pub(crate) fn suffix(&self) -> String {
        format!("{}{}{}", self.project, self.zone, self.port)
    }

    /// What `host` names: lower case, without its port. `None` when it is outside the domain.
    pub(crate) fn named<'a>(&self, host: &'a str) -> Option<Named<'a>> {
        let label = host.strip_suffix(self.zone.as_str())?;
        Some(match label.strip_suffix(self.project.as_str()) {
            Some(index) if !index.is_empty() => Named::Index(index),
            _ => Named::Nothing,
        })
    }
}

#[cfg(test)]
mod tests {
    //! Goal: a name leads to its index and to no other. Method: names by hand.
    use super::*;

    #[test]
    fn names_below_the_domain_lead_to_indexes() {
        let domain = Domain::new("DB.example.com", "abc1234", 443);
        assert_eq!(domain.suffix(), "-abc1234.svc.db.example.com");
        let named = |host| domain.named(host);
        assert_eq!(named("songs-abc1234.svc.db.example.com"), Some(Named::Index("songs")));
        assert_eq!(named("a-b-abc1234.svc.db.example.com"), Some(Named::Index("a-b")));
        for nothing in ["songs-zzz9999", "songs", "-abc1234", ""] {
            let host = format!("{nothing}.svc.db.example.com");
            assert_eq!(domain.named(&host), Some(Named::Nothing), "{nothing}");
        }
        for outside in ["db.example.com", "localhost", "songs-abc1234.svc.other.com", "127.0.0.1"] {
            assert_eq!(named(outside), None, "{outside}");
        }
    }

    #[test]
    fn a_port_other_than_that_of_https_is_named() {
        assert_eq!(Domain::new("x.com", "p", 8443).suffix(), "-p.svc.x.com:8443");
    }
}
