//! Kafka: the only module that names `rdkafka`.

mod embedded;

pub use embedded::{EmbeddedBroker, Producer, create_topics};

use std::sync::Arc;

use crate::{
    BrokerConfig, Discovered, ErrorRow, KeyState, SourceError, SourceHandle, SourceSender,
    SourceSpec,
};

/// At CREATE: reaches the broker, finds the topics, and completes the relations' columns (from a sample of the topic where none are declared). Blocks for some seconds at most.
pub fn validate(broker: &BrokerConfig, spec: &SourceSpec) -> Result<Discovered, SourceError> {
    let _ = (broker, spec);
    Err(SourceError::unsupported(
        "reading from Kafka is not built yet",
    ))
}

/// Starts a source on a thread of its own.
///
/// `resume` is the position of the last durable batch, `open_errors` are the rows of the errors collection. Problems that come later are in [`SourceHandle::status`].
pub fn start(
    spec: SourceSpec,
    broker: BrokerConfig,
    resume: Option<&[u8]>,
    open_errors: Vec<ErrorRow>,
    key_state: Arc<dyn KeyState>,
    out: SourceSender,
) -> Result<SourceHandle, SourceError> {
    let _ = (spec, broker, resume, open_errors, key_state, out);
    Err(SourceError::unsupported(
        "reading from Kafka is not built yet",
    ))
}
