//! One HTTP GET: enough to ask a component on this machine how it is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends `GET path` to a port of this machine and returns the status and the body.
///
/// HTTP/1.0, so that the body is neither in chunks nor followed by anything: it ends where the connection ends.
pub fn http_get(port: u16, path: &str) -> Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)
        .with_context(|| format!("could not connect to {address}"))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: {address}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )?;
    let mut response = Vec::new();
    stream
        .read_to_end(&mut response)
        .with_context(|| format!("no whole answer from http://{address}{path}"))?;
    parse_response(&String::from_utf8_lossy(&response))
        .with_context(|| format!("no HTTP answer from http://{address}{path}"))
}

fn parse_response(response: &str) -> Option<(u16, String)> {
    let (head, body) = response.split_once("\r\n\r\n")?;
    let status = head
        .lines()
        .next()?
        .split_whitespace()
        .nth(1)?
        .parse()
        .ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn responses_are_split() {
        let cases = [
            (
                "HTTP/1.1 200 OK\r\nA: b\r\n\r\n{\"a\":1}",
                Some((200, "{\"a\":1}".to_owned())),
            ),
            ("HTTP/1.0 404 Not Found\r\n\r\n", Some((404, String::new()))),
            ("HTTP/1.1 200 OK\r\n", None),
            ("nonsense\r\n\r\n", None),
            ("", None),
        ];
        for (response, expected) in cases {
            assert_eq!(parse_response(response), expected, "{response:?}");
        }
    }
}
