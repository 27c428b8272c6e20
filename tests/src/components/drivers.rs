//! Drivers of other languages: commands which run a script with its driver at hand, without a network.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::installed::{fetched, program};

/// Python with `psycopg`. Arguments (the script first) follow.
pub fn python() -> Result<Command> {
    let mut command = Command::new(program("python3")?);
    command.env("PYTHONPATH", fetched("drivers/python")?.join("packages"));
    // Scripts are read from the source tree, which tests do not write to.
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    Ok(command)
}

/// Node with `pg` and `pg-cursor`, for CommonJS scripts (`require`). Arguments (the script first) follow.
pub fn node() -> Result<Command> {
    let mut command = Command::new(program("node")?);
    command.env("NODE_PATH", fetched("drivers/node")?.join("node_modules"));
    Ok(command)
}

/// `go run` for a one-file program which imports `pgx/v5`, `pgxpool` or `stdlib`. The program's own arguments follow.
pub fn go(file: &Path) -> Result<Command> {
    let module = fetched("drivers/go")?;
    let file = file
        .canonicalize()
        .with_context(|| format!("no such file: {}", file.display()))?;
    let mut command = Command::new(program("go")?);
    command
        .env("GOMODCACHE", module.join("modules"))
        .env("GOFLAGS", "-mod=mod")
        .env("GOPROXY", "off");
    command.current_dir(module).arg("run").arg(file);
    Ok(command)
}

/// `java` for a one-file program (Java compiles it as it starts) with the PostgreSQL JDBC driver. The program's own arguments follow.
pub fn java(file: &Path) -> Result<Command> {
    let mut command = Command::new(program("java")?);
    command.arg("-cp").arg(jdbc_class_path()?).arg(file);
    Ok(command)
}

/// The class path of the PostgreSQL JDBC driver.
pub fn jdbc_class_path() -> Result<PathBuf> {
    Ok(fetched("jdbc")?.join("*"))
}
