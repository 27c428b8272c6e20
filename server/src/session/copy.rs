//! COPY: rows in from the client, and out to it.

use super::change::named_columns;
use super::copy_parser::CopyParser;
use super::planner::{Body, result_columns};
use super::writes::{OnConflict, Target, TRANSACTION_BYTES_MAX, Writes};
use super::{MutexExt, Session};
use crate::Error;
use crate::execution::{BoxFuture, CopyFormat, CopyIn, CopyOut, Execution, ResultColumn, RowsExecution};
use catalog::Definition;
use plan::evaluate::PreparedPlan;
use plan::{Context, Plan};
use repr::text::TextContext;
use repr::{CollectionId, ColumnType, Datum, Row, RowBuilder, RowRef, Schema};
use sql::Parameters;
use sql::parse::{CopyFrom, CopyOptions, CopyPlace, CopySource, CopyTo, ident_value};
use std::sync::{Arc, Mutex};

/// Rows of a COPY that has ended, for the transaction that is open when the session is called next.
pub struct CopiedRows {
    target: Target,
    rows: Vec<Row>,
}

/// Rows between two evaluations of DEFAULTs.
const DEFAULTS_BATCH_ROWS: usize = 1024;

impl Session {
    pub(super) async fn copy_to(&mut self, copy: &CopyTo, body: &Body, parameters: &Row, text: &str) -> Result<Execution, Error> {
        check_place(&copy.place)?;
        let format = format_of(&copy.options)?;
        let rows: RowsExecution = match (&copy.what, body) {
            (CopySource::Query(select), Body::Query(query)) => {
                let moment = self.moment_of(select.as_of.as_ref(), &self.planner(None, text))?;
                self.read(query, parameters, moment).await?
            }
            (CopySource::Subscribe(subscribe), _) => self.subscribe(subscribe, &[], parameters, text).await?,
            (CopySource::Table { name, columns }, _) => {
                let columns = match columns.as_slice() {
                    [] => "*".to_string(),
                    columns => columns.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
                };
                let query = format!("SELECT {columns} FROM {name}");
                let parsed = sql::parse::parse_query(&query).map_err(super::parse_error)?;
                let published = self.shared.dataflow.published();
                let planner = self.planner(Some(&published), &query);
                let body = sql::parse::QueryBody { mutually_recursive: Vec::new(), query: parsed };
                // The place would be in a text the client did not write.
                let plan = Arc::new(planner.query(&body, &mut Parameters::default()).map_err(|error| error.with_position(None))?);
                drop(planner);
                self.read(&plan, parameters, super::read::Moment::Newest).await?
            }
            _ => return Err(Error::internal("COPY was planned as something else")),
        };
        Ok(Execution::CopyOut(CopyOut { columns: rows.columns, source: rows.source, format }))
    }

    pub(super) async fn copy_from(&mut self, copy: &CopyFrom, text: &str) -> Result<Execution, Error> {
        check_place(&copy.place)?;
        self.check_writable("COPY FROM")?;
        let format = format_of(&copy.options)?;
        let (id, schema_name, name, schema) = {
            let planner = self.planner(None, text);
            let entry = super::define::resolve(&planner, &copy.table)?;
            let Definition::Table(table) = &entry.definition else {
                return Err(Error::new("42809", format!("cannot copy to {} \"{}\"", entry.definition.kind(), entry.name)));
            };
            (entry.id, entry.schema_name.clone(), entry.name.clone(), table.schema.clone())
        };
        let names: Vec<String> = copy.columns.iter().map(ident_value).collect();
        let positions = named_columns(&schema, &name, &names)?;
        let defaults = self.copy_defaults(id, &name, &positions, text)?;
        self.lock_tables([id], false).await?;
        let base = self.base_of(id, None).await?;
        let columns: Vec<(String, ColumnType)> =
            positions.iter().filter_map(|position| schema.columns.get(*position)).map(|column| (column.name.clone(), column.column_type.clone())).collect();
        let shown = Schema::new(columns.clone());
        let text_context = self.settings.text().clone();
        let transaction = self.enter_transaction();
        let writes = transaction.writes.clone();
        let context = Context { text: text_context.clone(), now: Some(transaction.now), ..Context::default() };
        Ok(Execution::CopyIn(Box::new(TableCopy {
            columns: result_columns(&shown),
            parser: CopyParser::new(format.clone(), &name, columns, text_context.clone()),
            format,
            fill: Fill::new(&schema, &positions, defaults, context),
            target: Target { id, schema_name, name, schema, base },
            writes,
            text: text_context,
            rows: Vec::new(),
            bytes: 0,
            copied: self.copied.clone(),
        })))
    }

    /// A plan of one row with the table's defaults, if a column is left out that has one.
    fn copy_defaults(&self, table: CollectionId, name: &str, positions: &[usize], text: &str) -> Result<Option<Plan>, Error> {
        let catalog = self.catalog();
        let Some(Definition::Table(definition)) = catalog.get(table).map(|entry| &entry.definition) else { return Ok(None) };
        if definition.defaults.iter().all(|default| positions.contains(&default.column)) {
            return Ok(None);
        }
        let schema_name = catalog.get(table).map_or("", |entry| entry.schema_name.as_str());
        let insert = format!("INSERT INTO {}.{} DEFAULT VALUES", super::variables::quote_name(schema_name), super::variables::quote_name(name));
        let parsed = sql::parse::parse(&insert).map_err(super::parse_error)?;
        let Some(statement) = parsed.first() else { return Ok(None) };
        let change = self.planner(None, text).change(&statement.statement, &mut Parameters::default())?;
        Ok(Some(change.query.scanning.clone()))
    }

    /// Takes over the rows of a COPY that has ended.
    pub(super) fn absorb_copied(&mut self) {
        let copied = std::mem::take(&mut *self.copied.lock_anyway());
        let text = self.settings.text().clone();
        for CopiedRows { target, rows } in copied {
            if let Some(transaction) = &mut self.transaction {
                // They were checked when the COPY ended, and its lock is still held.
                if transaction.writes.apply(&target, &[], &rows, OnConflict::Fail, &text).is_err() {
                    transaction.failed = true;
                }
            }
        }
    }
}

fn check_place(place: &CopyPlace) -> Result<(), Error> {
    match place {
        CopyPlace::Client => Ok(()),
        CopyPlace::File(_) => Err(Error::unsupported("COPY with a file of the server is not supported").with_hint("Use STDIN and STDOUT, or psql's \\copy.")),
        CopyPlace::Program(_) => Err(Error::unsupported("COPY with a program is not supported").with_hint("Use STDIN and STDOUT, or psql's \\copy.")),
    }
}

fn format_of(options: &CopyOptions) -> Result<CopyFormat, Error> {
    if let Some(other) = options.other.first() {
        return Err(Error::unsupported(format!("COPY option \"{other}\" is not supported")));
    }
    if let Some(encoding) = &options.encoding
        && !matches!(encoding.to_ascii_uppercase().replace('-', "").as_str(), "UTF8" | "UNICODE")
    {
        return Err(Error::new("22023", format!("argument to option \"encoding\" must be UTF8, not \"{encoding}\"")));
    }
    let character = |option: &Option<String>, name: &str, default: u8| match option.as_deref().map(str::as_bytes) {
        None => Ok(default),
        Some([byte]) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r') => Ok(*byte),
        Some(_) => Err(Error::unsupported(format!("COPY {name} must be a single one-byte character"))),
    };
    let header = options.header.unwrap_or(false);
    let format = options.format.as_deref().unwrap_or("text");
    let only_csv = |option: &Option<String>, name: &str| match option {
        Some(_) if format != "csv" => Err(Error::unsupported(format!("COPY {name} available only in CSV mode"))),
        _ => Ok(()),
    };
    only_csv(&options.quote, "quote")?;
    only_csv(&options.escape, "escape")?;
    match format {
        "text" => {
            let delimiter = character(&options.delimiter, "delimiter", b'\t')?;
            if delimiter.is_ascii_lowercase() || delimiter.is_ascii_digit() || matches!(delimiter, b'\\' | b'.') {
                return Err(Error::new("22023", format!("COPY delimiter cannot be \"{}\"", char::from(delimiter))));
            }
            Ok(CopyFormat::Text { delimiter, null: options.null.clone().unwrap_or_else(|| "\\N".to_string()), header })
        }
        "csv" => {
            let quote = character(&options.quote, "quote", b'"')?;
            let delimiter = character(&options.delimiter, "delimiter", b',')?;
            if quote == delimiter {
                return Err(Error::new("22023", "COPY delimiter and quote must be different"));
            }
            Ok(CopyFormat::Csv { delimiter, null: options.null.clone().unwrap_or_default(), header, quote, escape: character(&options.escape, "escape", quote)? })
        }
        "binary" if options.delimiter.is_some() || options.null.is_some() || options.header.is_some() => {
            Err(Error::new("42601", "cannot specify DELIMITER, NULL or HEADER in BINARY mode"))
        }
        "binary" => Ok(CopyFormat::Binary),
        other => Err(Error::new("22023", format!("COPY format \"{other}\" not recognized"))),
    }
}

/// Makes whole rows of the columns that were copied.
struct Fill {
    /// For each column of the table: the position among the copied ones.
    sources: Vec<Option<usize>>,
    defaults: Option<Plan>,
    context: Context,
    /// Rows of defaults computed ahead, so that `random()` differs from row to row.
    ahead: Vec<Row>,
    whole: bool,
    builder: RowBuilder,
}

impl Fill {
    fn new(schema: &Schema, positions: &[usize], defaults: Option<Plan>, context: Context) -> Fill {
        let sources: Vec<Option<usize>> = (0..schema.arity()).map(|column| positions.iter().position(|position| *position == column)).collect();
        let whole = positions.iter().copied().eq(0..schema.arity());
        Fill { sources, defaults, context, ahead: Vec::new(), whole, builder: RowBuilder::new() }
    }

    fn row(&mut self, copied: Row) -> Result<Row, Error> {
        if self.whole {
            return Ok(copied);
        }
        if self.ahead.is_empty()
            && let Some(plan) = &self.defaults
        {
            let mut compiled = PreparedPlan::new(plan, &self.context);
            for _ in 0..DEFAULTS_BATCH_ROWS {
                compiled.stream(&super::change::Nothing, &mut |bytes, _| {
                    self.ahead.push(Row::from_bytes(bytes));
                    true
                })?;
            }
        }
        let defaults = self.ahead.pop();
        let copied = spans(&copied);
        let defaults = defaults.as_ref().map(spans).unwrap_or_default();
        self.builder.clear();
        for (column, source) in self.sources.iter().enumerate() {
            match source.and_then(|source| copied.get(source)).or_else(|| defaults.get(column)) {
                Some(bytes) => self.builder.push_encoded(bytes),
                None => self.builder.push(Datum::Null),
            }
        }
        Ok(self.builder.finish())
    }
}

/// The encoded datums of a row.
fn spans(row: &Row) -> Vec<&[u8]> {
    let mut datums = RowRef::new(row.as_bytes()).iter();
    std::iter::from_fn(|| datums.next_encoded()).collect()
}

/// COPY table FROM STDIN.
struct TableCopy {
    columns: Arc<Vec<ResultColumn>>,
    parser: CopyParser,
    format: CopyFormat,
    fill: Fill,
    target: Target,
    /// What the transaction had written when the COPY began.
    writes: Writes,
    text: TextContext,
    rows: Vec<Row>,
    bytes: usize,
    copied: Arc<Mutex<Vec<CopiedRows>>>,
}

impl TableCopy {
    fn take(&mut self, read: impl FnOnce(&mut CopyParser, &mut dyn FnMut(Row) -> Result<(), Error>) -> Result<(), Error>) -> Result<(), Error> {
        let TableCopy { parser, fill, target, text, rows, bytes, .. } = self;
        read(parser, &mut |row| {
            let row = fill.row(row)?;
            target.check_not_null(&row, text)?;
            *bytes += row.as_bytes().len();
            if *bytes > TRANSACTION_BYTES_MAX {
                return Err(Error::new("54000", "COPY brings too much")
                    .with_detail(format!("One COPY may bring {TRANSACTION_BYTES_MAX} bytes of rows."))
                    .with_hint("Copy in parts. Tables are for small reference data; bring large data in through a source."));
            }
            rows.push(row);
            Ok(())
        })
    }
}

impl CopyIn for TableCopy {
    fn columns(&self) -> &[ResultColumn] {
        &self.columns
    }
    fn format(&self) -> &CopyFormat {
        &self.format
    }
    fn data(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.take(|parser, row| parser.push(bytes, row))
    }
    fn done(mut self: Box<Self>) -> BoxFuture<'static, Result<String, Error>> {
        Box::pin(async move {
            self.take(CopyParser::finish)?;
            let TableCopy { mut writes, target, rows, text, copied, .. } = *self;
            // Checked here, where the error can still be the statement's; made by the session, whose transaction it is.
            writes.apply(&target, &[], &rows, OnConflict::Fail, &text)?;
            let tag = format!("COPY {}", rows.len());
            copied.lock_anyway().push(CopiedRows { target, rows });
            Ok(tag)
        })
    }
}
