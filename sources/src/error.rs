//! Why a source cannot be created, or has stopped.

use std::fmt;

/// An error with Postgres' SQLSTATE. It definitely failed: nothing of what it concerns was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceError {
    pub code: &'static str,
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl SourceError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> SourceError {
        SourceError {
            code,
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    pub(crate) fn detail(mut self, detail: impl Into<String>) -> SourceError {
        self.detail = Some(detail.into());
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> SourceError {
        self.hint = Some(hint.into());
        self
    }

    // The operator acts.

    pub(crate) fn broker_unreachable(bootstrap: &str, reason: &str) -> SourceError {
        SourceError::new(
            "08006",
            format!("could not reach the Kafka broker at {bootstrap}"),
        )
        .detail(reason.to_owned())
        .hint("Check the connection's BROKER and its security settings, and that the broker runs.")
    }

    pub(crate) fn client(reason: impl fmt::Display) -> SourceError {
        SourceError::new("08000", "the Kafka client failed").detail(reason.to_string())
    }

    pub(crate) fn truncated(
        topic: &str,
        partition: i32,
        offset: i64,
        low: i64,
        high: i64,
    ) -> SourceError {
        let message = format!(
            "topic \"{topic}\" partition {partition} no longer has offset {offset}, the next to read"
        );
        let (detail, hint) = if offset > high {
            (
                format!("The partition ends at {high}: it was created anew, or lost its end."),
                "Drop and create the source again; it then reads the topic as it is now.",
            )
        } else {
            (
                format!(
                    "The partition now starts at {low}: its messages were removed before they were read."
                ),
                "Messages between are lost to this source. Drop and create it again, with a new snapshot from the connector, and give the topic a longer retention.",
            )
        };
        SourceError::new("58P01", message).detail(detail).hint(hint)
    }

    pub(crate) fn recreated(topic: &str, partition: i32, detail: impl Into<String>) -> SourceError {
        SourceError::new(
            "58P01",
            format!("topic \"{topic}\" partition {partition} is not the one that was read before"),
        )
        .detail(detail)
        .hint("The topic was created anew. Drop and create the source again; it then reads the topic as it is now.")
    }

    pub(crate) fn topic_gone(topic: &str) -> SourceError {
        SourceError::new("42704", format!("topic \"{topic}\" no longer exists"))
            .hint("Drop the source, or restore the topic's data and start the server again.")
    }

    // The user acts.

    pub(crate) fn unknown_topic(topic: &str, bootstrap: &str) -> SourceError {
        SourceError::new(
            "42704",
            format!("topic \"{topic}\" does not exist on the broker at {bootstrap}"),
        )
    }

    pub(crate) fn invalid_option(name: &str, value: &str, hint: &str) -> SourceError {
        SourceError::new(
            "22023",
            format!("invalid value for source option \"{name}\": \"{value}\""),
        )
        .hint(hint)
    }

    pub(crate) fn unknown_option(name: &str) -> SourceError {
        SourceError::new("22023", format!("unknown source option \"{name}\""))
    }

    pub(crate) fn definition(message: impl Into<String>) -> SourceError {
        SourceError::new("42P17", message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> SourceError {
        SourceError::new("0A000", message)
    }

    // We act.

    pub(crate) fn bad_position(reason: impl fmt::Display) -> SourceError {
        SourceError::new("XX001", "the stored position of the source cannot be read")
            .detail(reason.to_string())
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        if let Some(detail) = &self.detail {
            write!(formatter, ": {detail}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SourceError {}
