//! The target policy: which addresses a probe may dial. Decided on the address, after resolution,
//! at dial time, literals too. Precedence: our own (address, port) > deny > allow > built-in.

use std::net::IpAddr;

use ipnet::IpNet;

use super::address::faces;

/// Where the process runs decides the built-in part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// In or beside a cluster: tenants write the targets. Loopback is denied.
    Cluster,
    /// On somebody's own machine: loopback is allowed.
    Standalone,
}

/// Which addresses may be dialled.
#[derive(Clone, Debug)]
pub struct TargetPolicy {
    profile: Profile,
    own: Vec<(IpNet, u16)>,
    deny: Vec<IpNet>,
    allow: Vec<IpNet>,
}

/// Ranges that nothing but an explicit `--allow-targets` opens, with the word that people read.
const DENIED: &[(&str, &str)] = &[
    ("0.0.0.0/8", "unspecified"),
    ("::/128", "unspecified"),
    ("169.254.0.0/16", "link-local"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("100.100.100.200/32", "cloud metadata"),
    ("168.63.129.16/32", "cloud metadata"),
    ("fd00:ec2::/32", "cloud metadata"),
    ("fd20:ce::/64", "cloud metadata"),
    ("192.0.0.0/24", "reserved"),
    ("224.0.0.0/4", "multicast"),
    ("ff00::/8", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("100::/64", "discard"),
];

const LOOPBACK: &[(&str, &str)] = &[("127.0.0.0/8", "loopback"), ("::1/128", "loopback")];

impl TargetPolicy {
    /// The built-in policy of a profile with the operator's lists.
    pub fn new(profile: Profile, allow: Vec<IpNet>, deny: Vec<IpNet>) -> Self {
        TargetPolicy { profile, own: Vec::new(), deny, allow }
    }

    /// The same policy with our own (address, port) pairs, which are never dialled.
    #[must_use]
    pub fn with_own(mut self, own: Vec<(IpNet, u16)>) -> Self {
        self.own = own;
        self
    }

    /// May `ip` be dialled at `port`? The error says, in a word, why not.
    pub fn check(&self, ip: IpAddr, port: u16) -> Result<(), &'static str> {
        faces(ip).into_iter().try_for_each(|face| self.check_face(face, port))
    }

    fn check_face(&self, ip: IpAddr, port: u16) -> Result<(), &'static str> {
        let within = |nets: &[IpNet]| nets.iter().any(|net| net.contains(&ip));
        if self.own.iter().any(|(net, own)| *own == port && net.contains(&ip)) {
            return Err("one of this system's own addresses");
        }
        if within(&self.deny) {
            return Err("denied by the operator");
        }
        if within(&self.allow) {
            return Ok(());
        }
        let loopback: &[_] = if self.profile == Profile::Cluster { LOOPBACK } else { &[] };
        for (text, word) in DENIED.iter().chain(loopback) {
            if text.parse::<IpNet>().is_ok_and(|net| net.contains(&ip)) {
                return Err(word);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn ok(policy: &TargetPolicy, ip: &str, port: u16) -> bool {
        policy.check(ip.parse().unwrap(), port).is_ok()
    }

    #[test]
    fn every_built_in_range_can_be_read() {
        for (text, _) in DENIED.iter().chain(LOOPBACK) {
            assert!(text.parse::<IpNet>().is_ok(), "{text}");
        }
    }

    #[test]
    fn a_cluster_denies_loopback_metadata_and_reserved_addresses_in_every_disguise() {
        let policy = TargetPolicy::new(Profile::Cluster, nets(&["10.0.0.0/8"]), vec![]);
        for bad in [
            "127.0.0.1",
            "127.255.255.254",
            "::1",
            "0.0.0.0",
            "0.0.0.1",
            "::",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fe80::1",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
            "240.0.0.1",
        ] {
            assert!(!ok(&policy, bad, 80), "{bad}");
        }
        for good in ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fd00::1", "2001:db8::1"] {
            assert!(ok(&policy, good, 80), "{good}");
        }
    }

    #[test]
    fn standalone_allows_loopback_and_still_denies_metadata() {
        let policy = TargetPolicy::new(Profile::Standalone, vec![], vec![]);
        assert!(ok(&policy, "127.0.0.1", 8001) && ok(&policy, "::1", 8001));
        assert!(!ok(&policy, "169.254.169.254", 80) && !ok(&policy, "0.0.0.0", 80));
    }

    #[test]
    fn own_addresses_beat_deny_beats_allow_beats_the_built_in_list() {
        let policy = TargetPolicy::new(
            Profile::Cluster,
            nets(&["127.0.0.0/8", "169.254.1.0/24"]),
            nets(&["127.9.0.0/16"]),
        )
        .with_own(vec![("127.0.0.1/32".parse().unwrap(), 9000)]);
        assert!(ok(&policy, "127.0.0.1", 8001));
        assert!(!ok(&policy, "127.0.0.1", 9000));
        assert!(!ok(&policy, "::ffff:127.0.0.1", 9000));
        assert!(!ok(&policy, "127.9.0.1", 8001));
        assert!(ok(&policy, "169.254.1.7", 80));
    }
}
