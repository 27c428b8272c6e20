//! An upstream database whose transactions arrive through Kafka as Debezium tells them, with a transaction topic. The state after each of its transactions is
//! known, so what the server shows must be the state after one of them, and never an earlier one than before.

use anyhow::{Context, Result, ensure};
use postgres::Client;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tests::components::KafkaRecord;
use tests::Kafka;

use crate::rows;

/// The two tables every transaction changes in the same way.
const TABLES: [&str; 2] = ["debits", "credits"];
/// Row 0 counts the transactions; of the others so many are kept.
const ROWS_KEPT: u64 = 100;
/// Transactions handed to the broker at once.
const TRANSACTIONS_AT_ONCE: u64 = 20;

pub struct Upstream<'a> {
    kafka: &'a Kafka,
    prefix: String,
    committed: u64,
    lsn: u64,
    /// The newest state the server has shown.
    shown: Mutex<u64>,
}

impl<'a> Upstream<'a> {
    pub fn open(kafka: &'a Kafka, prefix: &str) -> Result<Upstream<'a>> {
        let mut upstream = Upstream { kafka, prefix: prefix.to_owned(), committed: 0, lsn: 1_000, shown: Mutex::new(0) };
        for topic in TABLES.map(|table| upstream.topic(table)).into_iter().chain([upstream.boundaries()]) {
            kafka.create_topic(&topic, 1)?;
        }
        upstream.commit(1)?;
        Ok(upstream)
    }

    fn topic(&self, table: &str) -> String {
        format!("{}.public.{table}", self.prefix)
    }

    fn boundaries(&self) -> String {
        format!("{}.transaction", self.prefix)
    }

    pub fn committed(&self) -> u64 {
        self.committed
    }

    pub fn definitions(&self) -> Vec<String> {
        let (prefix, bootstrap) = (&self.prefix, self.kafka.bootstrap());
        let tables = TABLES.map(|table| format!("public.{table} AS {table} (id bigint PRIMARY KEY, amount bigint NOT NULL)")).join(", ");
        vec![
            format!("CREATE CONNECTION upstream TO KAFKA (BROKER '{bootstrap}')"),
            format!(
                "CREATE SOURCE bank FROM KAFKA CONNECTION upstream (TOPIC PREFIX '{prefix}', TRANSACTION TOPIC '{prefix}.transaction')
                FORMAT JSON ENVELOPE DEBEZIUM FOR TABLES ({tables})"
            ),
            "CREATE MATERIALIZED VIEW halves AS SELECT d.id AS debit, c.id AS credit FROM debits d FULL JOIN credits c ON c.id = d.id AND c.amount = -d.amount WHERE d.id IS NULL OR c.id IS NULL".to_owned(),
        ]
    }

    /// Commits until told to stop.
    pub fn run(&mut self, ended: &AtomicBool) -> Result<()> {
        while !ended.load(Ordering::SeqCst) {
            self.commit(TRANSACTIONS_AT_ONCE)?;
        }
        Ok(())
    }

    /// So many transactions: a new row, the counter, and in time an old row deleted, in both tables.
    fn commit(&mut self, transactions: u64) -> Result<()> {
        let mut events: BTreeMap<&str, Vec<KafkaRecord>> = BTreeMap::new();
        let mut boundaries = Vec::new();
        for _ in 0..transactions {
            self.committed += 1;
            let number = self.committed;
            let mut changes = vec![("c", number, Some(amount(number))), (if number == 1 { "c" } else { "u" }, 0, Some(number as i64))];
            if number > ROWS_KEPT {
                changes.push(("d", number - ROWS_KEPT, None));
            }
            let commit_lsn = self.lsn + 100;
            let begin = json!({"status": "BEGIN", "id": format!("{number}:{}", self.lsn + 1), "event_count": null, "data_collections": null, "ts_ms": 1});
            boundaries.push(record(&json!({"id": number.to_string()}), Some(&begin)));
            let mut order = 0;
            for (position, (operation, id, amount)) in changes.iter().enumerate() {
                for (table, sign) in TABLES.into_iter().zip([1, -1]) {
                    order += 1;
                    self.lsn += 1;
                    let lsn = self.lsn;
                    let image = |amount: i64| json!({"id": id, "amount": sign * amount});
                    let event = json!({
                        "before": if amount.is_none() { image(0) } else { Value::Null },
                        "after": amount.map_or(Value::Null, image),
                        "op": operation, "ts_ms": 1,
                        "source": {"version": "3.6.1.Final", "connector": "postgresql", "name": self.prefix, "ts_ms": 1, "snapshot": "false", "db": "bank", "schema": "public",
                                   "table": table, "txId": number, "lsn": lsn, "sequence": format!("[\"{commit_lsn}\",\"{lsn}\"]")},
                        "transaction": {"id": format!("{number}:{lsn}"), "total_order": order, "data_collection_order": position + 1},
                    });
                    let records = events.entry(table).or_default();
                    records.push(record(&json!({"id": id}), Some(&event)));
                    if amount.is_none() {
                        records.push(record(&json!({"id": id}), None));
                    }
                }
            }
            self.lsn = commit_lsn;
            let counts = TABLES.map(|table| json!({"data_collection": format!("public.{table}"), "event_count": changes.len()}));
            let end = json!({"status": "END", "id": format!("{number}:{commit_lsn}"), "event_count": order, "data_collections": counts, "ts_ms": 1});
            boundaries.push(record(&json!({"id": number.to_string()}), Some(&end)));
        }
        for (table, records) in events {
            self.kafka.produce_many(&self.topic(table), records)?;
        }
        self.kafka.produce_many(&self.boundaries(), boundaries)?;
        Ok(())
    }

    /// Checks that the server shows the state after one of the transactions, whole and no older than before. Returns which.
    pub fn check(&self, client: &mut Client) -> Result<u64> {
        client.batch_execute("BEGIN")?;
        let mut states = Vec::new();
        for (table, sign) in TABLES.into_iter().zip([1, -1]) {
            let mut state = BTreeMap::new();
            for row in rows(client, &format!("SELECT id, {sign} * amount FROM {table}"))? {
                let number = |column: usize| -> Result<i64> { Ok(row.get(column).cloned().flatten().context("no NULL")?.parse()?) };
                ensure!(state.insert(number(0)? as u64, number(1)?).is_none(), "{table} holds {row:?} twice");
            }
            states.push(state);
        }
        let halves = rows(client, "SELECT * FROM halves")?;
        client.batch_execute("COMMIT")?;
        let newest = states[0].get(&0).copied().unwrap_or(0) as u64;
        let expected = state_after(newest);
        for (table, state) in TABLES.into_iter().zip(&states) {
            ensure!(*state == expected, "{table} is not as after transaction {newest}: {state:?}");
        }
        ensure!(halves.is_empty(), "half a transaction is shown: {halves:?}");
        let mut shown = self.shown.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        ensure!(newest >= *shown, "the state after transaction {newest} is shown, and that after {} was before", *shown);
        ensure!(newest <= self.committed, "transaction {newest} was never made");
        *shown = newest;
        Ok(newest)
    }
}

fn amount(transaction: u64) -> i64 {
    (transaction * 7 % 1000) as i64 + 1
}

fn state_after(transactions: u64) -> BTreeMap<u64, i64> {
    if transactions == 0 {
        return BTreeMap::new();
    }
    let oldest = transactions.saturating_sub(ROWS_KEPT) + 1;
    let kept = (oldest..=transactions).map(|number| (number, amount(number)));
    kept.chain([(0, transactions as i64)]).collect()
}

fn record(key: &Value, value: Option<&Value>) -> KafkaRecord {
    KafkaRecord { key: Some(key.to_string().into_bytes()), value: value.map(|value| value.to_string().into_bytes()), ..KafkaRecord::default() }
}
