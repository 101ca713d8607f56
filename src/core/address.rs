//! The policy of outgoing requests: allowed hosts and addresses. No I/O.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What may be reached where nothing is listed: the API hosts of the built-in kinds.
const BUILT_IN: [&str; 1] = ["graph.facebook.com"];

/// An entry of a list of hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    name: Name,
    /// None: any.
    port: Option<u16>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Name {
    /// `*`
    Any,
    /// `*.example.com`: what stands before this, with its dot.
    Below(String),
    /// `example.com`, `192.0.2.1`
    Exact(String),
    /// `[2001:db8::1]`, or without the brackets where there is no port.
    Address(Ipv6Addr),
}

/// Reads a list of hosts: exact names (`example.com`), what is below a name (`*.example.com`) or everything (`*`), each
/// with an optional `:port`, with commas between.
///
/// # Errors
/// The first entry that is none of these.
pub fn hosts(list: &str) -> Result<Vec<Host>, String> {
    if list.trim().is_empty() {
        return Ok(Vec::new());
    }
    list.split(',').map(str::trim).map(|entry| host(entry).ok_or_else(|| entry.to_owned())).collect()
}

fn host(entry: &str) -> Option<Host> {
    if let Ok(address) = entry.parse() {
        return Some(Host { name: Name::Address(address), port: None });
    }
    let bracketed = entry.strip_prefix('[').map(|rest| rest.split_once(']'));
    let (name, port) = match bracketed {
        Some(None) => return None,
        Some(Some((address, ""))) => (Name::Address(address.parse().ok()?), None),
        Some(Some((address, rest))) => (Name::Address(address.parse().ok()?), Some(rest.strip_prefix(':')?)),
        None => match entry.split_once(':') {
            Some((name, port)) => (name_of(name)?, Some(port)),
            None => (name_of(entry)?, None),
        },
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|port| *port > 0)?)
        }
        Some(_) => return None,
    };
    Some(Host { name, port })
}

fn name_of(name: &str) -> Option<Name> {
    let name = name.to_ascii_lowercase();
    if name == "*" {
        return Some(Name::Any);
    }
    let parent = name.strip_prefix("*.");
    let labels = parent.unwrap_or(&name).split('.').all(|label| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    });
    labels.then(|| parent.map_or_else(|| Name::Exact(name.clone()), |parent| Name::Below(format!(".{parent}"))))
}

/// Whether a host and port are on a list. An empty list means the built-in API hosts.
#[must_use]
pub fn allowed(host: &str, port: u16, list: &[Host]) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if list.is_empty() {
        return BUILT_IN.contains(&host.as_str()) && port == 443;
    }
    list.iter().filter(|entry| entry.port.is_none_or(|wanted| wanted == port)).any(|entry| match &entry.name {
        Name::Any => true,
        Name::Below(parent) => host.len() > parent.len() && host.ends_with(parent.as_str()),
        Name::Exact(name) => *name == host,
        Name::Address(address) => host.parse() == Ok(*address),
    })
}

/// Why an address is refused, if it is: it is not one of the public Internet.
#[must_use]
pub fn refused(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => refused_v4(v4),
        IpAddr::V6(v6) => refused_v6(v6),
    }
}

fn refused_v4(address: Ipv4Addr) -> Option<&'static str> {
    let [a, b, c, d] = address.octets();
    let why = match (a, b, c) {
        (0, ..) => "unspecified",
        (127, ..) => "loopback",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (100, 64..=127, _) => "shared (carrier-grade NAT)",
        (169, 254, _) => "link-local",
        // On virtual machines of one provider this address is the host.
        (168, 63, 129) if d == 16 => "a cloud's own",
        (192, 0, 0) | (240..=255, ..) | (192, 88, 99) => "reserved",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "documentation",
        (198, 18..=19, _) => "benchmarking",
        (224..=239, ..) => "multicast",
        _ => return None,
    };
    Some(why)
}

/// After the registries of special-purpose addresses (RFC 6890 and what was added to them): only `2000::/3` is in public
/// use, and an IPv4 address in another coat is what it is.
fn refused_v6(address: Ipv6Addr) -> Option<&'static str> {
    let parts = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        refused_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        // Mapped, translated (RFC 2765), of a NAT64, 6to4, ISATAP.
        [0, 0, 0, 0, 0, 0xFFFF, high, low]
        | [0, 0, 0, 0, 0xFFFF, 0, high, low]
        | [0x64, 0xFF9B, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..]
        | [0x2000..=0x3FFF, _, _, _, 0 | 0x200, 0x5EFE, high, low] => embedded(high, low),
        [0x64, 0xFF9B, 1, ..] => Some("private"),
        [0x2001, 0xDB8, ..] | [0x3FFF, 0..=0xFFF, ..] => Some("documentation"),
        [first, ..] if first & 0xFE00 == 0xFC00 => Some("private"),
        [first, ..] if first & 0xFFC0 == 0xFE80 => Some("link-local"),
        [first, ..] if first & 0xFFC0 == 0xFEC0 => Some("site-local"),
        [first, ..] if first & 0xFF00 == 0xFF00 => Some("multicast"),
        // Protocol assignments, Teredo among them.
        [0x2001, 0..=0x1FF, ..] => Some("reserved"),
        [0x2000..=0x3FFF, ..] => None,
        _ => Some("reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        let list = |text: &str| hosts(text).unwrap();
        assert!(allowed("graph.facebook.com", 443, &[]));
        assert!(!allowed("graph.facebook.com", 8443, &[]));
        assert!(!allowed("example.com", 443, &[]));
        assert!(allowed("EXAMPLE.com", 443, &list("example.com")));
        assert!(!allowed("example.com", 443, &list("example.com:8443")));
        assert!(allowed("a.example.com", 443, &list("x, *.example.com")));
        assert!(!allowed("example.com", 443, &list("*.example.com")));
        assert!(!allowed("badexample.com", 443, &list("*.example.com")));
        assert!(!allowed("graph.facebook.com", 443, &list("example.com")));
        assert!(allowed("127.0.0.1", 8443, &list("127.0.0.1:8443")));
        assert!(allowed("anything", 1, &list("*")));
        assert!(allowed("anything", 8443, &list("*:8443")));
        assert!(!allowed("anything", 443, &list("*:8443")));
        assert!(allowed("[::1]", 8443, &list("[::1]:8443")));
        assert!(!allowed("[::1]", 8444, &list("[::1]:8443")));
        assert!(allowed("[2001:db8::1]", 443, &list("[2001:DB8:0::1]")));
        assert!(allowed("[::1]", 1, &list("::1")));
        assert!(!allowed("a.example.com", 8443, &list("*.example.com:443")));
    }

    #[test]
    fn an_entry_that_is_none_is_refused() {
        for bad in [
            "host:abc",
            "host:99999",
            "host:",
            "host:0",
            "host:-1",
            "host:+1",
            "host:80:80",
            "https://host",
            "host/x",
            "a..b",
            ".a",
            "*.",
            "**",
            "a*",
            "a.*",
            "[::1",
            "[::1]8443",
            "[::1]:",
            "[::1]:x",
            "[host]",
            "::1:x",
            ":443",
            "a b",
            "ü.de",
        ] {
            assert_eq!(hosts(&format!("good.example.com, {bad}")), Err(bad.to_owned()), "{bad}");
        }
        assert_eq!(hosts("a,,b"), Err(String::new()));
        assert_eq!(hosts(" "), Ok(Vec::new()));
    }

    #[test]
    fn addresses() {
        for bad in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.0.1",
            "100.64.0.1",
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "198.19.0.1",
            "203.0.113.9",
            "192.0.0.8",
            "::1",
            "::",
            "fc00::1",
            "fe80::1",
            "ff02::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "2001:0:0:0:0:0:80ff:fffe",
            "2001:db8::1",
            "fec0::1",
            "::ffff:0:127.0.0.1",
            "::ffff:0:10.0.0.1",
            "::127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8",
            "2001::1",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "3fff::1",
            "5f00::1",
            "100::1",
            "4000::1",
            "2a00:1:2:3:0:5efe:10.0.0.1",
            "2a00:1:2:3:200:5efe:127.0.0.1",
            "168.63.129.16",
        ] {
            assert!(refused(bad.parse().unwrap()).is_some(), "{bad}");
        }
        for good in [
            "8.8.8.8",
            "157.240.1.1",
            "172.32.0.1",
            "2a03:2880::1",
            "::ffff:8.8.8.8",
            "100.128.0.1",
            "::ffff:0:8.8.8.8",
            "2606:4700::1",
            "2001:4860::8888",
            "3ffe::1",
            "168.63.129.17",
        ] {
            assert!(refused(good.parse().unwrap()).is_none(), "{good}");
        }
    }
}
