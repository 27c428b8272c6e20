//! The `tidemark` binary: flags, logging, listening, and a clean end.

use anyhow::{Context, bail};
use clap::Parser;
use server::flags::{Command, Flags};
use server::pgwire::{Passwords, Tls, Wire};
use std::io::Write;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let filter = tracing_subscriber::EnvFilter::try_new(&flags.log_filter).with_context(|| format!("--log-filter \"{}\"", flags.log_filter))?;
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if flags.log_json { subscriber.json().init() } else { subscriber.init() }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Binding and optimizing recurse over the syntax tree.
        .thread_stack_size(sql::STACK_BYTES_MIN)
        .build()?;
    match flags.command.clone() {
        Some(Command::Demo(demo)) => server::demo::run(&runtime, flags, demo),
        None => runtime.block_on(serve(flags)),
    }
}

async fn serve(flags: Flags) -> anyhow::Result<()> {
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
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let wire_listener = TcpListener::bind(flags.listen).await.with_context(|| format!("could not listen on {}", flags.listen))?;
    let http_listener = TcpListener::bind(flags.http_listen).await.with_context(|| format!("could not listen on {}", flags.http_listen))?;
    let tls_required = flags.tls_required;
    let mut running = server::coordinator::start(flags).await?;
    let wire = Arc::new(Wire::new(running.shared.clone(), passwords, tls, tls_required));
    // Scripts wait for these lines.
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "pgwire listening on {}", wire_listener.local_addr()?)?;
        writeln!(out, "http listening on {}", http_listener.local_addr()?)?;
        out.flush()?;
    }
    let ended = tokio::select! {
        ended = server::pgwire::serve(wire_listener, wire) => ended.map_err(anyhow::Error::from),
        ended = server::http::serve(http_listener, running.shared.clone()) => ended.map_err(anyhow::Error::from),
        failed = running.failed() => Err(anyhow::anyhow!("the server stopped: {failed}")),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    running.stop().await;
    ended
}
