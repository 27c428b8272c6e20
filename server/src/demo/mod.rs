//! `tidemark demo`: a small shop whose changes arrive through Kafka, the views over it, and their totals while they change.
//!
//! The shop's database is simulated ([`shop`]); everything behind its change topics is the product itself: the Kafka source, whole transactions over four topics and a
//! transaction topic, maintained views, SUBSCRIBE. Without `--kafka` the broker is librdkafka's mock, in this process and in memory.

mod screen;
mod shop;

use crate::execution::Execution;
use crate::flags::{DATA_DIR, DemoFlags, Flags};
use crate::serving::Serving;
use crate::session::Session;
use crate::{Error, Shared};
use anyhow::{Context, anyhow, bail};
use repr::Row;
use screen::Screen;
use shop::Shop;
use sources::BrokerConfig;
use sources::kafka::{EmbeddedBroker, Producer};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// The views of the demo, in the order they are created.
const VIEWS: &[&str] = &[
    "CREATE MATERIALIZED VIEW stock_left AS SELECT item, on_hand FROM stock",
    "CREATE MATERIALIZED VIEW revenue_per_minute AS
        SELECT o.ordered_minute AS minute, count(*) AS orders, sum(p.amount_cents) AS cents
        FROM orders o JOIN payments p ON p.order_id = o.id GROUP BY o.ordered_minute",
    "CREATE MATERIALIZED VIEW open_orders AS
        SELECT o.id, c.name, o.item, o.amount_cents, coalesce(sum(p.amount_cents), 0) AS paid_cents
        FROM orders o JOIN customers c ON c.id = o.customer_id LEFT JOIN payments p ON p.order_id = o.id
        WHERE o.status = 'open' GROUP BY o.id, c.name, o.item, o.amount_cents",
    "CREATE MATERIALIZED VIEW oversold_items AS
        SELECT s.item, s.received, s.on_hand, sum(o.quantity) AS sold
        FROM stock s JOIN orders o ON o.item = s.item
        GROUP BY s.item, s.received, s.on_hand HAVING s.received - sum(o.quantity) <> s.on_hand OR s.on_hand < 0",
    "CREATE MATERIALIZED VIEW totals AS
        SELECT (SELECT count(*) FROM orders) AS orders, (SELECT count(*) FROM open_orders) AS open_orders, (SELECT sum(on_hand) FROM stock) AS on_hand,
               (SELECT coalesce(sum(cents), 0) FROM revenue_per_minute) AS cents, (SELECT count(*) FROM oversold_items) AS oversold,
               (SELECT coalesce(max(id), 0) FROM orders) AS newest_order",
];

/// The connection, the source over the four tables' topics and the transaction topic, and the views.
fn definitions(bootstrap: &str, prefix: &str) -> Vec<String> {
    let source = format!(
        "CREATE SOURCE shop FROM KAFKA CONNECTION demo_kafka (TOPIC PREFIX '{prefix}', TRANSACTION TOPIC '{prefix}.transaction')
        FORMAT JSON ENVELOPE DEBEZIUM
        FOR TABLES (
            public.customers AS customers (id bigint PRIMARY KEY, name text NOT NULL, city text NOT NULL),
            public.stock     AS stock     (item text PRIMARY KEY, received bigint NOT NULL, on_hand bigint NOT NULL),
            public.orders    AS orders    (id bigint PRIMARY KEY, customer_id bigint NOT NULL, item text NOT NULL, quantity bigint NOT NULL,
                                           amount_cents bigint NOT NULL, status text NOT NULL, ordered_minute text NOT NULL),
            public.payments  AS payments  (id bigint PRIMARY KEY, order_id bigint NOT NULL, amount_cents bigint NOT NULL))"
    );
    let connection = format!("CREATE CONNECTION demo_kafka TO KAFKA (BROKER '{}')", bootstrap.replace('\'', "''"));
    [connection, source].into_iter().chain(VIEWS.iter().map(|view| view.to_string())).collect()
}

/// Runs until Ctrl-C, or for the time asked for.
pub fn run(runtime: &Runtime, mut flags: Flags, demo: DemoFlags) -> anyhow::Result<()> {
    // Without a folder of the user's choice the demo has one of its own, thrown away at the end unless kept.
    let own_folder = flags.data_dir == std::path::Path::new(DATA_DIR);
    if own_folder {
        flags.data_dir = std::env::temp_dir().join(format!("tidemark-demo-{}", std::process::id()));
    }
    let folder = flags.data_dir.clone();
    let result = runtime.block_on(run_async(flags, &demo));
    if own_folder && !demo.keep {
        let _ = std::fs::remove_dir_all(&folder);
    } else {
        println!("The data is kept in {0}; look at it with: tidemark --data-dir {0}", folder.display());
    }
    result
}

async fn run_async(flags: Flags, demo: &DemoFlags) -> anyhow::Result<()> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut serving = Serving::start(flags).await?;
    let (shared, addresses) = (serving.shared.clone(), (serving.pgwire, serving.http));
    let mut upstream = Upstream::default();
    let ended = tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        failure = serving.failed() => Err(failure),
        ended = show(demo, shared, addresses, &mut upstream) => ended,
    };
    // The shop stops selling, then the server ends, and only then the broker it reads from.
    let sold = upstream.close().await;
    serving.stop().await;
    drop(upstream);
    println!();
    ended.and(sold)
}

/// What stands for the world outside: the shop, which sells on a thread of its own, and the embedded broker if there is one.
#[derive(Default)]
struct Upstream {
    embedded: Option<EmbeddedBroker>,
    seller: Option<JoinHandle<anyhow::Result<()>>>,
    stop: Arc<AtomicBool>,
}

impl Upstream {
    fn has_closed(&self) -> bool {
        self.seller.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Ends the selling.
    async fn close(&mut self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::SeqCst);
        let Some(seller) = self.seller.take() else { return Ok(()) };
        tokio::task::spawn_blocking(move || seller.join()).await?.map_err(|_| anyhow!("the shop panicked"))?
    }
}

/// Opens the shop, defines the views and prints their totals, until the time is over or something fails.
async fn show(demo: &DemoFlags, shared: Arc<Shared>, (wire, http): (SocketAddr, SocketAddr), upstream: &mut Upstream) -> anyhow::Result<()> {
    if shared.catalog().entries().next().is_some() {
        bail!("the data directory {0} holds data already: look at it with `tidemark --data-dir {0}`, or give the demo an empty one", shared.flags.data_dir.display());
    }
    // Each run has topics of its own, so that a broker which was used before does not mix two shops.
    let prefix = match &demo.kafka {
        None => "shop".to_string(),
        Some(_) => format!("shop-{}", shop::millis_now()),
    };
    let topics: Vec<(String, i32)> = shop::topics(&prefix).into_iter().map(|topic| (topic, 1)).collect();
    let broker = match &demo.kafka {
        Some(bootstrap) => {
            let broker = BrokerConfig::new(bootstrap.clone());
            let (config, topics) = (broker.clone(), topics.clone());
            tokio::task::spawn_blocking(move || sources::kafka::create_topics(&config, &topics)).await?.with_context(|| format!("could not create the demo's topics on the broker at {bootstrap}"))?;
            broker
        }
        None => {
            let embedded = EmbeddedBroker::start(&topics)?;
            let broker = BrokerConfig::new(embedded.bootstrap().to_string());
            upstream.embedded = Some(embedded);
            broker
        }
    };
    let produced = Arc::new(Produced::default());
    let mut shop = Shop::new(Producer::new(&broker)?, prefix.clone());
    shop.open()?;
    let mut client = Client::start(shared.clone())?;
    for definition in definitions(&broker.bootstrap, &prefix) {
        client.run(&definition).await.with_context(|| definition.lines().next().unwrap_or_default().to_string())?;
    }
    let (stop, sold, rate) = (upstream.stop.clone(), produced.clone(), demo.orders_per_second.max(1));
    upstream.seller = Some(std::thread::Builder::new().name("shop".to_string()).spawn(move || shop.trade(rate, &stop, &sold))?);
    let watcher = tokio::spawn(watch_freshness(shared, produced.clone()));

    println!("psql -h {} -p {} -U tidemark tidemark", wire.ip(), wire.port());
    println!("Kafka is at {}{}; metrics at http://{http}/metrics. Try:  TABLE totals;  SELECT * FROM open_orders LIMIT 5;  COPY (SUBSCRIBE totals) TO STDOUT;", broker.bootstrap, if upstream.embedded.is_some() { " (embedded)" } else { "" });
    println!("Ctrl-C ends it.");
    let mut screen = Screen::new();
    let deadline = demo.seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut every = tokio::time::interval(Duration::from_secs(1));
    while !upstream.has_closed() && deadline.is_none_or(|deadline| Instant::now() < deadline) {
        every.tick().await;
        let rows = client.run("SELECT orders, open_orders, on_hand, cents, oversold FROM totals").await?;
        screen.show(rows.first(), &produced.take_freshness());
    }
    watcher.abort();
    Ok(())
}

/// When each order was handed to the broker, and how long it took to come out of a subscription.
#[derive(Default)]
pub struct Produced {
    orders: Mutex<HashMap<i64, Instant>>,
    freshness: Mutex<Vec<Duration>>,
}

impl Produced {
    pub fn order(&self, id: i64) {
        self.orders.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(id, Instant::now());
    }
    fn seen(&self, newest: i64) {
        let mut orders = self.orders.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let took = orders.remove(&newest).map(|produced| produced.elapsed());
        orders.retain(|id, _| *id > newest);
        drop(orders);
        self.freshness.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(took);
    }
    fn take_freshness(&self) -> Vec<Duration> {
        std::mem::take(&mut *self.freshness.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }
}

/// Follows the newest order through a subscription, as a client would.
async fn watch_freshness(shared: Arc<Shared>, produced: Arc<Produced>) -> anyhow::Result<()> {
    let mut client = Client::start(shared)?;
    let mut rows = client.open("SUBSCRIBE (SELECT newest_order FROM totals) WITH (SNAPSHOT = false)").await?;
    while let Some(batch) = rows.next_batch().await? {
        for row in batch {
            if let [_, repr::Datum::Int8(diff), repr::Datum::Int8(newest)] = row.unpack().as_slice()
                && *diff > 0
            {
                produced.seen(*newest);
            }
        }
    }
    Ok(())
}

/// A session in this process: the demo is its own first client.
struct Client {
    session: Session,
}

impl Client {
    fn start(shared: Arc<Shared>) -> Result<Client, Error> {
        let startup = [("user".to_string(), crate::session::USER.to_string()), ("application_name".to_string(), "demo".to_string())];
        Ok(Client { session: Session::start(shared, &startup, 0)? })
    }

    async fn open(&mut self, sql: &str) -> anyhow::Result<Box<dyn crate::execution::RowSource>> {
        let statements = self.session.parse(sql)?;
        let statement = statements.first().ok_or_else(|| anyhow!("an empty statement"))?;
        match self.session.run(statement, true).await? {
            Execution::Rows(rows) => Ok(rows.source),
            _ => Ok(Box::new(crate::execution::ReadyRows::new(Vec::new()))),
        }
    }

    async fn run(&mut self, sql: &str) -> anyhow::Result<Vec<Row>> {
        let mut source = self.open(sql).await?;
        let mut rows = Vec::new();
        while let Some(batch) = source.next_batch().await? {
            rows.extend(batch);
        }
        drop(source);
        self.session.sync().await?;
        Ok(rows)
    }
}
