//! The Postgres protocol message by message: what no driver would send, and what drivers hide.
//!
//! The same bytes go to Postgres and to Tidemark, and [`transcript`] shows the answers so that one can judge the other.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// An answer which is not there after this long never comes.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// One message of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub tag: char,
    pub body: Vec<u8>,
}

/// One connection.
#[derive(Debug)]
pub struct Raw {
    stream: TcpStream,
    /// The server's own, for cancel requests.
    pub pid: i32,
    pub secret: i32,
    /// What ParameterStatus said last.
    pub parameters: BTreeMap<String, String>,
}

impl Raw {
    /// A socket on which nothing was said yet.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        stream.set_write_timeout(Some(ANSWER_DEADLINE))?;
        Ok(Self {
            stream,
            pid: 0,
            secret: 0,
            parameters: BTreeMap::new(),
        })
    }

    /// A session, ready for its first query.
    pub fn connect(address: SocketAddr, user: &str, database: &str) -> Result<Self> {
        Self::connect_with(address, &[("user", user), ("database", database)])
    }

    pub fn connect_with(address: SocketAddr, parameters: &[(&str, &str)]) -> Result<Self> {
        let mut raw = Self::open(address)?;
        raw.send(&startup(parameters))?;
        let messages = raw.until_ready()?;
        if let Some(error) = messages.iter().find(|message| message.tag == 'E') {
            bail!("{}", show(error));
        }
        Ok(raw)
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("could not send")
    }

    /// The next message; `None` if the server closed the connection.
    pub fn read(&mut self) -> Result<Option<Message>> {
        let mut head = [0; 5];
        let mut filled = 0;
        while filled < head.len() {
            match self.stream.read(&mut head[filled..]) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => bail!("the connection ended within a message"),
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error).context("no answer"),
            }
        }
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        ensure!(length >= 4, "a message says it is {length} bytes long");
        let mut body = vec![0; length - 4];
        self.stream.read_exact(&mut body).context("half a message")?;
        let message = Message {
            tag: char::from(head[0]),
            body,
        };
        self.note(&message);
        Ok(Some(message))
    }

    /// The next message, which must be there.
    pub fn expect(&mut self, tag: char) -> Result<Message> {
        let message = self
            .read()?
            .with_context(|| format!("the connection ended; {tag} was expected"))?;
        ensure!(
            message.tag == tag,
            "{tag} was expected, not: {}",
            show(&message)
        );
        Ok(message)
    }

    /// All messages up to ReadyForQuery, or to the end of the connection.
    pub fn until_ready(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = self.read()? {
            let is_last = message.tag == 'Z';
            messages.push(message);
            if is_last {
                break;
            }
        }
        Ok(messages)
    }

    /// Sends a query string and returns what came back.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Message>> {
        self.send(&query(sql))?;
        self.until_ready()
    }

    /// Reads until the server has closed the connection; what it said before.
    pub fn until_closed(&mut self) -> Result<Vec<Message>> {
        let mut messages = Vec::new();
        while let Some(message) = self.read()? {
            messages.push(message);
        }
        Ok(messages)
    }

    /// Whether nothing has come within a time that is long for an answer.
    pub fn is_silent_for(&mut self, time: Duration) -> Result<bool> {
        self.stream.set_read_timeout(Some(time))?;
        let mut byte = [0];
        let peeked = self.stream.peek(&mut byte);
        self.stream.set_read_timeout(Some(ANSWER_DEADLINE))?;
        match peeked {
            Ok(_) => Ok(false),
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                ) =>
            {
                Ok(true)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Cancels what this session runs, over a connection of its own, and waits until the server took notice.
    pub fn cancel(&self) -> Result<()> {
        cancel(self.stream.peer_addr()?, self.pid, self.secret)
    }

    fn note(&mut self, message: &Message) {
        match message.tag {
            'K' if message.body.len() == 8 => {
                let number = |at: usize| {
                    i32::from_be_bytes([
                        message.body[at],
                        message.body[at + 1],
                        message.body[at + 2],
                        message.body[at + 3],
                    ])
                };
                (self.pid, self.secret) = (number(0), number(4));
            }
            'S' => {
                let mut texts = message.body.split(|byte| *byte == 0).map(String::from_utf8_lossy);
                if let (Some(name), Some(value)) = (texts.next(), texts.next()) {
                    self.parameters.insert(name.into_owned(), value.into_owned());
                }
            }
            _ => {}
        }
    }
}

/// A cancel request.
pub fn cancel(address: SocketAddr, pid: i32, secret: i32) -> Result<()> {
    let mut raw = Raw::open(address)?;
    let mut bytes = Vec::new();
    for number in [16, 80_877_102, pid, secret] {
        bytes.extend(i32::to_be_bytes(number));
    }
    raw.send(&bytes)?;
    ensure!(raw.read()?.is_none(), "a cancel request was answered");
    Ok(())
}

/// Asks until the clock runs out: for what must become true on a connection.
pub fn within<T>(time: Duration, mut question: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let end = Instant::now() + time;
    loop {
        if let Some(answer) = question()? {
            return Ok(answer);
        }
        ensure!(Instant::now() < end, "waited {time:?} in vain");
    }
}

// Messages of the client.

fn framed(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(u32::to_be_bytes(body.len() as u32 + 4));
    bytes.extend(body);
    bytes
}

fn text(value: &str, out: &mut Vec<u8>) {
    out.extend(value.as_bytes());
    out.push(0);
}

pub fn startup(parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = Vec::from(196_608_i32.to_be_bytes());
    for (name, value) in parameters {
        text(name, &mut body);
        text(value, &mut body);
    }
    body.push(0);
    let mut bytes = Vec::from(u32::to_be_bytes(body.len() as u32 + 4));
    bytes.extend(body);
    bytes
}

/// SSLRequest.
pub fn ssl_request() -> Vec<u8> {
    [8_i32, 80_877_103].into_iter().flat_map(i32::to_be_bytes).collect()
}

pub fn query(sql: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(sql, &mut body);
    framed(b'Q', &body)
}

pub fn parse(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = Vec::new();
    text(name, &mut body);
    text(sql, &mut body);
    body.extend(u16::to_be_bytes(types.len() as u16));
    types.iter().for_each(|oid| body.extend(oid.to_be_bytes()));
    framed(b'P', &body)
}

/// Formats are 0 for text and 1 for binary: none, one for all, or one each.
pub fn bind(
    portal: &str,
    statement: &str,
    parameter_formats: &[i16],
    parameters: &[Option<&[u8]>],
    result_formats: &[i16],
) -> Vec<u8> {
    let mut body = Vec::new();
    text(portal, &mut body);
    text(statement, &mut body);
    let numbers = |numbers: &[i16], body: &mut Vec<u8>| {
        body.extend(u16::to_be_bytes(numbers.len() as u16));
        numbers.iter().for_each(|number| body.extend(number.to_be_bytes()));
    };
    numbers(parameter_formats, &mut body);
    body.extend(u16::to_be_bytes(parameters.len() as u16));
    for parameter in parameters {
        match parameter {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                body.extend(u32::to_be_bytes(value.len() as u32));
                body.extend(*value);
            }
        }
    }
    numbers(result_formats, &mut body);
    framed(b'B', &body)
}

fn named(tag: u8, kind: char, name: &str) -> Vec<u8> {
    let mut body = vec![kind as u8];
    text(name, &mut body);
    framed(tag, &body)
}

/// `kind` is `S` (statement) or `P` (portal).
pub fn describe(kind: char, name: &str) -> Vec<u8> {
    named(b'D', kind, name)
}

pub fn close(kind: char, name: &str) -> Vec<u8> {
    named(b'C', kind, name)
}

pub fn execute(portal: &str, rows_max: i32) -> Vec<u8> {
    let mut body = Vec::new();
    text(portal, &mut body);
    body.extend(rows_max.to_be_bytes());
    framed(b'E', &body)
}

pub fn sync() -> Vec<u8> {
    framed(b'S', &[])
}

pub fn flush() -> Vec<u8> {
    framed(b'H', &[])
}

pub fn terminate() -> Vec<u8> {
    framed(b'X', &[])
}

pub fn copy_data(data: &[u8]) -> Vec<u8> {
    framed(b'd', data)
}

pub fn copy_done() -> Vec<u8> {
    framed(b'c', &[])
}

pub fn copy_fail(reason: &str) -> Vec<u8> {
    let mut body = Vec::new();
    text(reason, &mut body);
    framed(b'f', &body)
}

/// A message of any kind, right or wrong.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    framed(tag, body)
}

// Messages of the server.

impl Message {
    /// The fields of an error or a notice by their letters.
    pub fn fields(&self) -> BTreeMap<char, String> {
        self.body
            .split(|byte| *byte == 0)
            .filter(|field| !field.is_empty())
            .map(|field| {
                (
                    char::from(field[0]),
                    String::from_utf8_lossy(&field[1..]).into_owned(),
                )
            })
            .collect()
    }

    /// The SQLSTATE of an error.
    pub fn sqlstate(&self) -> String {
        self.fields().remove(&'C').unwrap_or_default()
    }

    /// The values of a row.
    pub fn values(&self) -> Vec<Option<Vec<u8>>> {
        let mut reader = Reader(&self.body);
        let count = reader.number(2);
        (0..count).map(|_| reader.value()).collect()
    }

    /// The values of a row in text format.
    pub fn texts(&self) -> Vec<Option<String>> {
        self.values()
            .into_iter()
            .map(|value| value.map(|value| String::from_utf8_lossy(&value).into_owned()))
            .collect()
    }

    /// `SELECT 5`.
    pub fn complete_tag(&self) -> String {
        Reader(&self.body).text()
    }
}

/// The tags of messages, in their order.
pub fn tags(messages: &[Message]) -> String {
    messages.iter().map(|message| message.tag).collect()
}

/// Messages as lines of text, without what differs from server to server by nature: OIDs of tables, places in the server's source.
pub fn transcript(messages: &[Message]) -> String {
    messages.iter().map(show).collect::<Vec<_>>().join("\n")
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self, bytes: usize) -> i64 {
        let (taken, rest) = self.0.split_at(bytes.min(self.0.len()));
        self.0 = rest;
        let bits = 64 - 8 * bytes as u32;
        let value = taken.iter().fold(0_i64, |value, byte| (value << 8) | i64::from(*byte));
        // Sign-extended.
        (value << bits) >> bits
    }

    fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let text = String::from_utf8_lossy(&self.0[..end]).into_owned();
        self.0 = &self.0[(end + 1).min(self.0.len())..];
        text
    }

    fn value(&mut self) -> Option<Vec<u8>> {
        let length = usize::try_from(self.number(4)).ok()?;
        let (value, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        Some(value.to_vec())
    }
}

/// Text where it is text, else hexadecimal.
fn readable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|character| !character.is_control()) => format!("'{text}'"),
        _ => bytes.iter().fold(String::from("0x"), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        }),
    }
}

/// One message as a line.
pub fn show(message: &Message) -> String {
    let mut reader = Reader(&message.body);
    let mut line = String::from(message.tag);
    match message.tag {
        'T' => {
            for _ in 0..reader.number(2) {
                let name = reader.text();
                let (_table, _column) = (reader.number(4), reader.number(2));
                let _ = write!(
                    line,
                    " {name}: type {}, length {}, modifier {}, format {};",
                    reader.number(4),
                    reader.number(2),
                    reader.number(4),
                    reader.number(2)
                );
            }
        }
        't' => {
            for _ in 0..reader.number(2) {
                let _ = write!(line, " {}", reader.number(4));
            }
        }
        'D' => {
            for value in message.values() {
                let _ = match value {
                    None => write!(line, " NULL"),
                    Some(value) => write!(line, " {}", readable(&value)),
                };
            }
        }
        'E' | 'N' => {
            for (letter, value) in message.fields() {
                // Where in the server's source it happened.
                if !matches!(letter, 'F' | 'L' | 'R') {
                    let _ = write!(line, " {letter}={value:?}");
                }
            }
        }
        'S' => {
            let _ = write!(line, " {}={}", reader.text(), reader.text());
        }
        _ if !message.body.is_empty() => {
            line.push(' ');
            let text = message.body.strip_suffix(&[0]).unwrap_or(&message.body);
            line.push_str(&readable(text));
        }
        _ => {}
    }
    line
}
