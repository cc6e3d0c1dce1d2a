//! Ports and keys: whether clients get through, and others do not.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use lodgepole_server::Settings;
use lodgepole_server::settings::IndexPorts;
use lodgepole_service::Inventory;

use super::report::{Check, listed};

/// A server on this machine answers at once.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The ports of the indexes that need one, on the address of the control plane.
fn index_addresses(settings: &Settings, inventory: &Inventory, host: IpAddr) -> Vec<SocketAddr> {
    if settings.index_ports == IndexPorts::None {
        return Vec::new();
    }
    inventory.indexes.iter().map(|index| SocketAddr::new(host, index.port)).collect()
}

/// Connects to the ports that a running server should serve.
pub(super) fn served(settings: &Settings, control: SocketAddr, inventory: &Inventory) -> Check {
    const NAME: &str = "ports";
    let mut all = vec![control];
    all.extend(index_addresses(settings, inventory, control.ip()));
    let dead: Vec<_> = all
        .iter()
        .filter_map(|address| {
            let error = TcpStream::connect_timeout(&reachable(*address), CONNECT_TIMEOUT).err()?;
            Some(format!("{address}: {error}"))
        })
        .collect();
    if dead.is_empty() {
        let found =
            format!("the server answers on {control} and on {} ports of indexes", all.len() - 1);
        return Check::ok(NAME, found);
    }
    let advice = "the server runs, but does not take connections there: a firewall of this machine, or \
                  too many open files; look at its log, then start it again";
    Check::fail(NAME, listed(&dead), advice)
}

/// An address that can be called, for one to listen on.
fn reachable(address: SocketAddr) -> SocketAddr {
    let host = match address.ip() {
        IpAddr::V4(host) if host.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(host) if host.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host @ (IpAddr::V4(_) | IpAddr::V6(_)) => host,
    };
    SocketAddr::new(host, address.port())
}

/// Tries whether a server that is started now gets its ports.
pub(super) fn free(settings: &Settings, inventory: &Inventory) -> Vec<Check> {
    let control = settings.listen;
    let mut checks = vec![judge_control(control, try_bind(control))];
    let addresses = index_addresses(settings, inventory, control.ip());
    let taken: Vec<_> = addresses
        .iter()
        .filter(|address| try_bind(**address).is_err())
        .map(ToString::to_string)
        .collect();
    if !taken.is_empty() {
        let advice = "a server that is started now gives these indexes other ports, and clients that \
                      know the old ones fail: end the other program (ss -ltnp shows it)";
        let found = format!("ports of indexes that another program holds: {}", listed(&taken));
        checks.push(Check::warn("index ports", found, advice));
    } else if !addresses.is_empty() {
        checks.push(Check::ok("index ports", format!("all {} are free", addresses.len())));
    }
    checks
}

fn try_bind(address: SocketAddr) -> io::Result<()> {
    TcpListener::bind(address).map(drop)
}

fn judge_control(address: SocketAddr, bound: io::Result<()>) -> Check {
    const NAME: &str = "ports";
    let Err(error) = bound else {
        return Check::ok(NAME, format!("{address} is free"));
    };
    let choose = "choose another address with --listen ADDR:PORT";
    let (found, advice) = if error.kind() == io::ErrorKind::AddrInUse {
        let port = address.port();
        (
            format!("{address} is held by another program, or by a server on other data"),
            format!("end it (ss -ltnp 'sport = :{port}' shows it), or {choose}"),
        )
    } else if error.kind() == io::ErrorKind::PermissionDenied {
        (
            format!("{address}: this user may not listen there"),
            format!("ports below 1024 need CAP_NET_BIND_SERVICE, or {choose}"),
        )
    } else if error.kind() == io::ErrorKind::AddrNotAvailable {
        (
            format!("{address}: this machine does not have that address"),
            format!("ip address shows which it has, or {choose}"),
        )
    } else {
        (format!("{address}: {error}"), choose.to_owned())
    };
    Check::fail(NAME, found, advice)
}

/// Judges who is let in.
pub(super) fn keys(settings: &Settings, listen: SocketAddr, key_is_needed: bool) -> Check {
    const NAME: &str = "API keys";
    if key_is_needed {
        return Check::ok(NAME, "requests need one");
    }
    if listen.ip().is_loopback() {
        return Check::ok(NAME, format!("none yet; only this machine can reach {listen}"));
    }
    let found = format!("none, and other machines can reach {listen}");
    let advice = if settings.insecure_no_auth {
        "whoever can reach it may read and delete everything: lodgepole keys create"
    } else {
        "the server does not start like this: lodgepole keys create, or --listen 127.0.0.1:PORT"
    };
    Check::warn(NAME, found, advice)
}

#[cfg(test)]
mod tests {
    //! Goal: ports that are taken and doors that are open are told. Method: sockets of this machine.
    use lodgepole_service::IndexItem;

    use super::super::report::Verdict::{Fail, Ok as Good, Warn};
    use super::*;

    fn with_index(port: u16) -> Inventory {
        let index = IndexItem { name: "a".to_owned(), port, last_backup_at: None };
        Inventory { indexes: vec![index], ..Inventory::default() }
    }

    fn listening() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    /// A port that nobody has at this moment.
    fn closed() -> SocketAddr {
        listening().1
    }

    #[test]
    fn a_port_that_another_program_holds_is_named() {
        let (_listener, taken) = listening();
        let settings = Settings { listen: taken, ..Settings::default() };
        let check = free(&settings, &Inventory::default()).remove(0);
        assert!(check.verdict == Fail && check.found.contains(&taken.to_string()), "{check:?}");
        let settings = Settings { listen: closed(), ..Settings::default() };
        let verdicts = |settings: &Settings, port| {
            let checks = free(settings, &with_index(port));
            checks.iter().map(|check| check.verdict).collect::<Vec<_>>()
        };
        assert_eq!(verdicts(&settings, taken.port()), [Good, Warn]);
        assert_eq!(verdicts(&settings, closed().port()), [Good, Good]);
        let named = Settings { index_ports: IndexPorts::None, ..settings };
        assert_eq!(verdicts(&named, taken.port()), [Good], "it would not be opened");
    }

    #[test]
    fn an_address_that_cannot_be_had_fails() {
        let elsewhere = "192.0.2.1:5080".parse().unwrap();
        assert_eq!(judge_control(elsewhere, try_bind(elsewhere)).verdict, Fail);
        for kind in [io::ErrorKind::PermissionDenied, io::ErrorKind::Other] {
            assert_eq!(judge_control(elsewhere, Err(kind.into())).verdict, Fail);
        }
    }

    #[test]
    fn a_server_that_takes_no_connections_fails() {
        let (_control, control) = listening();
        let (_index, index) = listening();
        let settings = Settings::default();
        let verdict = |to, port| served(&settings, to, &with_index(port)).verdict;
        assert_eq!(verdict(control, index.port()), Good);
        assert_eq!(
            verdict(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), control.port()), index.port()),
            Good
        );
        assert_eq!(verdict(control, closed().port()), Fail);
        assert_eq!(verdict(closed(), index.port()), Fail);
    }

    #[test]
    fn an_open_door_is_warned_about() {
        let [local, open]: [SocketAddr; 2] =
            ["127.0.0.1:5080", "0.0.0.0:5080"].map(|address| address.parse().unwrap());
        let settings = Settings::default();
        assert_eq!(keys(&settings, local, false).verdict, Good);
        assert_eq!(keys(&settings, open, true).verdict, Good);
        assert_eq!(keys(&settings, open, false).verdict, Warn);
        let insecure = Settings { insecure_no_auth: true, ..settings };
        let told = keys(&insecure, open, false);
        assert!(told.verdict == Warn && told.advice.unwrap().contains("delete everything"));
    }
}
