//! The `tidemark` binary: flags, logging, signals.

use anyhow::Context;
use clap::Parser;
use server::flags::{Command, Flags};
use server::serving::Serving;
use std::io::Write;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tidemark: error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: Flags) -> anyhow::Result<()> {
    // The demo's own screen is its log.
    let default_filter = if flags.command.is_some() { "warn" } else { "info" };
    let log_filter = flags.log_filter.as_deref().unwrap_or(default_filter);
    let filter = tracing_subscriber::EnvFilter::try_new(log_filter).with_context(|| format!("--log-filter \"{log_filter}\""))?;
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
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut serving = Serving::start(flags).await?;
    // Scripts wait for these lines.
    {
        let mut out = std::io::stdout().lock();
        writeln!(out, "pgwire listening on {}", serving.pgwire)?;
        writeln!(out, "http listening on {}", serving.http)?;
        out.flush()?;
    }
    let ended = tokio::select! {
        failure = serving.failed() => Err(failure),
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    serving.stop().await;
    ended
}
