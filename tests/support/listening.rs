//! A TCP listener whose end is complete: the port refuses and every connection is closed when it returns.

use std::net::SocketAddr;

use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// How many connections the kernel may hold for a listener.
const BACKLOG: u32 = 4096;

/// A listener and its connections, served by tasks of this process; ended on drop.
#[derive(Debug)]
pub(super) struct Listening {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Listening {
    /// Listens on `address` (a port whose earlier connections have not timed out yet is taken) and serves each
    /// connection by `serve`. Only this host may connect.
    pub(super) fn start<F>(address: SocketAddr, serve: impl Fn(TcpStream) -> F + Send + 'static) -> Listening
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpSocket::new_v4().and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(BACKLOG)
        });
        let listener = listener.unwrap_or_else(|error| panic!("listen on {address}: {error}"));
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, peer)) if peer.ip().is_loopback() || peer.ip() == address.ip() => {
                            connections.spawn(serve(stream));
                        }
                        // A stranger, or a connection that ended before it was taken.
                        _ => tokio::task::yield_now().await,
                    },
                    Some(_) = connections.join_next() => {}
                    _ = &mut stopped => break,
                }
            }
            drop(listener);
            connections.shutdown().await;
        });
        Listening { stop: Some(stop), task }
    }

    /// Closes the listener and all connections.
    pub(super) async fn end(mut self) {
        drop(self.stop.take());
        let _ = (&mut self.task).await;
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.task.abort();
    }
}
