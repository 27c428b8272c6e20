//! A server on its two ports: who may reach it is checked first, then the ports are taken, then the data directory is opened; it ends cleanly when told to.

use crate::Shared;
use crate::coordinator::Running;
use crate::flags::Flags;
use crate::pgwire::{END_GRACE, END_PATIENCE, Passwords, Tls, Wire};
use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Between two looks at whether the sessions have ended.
const SESSIONS_POLL: Duration = Duration::from_millis(5);

/// A server that answers on both of its ports.
pub struct Serving {
    pub shared: Arc<Shared>,
    /// The addresses really taken.
    pub pgwire: SocketAddr,
    pub http: SocketAddr,
    running: Running,
    wire_task: JoinHandle<std::io::Result<()>>,
    http_task: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Recovers the data directory and serves. Nothing is touched if the addresses are refused or taken.
    pub async fn start(flags: Flags) -> anyhow::Result<Serving> {
        let passwords = flags.password.as_deref().map(Passwords::new);
        for address in [flags.listen, flags.http_listen] {
            if !address.ip().is_loopback() && passwords.is_none() && !flags.insecure {
                bail!("listening on {address} would let anyone in: set --password, or say --insecure");
            }
        }
        let tls = match (&flags.tls_cert, &flags.tls_key) {
            (Some(certificate), Some(key)) => Some(Tls::load(certificate, key)?),
            _ => None,
        };
        let wire_listener = TcpListener::bind(flags.listen).await.with_context(|| format!("could not listen on {}", flags.listen))?;
        let http_listener = TcpListener::bind(flags.http_listen).await.with_context(|| format!("could not listen on {}", flags.http_listen))?;
        let (pgwire, http) = (wire_listener.local_addr()?, http_listener.local_addr()?);
        let tls_required = flags.tls_required;
        let running = crate::coordinator::start(flags).await?;
        let shared = running.shared.clone();
        let wire = Arc::new(Wire::new(shared.clone(), passwords, tls, tls_required));
        let wire_task = tokio::spawn(crate::pgwire::serve(wire_listener, wire));
        let http_task = tokio::spawn(crate::http::serve(http_listener, shared.clone()));
        Ok(Serving { shared, pgwire, http, running, wire_task, http_task })
    }

    /// Resolves when something the server cannot do without has failed.
    pub async fn failed(&mut self) -> anyhow::Error {
        let ended = |ended: Result<std::io::Result<()>, tokio::task::JoinError>| match ended {
            Ok(Ok(())) => anyhow::anyhow!("a listener ended"),
            Ok(Err(error)) => error.into(),
            Err(error) => error.into(),
        };
        tokio::select! {
            failure = self.running.failed() => anyhow::anyhow!("the server stopped: {failure}"),
            result = &mut self.wire_task => ended(result),
            result = &mut self.http_task => ended(result),
        }
    }

    /// Takes no more clients, tells those there are, and ends sources and workers.
    pub async fn stop(self) {
        self.wire_task.abort();
        self.http_task.abort();
        self.shared.end();
        let told = async {
            while self.shared.metrics.connections() > 0 {
                tokio::time::sleep(SESSIONS_POLL).await;
            }
        };
        let _ = tokio::time::timeout(END_GRACE + END_PATIENCE, told).await;
        self.running.stop().await;
    }
}
