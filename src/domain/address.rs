//! Hosts: which texts are one, and which addresses hide inside others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host as it may stand in a spec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Host {
    /// A canonical IP address.
    Literal(IpAddr),
    /// A lower-case DNS name without a trailing dot.
    Name(String),
}

/// Reads a host with the rule of the CRD: a canonical IP address without brackets or zone, or a
/// lower-case DNS name of at most 253 characters whose last label begins with a letter (so that no
/// resolver can read it as an address: `0x7f000001`, `127.1`).
pub fn parse_host(text: &str) -> Option<Host> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        let mapped = matches!(ip, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
        return (ip.to_string() == text && !mapped).then_some(Host::Literal(ip));
    }
    is_dns_name(text).then(|| Host::Name(text.to_owned()))
}

fn is_dns_name(text: &str) -> bool {
    let label = |label: &str| {
        let bytes = label.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        (1..=63).contains(&bytes.len())
            && bytes.iter().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253
        && text.split('.').all(label)
        && text.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// Every address that a packet to `ip` may really reach: itself and the IPv4 address that is
/// embedded in it (mapped, compatible, NAT64, 6to4, Teredo, ISATAP). A policy must hold for all.
pub fn faces(ip: IpAddr) -> Vec<IpAddr> {
    let mut all = vec![ip];
    if let IpAddr::V6(v6) = ip {
        all.extend(embedded_v4(v6).into_iter().map(IpAddr::V4));
    }
    all
}

/// IPv4 addresses inside an IPv6 one (RFC 4291 2.5.5, RFC 6052, RFC 8215, RFC 3056, RFC 4380, RFC 5214).
fn embedded_v4(ip: Ipv6Addr) -> Vec<Ipv4Addr> {
    let s = ip.segments();
    let v4 = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    let mut found = Vec::new();
    // ::ffff:a.b.c.d and ::a.b.c.d (not :: and ::1, which are their own rules)
    let mapped = s[..5] == [0; 5] && s[5] == 0xffff;
    let compatible = s[..6] == [0; 6] && (s[6], s[7]) > (0, 1);
    // 64:ff9b::/96 and the local-use 64:ff9b:1::/48
    let nat64 = s[0] == 0x64 && s[1] == 0xff9b;
    // …:0:5efe:a.b.c.d and …:200:5efe:a.b.c.d
    let isatap = (s[4] == 0 || s[4] == 0x200) && s[5] == 0x5efe;
    if mapped || compatible || nat64 || isatap {
        found.push(v4(s[6], s[7]));
    }
    if s[0] == 0x2002 {
        found.push(v4(s[1], s[2]));
    }
    if s[0] == 0x2001 && s[1] == 0 {
        found.push(v4(s[2], s[3]));
        found.push(v4(!s[6], !s[7]));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_canonical_hosts_are_hosts() {
        for good in ["10.0.0.1", "::1", "fd00::1", "a", "a.b-c.d1", "xn--bcher-kva.example"] {
            assert!(parse_host(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "2130706433",
            "0x7f000001",
            "a.0x1",
            "0177.0.0.1",
            "127.1",
            "127.0.0.1.",
            "[::1]",
            "0:0:0:0:0:0:0:1",
            "fe80::1%eth0",
            "::ffff:10.0.0.1",
            "A.example",
            "a..b",
            "a.",
            "-a",
            "a-",
            "_x.y",
            "a b",
            "a/b",
            "u:p@h",
            "bücher.example",
        ] {
            assert!(parse_host(bad).is_none(), "{bad}");
        }
        assert!(parse_host(&"a.".repeat(127)).is_none());
        assert!(parse_host(&"a".repeat(64)).is_none());
    }

    #[test]
    fn an_address_hidden_in_another_is_seen() {
        let hidden: IpAddr = "169.254.169.254".parse().unwrap();
        for disguise in [
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::1",
            "2001:0:101:101:0:0:5601:5601",
            "2001:db8::5efe:a9fe:a9fe",
            "2001:db8::200:5efe:a9fe:a9fe",
        ] {
            let ip: IpAddr = disguise.parse().unwrap();
            assert!(faces(ip).contains(&hidden), "{disguise}: {:?}", faces(ip));
        }
        assert_eq!(faces("::1".parse().unwrap()).len(), 1);
    }
}
