//! Kafka: the only module that names `rdkafka`.
//!
//! Promises: partitions are assigned and offsets kept by us, no group is joined and nothing is committed; only what was committed upstream is read
//! (`read_committed`); an offset that is not there is an error, never a jump. librdkafka reconnects by itself; that a broker is away is a condition, not an error.

mod consumer;
mod embedded;
mod producer;
mod validate;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::Arc;
use std::time::Duration;

use crate::{
    BrokerConfig, ErrorRow, KeyState, SourceError, SourceHandle, SourceSender, SourceSpec,
};

pub use embedded::EmbeddedBroker;
pub use producer::{Producer, create_topics};
pub use validate::validate;

/// For one request to a broker.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

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
    let topics: Vec<String> = spec.topic_names().into_iter().map(str::to_owned).collect();
    let kafka = consumer::KafkaBroker::new(&broker, topics)?;
    let pipeline = crate::pipeline::Pipeline::new(spec, resume, open_errors, key_state)?;
    crate::run::spawn(pipeline, kafka, out)
}

/// What all clients of ours have in common.
fn client_config(broker: &BrokerConfig) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &broker.bootstrap)
        .set("client.id", "tidemark")
        .set("socket.nagle.disable", "true")
        // A broker that went away is looked for soon and often.
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000");
    for (name, value) in &broker.properties {
        config.set(name, value);
    }
    config
}

/// Whether a failure is one of the way to the broker, which passes by itself.
fn is_connection(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::NetworkException
            | Code::BrokerNotAvailable
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::ReplicaNotAvailable
            | Code::KafkaStorageError
            | Code::WaitingForCoordinator
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::NotCoordinator
    )
}

/// An error of a request about a topic.
fn request_error(error: &KafkaError, bootstrap: &str, topic: &str) -> SourceError {
    match error.rdkafka_error_code() {
        Some(code) if is_connection(code) => {
            SourceError::broker_unreachable(bootstrap, &error.to_string())
        }
        Some(
            RDKafkaErrorCode::UnknownTopicOrPartition
            | RDKafkaErrorCode::UnknownTopic
            | RDKafkaErrorCode::UnknownPartition
            | RDKafkaErrorCode::UnknownTopicId,
        ) => SourceError::topic_gone(topic),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed,
        ) => SourceError::new(
            "42501",
            format!("the broker at {bootstrap} does not permit reading topic \"{topic}\""),
        ),
        _ => SourceError::client(error),
    }
}
