//! One server as the judge talks to it: every question has a deadline, and a lost connection is an answer after which the next question
//! connects anew.

use std::time::Duration;

use anyhow::{Context, Result};
use raw::Raw;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

use crate::sql::TextRow;

/// A question not answered after this long never will be.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Rows (none for most statements), and how many rows the statement says it touched or returned.
    Rows { rows: Vec<TextRow>, count: u64 },
    /// The SQLSTATE, and the message for the person who reads the report.
    Error { code: String, message: String },
    /// No answer at all: a hang, a lost connection, a server that is gone.
    Lost(String),
}

/// What the extended protocol says of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Described {
    /// Columns by name and type OID, and the rows in binary format.
    Rows {
        columns: Vec<(String, u32)>,
        rows: Vec<Vec<Option<Vec<u8>>>>,
    },
    /// As in [`Answer::Error`].
    Error { code: String, message: String },
    /// As in [`Answer::Lost`].
    Lost(String),
}

/// A server, and one connection to it.
pub struct Endpoint {
    runtime: Runtime,
    config: Config,
    client: Option<Client>,
}

impl Endpoint {
    /// Connects; `connection_string` is as libpq's.
    pub fn connect(connection_string: &str) -> Result<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .context("could not make a runtime")?;
        let config: Config = connection_string
            .parse()
            .context("a bad connection string")?;
        let mut endpoint = Self {
            runtime,
            config,
            client: None,
        };
        endpoint.reconnect()?;
        Ok(endpoint)
    }

    /// Whether the last question cost the connection.
    pub fn is_lost(&self) -> bool {
        self.client.as_ref().is_none_or(Client::is_closed)
    }

    /// A new connection.
    pub fn reconnect(&mut self) -> Result<()> {
        self.client = None;
        let config = self.config.clone();
        let client = self.runtime.block_on(async {
            let (client, connection) = timeout(ANSWER_DEADLINE, config.connect(NoTls))
                .await
                .context("no connection in time")?
                .context("could not connect")?;
            // The client sees the connection's end as its own errors.
            tokio::spawn(connection);
            anyhow::Ok(client)
        })?;
        self.client = Some(client);
        Ok(())
    }

    /// Asks with the simple protocol: text, one statement.
    pub fn simple(&mut self, sql: &str) -> Answer {
        let Some(client) = &self.client else {
            return Answer::Lost("not connected".to_owned());
        };
        let result = self
            .runtime
            .block_on(async { timeout(ANSWER_DEADLINE, client.simple_query(sql)).await });
        match result {
            Ok(Ok(messages)) => text_rows(messages),
            Ok(Err(error)) => match self.failure(&error) {
                Ok((code, message)) => Answer::Error { code, message },
                Err(reason) => Answer::Lost(reason),
            },
            Err(_) => Answer::Lost(self.hang()),
        }
    }

    /// Asks with the extended protocol: description and binary rows.
    pub fn described(&mut self, sql: &str) -> Described {
        let Some(client) = &self.client else {
            return Described::Lost("not connected".to_owned());
        };
        let result = self.runtime.block_on(async {
            timeout(ANSWER_DEADLINE, async {
                let statement = client.prepare(sql).await?;
                let rows = client.query(&statement, &[]).await?;
                Ok((statement, rows))
            })
            .await
        });
        let (statement, rows) = match result {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                return match self.failure(&error) {
                    Ok((code, message)) => Described::Error { code, message },
                    Err(reason) => Described::Lost(reason),
                };
            }
            Err(_) => return Described::Lost(self.hang()),
        };
        let columns = statement
            .columns()
            .iter()
            .map(|column| (column.name().to_owned(), column.type_().oid()))
            .collect();
        let rows = rows
            .iter()
            .map(|row| {
                (0..row.len())
                    .map(|column| row.get::<_, Option<Raw>>(column).map(|raw| raw.0))
                    .collect()
            })
            .collect();
        Described::Rows { columns, rows }
    }

    /// The SQLSTATE and the message of an error the server sent; anything else costs the connection.
    fn failure(&mut self, error: &tokio_postgres::Error) -> Result<(String, String), String> {
        match error.as_db_error() {
            Some(error) => Ok((error.code().code().to_owned(), error.message().to_owned())),
            None => {
                self.client = None;
                Err(format!("no answer: {error:?}"))
            }
        }
    }

    fn hang(&mut self) -> String {
        self.client = None;
        format!("no answer in {ANSWER_DEADLINE:?}")
    }
}

fn text_rows(messages: Vec<SimpleQueryMessage>) -> Answer {
    let mut rows = Vec::new();
    let mut count = 0;
    for message in messages {
        match message {
            SimpleQueryMessage::Row(row) => rows.push(
                (0..row.len())
                    .map(|column| row.get(column).map(str::to_owned))
                    .collect(),
            ),
            SimpleQueryMessage::CommandComplete(touched) => count = touched,
            _ => {}
        }
    }
    Answer::Rows { rows, count }
}

/// A value's bytes, whatever its type.
mod raw {
    use std::error::Error;

    use tokio_postgres::types::{FromSql, Type};

    pub(super) struct Raw(pub(super) Vec<u8>);

    impl<'a> FromSql<'a> for Raw {
        fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
            Ok(Self(raw.to_owned()))
        }

        fn accepts(_: &Type) -> bool {
            true
        }
    }
}
