//! Which hosts and addresses may be reached: the policy of outgoing requests, pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What may be reached where nothing is listed: the API hosts of the built-in kinds.
const BUILT_IN: [&str; 1] = ["graph.facebook.com"];

/// Whether a host and port are on a list of exact names (`example.com`), subdomains (`*.example.com`) or everything (`*`),
/// each with an optional `:port`. An empty list means the built-in API hosts.
#[must_use]
pub fn allowed(host: &str, port: u16, list: &[String]) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    if list.is_empty() {
        return BUILT_IN.contains(&host.as_str()) && port == 443;
    }
    list.iter().any(|entry| {
        let entry = entry.trim().to_ascii_lowercase();
        let (name, wanted) = match entry.rsplit_once(':') {
            Some((name, digits)) if !name.contains(':') => (name.to_owned(), digits.parse::<u16>().ok()),
            _ => (entry.clone(), None),
        };
        if wanted.is_some_and(|wanted| wanted != port) {
            return false;
        }
        match name.strip_prefix("*.") {
            Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.')),
            None => name == "*" || name == host,
        }
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
    let [a, b, c, _] = address.octets();
    let why = match (a, b, c) {
        (0, ..) => "unspecified",
        (127, ..) => "loopback",
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => "private",
        (100, 64..=127, _) => "shared (carrier-grade NAT)",
        (169, 254, _) => "link-local",
        (192, 0, 0) | (240..=255, ..) | (192, 88, 99) => "reserved",
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => "documentation",
        (198, 18..=19, _) => "benchmarking",
        (224..=239, ..) => "multicast",
        _ => return None,
    };
    Some(why)
}

fn refused_v6(address: Ipv6Addr) -> Option<&'static str> {
    let parts = address.segments();
    // An IPv4 address in another coat is what it is.
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        refused_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => Some("unspecified"),
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        [0, 0, 0, 0, 0, 0xFFFF | 0, high, low] | [0x64, 0xFF9B, 0, 0, 0, 0, high, low] | [0x2002, high, low, ..] => {
            embedded(high, low)
        }
        [0x64, 0xFF9B, 1, ..] => Some("private"),
        [0x2001, 0, _, _, _, _, high, low] => embedded(!high, !low),
        [0x2001, 0xDB8, ..] => Some("documentation"),
        [first, ..] if first & 0xFE00 == 0xFC00 => Some("private"),
        [first, ..] if first & 0xFFC0 == 0xFE80 => Some("link-local"),
        [first, ..] if first & 0xFFC0 == 0xFEC0 => Some("site-local"),
        [first, ..] if first & 0xFF00 == 0xFF00 => Some("multicast"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
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
        ] {
            assert!(refused(bad.parse().unwrap()).is_some(), "{bad}");
        }
        for good in ["8.8.8.8", "157.240.1.1", "172.32.0.1", "2a03:2880::1", "::ffff:8.8.8.8", "100.128.0.1"] {
            assert!(refused(good.parse().unwrap()).is_none(), "{good}");
        }
    }
}
