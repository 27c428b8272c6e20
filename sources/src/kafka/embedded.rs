//! A Kafka broker in this process: librdkafka's mock cluster. It keeps at most 5 MiB or 100,000 messages of a partition, in memory.

use rdkafka::mocking::MockCluster;
use std::sync::mpsc;
use std::thread::JoinHandle;

use crate::SourceError;

/// The broker. It ends when this is dropped.
pub struct EmbeddedBroker {
    bootstrap: String,
    commands: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

enum Command {
    CreateTopic(String, i32, mpsc::SyncSender<Result<(), String>>),
    SetDown(bool),
}

/// The one node's number.
const NODE: i32 = 1;

impl EmbeddedBroker {
    /// Starts it with topics and so many partitions each.
    pub fn start(topics: &[(String, i32)]) -> Result<EmbeddedBroker, SourceError> {
        let (commands, receiver) = mpsc::channel();
        let (started, bootstrap) = mpsc::sync_channel(1);
        // The cluster cannot move between threads: it lives on one of its own.
        let thread = std::thread::Builder::new()
            .name("embedded-kafka".to_owned())
            .spawn(move || serve(&started, &receiver))
            .map_err(SourceError::client)?;
        let bootstrap = bootstrap
            .recv()
            .map_err(SourceError::client)?
            .map_err(SourceError::client)?;
        let broker = EmbeddedBroker {
            bootstrap,
            commands: Some(commands),
            thread: Some(thread),
        };
        for (topic, partitions) in topics {
            broker.create_topic(topic, *partitions)?;
        }
        Ok(broker)
    }

    /// `127.0.0.1:port`.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// Makes a topic.
    pub fn create_topic(&self, topic: &str, partitions: i32) -> Result<(), SourceError> {
        let (answer, receiver) = mpsc::sync_channel(1);
        self.send(Command::CreateTopic(topic.to_owned(), partitions, answer))?;
        receiver
            .recv()
            .map_err(SourceError::client)?
            .map_err(SourceError::client)
    }

    /// Makes it unreachable, or reachable again.
    pub fn set_down(&self, is_down: bool) -> Result<(), SourceError> {
        self.send(Command::SetDown(is_down))
    }

    fn send(&self, command: Command) -> Result<(), SourceError> {
        match &self.commands {
            Some(commands) => commands.send(command).map_err(SourceError::client),
            None => Ok(()),
        }
    }
}

fn serve(started: &mpsc::SyncSender<Result<String, String>>, commands: &mpsc::Receiver<Command>) {
    let cluster = match MockCluster::new(1) {
        Ok(cluster) => cluster,
        Err(error) => {
            let _ = started.send(Err(error.to_string()));
            return;
        }
    };
    let _ = started.send(Ok(cluster.bootstrap_servers()));
    // Ends when the sender is dropped; the cluster goes with this function.
    while let Ok(command) = commands.recv() {
        match command {
            Command::CreateTopic(topic, partitions, answer) => {
                let result = cluster.create_topic(&topic, partitions, 1);
                let _ = answer.send(result.map_err(|error| error.to_string()));
            }
            Command::SetDown(is_down) => {
                let result = if is_down {
                    cluster.broker_down(NODE)
                } else {
                    cluster.broker_up(NODE)
                };
                if let Err(error) = result {
                    tracing::warn!(%error, "the embedded broker did not change its state");
                }
            }
        }
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
