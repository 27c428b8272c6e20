//! The statements, as written: no name is resolved, nothing is judged.
//!
//! Names are `sqlparser`'s identifiers, unfolded ([`ident_value`](super::ident_value) folds them).

use super::ast::{self, DataType, Expr, Ident, ObjectName, Query};

/// The table function that `ROWS FROM (f(...), g(...))` becomes; its arguments are the functions.
pub const ROWS_FROM_FUNCTION: &str = "rows from";

/// One SQL statement.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)] // statements are few and short-lived
pub enum Statement {
    /// `SELECT`, `VALUES`, `TABLE`, `WITH ...`. The body may be an `INSERT`, `UPDATE` or `DELETE` that begins with `WITH`.
    Select(Select),
    /// `INSERT INTO ...`.
    Insert(ast::Insert),
    /// `UPDATE ...`.
    Update(ast::Update),
    /// `DELETE FROM ...`.
    Delete(ast::Delete),
    /// `COPY t FROM STDIN`.
    CopyFrom(CopyFrom),
    /// `COPY ... TO STDOUT`.
    CopyTo(CopyTo),
    /// `CREATE TABLE`.
    CreateTable(CreateTable),
    /// `CREATE [MATERIALIZED] VIEW`.
    CreateView(CreateView),
    /// `CREATE INDEX`, `CREATE DEFAULT INDEX`.
    CreateIndex(CreateIndex),
    /// `CREATE CONNECTION`.
    CreateConnection(CreateConnection),
    /// `CREATE SECRET`.
    CreateSecret(CreateSecret),
    /// `CREATE SOURCE`.
    CreateSource(CreateSource),
    /// `CREATE SINK`.
    CreateSink(CreateSink),
    /// `CREATE SCHEMA`.
    CreateSchema {
        name: ObjectName,
        if_not_exists: bool,
    },
    /// `CREATE ROLE`, `CREATE USER`; `options` are the words after the name, as written.
    CreateRole {
        name: Ident,
        user: bool,
        options: String,
    },
    /// `DROP ...`.
    Drop(Drop),
    /// `ALTER ... RENAME TO`.
    AlterRename {
        kind: ObjectKind,
        name: ObjectName,
        if_exists: bool,
        new_name: Ident,
    },
    /// `COMMENT ON ... IS`; no text removes the comment.
    Comment {
        kind: ObjectKind,
        name: ObjectName,
        text: Option<String>,
    },
    /// `SHOW ...`.
    Show(Show),
    /// `SET ...`.
    Set(Set),
    /// `SET TRANSACTION ...`, `SET SESSION CHARACTERISTICS AS TRANSACTION ...`.
    SetTransaction {
        session: bool,
        modes: Vec<TransactionMode>,
    },
    /// `RESET name`, or `RESET ALL` without one.
    Reset { name: Option<String> },
    /// `DISCARD ALL|PLANS|SEQUENCES|TEMP`; the word in upper case.
    Discard { what: &'static str },
    /// `BEGIN`, `START TRANSACTION`.
    /// `tag` is how it was said: BEGIN or START TRANSACTION.
    Begin { tag: &'static str, modes: Vec<TransactionMode> },
    /// `COMMIT`, `END`.
    Commit { chain: bool },
    /// `ROLLBACK`, `ABORT`.
    Rollback { chain: bool },
    /// `SAVEPOINT s`.
    Savepoint { name: Ident },
    /// `RELEASE [SAVEPOINT] s`.
    Release { name: Ident },
    /// `ROLLBACK TO [SAVEPOINT] s`.
    RollbackTo { name: Ident },
    /// `DECLARE c CURSOR FOR ...`.
    Declare(Declare),
    /// `FETCH ...`.
    Fetch(Fetch),
    /// `MOVE ...`.
    Move(Fetch),
    /// `CLOSE c`, or `CLOSE ALL` without a name.
    Close { name: Option<Ident> },
    /// `PREPARE p [(types)] AS ...`; `text` is that of the inner statement.
    Prepare {
        name: Ident,
        types: Vec<DataType>,
        inner: Box<Statement>,
        text: String,
    },
    /// `EXECUTE p (...)`.
    Execute { name: Ident, arguments: Vec<Expr> },
    /// `DEALLOCATE p`, or `DEALLOCATE ALL` without a name.
    Deallocate { name: Option<Ident> },
    /// `SUBSCRIBE`, `TAIL`.
    Subscribe(Subscribe),
    /// `EXPLAIN ...`.
    Explain(Explain),
    /// `LISTEN channel`.
    Listen { channel: Ident },
    /// `UNLISTEN channel`, or `UNLISTEN *` without one.
    Unlisten { channel: Option<Ident> },
    /// `NOTIFY channel [, 'payload']`.
    Notify {
        channel: Ident,
        payload: Option<String>,
    },
    /// SQL that is known and not served: the statement's leading words in upper case.
    Unsupported { what: String },
}

/// A query and the moment it is asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// The query.
    pub body: QueryBody,
    /// `AS OF ...`.
    pub as_of: Option<AsOf>,
}

/// A query, with the mutually recursive bindings that may precede it.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryBody {
    /// `WITH MUTUALLY RECURSIVE ...`; empty for ordinary queries.
    pub mutually_recursive: Vec<RecursiveBinding>,
    /// The query itself.
    pub query: Query,
}

/// `name (column type, ...) AS (query)` of `WITH MUTUALLY RECURSIVE`.
#[derive(Debug, Clone, PartialEq)]
pub struct RecursiveBinding {
    /// The name the bindings and the query know it by.
    pub name: Ident,
    /// Its columns.
    pub columns: Vec<(Ident, DataType)>,
    /// What it is.
    pub query: Query,
}

/// `AS OF [AT LEAST] moment`.
#[derive(Debug, Clone, PartialEq)]
pub struct AsOf {
    /// Whether a later moment will do.
    pub at_least: bool,
    /// The moment.
    pub moment: Expr,
}

/// `COPY t (columns) FROM ...`.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyFrom {
    /// The table.
    pub table: ObjectName,
    /// The columns, empty for all.
    pub columns: Vec<Ident>,
    /// `STDIN`, a file or a program.
    pub place: CopyPlace,
    /// How rows are written.
    pub options: CopyOptions,
}

/// `COPY ... TO ...`.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyTo {
    /// What is copied.
    pub what: CopySource,
    /// `STDOUT`, a file or a program.
    pub place: CopyPlace,
    /// How rows are written.
    pub options: CopyOptions,
}

/// What `COPY ... TO` copies.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)]
pub enum CopySource {
    /// A relation, with columns or all of them.
    Table {
        name: ObjectName,
        columns: Vec<Ident>,
    },
    /// `(SELECT ...)`.
    Query(Select),
    /// `(SUBSCRIBE ...)`.
    Subscribe(Subscribe),
}

/// Where `COPY` reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyPlace {
    /// `STDIN` or `STDOUT`: the connection.
    Client,
    /// A file of the server.
    File(String),
    /// A program of the server.
    Program(String),
}

/// The options of `COPY`; `None` is the format's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CopyOptions {
    /// `text`, `csv` or `binary`, in lower case.
    pub format: Option<String>,
    /// Between two columns.
    pub delimiter: Option<String>,
    /// What stands for NULL.
    pub null: Option<String>,
    /// Whether a line of names comes first.
    pub header: Option<bool>,
    /// Around a value (csv).
    pub quote: Option<String>,
    /// Before a quote in a value (csv).
    pub escape: Option<String>,
    /// The name of the character set.
    pub encoding: Option<String>,
    /// Options we do not know or do not follow, in lower case.
    pub other: Vec<String>,
}

/// Column definitions in parentheses, of a table or a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ColumnList {
    /// The columns.
    pub columns: Vec<Column>,
    /// The primary key, declared with a column or with the table; empty if none.
    pub primary_key: Vec<Ident>,
    /// Constraints that are not served, as one would write them: `UNIQUE`, `CHECK (...)`, ...
    pub unsupported: Vec<String>,
    /// More than one primary key was declared, which Postgres refuses with 42P16.
    pub primary_key_repeated: bool,
}

/// One column definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub data_type: DataType,
    /// `NOT NULL` was written. A primary key implies it; that is the binder's to add.
    pub not_null: bool,
    /// `DEFAULT ...`.
    pub default: Option<Expr>,
}

/// `CREATE TABLE`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateTable {
    /// The new table.
    pub name: ObjectName,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// `TEMP`, `TEMPORARY`.
    pub temporary: bool,
    /// Its columns and constraints.
    pub columns: ColumnList,
    /// `WITH (...)`.
    pub with: Vec<WithOption>,
}

/// `CREATE [OR REPLACE] [MATERIALIZED] VIEW`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateView {
    /// `OR REPLACE`.
    pub or_replace: bool,
    /// `MATERIALIZED`.
    pub materialized: bool,
    /// `TEMP`, `TEMPORARY`.
    pub temporary: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// The new view.
    pub name: ObjectName,
    /// Names for its columns, empty to take the query's.
    pub columns: Vec<Ident>,
    /// `WITH (...)`.
    pub with: Vec<WithOption>,
    /// What it shows.
    pub query: QueryBody,
    /// The text of the query.
    pub query_text: String,
}

/// `CREATE INDEX`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateIndex {
    /// The new index; without a name it gets one made of the relation's.
    pub name: Option<Ident>,
    /// `UNIQUE`.
    pub unique: bool,
    /// `CREATE DEFAULT INDEX`: over the relation's key, or all columns. `keys` is empty.
    pub default: bool,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// The indexed relation.
    pub on: ObjectName,
    /// `USING method`, in lower case.
    pub method: Option<String>,
    /// What it is ordered by.
    pub keys: Vec<IndexKey>,
    /// Clauses that are not served: `WHERE`, `INCLUDE`.
    pub unsupported: Vec<String>,
}

/// One key of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexKey {
    /// The column or expression.
    pub expr: Expr,
    /// `DESC` was written.
    pub descending: bool,
    /// `NULLS FIRST` (true) or `NULLS LAST` (false).
    pub nulls_first: Option<bool>,
}

/// `name [=] value` of a `WITH (...)` or another option list.
#[derive(Debug, Clone, PartialEq)]
pub struct WithOption {
    /// The words of the name in upper case, with one space between: `SECURITY PROTOCOL`.
    pub name: String,
    /// The value; none is "true" where a boolean is meant.
    pub value: Option<OptionValue>,
}

/// The value of an option.
#[derive(Debug, Clone, PartialEq)]
pub enum OptionValue {
    /// `'text'`.
    Text(String),
    /// A number, with its sign, as written.
    Number(String),
    /// A bare or dotted name: `true`, `on`, `require`, `schema.name`.
    Name(ObjectName),
    /// `SECRET name`.
    Secret(ObjectName),
    /// `(value, ...)`.
    List(Vec<OptionValue>),
    /// `INTERVAL '...'` and any other expression.
    Expr(Expr),
}

/// `CREATE CONNECTION name TO kind (options)`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateConnection {
    /// The new connection.
    pub name: ObjectName,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// What it leads to.
    pub kind: ConnectionKind,
    /// How.
    pub options: Vec<WithOption>,
}

/// What a connection leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionKind {
    /// `KAFKA`.
    Kafka,
    /// `CONFLUENT SCHEMA REGISTRY`.
    ConfluentSchemaRegistry,
    /// `POSTGRES`.
    Postgres,
    /// `MYSQL`.
    MySql,
    /// Another word, in upper case.
    Other(String),
}

/// `CREATE SECRET name AS value`. The value is never shown, so neither is it in `Debug`.
#[derive(Clone, PartialEq)]
pub struct CreateSecret {
    /// The new secret.
    pub name: ObjectName,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// What is kept.
    pub value: Expr,
}

impl std::fmt::Debug for CreateSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CreateSecret")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// `CREATE SOURCE`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSource {
    /// The new source.
    pub name: ObjectName,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// Declared columns, if any are.
    pub columns: Option<ColumnList>,
    /// Where it reads from.
    pub kind: SourceKind,
    /// How messages are read.
    pub format: Option<SourceFormat>,
    /// `INCLUDE ...`.
    pub include: Vec<Include>,
    /// `ENVELOPE ...`.
    pub envelope: Option<Envelope>,
    /// `FOR TABLES ...` and its kin.
    pub tables: Option<SourceTables>,
    /// `WITH (...)`.
    pub with: Vec<WithOption>,
}

/// Where a source reads from.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceKind {
    /// `KAFKA CONNECTION k (...)`.
    Kafka(KafkaSource),
    /// Another kind, in upper case: `POSTGRES`, `MYSQL`, `WEBHOOK`, `LOAD GENERATOR AUCTION`, `FILE`.
    Other {
        /// The kind.
        kind: String,
        /// Its connection, if it has one.
        connection: Option<ObjectName>,
        /// Its options.
        options: Vec<WithOption>,
    },
}

/// `KAFKA CONNECTION k (TOPIC ...)`.
#[derive(Debug, Clone, PartialEq)]
pub struct KafkaSource {
    /// The connection.
    pub connection: ObjectName,
    /// `TOPIC`.
    pub topic: Option<String>,
    /// `TOPIC PREFIX`: the topics are `<prefix>.<schema>.<table>`.
    pub topic_prefix: Option<String>,
    /// `TRANSACTION TOPIC`.
    pub transaction_topic: Option<String>,
    /// `START OFFSET (partition 0, partition 1, ...)`; empty if not given.
    pub start_offsets: Vec<i64>,
    /// `START TIMESTAMP`, milliseconds since the epoch, or before now if negative.
    pub start_timestamp_ms: Option<i64>,
    /// Other options.
    pub other: Vec<WithOption>,
}

/// How the bytes of messages are read.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceFormat {
    /// `FORMAT f`.
    Both(Format),
    /// `KEY FORMAT f VALUE FORMAT f`.
    KeyValue { key: Format, value: Format },
}

/// One format.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// `JSON`.
    Json,
    /// `TEXT`.
    Text,
    /// `BYTES`.
    Bytes,
    /// `AVRO USING CONFLUENT SCHEMA REGISTRY CONNECTION r (...)`.
    Avro {
        registry: ObjectName,
        options: Vec<WithOption>,
    },
    /// `CSV WITH n COLUMNS` or `CSV WITH HEADER (...)`, `DELIMITED BY 'c'`.
    Csv {
        columns: Option<i64>,
        header: bool,
        names: Vec<Ident>,
        delimiter: Option<String>,
    },
    /// `PROTOBUF ...` or another word, in upper case; with the registry if one is used.
    Other {
        name: String,
        registry: Option<ObjectName>,
        options: Vec<WithOption>,
    },
}

/// `INCLUDE what [AS alias]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Include {
    /// What.
    pub what: IncludeKind,
    /// The name of the column.
    pub alias: Option<Ident>,
}

/// What of a message becomes a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IncludeKind {
    /// Its key.
    Key,
    /// Its partition.
    Partition,
    /// Its offset.
    Offset,
    /// Its timestamp.
    Timestamp,
    /// Its headers.
    Headers,
}

/// What messages mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Envelope {
    /// Each is a row.
    None,
    /// Each is the newest value of its key.
    Upsert {
        /// `(VALUE DECODING ERRORS = INLINE)`.
        value_decoding_errors_inline: bool,
    },
    /// Debezium's change events.
    Debezium,
    /// Another word, in upper case: `MAXWELL`, `CANAL`.
    Other(String),
}

/// Which upstream tables a source has.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceTables {
    /// `FOR ALL TABLES`.
    All,
    /// `FOR SCHEMAS (...)`.
    Schemas(Vec<Ident>),
    /// `FOR TABLES (...)`.
    Tables(Vec<SourceTable>),
}

/// `upstream [AS name] [(columns)]`.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceTable {
    /// Its name upstream.
    pub upstream: ObjectName,
    /// Its name here, if another.
    pub alias: Option<ObjectName>,
    /// Its columns, if declared.
    pub columns: Option<ColumnList>,
}

/// `CREATE SINK name FROM relation INTO KAFKA CONNECTION k (...)`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSink {
    /// The new sink.
    pub name: ObjectName,
    /// `IF NOT EXISTS`.
    pub if_not_exists: bool,
    /// What is sent.
    pub from: ObjectName,
    /// Where to: the kind in upper case.
    pub kind: String,
    /// The connection.
    pub connection: Option<ObjectName>,
    /// Options of the connection: `TOPIC`.
    pub options: Vec<WithOption>,
    /// `KEY (...)`.
    pub key: Vec<Ident>,
    /// `FORMAT ...`.
    pub format: Option<SourceFormat>,
    /// `ENVELOPE ...`.
    pub envelope: Option<Envelope>,
    /// `WITH (...)`.
    pub with: Vec<WithOption>,
}

/// The kinds of named things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // each is its own word
pub enum ObjectKind {
    Table,
    View,
    MaterializedView,
    Index,
    Source,
    Sink,
    Connection,
    Secret,
    Schema,
    Database,
    Role,
    User,
    Column,
}

/// `DROP kind [IF EXISTS] name, ... [CASCADE | RESTRICT]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drop {
    /// What they are.
    pub kind: ObjectKind,
    /// Which.
    pub names: Vec<ObjectName>,
    /// `IF EXISTS`.
    pub if_exists: bool,
    /// `CASCADE`.
    pub cascade: bool,
}

/// `SHOW ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Show {
    /// `SHOW TABLES [FROM schema] [LIKE 'pattern']` and its kin; `SHOW INDEXES ON relation`,
    /// `SHOW COLUMNS FROM relation`.
    Objects {
        kind: ShowKind,
        from: Option<ObjectName>,
        like: Option<String>,
    },
    /// `SHOW CREATE kind name`.
    Create { kind: ObjectKind, name: ObjectName },
    /// `SHOW name`: a setting, in lower case. `SHOW TIME ZONE` is `timezone`.
    Variable { name: String },
    /// `SHOW ALL`.
    All,
}

/// What `SHOW` lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // each is its own word
pub enum ShowKind {
    Sources,
    Views,
    MaterializedViews,
    Tables,
    Indexes,
    Sinks,
    Connections,
    Secrets,
    Schemas,
    Databases,
    Columns,
    Objects,
}

/// `SET [SESSION | LOCAL] name = values`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// `LOCAL`: until the transaction ends.
    pub local: bool,
    /// The setting, in lower case.
    pub name: String,
    /// Its values (most settings take one); none for `DEFAULT`.
    pub values: Option<Vec<String>>,
}

/// A property of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionMode {
    /// `ISOLATION LEVEL ...`, in lower case: `read committed`, `strict serializable`, ...
    Isolation(String),
    /// `READ ONLY` (true), `READ WRITE` (false).
    ReadOnly(bool),
    /// `[NOT] DEFERRABLE`.
    Deferrable(bool),
}

/// `DECLARE name CURSOR FOR ...`.
#[derive(Debug, Clone, PartialEq)]
pub struct Declare {
    /// The cursor.
    pub name: Ident,
    /// `BINARY`.
    pub binary: bool,
    /// `WITH HOLD`.
    pub hold: bool,
    /// `SCROLL` (true), `NO SCROLL` (false).
    pub scroll: Option<bool>,
    /// What it reads: `Statement::Select` or `Statement::Subscribe`.
    pub inner: Box<Statement>,
    /// The text of `inner`.
    pub text: String,
}

/// `FETCH direction FROM cursor`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fetch {
    /// Which rows.
    pub direction: FetchDirection,
    /// The cursor.
    pub cursor: Ident,
    /// `WITH (timeout = ...)`.
    pub with: Vec<WithOption>,
}

/// Which rows `FETCH` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchDirection {
    /// So many rows on (`NEXT` is 1); negative ones go back.
    Forward(i64),
    /// All that remain.
    ForwardAll,
    /// So many rows back (`PRIOR` is 1).
    Backward(i64),
    /// All before.
    BackwardAll,
    /// The row of this number (`FIRST` is 1, `LAST` is -1).
    Absolute(i64),
    /// The row so many on.
    Relative(i64),
}

/// `SUBSCRIBE ...`.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscribe {
    /// What to.
    pub relation: SubscribeRelation,
    /// The shape of the rows.
    pub envelope: SubscribeEnvelope,
    /// `SNAPSHOT`, default true.
    pub snapshot: bool,
    /// `PROGRESS`, default false.
    pub progress: bool,
    /// Other options.
    pub with: Vec<WithOption>,
    /// `AS OF ...`.
    pub as_of: Option<AsOf>,
    /// `UP TO ...`, exclusive.
    pub up_to: Option<Expr>,
}

/// What is subscribed to.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)]
pub enum SubscribeRelation {
    /// A named relation.
    Object(ObjectName),
    /// A query.
    Query(QueryBody),
}

/// The shape of a subscription's rows.
#[derive(Debug, Clone, PartialEq)]
pub enum SubscribeEnvelope {
    /// Time, diff and row.
    None,
    /// `ENVELOPE UPSERT (KEY (...))`.
    Upsert { key: Vec<Ident> },
    /// `ENVELOPE DEBEZIUM (KEY (...))`.
    Debezium { key: Vec<Ident> },
    /// `WITHIN TIMESTAMP ORDER BY ...`.
    WithinTimestampOrderBy(Vec<ast::OrderByExpr>),
}

/// `EXPLAIN ...`.
#[derive(Debug, Clone, PartialEq)]
pub struct Explain {
    /// Which form of the plan.
    pub stage: ExplainStage,
    /// How it is written.
    pub format: ExplainFormat,
    /// Options that Postgres has and that change nothing here, in lower case.
    pub options: Vec<String>,
    /// What is explained.
    pub target: ExplainTarget,
}

/// Which form of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainStage {
    /// None was named.
    Default,
    /// As bound.
    Raw,
    /// Without correlation.
    Decorrelated,
    /// Optimized.
    Optimized,
    /// With the indexes and joins chosen.
    Physical,
    /// The choice of the moment.
    Timestamp,
    /// Run, with figures.
    Analyze,
}

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExplainFormat {
    /// Lines of text.
    Text,
    /// One JSON document.
    Json,
}

/// What is explained.
#[derive(Debug, Clone, PartialEq)]
pub enum ExplainTarget {
    /// A statement.
    Statement(Box<Statement>),
    /// A view, materialized view or index that exists.
    Object { kind: ObjectKind, name: ObjectName },
}
