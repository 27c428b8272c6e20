//! Messages to the client, written into the output buffer.

use crate::error::Severity;
use crate::execution::TransactionStatus;
use crate::Error;
use bytes::{BufMut, BytesMut};
use pgwire::messages::PgWireBackendMessage as Backend;
use pgwire::messages::response::{CommandComplete, ErrorResponse, NoticeResponse, ReadyForQuery, TransactionStatus as WireStatus};

/// Appends messages to a buffer.
pub struct MessageWriter<'a>(pub &'a mut BytesMut);

impl MessageWriter<'_> {
    /// A message of the codec. Ours are far below its size limits, except errors and notices, which are cut to them.
    pub fn put(&mut self, message: Backend) {
        let start = self.0.len();
        if let Err(error) = message.encode(self.0) {
            // Half a message would end the protocol: take it back and say what happened.
            self.0.truncate(start);
            tracing::error!(%error, "could not encode a message");
            let fallback = ErrorResponse::new(vec![(b'S', "ERROR".into()), (b'V', "ERROR".into()), (b'C', "XX000".into()), (b'M', "a message was too large to send".into())]);
            let _ = Backend::ErrorResponse(fallback).encode(self.0);
        }
    }

    /// One without a body (`1` ParseComplete, `2` BindComplete, `3` CloseComplete, `n` NoData, `I` EmptyQueryResponse, `s` PortalSuspended, `c` CopyDone).
    pub fn bare(&mut self, kind: u8) {
        self.0.put_u8(kind);
        self.0.put_i32(4);
    }

    pub fn ready(&mut self, status: TransactionStatus) {
        let status = match status {
            TransactionStatus::Idle => WireStatus::Idle,
            TransactionStatus::InBlock => WireStatus::Transaction,
            TransactionStatus::Failed => WireStatus::Error,
        };
        self.put(Backend::ReadyForQuery(ReadyForQuery::new(status)));
    }

    pub fn complete(&mut self, tag: String) {
        self.put(Backend::CommandComplete(CommandComplete::new(tag)));
    }

    pub fn error(&mut self, error: &Error) {
        let fields = error.fields();
        let severity = match fields.severity {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
        };
        let mut list = vec![(b'S', severity.to_string()), (b'V', severity.to_string()), (b'C', error.sqlstate().to_string()), (b'M', clip(&fields.message))];
        if let Some(detail) = &fields.detail {
            list.push((b'D', clip(detail)));
        }
        if let Some(hint) = &fields.hint {
            list.push((b'H', clip(hint)));
        }
        if let Some(position) = fields.position {
            list.push((b'P', position.to_string()));
        }
        // One letter each: where, schema, table, column, constraint (`n`; `c` is the column).
        for (letter, text) in [(b'W', &fields.context), (b's', &fields.schema), (b't', &fields.table), (b'c', &fields.column), (b'n', &fields.constraint)] {
            if let Some(text) = text {
                list.push((letter, clip(text)));
            }
        }
        self.put(Backend::ErrorResponse(ErrorResponse::new(list)));
    }

    pub fn notice(&mut self, severity: &str, sqlstate: &str, message: &str) {
        let list = vec![(b'S', severity.to_string()), (b'V', severity.to_string()), (b'C', sqlstate.to_string()), (b'M', clip(message))];
        self.put(Backend::NoticeResponse(NoticeResponse::new(list)));
    }
}

/// The codec refuses messages of more than 30,000 bytes: four fields of this size fit, and no reader misses the rest.
const FIELD_BYTES_MAX: usize = 8 << 10;

fn clip(text: &str) -> String {
    if text.len() <= FIELD_BYTES_MAX {
        return text.replace('\0', "");
    }
    let end = (0..=FIELD_BYTES_MAX).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}...", text[..end].replace('\0', ""))
}
