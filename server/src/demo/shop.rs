//! The shop's database, simulated: it does admission control (nothing is sold that is not there) and tells of each transaction as Debezium does.

use super::Produced;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use sources::kafka::Producer;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TABLES: [&str; 4] = ["customers", "stock", "orders", "payments"];
const ITEMS: [&str; 8] = ["anchor", "buoy", "compass", "dinghy", "ensign", "fender", "gimbal", "halyard"];
const CITIES: [&str; 5] = ["Hamburg", "Brest", "Porto", "Bergen", "Gdansk"];
const CUSTOMERS: i64 = 200;
/// Paid orders are forgotten by the shop, and deleted upstream, beyond this many: topics of the embedded broker keep only so much, and so do people.
const OPEN_ORDERS_MAX: usize = 50;

struct Order {
    id: i64,
    customer: i64,
    item: usize,
    quantity: i64,
    cents: i64,
    minute: String,
}

/// The tables' topics and the transaction topic.
pub fn topics(prefix: &str) -> Vec<String> {
    let tables = TABLES.iter().map(|table| format!("{prefix}.public.{table}"));
    tables.chain([format!("{prefix}.transaction")]).collect()
}

pub struct Shop {
    producer: Producer,
    prefix: String,
    random: StdRng,
    /// Received and on hand, per item.
    stock: BTreeMap<usize, (i64, i64)>,
    open: VecDeque<Order>,
    transaction: i64,
    lsn: i64,
    next_order: i64,
}

/// The events of one transaction: table, operation, key, before, after.
type Events = Vec<(&'static str, &'static str, Value, Value, Value)>;

impl Shop {
    pub fn new(producer: Producer, prefix: String) -> Shop {
        Shop { producer, prefix, random: StdRng::seed_from_u64(1), stock: BTreeMap::new(), open: VecDeque::new(), transaction: 700, lsn: 1_000_000, next_order: 1 }
    }

    /// Customers and a first delivery.
    pub fn open(&mut self) -> anyhow::Result<()> {
        let customers = (1..=CUSTOMERS)
            .map(|id| {
                let after = json!({"id": id, "name": format!("customer {id}"), "city": CITIES[id as usize % CITIES.len()]});
                ("customers", "c", json!({"id": id}), Value::Null, after)
            })
            .collect();
        self.commit(customers)?;
        for item in 0..ITEMS.len() {
            self.deliver(item)?;
        }
        self.producer.flush(Duration::from_secs(10))?;
        Ok(())
    }

    /// Sells at a rate until told to stop.
    pub fn trade(&mut self, orders_per_second: u32, stop: &AtomicBool, produced: &Produced) -> anyhow::Result<()> {
        let pause = Duration::from_secs(1) / orders_per_second;
        let mut next = Instant::now();
        while !stop.load(Ordering::SeqCst) {
            self.check_out(produced)?;
            if self.open.len() > OPEN_ORDERS_MAX || self.random.random_bool(0.6) {
                self.pay()?;
            }
            next += pause;
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        self.producer.flush(Duration::from_secs(10))?;
        Ok(())
    }

    /// An order and the goods that leave the shelf: one transaction, or none at all when there are not enough.
    fn check_out(&mut self, produced: &Produced) -> anyhow::Result<()> {
        let item = self.random.random_range(0..ITEMS.len());
        let quantity = self.random.random_range(1..=3);
        let (received, on_hand) = self.stock.get(&item).copied().unwrap_or_default();
        if on_hand < quantity {
            return self.deliver(item);
        }
        let id = self.next_order;
        self.next_order += 1;
        let order = Order { id, customer: self.random.random_range(1..=CUSTOMERS), item, quantity, cents: quantity * (500 + 125 * item as i64), minute: minute_now() };
        self.stock.insert(item, (received, on_hand - quantity));
        let events = vec![
            ("orders", "c", json!({"id": id}), Value::Null, order_row(&order, "open")),
            ("stock", "u", json!({"item": ITEMS[item]}), Value::Null, stock_row(item, received, on_hand - quantity)),
        ];
        self.open.push_back(order);
        produced.order(id);
        self.commit(events)
    }

    /// A payment and the order it settles: one transaction.
    fn pay(&mut self) -> anyhow::Result<()> {
        let Some(order) = self.open.pop_front() else { return Ok(()) };
        let payment = json!({"id": order.id, "order_id": order.id, "amount_cents": order.cents});
        self.commit(vec![("payments", "c", json!({"id": order.id}), Value::Null, payment), ("orders", "u", json!({"id": order.id}), Value::Null, order_row(&order, "paid"))])
    }

    fn deliver(&mut self, item: usize) -> anyhow::Result<()> {
        let (received, on_hand) = self.stock.get(&item).copied().unwrap_or_default();
        let op = if received == 0 { "c" } else { "u" };
        self.stock.insert(item, (received + 100, on_hand + 100));
        self.commit(vec![("stock", op, json!({"item": ITEMS[item]}), Value::Null, stock_row(item, received + 100, on_hand + 100))])
    }

    /// BEGIN, the events with their orders, END with the counts: what Debezium writes with `provide.transaction.metadata`.
    fn commit(&mut self, events: Events) -> anyhow::Result<()> {
        self.transaction += 1;
        let (transaction, prefix) = (self.transaction, &self.prefix);
        let boundaries = format!("{prefix}.transaction");
        let commit_lsn = self.lsn + 8 * (events.len() as i64 + 1);
        let millis = millis_now();
        let begin = json!({"status": "BEGIN", "id": format!("{transaction}:{}", self.lsn + 8), "event_count": null, "data_collections": null, "ts_ms": millis});
        self.producer.send(&boundaries, None, Some(format!("{{\"id\":\"{transaction}\"}}").as_bytes()), Some(begin.to_string().as_bytes()))?;
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for (position, (table, op, key, before, after)) in events.iter().enumerate() {
            self.lsn += 8;
            let count = counts.entry(table).or_default();
            *count += 1;
            let value = json!({
                "before": before, "after": after, "op": op, "ts_ms": millis,
                "source": {"version": "3.6.1.Final", "connector": "postgresql", "name": prefix, "ts_ms": millis, "snapshot": "false", "db": "shop", "schema": "public",
                           "table": table, "txId": transaction, "lsn": self.lsn, "sequence": format!("[\"{}\",\"{}\"]", commit_lsn, self.lsn)},
                "transaction": {"id": format!("{transaction}:{}", self.lsn), "total_order": position + 1, "data_collection_order": *count},
            });
            self.producer.send(&format!("{prefix}.public.{table}"), None, Some(key.to_string().as_bytes()), Some(value.to_string().as_bytes()))?;
        }
        self.lsn = commit_lsn;
        let collections: Vec<Value> = counts.iter().map(|(table, count)| json!({"data_collection": format!("public.{table}"), "event_count": count})).collect();
        let end = json!({"status": "END", "id": format!("{transaction}:{commit_lsn}"), "event_count": events.len(), "data_collections": collections, "ts_ms": millis});
        self.producer.send(&boundaries, None, Some(format!("{{\"id\":\"{transaction}\"}}").as_bytes()), Some(end.to_string().as_bytes()))?;
        Ok(())
    }
}

fn order_row(order: &Order, status: &str) -> Value {
    json!({"id": order.id, "customer_id": order.customer, "item": ITEMS[order.item], "quantity": order.quantity, "amount_cents": order.cents, "status": status, "ordered_minute": order.minute})
}

fn stock_row(item: usize, received: i64, on_hand: i64) -> Value {
    json!({"item": ITEMS[item], "received": received, "on_hand": on_hand})
}

pub fn millis_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
}

/// Hour and minute, UTC: what the revenue is grouped by.
fn minute_now() -> String {
    let minutes = millis_now() / 60_000;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}
