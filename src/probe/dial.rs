//! The dial: the policy decides on each address, then the connection is made to that very address.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

use tokio::net::TcpStream;

use super::{failed, not_asked};
use crate::domain::{Outcome, Reason, TargetPolicy};

/// Connects to the first address that accepts; the next one only after a connect failure. One
/// denied address rejects the whole answer, before a packet is sent.
pub(super) async fn dial(
    addresses: &[IpAddr],
    port: u16,
    policy: &TargetPolicy,
) -> Result<TcpStream, Outcome> {
    for ip in addresses {
        if let Err(why) = policy.check(*ip, port) {
            return Err(Outcome::Denied {
                message: format!(
                    "Resolves to an address that may not be probed ({why}): change it, or ask for --allow-targets."
                ),
            });
        }
    }
    let mut first = None;
    for ip in addresses {
        match TcpStream::connect(SocketAddr::new(*ip, port)).await {
            Ok(stream) => {
                // Only latency is at stake.
                stream.set_nodelay(true).ok();
                return Ok(stream);
            }
            Err(error) => {
                let failure = connect_failure(&error);
                // What the target did says more than what we could not do: without IPv6 here, its
                // second address proves nothing.
                if !matches!(
                    (&first, &failure),
                    (Some(Outcome::Failed(_)), _) | (Some(_), Outcome::NotAsked(_))
                ) {
                    first = Some(failure);
                }
            }
        }
    }
    Err(first.unwrap_or_else(|| failed(Reason::DNSNameNotFound, "The name has no address.")))
}

fn connect_failure(error: &std::io::Error) -> Outcome {
    match error.kind() {
        ErrorKind::ConnectionRefused => failed(
            Reason::ConnectionRefused,
            "The connection was refused: nothing listens on this port. Start the agent or correct the port.",
        ),
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe => {
            failed(Reason::ConnectionReset, "The connection was reset.")
        }
        ErrorKind::TimedOut => {
            failed(Reason::ConnectTimeout, "No connection: a firewall may drop packets, or the host is down.")
        }
        ErrorKind::HostUnreachable => {
            failed(Reason::HostUnreachable, "The network says that the host cannot be reached.")
        }
        ErrorKind::NetworkUnreachable => {
            not_asked(Reason::NetworkUnreachable, "There is no route to this address from here.")
        }
        // No descriptors, no ports, no memory, a local firewall: ours, not the target's.
        _ => not_asked(
            Reason::ProbeInfrastructureSuspect,
            "This process could not open a connection; see its log and its limits.",
        ),
    }
}
