//! The shop: a real Postgres sells, a real Debezium tells Kafka, and at every moment Tidemark's views keep the shop's books in order.
//!
//! Postgres decides who gets the last item: eight clerks check out, cancel and restock at the same time, and some of their transactions are rolled back. It also keeps
//! its own books, a row of totals which every transaction brings up to date. Meanwhile, at every moment which a read or a subscription shows:
//! - stock is never negative, and what is on hand plus what was sold is what there was plus what came;
//! - every order is paid, to the cent, and nothing is paid that was not ordered;
//! - Postgres' own totals are what Tidemark computes from the rows, and never go back.
//!
//! The connector is killed twice and sends whole transactions again. In the end every table and every view equals the same query run in Postgres.
//!
//! `SHOP_SECONDS` and `SHOP_SEED` change a run.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use postgres::{Client, NoTls};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tests::sql::TextRow;
use tests::{Database, Debezium, DebeziumOptions, Kafka, Postgres, Tidemark, TidemarkOptions, simple, wait_until};

const SECONDS_DEFAULT: u64 = 15;
const OFFSET_FLUSH_INTERVAL_MS: u64 = 2_000;
const CLERKS: u64 = 8;
/// All clerks begin at the same moment, serve so many customers as fast as they can, and wait for the next such moment: a crowd, and a rate the connector keeps up with.
const CROWD_INTERVAL: Duration = Duration::from_millis(200);
const CROWD: u64 = 6;
const READERS: u64 = 4;
const READS_PER_SECOND: u32 = 30;
const DEADLINE: Duration = Duration::from_secs(90);

/// Below these a run has shown nothing. Per second of the run.
const COMMITS_PER_SECOND_MIN: u64 = 20;
const READS_PER_SECOND_MIN: u64 = 5;
/// In all.
const RACES_LOST_MIN: u64 = 5;
const ROLLED_BACK_MIN: u64 = 10;
const CLOSED_TIMESTAMPS_MIN: u64 = 50;

const ITEMS: [(&str, i64); 8] =
    [("anchor", 129_99), ("buoy", 35_00), ("compass", 19_95), ("dinghy", 899_00), ("ensign", 7_50), ("fender", 12_25), ("gimbal", 64_10), ("lantern", 21_01)];
/// There is never more than one of it: everybody wants the last one.
const RARE: &str = "lantern";
const TABLES: [&str; 5] = ["public.customers", "public.stock", "public.orders", "public.payments", "public.books"];

const SCHEMA: &str = "
    CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL);
    CREATE TABLE stock (item text PRIMARY KEY, received bigint NOT NULL, on_hand bigint NOT NULL CHECK (on_hand >= 0));
    CREATE TABLE orders (id bigserial PRIMARY KEY, customer_id int NOT NULL, item text NOT NULL, quantity int NOT NULL, amount numeric(10,2) NOT NULL,
                         ordered_at timestamptz NOT NULL, gift text);
    CREATE TABLE payments (id bigserial PRIMARY KEY, order_id bigint NOT NULL, amount numeric(10,2) NOT NULL);
    CREATE TABLE books (id int PRIMARY KEY, entry bigint NOT NULL, orders bigint NOT NULL, amount numeric(14,2) NOT NULL);
    INSERT INTO customers SELECT id, 'customer ' || id, (ARRAY['Hamburg', 'Brest', 'Porto', 'Bergen'])[1 + id % 4] FROM generate_series(1, 40) id;
    INSERT INTO orders (customer_id, item, quantity, amount, ordered_at) VALUES (1, 'anchor', 2, 259.98, '2026-01-02 03:04:05.678901+00');
    INSERT INTO payments (order_id, amount) VALUES (1, 200.00), (1, 59.98);
    INSERT INTO books VALUES (1, 0, 1, 259.98);";

/// The same in Tidemark, maintained, and in Postgres, computed when it is asked.
const VIEWS: [(&str, &str); 8] = [
    (
        "stock_sold",
        "SELECT s.item, s.received, s.on_hand, coalesce(sum(o.quantity), 0)::bigint AS sold
         FROM stock s LEFT JOIN orders o ON o.item = s.item GROUP BY s.item, s.received, s.on_hand",
    ),
    ("out_of_order", "SELECT item, received, on_hand, sold FROM stock_sold WHERE on_hand < 0 OR on_hand + sold <> received"),
    (
        "unpaid",
        "SELECT o.id, o.amount, coalesce(sum(p.amount), 0) AS paid FROM orders o LEFT JOIN payments p ON p.order_id = o.id
         GROUP BY o.id, o.amount HAVING coalesce(sum(p.amount), 0) <> o.amount",
    ),
    ("unordered", "SELECT p.id, p.order_id FROM payments p WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.id = p.order_id)"),
    (
        "unbooked",
        "SELECT b.entry, b.orders, b.amount, t.orders AS orders_counted, t.amount AS amount_counted FROM books b,
         (SELECT (SELECT count(*) FROM orders) AS orders, (SELECT coalesce(sum(amount), 0) FROM payments) AS amount) t
         WHERE b.orders <> t.orders OR b.amount <> t.amount",
    ),
    (
        "revenue",
        "SELECT c.city, count(DISTINCT o.id) AS orders, sum(p.amount) AS amount, max(o.ordered_at) AS newest
         FROM orders o JOIN payments p ON p.order_id = o.id JOIN customers c ON c.id = o.customer_id GROUP BY c.city",
    ),
    ("best_sellers", "SELECT item, sum(quantity) AS sold FROM orders GROUP BY item ORDER BY sum(quantity) DESC, item LIMIT 3"),
    ("gifts", "SELECT coalesce(gift, 'none') AS gift, count(*) AS orders, avg(amount)::numeric(12,4) AS average FROM orders GROUP BY coalesce(gift, 'none')"),
];
/// Views with a row in them are a broken promise.
const ALWAYS_EMPTY: [&str; 4] = ["out_of_order", "unpaid", "unordered", "unbooked"];

/// A number from the environment.
fn setting(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

fn money(cents: i64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

#[derive(Default)]
struct Run {
    is_closed: AtomicBool,
    is_over: AtomicBool,
    has_failed: AtomicBool,
    /// The newest entry of the books which anyone saw in Tidemark.
    seen: AtomicI64,
    committed: AtomicU64,
    races_lost: AtomicU64,
    rolled_back: AtomicU64,
    reads: AtomicU64,
    closed_timestamps: AtomicU64,
}

impl Run {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst) && !self.has_failed.load(Ordering::SeqCst)
    }

    /// Runs a thread's work; its failure ends the others.
    fn work(&self, what: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let result = work().with_context(|| what.to_owned());
        if let Err(error) = &result
            && !self.has_failed.swap(true, Ordering::SeqCst)
        {
            println!("shop: failed first: {error:#}");
        }
        result
    }
}

/// One clerk: transactions in Postgres, one after the other, at the same time as all the others'.
struct Clerk<'a> {
    run: &'a Run,
    client: Client,
    random: ChaCha8Rng,
    /// Orders of this clerk that can be cancelled.
    orders: Vec<i64>,
}

impl Clerk<'_> {
    fn serve(&mut self, opening: Instant) -> Result<()> {
        let mut served = 0;
        while !self.run.is_closed.load(Ordering::SeqCst) && !self.run.has_failed.load(Ordering::SeqCst) {
            let crowds = u32::try_from(served / CROWD)?;
            let next = opening + CROWD_INTERVAL * crowds;
            thread::sleep(next.saturating_duration_since(Instant::now()));
            served += 1;
            let is_committed = match self.random.random_range(0..100) {
                0..75 => self.check_out()?,
                75..85 => self.cancel()?,
                _ => self.restock()?,
            };
            if is_committed {
                self.run.committed.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok(())
    }

    /// The books are brought up to date last, so that clerks wait for each other only then; whoever holds that row commits next.
    fn end(&mut self, orders: i64, cents: i64) -> Result<()> {
        let sign = if cents < 0 { "-" } else { "" };
        let amount = money(cents.abs());
        simple(&mut self.client, &format!("UPDATE books SET entry = entry + 1, orders = orders + {orders}, amount = amount + {sign}{amount}; COMMIT"))?;
        Ok(())
    }

    fn check_out(&mut self) -> Result<bool> {
        let (item, price) = if self.random.random_bool(0.3) { ITEMS[ITEMS.len() - 1] } else { ITEMS[self.random.random_range(0..ITEMS.len() - 1)] };
        let quantity = if item == RARE { 1 } else { self.random.random_range(1..=3) };
        let customer = self.random.random_range(1..=40);
        let cents = price * quantity;
        let rows = simple(&mut self.client, &format!("BEGIN; SELECT on_hand FROM stock WHERE item = '{item}'"))?;
        let seemed_enough = number(&rows[0][0])? >= quantity;
        let taken = self.client.execute(
            "UPDATE stock SET on_hand = on_hand - $1 WHERE item = $2 AND on_hand >= $1",
            &[&quantity, &item],
        )?;
        if taken == 0 {
            // There was enough when this customer looked, and someone else was quicker.
            self.run.races_lost.fetch_add(u64::from(seemed_enough), Ordering::SeqCst);
            simple(&mut self.client, "ROLLBACK")?;
            return Ok(false);
        }
        let gift = if self.random.random_bool(0.2) { "'with a bow: \"☃\"'" } else { "NULL" };
        let amount = money(cents);
        let rows = simple(
            &mut self.client,
            &format!(
                "INSERT INTO orders (customer_id, item, quantity, amount, ordered_at, gift)
                 VALUES ({customer}, '{item}', {quantity}, {amount}, clock_timestamp(), {gift}) RETURNING id"
            ),
        )?;
        let id: i64 = rows[0][0].as_deref().context("no id")?.parse()?;
        // Half now and half later in the transaction, with an attempt that is undone in between.
        let half = cents / 2;
        simple(
            &mut self.client,
            &format!(
                "INSERT INTO payments (order_id, amount) VALUES ({id}, {}); SAVEPOINT attempt; INSERT INTO payments (order_id, amount) VALUES ({id}, 1000000);
                 ROLLBACK TO attempt; INSERT INTO payments (order_id, amount) VALUES ({id}, {})",
                money(half),
                money(cents - half)
            ),
        )?;
        if self.random.random_bool(0.1) {
            // The card was declined after all.
            self.run.rolled_back.fetch_add(1, Ordering::SeqCst);
            simple(&mut self.client, "ROLLBACK")?;
            return Ok(false);
        }
        self.end(1, cents)?;
        self.orders.push(id);
        Ok(true)
    }

    fn cancel(&mut self) -> Result<bool> {
        if self.orders.is_empty() {
            return Ok(false);
        }
        let id = self.orders.swap_remove(self.random.random_range(0..self.orders.len()));
        let rows = simple(
            &mut self.client,
            &format!(
                "BEGIN; DELETE FROM payments WHERE order_id = {id}; WITH gone AS (DELETE FROM orders WHERE id = {id} RETURNING item, quantity, amount)
                 UPDATE stock s SET on_hand = on_hand + gone.quantity FROM gone WHERE s.item = gone.item RETURNING (gone.amount * 100)::bigint"
            ),
        )?;
        let cents: i64 = rows[0][0].as_deref().context("no amount")?.parse()?;
        self.end(-1, -cents)?;
        Ok(true)
    }

    fn restock(&mut self) -> Result<bool> {
        let (item, _) = ITEMS[self.random.random_range(0..ITEMS.len())];
        let (count, condition) = if item == RARE { (1, "AND on_hand = 0") } else { (20, "AND on_hand < 20") };
        simple(&mut self.client, "BEGIN")?;
        let sql = format!("UPDATE stock SET received = received + {count}, on_hand = on_hand + {count} WHERE item = $1 {condition}");
        if self.client.execute(&sql, &[&item])? == 0 {
            simple(&mut self.client, "ROLLBACK")?;
            return Ok(false);
        }
        self.end(0, 0)?;
        Ok(true)
    }
}

fn number(field: &Option<String>) -> Result<i64> {
    let text = field.as_deref().context("NULL where a number should be")?;
    text.parse().map_err(|_| anyhow!("{text} is not a number"))
}

/// Item, received, on hand, sold.
fn check_stock(row: &[Option<String>]) -> Result<()> {
    let [_, received, on_hand, sold] = row else { bail!("not a row of stock: {row:?}") };
    let (received, on_hand, sold) = (number(received)?, number(on_hand)?, number(sold)?);
    ensure!(on_hand >= 0, "negative stock: {row:?}");
    ensure!(on_hand + sold == received, "stock from nowhere: {row:?}");
    Ok(())
}

/// One client of Tidemark, which looks again and again whether all is in order.
fn read(run: &Run, client: &mut Client, mut kind: u64) -> Result<()> {
    let pause = Duration::from_secs(1) / READS_PER_SECOND;
    let mut next = Instant::now();
    while run.goes_on() {
        let floor = run.seen.load(Ordering::SeqCst);
        kind += 1;
        let rows = match kind % 3 {
            // The maintained views.
            0 => {
                let mut rows = simple(
                    client,
                    "BEGIN; SELECT item, received, on_hand, sold FROM stock_sold; SELECT (SELECT count(*) FROM out_of_order), (SELECT count(*) FROM unpaid),
                     (SELECT count(*) FROM unordered), (SELECT count(*) FROM unbooked), entry FROM books; COMMIT",
                )?;
                let last = rows.pop().context("no rows")?;
                ensure!(rows.len() == ITEMS.len(), "{rows:?}");
                rows.iter().try_for_each(|row| check_stock(row))?;
                ensure!(last[..4].iter().all(|count| count.as_deref() == Some("0")), "broken promises: {last:?}");
                last[4..].to_vec()
            }
            // The same from the tables, now.
            1 => {
                let rows = simple(
                    client,
                    "SELECT (SELECT count(*) FROM orders) - b.orders, (SELECT sum(amount) FROM payments) - b.amount, (SELECT sum(amount) FROM orders) - b.amount,
                     (SELECT sum(received - on_hand) FROM stock) - (SELECT sum(quantity) FROM orders), entry FROM books b",
                )?;
                let [row] = rows.as_slice() else { bail!("not one row of books: {rows:?}") };
                for difference in &row[..4] {
                    let text = difference.as_deref().context("NULL where a difference should be")?;
                    ensure!(text.trim_matches(['0', '.']).is_empty(), "the books differ: {row:?}");
                }
                row[4..].to_vec()
            }
            // Views against the tables they are made of.
            _ => {
                let rows = simple(
                    client,
                    "BEGIN; SELECT (SELECT sum(amount) FROM revenue), (SELECT sum(orders) FROM revenue), (SELECT sum(orders) FROM gifts);
                     SELECT amount, orders, orders, entry FROM books; COMMIT",
                )?;
                let [views, books] = rows.as_slice() else { bail!("not two rows: {rows:?}") };
                ensure!(views[..] == books[..3], "views {views:?} and books {books:?} differ");
                books[3..].to_vec()
            }
        };
        let entry = number(rows.first().context("no entry")?)?;
        ensure!(entry >= floor, "time went back: entry {entry} after {floor} was seen");
        run.seen.fetch_max(entry, Ordering::SeqCst);
        run.reads.fetch_add(1, Ordering::SeqCst);
        next = (next + pause).max(Instant::now() - pause);
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Follows a view: at each closed timestamp its rows must be in order.
fn subscribe(run: &Run, mut client: Client, view: &str) -> Result<()> {
    let cancel = client.cancel_token();
    let result = follow(run, &mut client, view);
    // A client waits for the end of its statement before it closes, and a subscription has none.
    cancel.cancel_query(NoTls)?;
    result
}

fn follow(run: &Run, client: &mut Client, view: &str) -> Result<()> {
    let mut lines = BufReader::new(client.copy_out(&format!("COPY (SUBSCRIBE {view} WITH (PROGRESS)) TO STDOUT"))?).lines();
    let mut contents: BTreeMap<Vec<Option<String>>, i64> = BTreeMap::new();
    let mut is_first = true;
    // Of one timestamp the rows come together, so what is there when another begins, or at progress, is what a closed one shows.
    let mut last = String::new();
    while run.goes_on() {
        let line = lines.next().context("the subscription ended")??;
        let fields: Vec<&str> = line.split('\t').collect();
        let [timestamp, is_progress, diff, row @ ..] = fields.as_slice() else { bail!("not a row of a subscription: {line}") };
        if *timestamp != last && !is_first {
            for (row, count) in &contents {
                ensure!(*count == 1, "{row:?} is there {count} times at {last}");
                ensure!(!ALWAYS_EMPTY.contains(&view), "{row:?} at {last}");
                check_stock(row).with_context(|| format!("at {last}"))?;
            }
            if view == "stock_sold" {
                ensure!(contents.len() == ITEMS.len(), "{} items at {last}", contents.len());
            }
            run.closed_timestamps.fetch_add(1, Ordering::SeqCst);
        }
        (*timestamp).clone_into(&mut last);
        if *is_progress == "f" {
            let row: Vec<Option<String>> = row.iter().map(|field| (*field != "\\N").then(|| (*field).to_owned())).collect();
            let count = contents.entry(row.clone()).or_default();
            *count += diff.parse::<i64>()?;
            if *count == 0 {
                contents.remove(&row);
            }
        }
        is_first = false;
    }
    Ok(())
}

/// A table or a view, all of it, in an order of its own.
fn contents(client: &mut Client, relation: &str) -> Result<Vec<TextRow>> {
    let mut rows = simple(client, &format!("SELECT * FROM {relation}"))?;
    rows.sort();
    Ok(rows)
}

fn definitions(kafka: &Kafka, prefix: &str) -> Vec<String> {
    let tables: Vec<String> = TABLES.iter().map(|table| format!("{table} AS {}", table.trim_start_matches("public."))).collect();
    let mut all = vec![
        format!("CREATE CONNECTION shop_kafka TO KAFKA (BROKER '{}')", kafka.bootstrap()),
        // No columns: the topics carry their schema.
        format!(
            "CREATE SOURCE shop FROM KAFKA CONNECTION shop_kafka (TOPIC PREFIX '{prefix}', TRANSACTION TOPIC '{prefix}.transaction')
             FORMAT JSON ENVELOPE DEBEZIUM FOR TABLES ({})",
            tables.join(", ")
        ),
    ];
    all.extend(VIEWS.map(|(name, query)| format!("CREATE MATERIALIZED VIEW {name} AS {query}")));
    all
}

fn set_up(database: &Database) -> Result<()> {
    database.psql(SCHEMA)?;
    for (item, _) in ITEMS {
        let (received, on_hand) = match item {
            RARE => (1, 1),
            "anchor" => (22, 20),
            _ => (20, 20),
        };
        database.psql(&format!("INSERT INTO stock VALUES ('{item}', {received}, {on_hand})"))?;
    }
    for (name, query) in VIEWS {
        database.psql(&format!("CREATE VIEW {name} AS {query}"))?;
    }
    Ok(())
}

#[test]
fn the_shop_is_in_order_at_every_moment_and_equals_postgres_in_the_end() -> Result<()> {
    let duration = Duration::from_secs(setting("SHOP_SECONDS", SECONDS_DEFAULT)?);
    let seed = setting("SHOP_SEED", rand::rng().random_range(0..1_000_000))?;
    println!("shop: {duration:?}, SHOP_SEED={seed}");
    let kafka = Kafka::shared()?;
    let database = &Postgres::shared()?.create_database()?;
    set_up(database)?;
    // Several partitions, so that the order of a topic is not the order of commits.
    for (table, partitions) in [("public.orders", 4), ("public.payments", 3), ("public.stock", 2)] {
        kafka.create_topic(&format!("shop.{table}"), partitions)?;
    }
    let mut options = DebeziumOptions::new("shop", &TABLES);
    options.schemas_enable = true;
    // What it sent since then, when it is killed, it sends again. It must have noted down something: without any offsets it would begin with a new snapshot.
    options.offset_flush_interval_ms = OFFSET_FLUSH_INTERVAL_MS;
    let mut debezium = Debezium::postgres(kafka, database, &options)?;
    debezium.wait_streaming()?;

    let tidemark = &Tidemark::start(TidemarkOptions::default())?;
    let client = &mut tidemark.connect()?;
    // The first message of the transaction topic makes it.
    database.psql("UPDATE books SET entry = entry + 1")?;
    kafka.wait_for_partitions(&debezium.transaction_topic(), 1, DEADLINE)?;
    for definition in definitions(kafka, "shop") {
        simple(client, &definition).with_context(|| definition.clone())?;
    }
    wait_until("the snapshot is there", DEADLINE, || Ok((contents(client, "books")?.len() == 1).then_some(())))
        .with_context(|| tidemark.component().describe_log())?;

    let (run, opening) = (&Run::default(), Instant::now());
    let results = thread::scope(|scope| {
        let mut threads = Vec::new();
        for position in 0..CLERKS {
            threads.push(scope.spawn(move || {
                run.work(&format!("clerk {position}"), || {
                    let random = ChaCha8Rng::seed_from_u64(seed + position);
                    Clerk { run, client: database.connect()?, random, orders: Vec::new() }.serve(opening)
                })
            }));
        }
        for position in 0..READERS {
            threads.push(scope.spawn(move || run.work(&format!("reader {position}"), || read(run, &mut tidemark.connect()?, position))));
        }
        for view in ALWAYS_EMPTY.into_iter().chain(["stock_sold"]) {
            threads.push(scope.spawn(move || run.work(&format!("the subscription to {view}"), || subscribe(run, tidemark.connect()?, view))));
        }
        let sold = run.work("the shop", || {
            let wait_for = |until: Duration, from: Instant| {
                wait_until("the shop has sold for long enough", until * 10, || {
                    Ok((from.elapsed() >= until || run.has_failed.load(Ordering::SeqCst)).then_some(()))
                })
            };
            let begin = Instant::now();
            for third in [1, 2] {
                wait_for(duration * third / 3, begin)?;
                debezium.kill9()?;
                debezium.start_again()?;
            }
            wait_for(duration, begin)?;
            run.is_closed.store(true, Ordering::SeqCst);
            // Until the clerks are done and all of it is in Tidemark.
            let mut judge = database.connect()?;
            let mut upstream = Vec::new();
            wait_until("Tidemark has what Postgres has", DEADLINE, || {
                upstream = contents(&mut judge, "books")?;
                Ok((contents(client, "books")? == upstream || run.has_failed.load(Ordering::SeqCst)).then_some(()))
            })
            .with_context(|| format!("Postgres has {upstream:?}, {} is the newest seen", run.seen.load(Ordering::SeqCst)))?;
            Ok(())
        });
        run.is_closed.store(true, Ordering::SeqCst);
        run.is_over.store(true, Ordering::SeqCst);
        let joined = threads.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a thread panicked")).flatten());
        std::iter::once(sold).chain(joined.collect::<Vec<_>>()).collect::<Vec<Result<()>>>()
    });
    let failures: Vec<String> = results.iter().filter_map(|result| result.as_ref().err()).map(|error| format!("{error:#}")).collect();
    ensure!(failures.is_empty(), "{}\n{}", failures.join("\n"), tidemark.component().describe_log());

    // The clerks are gone, so the books are closed: whatever was still on its way comes now.
    let mut judge = database.connect()?;
    let books = contents(&mut judge, "books")?;
    wait_until("the books are closed", DEADLINE, || Ok((contents(client, "books")? == books).then_some(())))?;
    let relations = TABLES.iter().map(|table| table.trim_start_matches("public.")).chain(VIEWS.iter().map(|(name, _)| *name));
    for relation in relations {
        assert_eq!(contents(client, relation)?, contents(&mut judge, relation)?, "{relation}: Tidemark on the left, Postgres on the right");
    }
    // And computed now, from the tables, as Postgres does.
    for (name, query) in VIEWS {
        let [mut own, mut other] = [simple(client, query)?, simple(&mut judge, query)?];
        own.sort();
        other.sort();
        assert_eq!(own, other, "the query of {name}: Tidemark on the left, Postgres on the right");
    }
    let statuses = simple(client, "SELECT duplicates_dropped, errors FROM tm_catalog.tm_source_statuses WHERE name = 'shop'")?;
    let status = statuses.first().context("the source has no status")?;
    let (repeated, errors) = (number(&status[0])?, number(&status[1])?);
    ensure!(errors == 0, "{errors} messages could not be decoded");
    ensure!(repeated > 0, "the connector repeated nothing after it was killed");

    let load = |counter: &AtomicU64| counter.load(Ordering::SeqCst);
    let (committed, reads) = (load(&run.committed), load(&run.reads));
    let (races_lost, rolled_back, closed) = (load(&run.races_lost), load(&run.rolled_back), load(&run.closed_timestamps));
    println!("shop: {committed} transactions committed, {rolled_back} rolled back, {races_lost} races lost, {repeated} messages repeated by the connector");
    println!("shop: {reads} reads, {closed} closed timestamps; 0 violations, and equal to Postgres in the end");
    let seconds = duration.as_secs();
    for (what, had, wanted) in [
        ("transactions", committed, COMMITS_PER_SECOND_MIN * seconds),
        ("reads", reads, READS_PER_SECOND_MIN * seconds),
        ("lost races", races_lost, RACES_LOST_MIN),
        ("rolled back transactions", rolled_back, ROLLED_BACK_MIN),
        ("closed timestamps", closed, CLOSED_TIMESTAMPS_MIN),
    ] {
        ensure!(had >= wanted, "{had} {what} are too few to show anything");
    }
    Ok(())
}
