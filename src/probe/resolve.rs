//! Names to addresses: absolute names only, all addresses of an answer, in a fixed order.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::RecordType;

use super::{failed, not_asked};
use crate::domain::endpoint::Lookup;
use crate::domain::{Outcome, Reason};

/// An answer with more addresses than this is refused.
pub const MAX_ADDRESSES: usize = 32;

/// Where names are looked up.
#[derive(Clone, Debug, Default)]
pub struct ResolverSettings {
    /// DNS servers; none: those of the system.
    pub servers: Vec<SocketAddr>,
    /// Also read the system's hosts file (standalone).
    pub hosts_file: bool,
    /// Ask each time.
    pub uncached: bool,
}

/// Looks names up, with a cache that keeps to their TTL.
#[derive(Clone)]
pub struct Resolver {
    inner: TokioResolver,
}

impl Resolver {
    /// Reads the system's resolver configuration where no servers are given.
    ///
    /// # Errors
    /// When that configuration cannot be read; the text says why.
    pub fn new(settings: &ResolverSettings) -> Result<Self, String> {
        let builder = if settings.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(|e| e.to_string())?
        } else {
            let servers = settings.servers.iter().map(|server| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut c| {
                    c.port = server.port();
                    c
                });
                NameServerConfig::new(server.ip(), true, connections.into())
            });
            let config = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_secs(2);
        options.attempts = 1;
        options.try_tcp_on_error = true;
        options.cache_size = if settings.uncached { 0 } else { 16_384 };
        options.max_active_requests = 1_024;
        // A name that appears must be seen soon, whatever the zone says of negative answers.
        options.negative_max_ttl = Some(Duration::from_secs(5));
        options.use_hosts_file = if settings.hosts_file { ResolveHosts::Always } else { ResolveHosts::Never };
        let inner = builder.with_options(options).build().map_err(|e| e.to_string())?;
        Ok(Resolver { inner })
    }

    /// Every address of a target: IPv4 first, then numerically.
    pub(super) async fn addresses(&self, lookup: &Lookup) -> Result<Vec<IpAddr>, Outcome> {
        let name = match lookup {
            Lookup::Literal(ip) => return Ok(vec![*ip]),
            Lookup::Name(name) => name,
        };
        let mut addresses = self.lookup(name).await?;
        addresses.sort_unstable();
        addresses.dedup();
        if addresses.len() > MAX_ADDRESSES {
            return Err(Outcome::Denied {
                message: format!(
                    "The name has more than {MAX_ADDRESSES} addresses: name the hosts one by one."
                ),
            });
        }
        Ok(addresses)
    }

    async fn lookup(&self, name: &str) -> Result<Vec<IpAddr>, Outcome> {
        let missing =
            || failed(Reason::DNSNameNotFound, format!("The name {name} does not exist or has no address."));
        match self.inner.lookup_ip(format!("{name}.")).await {
            Ok(answer) => {
                let addresses: Vec<_> = answer.iter().collect();
                if addresses.is_empty() { Err(missing()) } else { Ok(addresses) }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
            {
                Err(missing())
            }
            Err(_) => Err(not_asked(
                Reason::DNSResolverUnavailable,
                "The resolver does not answer or answers with an error.",
            )),
        }
    }

    /// Does the name have an address?
    ///
    /// # Errors
    /// When it has none or the resolver does not answer; the text says which.
    pub async fn knows(&self, name: &str) -> Result<(), String> {
        match self.lookup(name).await {
            Ok(_) => Ok(()),
            Err(Outcome::Failed(failure) | Outcome::NotAsked(failure)) => Err(failure.message),
            Err(_) => Err("no answer".to_owned()),
        }
    }

    /// Does the resolver answer at all? It is asked for the root's name servers.
    ///
    /// # Errors
    /// When it does not; the text says so.
    pub async fn answers(&self) -> Result<(), String> {
        match self.inner.lookup(".", RecordType::NS).await {
            Ok(_) => Ok(()),
            Err(NetError::Dns(DnsError::NoRecordsFound(none)))
                if matches!(none.response_code, ResponseCode::NXDomain | ResponseCode::NoError) =>
            {
                Ok(())
            }
            Err(_) => Err("The resolver does not answer or answers with an error.".to_owned()),
        }
    }

    /// Addresses of one of our own peers (the registry, the API server); none when unknown.
    pub async fn own_addresses(&self, host: &str) -> Vec<IpAddr> {
        match host.trim_matches(['[', ']']).parse() {
            Ok(ip) => vec![ip],
            Err(_) => self.lookup(host).await.unwrap_or_default(),
        }
    }
}
