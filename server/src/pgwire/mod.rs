//! The Postgres protocol, version 3.0, over TCP and TLS. The only module that names the `pgwire` crate: its messages, its codec and its SCRAM.
//!
//! The loop is our own. Three rules the crate's default loop does not keep:
//! * **Flush only when about to wait**: a pipeline of Parse, Bind, Describe, Execute, Sync costs one write.
//! * **A row is sent when it exists**: a subscription's rows leave as soon as there is nothing more to add to them.
//! * **A client that goes away is noticed** while its statement runs, and so is its cancel request.
//!
//! Bounds: [`CONNECTIONS_MAX`], [`STARTUP_TIMEOUT`], [`INPUT_AHEAD_BYTES_MAX`] of pipelined input while a statement runs, [`OUTPUT_BYTES_MAX`] of output before a flush.

mod auth;
mod connection;
mod copy;
mod message;
mod rows;
#[cfg(test)]
mod tests;
mod tls;

use crate::{Error, Shared};
use connection::Connection;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub use auth::Passwords;
pub use tls::Tls;

/// Clients served at a time; one more is told 53300.
pub const CONNECTIONS_MAX: usize = 512;
/// A client which has not said who it is by then is disconnected.
pub const STARTUP_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a statement may go on when the server ends: enough for a COMMIT that waits for the disk.
pub const END_GRACE: Duration = Duration::from_millis(250);
/// How long a client may take to read that the server ends.
pub const END_PATIENCE: Duration = Duration::from_secs(1);
/// Room for what one read brings.
pub const INPUT_BYTES: usize = 8 << 10;
/// Input read ahead of a running statement; a client that pipelines more waits.
pub const INPUT_AHEAD_BYTES_MAX: usize = 1 << 20;
/// Output is written out when it reaches this size.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// What all connections share.
pub struct Wire {
    pub shared: Arc<Shared>,
    pub passwords: Option<Passwords>,
    pub tls: Option<Tls>,
    pub tls_required: bool,
    next_pid: AtomicI32,
    slots: Arc<Semaphore>,
}

impl Wire {
    pub fn new(shared: Arc<Shared>, passwords: Option<Passwords>, tls: Option<Tls>, tls_required: bool) -> Wire {
        Wire {
            shared,
            passwords,
            tls,
            tls_required,
            next_pid: AtomicI32::new(1),
            slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        }
    }

    fn next_pid(&self) -> i32 {
        self.next_pid.fetch_add(1, Ordering::Relaxed)
    }
}

/// Serves clients until the listener fails or the task is dropped.
pub async fn serve(listener: TcpListener, wire: Arc<Wire>) -> std::io::Result<()> {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: the connections there are go on, and the next accept may work.
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let wire = wire.clone();
        tokio::spawn(async move {
            if let Err(error) = serve_one(stream, peer, wire).await {
                tracing::debug!(%peer, %error, "connection ended");
            }
        });
    }
}

/// Takes a session off the list of sessions, however it ends.
struct Registered<'a> {
    wire: &'a Wire,
    pid: i32,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        self.wire.shared.sessions.unregister(self.pid);
    }
}

async fn serve_one(stream: TcpStream, peer: SocketAddr, wire: Arc<Wire>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let slot = wire.slots.clone().try_acquire_owned().ok();
    let Some(mut connection) = tokio::time::timeout(STARTUP_TIMEOUT, Connection::negotiate(stream, &wire)).await.unwrap_or(Ok(None))? else {
        return Ok(());
    };
    if slot.is_none() {
        connection.message().error(&Error::fatal("53300", "sorry, too many clients already").with_hint(format!("The server serves {CONNECTIONS_MAX} clients at a time.")));
        return connection.flush().await;
    }
    let gauge = wire.shared.metrics.connection_opened();
    let pid = wire.next_pid();
    let (session, entry) = match tokio::time::timeout(STARTUP_TIMEOUT, connection.authenticate(&wire, peer, pid)).await {
        Ok(Ok(Some(begun))) => begun,
        Ok(Ok(None)) | Err(_) => return Ok(()),
        Ok(Err(error)) => return Err(error),
    };
    let registered = Registered { wire: &wire, pid };
    let ended = async {
        wire.shared.ended().await;
        tokio::time::sleep(END_GRACE).await;
    };
    let served = tokio::select! {
        biased;
        result = connection.serve(session, &entry, &wire) => Some(result),
        () = ended => None,
    };
    let result = match served {
        Some(result) => result,
        None => connection.end().await,
    };
    drop(registered);
    drop(gauge);
    result
}
