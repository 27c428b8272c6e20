//! The command line; each flag is an environment variable too (`--data-dir` is `TIDEMARK_DATA_DIR`).

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the log is kept unless said otherwise.
pub const DATA_DIR: &str = "./tidemark-data";

/// Postgres-wire materialized views over change-data-capture topics.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "tidemark", version)]
pub struct Flags {
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Where the log is kept.
    #[arg(long, env = "TIDEMARK_DATA_DIR", default_value = DATA_DIR)]
    pub data_dir: PathBuf,
    /// Address of the Postgres protocol. Port 0 takes a free one.
    #[arg(long, env = "TIDEMARK_LISTEN", default_value = "127.0.0.1:6875")]
    pub listen: SocketAddr,
    /// Address of HTTP (metrics, health). Port 0 takes a free one.
    #[arg(long, env = "TIDEMARK_HTTP_LISTEN", default_value = "127.0.0.1:6876")]
    pub http_listen: SocketAddr,
    /// The log is compacted when its frames exceed this and the size of what was compacted before.
    #[arg(long, env = "TIDEMARK_LOG_COMPACTION_BYTES_MIN", default_value_t = 64 << 20)]
    pub log_compaction_bytes_min: u64,
    /// Threads that maintain views.
    #[arg(long, env = "TIDEMARK_WORKERS", default_value_t = 1)]
    pub workers: usize,
    /// Accept connections without a password on addresses other than loopback.
    #[arg(long, env = "TIDEMARK_INSECURE")]
    pub insecure: bool,
    /// The password of user `tidemark`; without one, only loopback is served (or --insecure said).
    #[arg(long, env = "TIDEMARK_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Certificate chain (PEM) for TLS.
    #[arg(long, env = "TIDEMARK_TLS_CERT", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Private key (PEM) for TLS.
    #[arg(long, env = "TIDEMARK_TLS_KEY", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Refuse connections without TLS.
    #[arg(long, env = "TIDEMARK_TLS_REQUIRED", requires = "tls_cert")]
    pub tls_required: bool,
    /// Which log lines are written (to standard error), in the syntax of `tracing`'s EnvFilter; `info` unless said otherwise, `warn` in the demo.
    #[arg(long, env = "TIDEMARK_LOG_FILTER")]
    pub log_filter: Option<String>,
    /// Log lines as JSON.
    #[arg(long, env = "TIDEMARK_LOG_JSON")]
    pub log_json: bool,
}

#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Run the server with a small shop whose changes arrive through Kafka, and show its totals.
    Demo(DemoFlags),
}

#[derive(Clone, Debug, clap::Args)]
pub struct DemoFlags {
    /// A Kafka broker to use instead of the embedded one.
    #[arg(long, env = "KAFKA")]
    pub kafka: Option<String>,
    /// Orders a second.
    #[arg(long, default_value_t = 200)]
    pub orders_per_second: u32,
    /// Keep the data directory at the end.
    #[arg(long)]
    pub keep: bool,
    /// End by itself after so many seconds.
    #[arg(long)]
    pub seconds: Option<u64>,
}
