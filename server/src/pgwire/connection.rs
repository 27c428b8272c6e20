//! One client: negotiation, startup, then the message loop.

use crate::Error;
use crate::execution::{BoxFuture, CopyIn, CopyOut, Execution, RowSource, RowsExecution, RowsTag, TransactionStatus};
use crate::pgwire::auth::{self, Scram, Step};
use crate::pgwire::copy::CopyEncoder;
use crate::pgwire::message::MessageWriter;
use crate::pgwire::rows::{self, Format, RowEncoder};
use crate::pgwire::{INPUT_AHEAD_BYTES_MAX, INPUT_BYTES, OUTPUT_BYTES_MAX, Wire};
use crate::session::registry::SessionEntry;
use crate::session::{Cancel, Session};
use bytes::BytesMut;
use pgwire::error::PgWireError;
use pgwire::messages::copy::{CopyInResponse, CopyOutResponse};
use pgwire::messages::startup::{Authentication, BackendKeyData, NegotiateProtocolVersion, ParameterStatus, SecretKey, Startup};
use pgwire::messages::{DecodeContext, PgWireBackendMessage as Backend, PgWireFrontendMessage as Frontend, ProtocolVersion, SslNegotiationMetaMessage as Negotiation};
use repr::Row;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// Why a statement's work ended early.
enum Stop {
    /// The statement failed; the session goes on.
    Failed(Error),
    /// The client is gone, or the socket failed.
    Gone(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}
impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        // A message that is none; its sender is told.
        if error.kind() == io::ErrorKind::InvalidData {
            return Stop::Failed(Error::fatal("08P01", error.to_string()));
        }
        Stop::Gone(error)
    }
}

pub struct Connection {
    stream: Box<dyn Stream>,
    is_tls: bool,
    input: BytesMut,
    output: BytesMut,
    context: DecodeContext,
    startup: Option<Startup>,
}

impl Connection {
    /// Answers SSLRequest and GSSENCRequest until the startup packet is there. `None`: it was a cancel request, or the client left.
    pub async fn negotiate(tcp: TcpStream, wire: &Wire) -> io::Result<Option<Connection>> {
        let mut connection = Connection {
            stream: Box::new(tokio::io::empty()),
            is_tls: false,
            input: BytesMut::with_capacity(8 << 10),
            output: BytesMut::with_capacity(8 << 10),
            context: DecodeContext::default(),
            startup: None,
        };
        connection.context.protocol_version = ProtocolVersion::PROTOCOL3_0;
        let mut plain = Some(tcp);
        loop {
            // While the socket may still become a TLS one it is read bare.
            let message = match plain.as_mut() {
                Some(tcp) => read_message(tcp, &mut connection.input, &connection.context).await?,
                None => read_message(&mut connection.stream, &mut connection.input, &connection.context).await?,
            };
            match message {
                None => return Ok(None),
                Some(Err(error)) => {
                    if let Some(tcp) = plain.take() {
                        connection.stream = Box::new(tcp);
                    }
                    connection.message().error(&protocol_error(&error));
                    connection.flush().await?;
                    return Ok(None);
                }
                Some(Ok(Frontend::SslNegotiation(Negotiation::PostgresSsl(_)))) => match (plain.take(), &wire.tls) {
                    (Some(mut tcp), Some(tls)) => {
                        // Bytes behind the request were not encrypted and must not be taken as if they were (CVE-2021-23214).
                        if !connection.input.is_empty() {
                            connection.stream = Box::new(tcp);
                            connection.message().error(&Error::fatal("08P01", "received unencrypted data after SSL request"));
                            connection.flush().await?;
                            return Ok(None);
                        }
                        tcp.write_all(b"S").await?;
                        connection.stream = Box::new(tls.acceptor.accept(tcp).await?);
                        connection.is_tls = true;
                        connection.context.awaiting_frontend_ssl = false;
                    }
                    (Some(mut tcp), None) => {
                        tcp.write_all(b"N").await?;
                        plain = Some(tcp);
                    }
                    (None, _) => return Ok(None),
                },
                Some(Ok(Frontend::SslNegotiation(Negotiation::PostgresGss(_)))) => match plain.as_mut() {
                    Some(tcp) => tcp.write_all(b"N").await?,
                    None => return Ok(None),
                },
                Some(Ok(Frontend::SslNegotiation(Negotiation::None))) => connection.context.awaiting_frontend_ssl = false,
                Some(Ok(Frontend::CancelRequest(request))) => {
                    let secret = request.secret_key.to_bytes();
                    if let Ok(secret) = <[u8; 4]>::try_from(secret.as_ref()) {
                        wire.shared.sessions.cancel(request.pid, i32::from_be_bytes(secret));
                    }
                    return Ok(None);
                }
                Some(Ok(Frontend::Startup(startup))) => {
                    if let Some(tcp) = plain.take() {
                        connection.stream = Box::new(tcp);
                    }
                    connection.context.awaiting_frontend_startup = false;
                    connection.startup = Some(startup);
                    return Ok(Some(connection));
                }
                Some(Ok(_)) => return Ok(None),
            }
        }
    }

    /// Checks who the client is and begins its session. `None`: it was refused and told why.
    pub async fn authenticate(&mut self, wire: &Wire, peer: SocketAddr, pid: i32) -> io::Result<Option<(Session, Arc<SessionEntry>)>> {
        match self.try_authenticate(wire, peer, pid).await {
            Ok(begun) => Ok(Some(begun)),
            Err(Stop::Gone(error)) => Err(error),
            Err(Stop::Failed(error)) => {
                self.message().error(&error);
                self.flush().await?;
                Ok(None)
            }
        }
    }

    async fn try_authenticate(&mut self, wire: &Wire, peer: SocketAddr, pid: i32) -> Result<(Session, Arc<SessionEntry>), Stop> {
        let startup = self.startup.take().unwrap_or_default();
        if startup.protocol_number_major != 3 {
            let (major, minor) = (startup.protocol_number_major, startup.protocol_number_minor);
            return Err(Error::fatal("0A000", format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0")).into());
        }
        let unknown_options: Vec<String> = startup.parameters.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
        if startup.protocol_number_minor > 0 || !unknown_options.is_empty() {
            self.message().put(Backend::NegotiateProtocolVersion(NegotiateProtocolVersion::new(0, unknown_options)));
        }
        if wire.tls_required && !self.is_tls {
            return Err(Error::fatal("28000", "connection requires TLS").with_hint("Connect with sslmode=require.").into());
        }
        let user = startup.parameters.get("user").cloned().unwrap_or_default();
        if user.is_empty() {
            return Err(Error::fatal("28000", "no PostgreSQL user name specified in startup packet").into());
        }
        match &wire.passwords {
            Some(passwords) => {
                let tls = wire.tls.as_ref().filter(|_| self.is_tls);
                let mut scram = Scram::new(passwords, &user, tls)?;
                self.message().put(Backend::Authentication(Authentication::SASL(scram.mechanisms())));
                loop {
                    self.flush().await?;
                    let Some(Frontend::PasswordMessageFamily(message)) = self.next().await? else {
                        return Err(Error::fatal("08P01", "expected SASL response").into());
                    };
                    match scram.step(message)? {
                        Step::Continue(challenge) => self.message().put(Backend::Authentication(Authentication::SASLContinue(challenge.into()))),
                        Step::Done(last) => {
                            self.message().put(Backend::Authentication(Authentication::SASLFinal(last.into())));
                            break;
                        }
                    }
                }
            }
            None if user != auth::USER => {
                return Err(Error::fatal("28000", format!("role \"{user}\" does not exist")).with_hint(format!("Connect as user {}.", auth::USER)).into());
            }
            None => {}
        }
        let parameters: Vec<(String, String)> = startup.parameters.into_iter().filter(|(name, _)| !name.starts_with("_pq_.")).collect();
        let session = Session::start(wire.shared.clone(), &parameters, pid)?;
        let entry = wire.shared.sessions.register(pid, session.user(), peer, session.cancel_handle());
        entry.rest(TransactionStatus::Idle, session.application_name());
        let mut out = self.message();
        out.put(Backend::Authentication(Authentication::Ok));
        for (name, value) in session.reported_settings() {
            out.put(Backend::ParameterStatus(ParameterStatus::new(name, value)));
        }
        out.put(Backend::BackendKeyData(BackendKeyData::new(pid, SecretKey::I32(entry.secret()))));
        out.ready(TransactionStatus::Idle);
        Ok((session, entry))
    }

    /// The message loop, until the client leaves.
    pub async fn serve(&mut self, mut session: Session, entry: &SessionEntry, wire: &Wire) -> io::Result<()> {
        let cancel = session.cancel_handle();
        // After an error in an extended message everything up to Sync is skipped.
        let mut skip_to_sync = false;
        loop {
            let next = tokio::select! {
                biased;
                () = wire.shared.ended() => return self.end().await,
                () = cancel.terminated() => Err(Error::shutting_down()),
                next = self.next() => Ok(next),
            };
            let message = match next {
                Ok(Ok(Some(message))) => message,
                Ok(Ok(None)) => return Ok(()),
                Err(error) => {
                    self.message().error(&error);
                    return self.flush().await;
                }
                Ok(Err(error)) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
                Ok(Err(error)) => {
                    self.message().error(&Error::fatal("08P01", error.to_string()));
                    let _ = self.flush().await;
                    return Err(error);
                }
            };
            if skip_to_sync && !matches!(message, Frontend::Sync(_) | Frontend::Terminate(_)) {
                continue;
            }
            let is_extended = message.is_extended_query();
            let result = match message {
                Frontend::Terminate(_) => return self.flush().await,
                Frontend::Query(query) => {
                    entry.begin(Some(&query.query));
                    let result = self.simple_query(&mut session, &query.query).await;
                    self.end_of_query(&mut session, entry, result).await
                }
                Frontend::Sync(_) => {
                    skip_to_sync = false;
                    self.end_of_query(&mut session, entry, Ok(())).await
                }
                Frontend::Flush(_) => self.flush().await.map_err(Stop::from),
                other => self.extended(&mut session, entry, other).await,
            };
            match result {
                Ok(()) => {}
                Err(Stop::Gone(error)) => return Err(error),
                Err(Stop::Failed(error)) => {
                    session.failed();
                    self.message().error(&error);
                    if error.is_fatal() {
                        return self.flush().await;
                    }
                    skip_to_sync = is_extended;
                }
            }
        }
    }

    /// What ends a query string, and what Sync is: the implicit transaction ends, the client learns the state.
    async fn end_of_query(&mut self, session: &mut Session, entry: &SessionEntry, result: Result<(), Stop>) -> Result<(), Stop> {
        match result {
            Ok(()) => {}
            Err(Stop::Failed(error)) if !error.is_fatal() => {
                session.failed();
                self.message().error(&error);
            }
            Err(stop) => return Err(stop),
        }
        let cancel = session.cancel_handle();
        let ended = self.watch(&cancel, session.sync()).await;
        match ended {
            Ok(()) => {}
            Err(Stop::Failed(error)) => self.message().error(&error),
            Err(gone) => return Err(gone),
        }
        self.side_messages(session);
        let changed = session.take_changed_settings();
        let status = session.transaction_status();
        entry.rest(status, session.application_name());
        // What a query string has set and taken back is not told.
        for (name, value) in changed {
            self.message().put(Backend::ParameterStatus(ParameterStatus::new(name, value)));
        }
        self.message().ready(status);
        Ok(())
    }

    /// Notices go out before the message that ends what caused them.
    fn side_messages(&mut self, session: &mut Session) {
        for (severity, sqlstate, message) in session.take_notices() {
            self.message().notice(severity, sqlstate, &message);
        }
    }

    async fn simple_query(&mut self, session: &mut Session, sql: &str) -> Result<(), Stop> {
        let statements = session.parse(sql)?;
        if statements.is_empty() {
            self.message().bare(b'I');
        }
        let alone = statements.len() == 1;
        for statement in &statements {
            let cancel = session.cancel_handle();
            cancel.reset();
            let execution = self.watch(&cancel, session.run(statement, alone)).await?;
            self.side_messages(session);
            if let Execution::Rows(rows) = &execution {
                let formats = vec![Format::Text; rows.columns.len()];
                rows::describe(&rows.columns, &formats, &mut self.output);
            }
            self.send(session, &cancel, execution, &[], 0, None).await?;
        }
        Ok(())
    }

    async fn extended(&mut self, session: &mut Session, entry: &SessionEntry, message: Frontend) -> Result<(), Stop> {
        let name = |name: &Option<String>| name.clone().unwrap_or_default();
        match message {
            Frontend::Parse(parse) => {
                let cancel = session.cancel_handle();
                cancel.reset();
                entry.begin(Some(&parse.query));
                self.watch(&cancel, session.prepare(&name(&parse.name), &parse.query, &parse.type_oids)).await?;
                self.message().bare(b'1');
            }
            Frontend::Bind(bind) => {
                let statement = name(&bind.statement_name);
                let types = session.describe_statement(&statement)?.parameters;
                let portal = name(&bind.portal_name);
                let values = rows::Parameters { values: &bind.parameters, codes: &bind.parameter_format_codes, types: &types, statement: &statement, portal: &portal };
                let parameters = values.decode(session.text_context())?;
                let codes = bind.result_column_format_codes;
                session.bind(&portal, &statement, parameters, codes.clone())?;
                if let (Some(columns), _) = session.describe_portal(&portal)?
                    && let Err(error) = rows::formats(&codes, columns.len())
                {
                    session.close_portal(&portal);
                    return Err(error.into());
                }
                self.message().bare(b'2');
            }
            Frontend::Describe(describe) if describe.target_type == b'S' => {
                let description = session.describe_statement(&name(&describe.name))?;
                rows::describe_parameters(&description.parameters, &mut self.output);
                match description.columns {
                    Some(columns) => rows::describe(&columns, &[], &mut self.output),
                    None => self.message().bare(b'n'),
                }
            }
            Frontend::Describe(describe) => match session.describe_portal(&name(&describe.name))? {
                (Some(columns), codes) => {
                    let formats = rows::formats(&codes, columns.len())?;
                    rows::describe(&columns, &formats, &mut self.output);
                }
                (None, _) => self.message().bare(b'n'),
            },
            Frontend::Execute(execute) => {
                let portal = name(&execute.name);
                entry.begin(None);
                let cancel = session.cancel_handle();
                cancel.reset();
                let (execution, codes) = self.watch(&cancel, session.execute(&portal)).await?;
                self.side_messages(session);
                let rows_max = usize::try_from(execute.max_rows).unwrap_or(0);
                if let Some(rest) = self.send(session, &cancel, execution, &codes, rows_max, Some(())).await? {
                    session.suspend(&portal, rest);
                }
            }
            Frontend::Close(close) => {
                match close.target_type {
                    b'S' => session.close_statement(&name(&close.name)),
                    _ => session.close_portal(&name(&close.name)),
                }
                self.message().bare(b'3');
            }
            // COPY data after the copy has failed: the client could not know yet.
            Frontend::CopyData(_) | Frontend::CopyDone(_) | Frontend::CopyFail(_) => {}
            _ => return Err(Error::fatal("08P01", "unexpected message").into()),
        }
        Ok(())
    }

    /// Sends what a statement gives. Returns what is left of it when `rows_max` (0: none) was reached.
    async fn send(&mut self, session: &mut Session, cancel: &Arc<Cancel>, execution: Execution, codes: &[i16], rows_max: usize, extended: Option<()>) -> Result<Option<Execution>, Stop> {
        match execution {
            Execution::Empty => self.message().bare(b'I'),
            Execution::Command { tag } => {
                self.side_messages(session);
                self.message().complete(tag);
            }
            Execution::Rows(rows) => return self.send_rows(session, cancel, rows, codes, rows_max).await,
            Execution::CopyOut(copy) => self.copy_out(session, cancel, copy).await?,
            Execution::CopyIn(copy) => self.copy_in(session, cancel, copy, extended.is_some()).await?,
        }
        Ok(None)
    }

    async fn send_rows(&mut self, session: &mut Session, cancel: &Arc<Cancel>, rows: RowsExecution, codes: &[i16], rows_max: usize) -> Result<Option<Execution>, Stop> {
        let RowsExecution { columns, mut source, tag } = rows;
        let formats = rows::formats(codes, columns.len())?;
        let mut encoder = RowEncoder::new(&columns, &formats, session.text_context().clone());
        let mut sent = 0;
        while let Some(batch) = self.next_rows(cancel, source.as_mut()).await? {
            let take = if rows_max > 0 { (rows_max - sent).min(batch.len()) } else { batch.len() };
            for row in &batch[..take] {
                encoder.encode(row, &mut self.output);
                if self.output.len() >= OUTPUT_BYTES_MAX {
                    self.flush_or_cancel(cancel).await?;
                }
            }
            sent += take;
            if rows_max > 0 && sent == rows_max {
                self.message().bare(b's');
                let source = Box::new(Rest { rows: batch[take..].to_vec(), source });
                return Ok(Some(Execution::Rows(RowsExecution { columns, source, tag })));
            }
        }
        self.side_messages(session);
        let tag = match tag {
            RowsTag::Counted(word) => format!("{word} {sent}"),
            RowsTag::Fixed(tag) => tag,
        };
        self.message().complete(tag);
        Ok(None)
    }

    /// The next rows; before waiting for them, what is there goes out.
    async fn next_rows(&mut self, cancel: &Arc<Cancel>, source: &mut dyn RowSource) -> Result<Option<Vec<Row>>, Stop> {
        if let Some(ready) = source.try_next_batch()? {
            return Ok(Some(ready));
        }
        if source.is_stream() {
            self.flush_or_cancel(cancel).await?;
        }
        self.watch(cancel, source.next_batch()).await
    }

    async fn copy_out(&mut self, session: &mut Session, cancel: &Arc<Cancel>, copy: CopyOut) -> Result<(), Stop> {
        let CopyOut { columns, mut source, format } = copy;
        let mut encoder = CopyEncoder::new(&columns, format, session.text_context().clone());
        let code = i16::from(encoder.is_binary());
        self.message().put(Backend::CopyOutResponse(CopyOutResponse::new(code as i8, columns.len() as i16, vec![code; columns.len()])));
        encoder.begin(&mut self.output);
        let mut sent = 0;
        while let Some(batch) = self.next_rows(cancel, source.as_mut()).await? {
            for row in &batch {
                encoder.row(row, &mut self.output);
                if self.output.len() >= OUTPUT_BYTES_MAX {
                    self.flush_or_cancel(cancel).await?;
                }
            }
            sent += batch.len();
        }
        encoder.end(&mut self.output);
        self.message().bare(b'c');
        self.side_messages(session);
        self.message().complete(format!("COPY {sent}"));
        Ok(())
    }

    async fn copy_in(&mut self, session: &mut Session, cancel: &Arc<Cancel>, mut copy: Box<dyn CopyIn>, extended: bool) -> Result<(), Stop> {
        let code = i16::from(*copy.format() == crate::execution::CopyFormat::Binary);
        let count = copy.columns().len();
        self.message().put(Backend::CopyInResponse(CopyInResponse::new(code as i8, count as i16, vec![code; count])));
        self.flush().await?;
        let mut failure: Option<Error> = None;
        loop {
            let message = match self.next_or_cancel(cancel).await {
                Ok(message) => message,
                Err(Stop::Failed(error)) => {
                    failure.get_or_insert(error);
                    break;
                }
                Err(gone) => return Err(gone),
            };
            match message {
                // After a failure the simple protocol's client still sends its data up to CopyDone, all of it to be ignored: the loop's caller does that.
                Frontend::CopyData(data) => {
                    if let Err(error) = copy.data(&data.data) {
                        failure = Some(error);
                        break;
                    }
                }
                Frontend::CopyDone(_) => break,
                Frontend::CopyFail(fail) => {
                    failure = Some(Error::new("57014", format!("COPY from stdin failed: {}", fail.message)));
                    break;
                }
                // Clients pipeline a Sync behind the Execute that starts the copy.
                Frontend::Flush(_) | Frontend::Sync(_) => {}
                Frontend::Terminate(_) => return Err(Stop::Gone(io::ErrorKind::ConnectionReset.into())),
                _ => {
                    failure = Some(Error::new("08P01", "unexpected message type during COPY from stdin"));
                    break;
                }
            }
        }
        let _ = extended;
        if let Some(error) = failure {
            return Err(error.into());
        }
        let tag = self.watch(cancel, copy.done()).await?;
        self.side_messages(session);
        self.message().complete(tag);
        Ok(())
    }

    // Input and output.

    pub fn message(&mut self) -> MessageWriter<'_> {
        MessageWriter(&mut self.output)
    }

    pub async fn flush(&mut self) -> io::Result<()> {
        // Piece by piece, so that what was sent is known if this is dropped before its end.
        while !self.output.is_empty() {
            let count = self.stream.write(&self.output).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let _ = self.output.split_to(count);
        }
        self.stream.flush().await
    }

    /// The server ends: the last thing the client is told.
    pub async fn end(&mut self) -> io::Result<()> {
        self.message().error(&Error::shutting_down());
        // A client that does not read is not waited for.
        tokio::time::timeout(super::END_PATIENCE, self.flush()).await.unwrap_or(Ok(()))
    }

    /// Writes out, unless the client cancels instead of reading: then the connection is of no more use, as half a message may be on its way.
    async fn flush_or_cancel(&mut self, cancel: &Cancel) -> Result<(), Stop> {
        let written = {
            let Connection { stream, output, .. } = self;
            let write = async {
                // Written piece by piece so that what was sent is known when a cancel comes between.
                while !output.is_empty() {
                    let count = stream.write(output).await?;
                    if count == 0 {
                        return Err(io::ErrorKind::WriteZero.into());
                    }
                    let _ = output.split_to(count);
                }
                stream.flush().await
            };
            tokio::select! {
                biased;
                written = write => Some(written),
                () = cancel.cancelled() => None,
            }
        };
        match written {
            Some(written) => Ok(written?),
            None => Err(Stop::Failed(cancel.error())),
        }
    }

    /// The next message; flushes before it waits. `None`: the client closed the connection.
    async fn next(&mut self) -> io::Result<Option<Frontend>> {
        loop {
            match decode(&mut self.input, &self.context) {
                Ok(Some(message)) => return Ok(Some(message)),
                Ok(None) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, protocol_error(&error))),
            }
            self.input.reserve(INPUT_BYTES);
            // What has arrived already is read before anything is written: the answers to a pipeline leave together.
            let arrived = futures::poll!(std::pin::pin!(self.stream.read_buf(&mut self.input)));
            let count = match arrived {
                std::task::Poll::Ready(count) => count?,
                std::task::Poll::Pending => {
                    self.flush().await?;
                    self.stream.read_buf(&mut self.input).await?
                }
            };
            if count == 0 {
                return Ok(None);
            }
            if self.output.len() >= OUTPUT_BYTES_MAX {
                self.flush().await?;
            }
        }
    }

    async fn next_or_cancel(&mut self, cancel: &Cancel) -> Result<Frontend, Stop> {
        tokio::select! {
            biased;
            message = self.next() => message?.ok_or_else(|| Stop::Gone(io::ErrorKind::UnexpectedEof.into())),
            () = cancel.cancelled() => Err(cancel.error().into()),
        }
    }

    /// Waits for a session's work, for its cancel request, and for the client to go away, which ends the work.
    async fn watch<T>(&mut self, cancel: &Cancel, work: impl Future<Output = Result<T, Error>>) -> Result<T, Stop> {
        let Connection { stream, input, .. } = self;
        let mut work: std::pin::Pin<Box<_>> = Box::pin(work);
        // Most statements are done at once: then nothing else is looked at.
        if let std::task::Poll::Ready(result) = futures::poll!(work.as_mut()) {
            return Ok(result?);
        }
        loop {
            let room = input.len() < INPUT_AHEAD_BYTES_MAX;
            tokio::select! {
                biased;
                result = work.as_mut() => return Ok(result?),
                () = cancel.cancelled() => return Err(cancel.error().into()),
                read = stream.read_buf(input), if room => match read {
                    Ok(0) => {
                        cancel.cancel();
                        return Err(Stop::Gone(io::ErrorKind::UnexpectedEof.into()));
                    }
                    Ok(_) => {}
                    Err(error) => {
                        cancel.cancel();
                        return Err(Stop::Gone(error));
                    }
                },
            }
        }
    }
}

/// The rows of a portal that were not asked for yet.
struct Rest {
    rows: Vec<Row>,
    source: Box<dyn RowSource>,
}

impl RowSource for Rest {
    fn next_batch(&mut self) -> BoxFuture<'_, Result<Option<Vec<Row>>, Error>> {
        if self.rows.is_empty() {
            return self.source.next_batch();
        }
        let rows = std::mem::take(&mut self.rows);
        Box::pin(async move { Ok(Some(rows)) })
    }
    fn try_next_batch(&mut self) -> Result<Option<Vec<Row>>, Error> {
        if self.rows.is_empty() {
            return self.source.try_next_batch();
        }
        Ok(Some(std::mem::take(&mut self.rows)))
    }
    fn is_stream(&self) -> bool {
        self.source.is_stream()
    }
}

async fn read_message<S: AsyncRead + Unpin>(stream: &mut S, input: &mut BytesMut, context: &DecodeContext) -> io::Result<Option<Result<Frontend, PgWireError>>> {
    loop {
        match decode(input, context) {
            Ok(Some(message)) => return Ok(Some(Ok(message))),
            Ok(None) => {}
            Err(error) => return Ok(Some(Err(error))),
        }
        if stream.read_buf(input).await? == 0 {
            return Ok(None);
        }
    }
}

/// The next message in the input, if it is whole. The codec takes a message's own counts on trust and panics where they lie; here that is an error like any other.
fn decode(input: &mut BytesMut, context: &DecodeContext) -> Result<Option<Frontend>, PgWireError> {
    let decoded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Frontend::decode(input, context)));
    decoded.unwrap_or_else(|_| Err(PgWireError::ApiError("its contents do not fit its length".into())))
}

fn protocol_error(error: &PgWireError) -> Error {
    Error::fatal("08P01", format!("invalid frontend message: {error}"))
}
