//! The bank's database and its connector, simulated: commits transactions one after the other and tells Kafka of each as Debezium does.
//!
//! Its words are those of the Postgres connector 3.6 with `provide.transaction.metadata` and REPLICA IDENTITY DEFAULT: no `before` of an update, invented
//! values in that of a delete, tombstones which nobody counts, `transaction.id` with an LSN that differs in each event. From time to time the connector dies
//! and repeats what it had not noted down: the last transactions as a whole, or the first event of the one it was in.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};

use super::history::{ACCOUNTS, State};
use crate::Kafka;

/// A transfer is a row in each: what left an account, and what came to one.
pub const TABLES: [&str; 2] = ["public.outgoing", "public.incoming"];

const FLUSH_DEADLINE: Duration = Duration::from_secs(60);
/// Large enough that two prefixes hardly ever look the same.
const AMOUNT_MAX: i64 = 1_000_000;
/// Of 100 transactions so many correct a transfer, and so many undo one; the others are new transfers.
const CORRECTIONS_PERCENT: u32 = 10;
const REVERSALS_PERCENT: u32 = 10;
/// The connector dies once in so many transactions, half of the time in the middle of one.
const TRANSACTIONS_PER_DEATH: u32 = 1_000;
/// Whole transactions which it repeats at most.
const REPEATED_MAX: usize = 20;

/// A transfer that is there.
#[derive(Clone, Copy, Debug)]
struct Transfer {
    id: i64,
    accounts: [usize; 2],
    amount: i64,
}

/// A message, kept for as long as it may come again.
#[derive(Clone, Debug)]
struct Message {
    /// `None` is the transaction topic.
    table: Option<usize>,
    key: String,
    value: Option<String>,
}

/// What was committed and sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct UpstreamCounters {
    pub transfers: u64,
    pub corrections: u64,
    pub reversals: u64,
    /// Transactions sent again as a whole.
    pub repeated_transactions: u64,
    /// Deaths in the middle of a transaction.
    pub torn_transactions: u64,
    pub messages: u64,
}

impl UpstreamCounters {
    /// All transactions.
    pub fn transactions(&self) -> u64 {
        self.transfers + self.corrections + self.reversals
    }
}

/// See the module.
pub struct Upstream {
    producer: ThreadedProducer<DefaultProducerContext>,
    topics: [String; 2],
    transaction_topic: String,
    prefix: String,
    random: ChaCha8Rng,
    live: Vec<Transfer>,
    state: State,
    next_id: i64,
    transaction: i64,
    lsn: i64,
    /// Where the last transaction ended.
    committed_lsn: i64,
    recent: Vec<Vec<Message>>,
    counters: UpstreamCounters,
}

impl Upstream {
    /// Creates the topics of `prefix`, the tables' with so many partitions. The seed decides all that happens.
    pub fn new(kafka: &Kafka, prefix: &str, partitions: usize, seed: u64) -> Result<Self> {
        let topics = TABLES.map(|table| format!("{prefix}.{table}"));
        let transaction_topic = format!("{prefix}.transaction");
        for topic in &topics {
            kafka.create_topic(topic, partitions)?;
        }
        kafka.create_topic(&transaction_topic, 1)?;
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka.bootstrap())
            // As the connector's own producer, except that it does not wait to fill its batches.
            .set("partitioner", "murmur2_random")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            // A broker that was killed is looked for soon and often.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .create()
            .context("could not create the bank's producer")?;
        Ok(Self {
            producer,
            topics,
            transaction_topic,
            prefix: prefix.to_owned(),
            random: ChaCha8Rng::seed_from_u64(seed),
            live: Vec::new(),
            state: State::default(),
            next_id: 1,
            transaction: 700,
            lsn: 26_000_000,
            committed_lsn: 26_000_000,
            recent: Vec::new(),
            counters: UpstreamCounters::default(),
        })
    }

    /// The statement which reads these topics.
    pub fn create_source(&self, connection: &str) -> String {
        let prefix = &self.prefix;
        format!(
            "CREATE SOURCE bank FROM KAFKA CONNECTION {connection} (TOPIC PREFIX '{prefix}', TRANSACTION TOPIC '{prefix}.transaction')
             FORMAT JSON ENVELOPE DEBEZIUM
             FOR TABLES (public.outgoing AS outgoing (id bigint PRIMARY KEY, account int NOT NULL, amount bigint NOT NULL),
                         public.incoming AS incoming (id bigint PRIMARY KEY, account int NOT NULL, amount bigint NOT NULL))"
        )
    }

    /// What has happened so far.
    pub fn counters(&self) -> UpstreamCounters {
        self.counters
    }

    /// The newest transfer's number.
    pub fn newest_id(&self) -> i64 {
        self.next_id - 1
    }

    /// Commits the next transaction: `committed` is told the state it leads to, and then the messages go out.
    pub fn commit(&mut self, committed: impl FnOnce(State)) -> Result<()> {
        let dice = self.random.random_range(0..100);
        let (op, old, new) = if self.live.len() >= ACCOUNTS && dice < CORRECTIONS_PERCENT {
            self.counters.corrections += 1;
            let position = self.random.random_range(0..self.live.len());
            let (old, new) = (self.live[position], self.transfer(self.live[position].id));
            self.live[position] = new;
            ("u", Some(old), Some(new))
        } else if self.live.len() >= ACCOUNTS && dice < CORRECTIONS_PERCENT + REVERSALS_PERCENT {
            self.counters.reversals += 1;
            let position = self.random.random_range(0..self.live.len());
            ("d", Some(self.live.swap_remove(position)), None)
        } else {
            self.counters.transfers += 1;
            let new = self.transfer(self.next_id);
            self.next_id += 1;
            self.live.push(new);
            ("c", None, Some(new))
        };
        for (transfer, sign) in old.iter().map(|old| (old, -1)).chain(new.iter().map(|new| (new, 1))) {
            let [from, to] = transfer.accounts;
            self.state.debits[from] += sign * transfer.amount;
            self.state.credits[to] += sign * transfer.amount;
            self.state.transfers += sign;
        }
        committed(self.state);
        let messages = self.messages(op, old, new)?;
        let dies = self.random.random_ratio(1, TRANSACTIONS_PER_DEATH);
        let is_torn = dies && self.random.random();
        if is_torn {
            // BEGIN and the first event; what follows begins with that event again.
            self.counters.torn_transactions += 1;
            for message in messages.iter().take(2) {
                self.send(message)?;
            }
            for message in messages.iter().skip(1) {
                self.send(message)?;
            }
        } else {
            for message in &messages {
                self.send(message)?;
            }
        }
        if self.recent.len() == REPEATED_MAX {
            self.recent.remove(0);
        }
        self.recent.push(messages);
        if dies && !is_torn {
            let from = self.random.random_range(0..self.recent.len());
            let again: Vec<Vec<Message>> = self.recent[from..].to_vec();
            self.counters.repeated_transactions += again.len() as u64;
            for message in again.iter().flatten() {
                self.send(message)?;
            }
        }
        Ok(())
    }

    /// Waits until the broker has all of it.
    pub fn flush(&self) -> Result<()> {
        self.producer.flush(FLUSH_DEADLINE).context("the broker did not take all of the bank's messages")
    }

    fn transfer(&mut self, id: i64) -> Transfer {
        let from = self.random.random_range(0..ACCOUNTS);
        let to = (from + self.random.random_range(1..ACCOUNTS)) % ACCOUNTS;
        Transfer { id, accounts: [from, to], amount: self.random.random_range(1..=AMOUNT_MAX) }
    }

    fn messages(&mut self, op: &str, old: Option<Transfer>, new: Option<Transfer>) -> Result<Vec<Message>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        let (millis, micros, nanos) = (now.as_millis(), now.as_micros(), now.as_nanos());
        self.transaction += 1;
        let (transaction, prefix, previous_commit) = (self.transaction, &self.prefix, self.committed_lsn);
        let first_lsn = self.lsn + 56;
        let boundary = |value: String| Message { table: None, key: format!("{{\"id\":\"{transaction}\"}}"), value: Some(value) };
        let mut messages = Vec::with_capacity(6);
        messages.push(boundary(format!(
            "{{\"status\":\"BEGIN\",\"id\":\"{transaction}:{first_lsn}\",\"event_count\":null,\"data_collections\":null,\"ts_ms\":{millis}}}"
        )));
        let id = old.or(new).context("a transaction of nothing")?.id;
        for (table, name) in ["outgoing", "incoming"].into_iter().enumerate() {
            self.lsn += 56;
            let lsn = self.lsn;
            let mut value = String::with_capacity(700);
            match op {
                // Only its key can be believed.
                "d" => write!(value, "{{\"before\":{{\"id\":{id},\"account\":0,\"amount\":0}},\"after\":null")?,
                _ => {
                    let new = new.context("no new row")?;
                    let (account, amount) = (new.accounts[table], new.amount);
                    write!(value, "{{\"before\":null,\"after\":{{\"id\":{id},\"account\":{account},\"amount\":{amount}}}")?;
                }
            }
            write!(
                value,
                ",\"source\":{{\"version\":\"3.6.1.Final\",\"connector\":\"postgresql\",\"name\":\"{prefix}\",\"ts_ms\":{millis},\"snapshot\":\"false\",\"db\":\"bank\",\
                 \"sequence\":\"[\\\"{previous_commit}\\\",\\\"{lsn}\\\"]\",\"ts_us\":{micros},\"ts_ns\":{nanos},\"schema\":\"public\",\"table\":\"{name}\",\
                 \"txId\":{transaction},\"lsn\":{lsn},\"xmin\":null}},\"transaction\":{{\"id\":\"{transaction}:{lsn}\",\"total_order\":{order},\
                 \"data_collection_order\":1}},\"op\":\"{op}\",\"ts_ms\":{millis},\"ts_us\":{micros},\"ts_ns\":{nanos}}}",
                order = table + 1,
            )?;
            let key = format!("{{\"id\":{id}}}");
            messages.push(Message { table: Some(table), key: key.clone(), value: Some(value) });
            if op == "d" {
                messages.push(Message { table: Some(table), key, value: None });
            }
        }
        self.lsn += 48;
        self.committed_lsn = self.lsn;
        messages.push(boundary(format!(
            "{{\"status\":\"END\",\"id\":\"{transaction}:{}\",\"event_count\":2,\"data_collections\":[{{\"data_collection\":\"public.outgoing\",\"event_count\":1}},\
             {{\"data_collection\":\"public.incoming\",\"event_count\":1}}],\"ts_ms\":{millis}}}",
            self.committed_lsn
        )));
        Ok(messages)
    }

    fn send(&mut self, message: &Message) -> Result<()> {
        self.counters.messages += 1;
        let topic = message.table.map_or(&self.transaction_topic, |table| &self.topics[table]);
        loop {
            let mut record = BaseRecord::to(topic).key(&message.key);
            if let Some(value) = &message.value {
                record = record.payload(value);
            }
            match self.producer.send(record) {
                Ok(()) => return Ok(()),
                // The client's own queue is full: what is delivered makes room.
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => self.flush()?,
                Err((error, _)) => return Err(anyhow!(error).context(format!("could not produce to {topic}"))),
            }
        }
    }
}
