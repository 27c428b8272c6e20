//! One row's journey, from a commit in Postgres to the bytes a client receives: what it looks like at each of the ten steps of ARCHITECTURE.md, printed and checked.
//!
//! `cargo test -p tests --test journey -- --nocapture` shows it. Postgres, Debezium and Kafka are real; steps 2 to 9 run the crates themselves, one by one; step 10 is
//! the server on the same topics.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use dataflow::{Event, InputBatch, InputDescription, SnapshotInputs, Stepper, ViewDescription};
use plan::{Aggregate, Plan, Scalar};
use repr::{CollectionId, ColumnType, Datum, Diff, Row, Schema, Timestamp, Type};
use sources::broker::{Headers, Message};
use sources::trace::Trace;
use sources::{BrokerConfig, Envelope, Format, MemoryKeyState, RelationSpec, SourceBatch, SourceSpec, StartAt, Topics};
use storage::{FileDisk, Frame, Log, LogOptions};
use tests::components::ReceivedRecord;
use tests::{Debezium, DebeziumOptions, Directory, Kafka, Postgres, Tidemark, TidemarkOptions, simple, wait_until};

const DEADLINE: Duration = Duration::from_secs(60);
const SOURCE: CollectionId = CollectionId(1000);
const ORDERS: CollectionId = CollectionId(1002);
const STOCK: CollectionId = CollectionId(1003);
const SOLD: CollectionId = CollectionId(1004);
const CHANNEL_BYTES_MAX: usize = 1 << 20;

fn show(step: u32, what: &str, lines: &[String]) {
    println!("\n{step:>2}. {what}");
    lines.iter().for_each(|line| println!("    {line}"));
}

fn text(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".to_owned(), |bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// Bytes as hexadecimal digits, and what of them can be read.
fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let letters: String = bytes.iter().map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' }).collect();
    format!("{}  |{letters}|", digits.join(" "))
}

/// The same source as the server's, as its own crate knows it.
fn specification(prefix: &str) -> SourceSpec {
    let orders = Schema::new([
        ("id", ColumnType::new(Type::Int8).not_null()),
        ("item", ColumnType::new(Type::Text).not_null()),
        ("quantity", ColumnType::new(Type::Int4).not_null()),
    ]);
    let stock = Schema::new([("item", ColumnType::new(Type::Text).not_null()), ("on_hand", ColumnType::new(Type::Int4).not_null())]);
    let relation = |id, name: &str, schema: Schema| RelationSpec::new(id, name, format!("{prefix}.{name}"), schema.with_key(vec![0]));
    SourceSpec {
        id: SOURCE,
        topics: Topics::Prefix { prefix: prefix.to_owned(), transaction_topic: Some(format!("{prefix}.transaction")) },
        start: StartAt::Beginning,
        key_format: Format::Json,
        value_format: Format::Json,
        envelope: Envelope::Debezium,
        include: Vec::new(),
        relations: vec![relation(ORDERS, "public.orders", orders), relation(STOCK, "public.stock", stock)],
        options: Default::default(),
    }
}

/// All that a source sends until `is_enough`, in order.
fn receive(receiver: &sources::SourceReceiver, what: &str, mut is_enough: impl FnMut(&SourceBatch) -> bool) -> Result<SourceBatch> {
    wait_until(what, DEADLINE, || Ok(receiver.try_receive().filter(|batch| is_enough(batch))))
}

/// `SELECT item, sum(quantity) FROM orders GROUP BY item`.
fn sold_per_item(types: Vec<ColumnType>) -> Result<Plan> {
    let sum = plan::aggregate::lookup("sum").iter().find(|entry| entry.arguments == [Type::Int4]).context("there is a sum of integers")?;
    let aggregate = Aggregate {
        function: plan::AggregateFunction(sum),
        arguments: vec![Scalar::Column(2)],
        distinct: false,
        filter: None,
        order: Vec::new(),
        column_type: ColumnType::new(sum.result.clone()),
    };
    let input = Box::new(Plan::get(ORDERS, types));
    Ok(Plan::Reduce { input, keys: vec![Scalar::Column(1)], aggregates: vec![aggregate], append_only: false })
}

/// A connection that shows the bytes it receives.
struct Wire(TcpStream);

/// A message of the server: its kind and its body.
type WireMessage = (u8, Vec<u8>);

impl Wire {
    fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        let mut wire = Self(stream);
        let mut startup = 196_608_u32.to_be_bytes().to_vec();
        startup.extend_from_slice(b"user\0tidemark\0database\0tidemark\0\0");
        let length = u32::try_from(startup.len() + 4)?;
        wire.0.write_all(&length.to_be_bytes())?;
        wire.0.write_all(&startup)?;
        wire.receive_until(b'Z')?;
        Ok(wire)
    }

    fn query(&mut self, sql: &str) -> Result<()> {
        let length = u32::try_from(sql.len() + 5)?;
        self.0.write_all(&[b"Q", length.to_be_bytes().as_slice(), sql.as_bytes(), b"\0"].concat())?;
        Ok(())
    }

    fn receive(&mut self) -> Result<WireMessage> {
        let mut head = [0; 5];
        self.0.read_exact(&mut head)?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let mut body = vec![0; usize::try_from(length)?.checked_sub(4).context("a length")?];
        self.0.read_exact(&mut body)?;
        ensure!(head[0] != b'E', "the server says {}", String::from_utf8_lossy(&body));
        Ok((head[0], body))
    }

    /// Messages up to the first of a kind, which is the last.
    fn receive_until(&mut self, kind: u8) -> Result<Vec<WireMessage>> {
        let mut messages = Vec::new();
        loop {
            messages.push(self.receive()?);
            if messages.last().is_some_and(|(own, _)| *own == kind) {
                return Ok(messages);
            }
        }
    }
}

/// A message as it was on the wire.
fn bytes_of((kind, body): &WireMessage) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    [&[*kind], length.to_be_bytes().as_slice(), body].concat()
}

/// A DataRow of text fields, as the protocol defines it.
fn data_row(fields: &[&str]) -> Vec<u8> {
    let mut body = u16::try_from(fields.len()).unwrap_or(u16::MAX).to_be_bytes().to_vec();
    for field in fields {
        body.extend_from_slice(&u32::try_from(field.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(field.as_bytes());
    }
    bytes_of(&(b'D', body))
}

#[test]
fn a_row_travels_from_a_commit_to_a_client() -> Result<()> {
    // The world outside: a shop with one item, captured, and its snapshot read.
    let kafka = Kafka::shared()?;
    let database = Postgres::shared()?.create_database()?;
    database.psql(
        "CREATE TABLE orders (id bigint PRIMARY KEY, item text NOT NULL, quantity int NOT NULL);
         CREATE TABLE stock (item text PRIMARY KEY, on_hand int NOT NULL); INSERT INTO stock VALUES ('anchor', 5);",
    )?;
    let prefix = "journey";
    kafka.create_topic("journey.public.orders", 1)?;
    let mut debezium = Debezium::postgres(kafka, &database, &DebeziumOptions::new(prefix, &["public.orders", "public.stock"]))?;
    debezium.wait_streaming()?;
    let stock_topic = debezium.topic("public.stock");
    kafka.read_topic(&stock_topic, DEADLINE, |records| !records.is_empty())?;

    // The source as its crate runs it, and the server, both before the row exists.
    let broker = BrokerConfig::new(kafka.bootstrap());
    let specification = sources::validate(&broker, &specification(prefix))?.spec;
    let key_state = Arc::new(MemoryKeyState::new());
    let (sender, receiver) = sources::channel(CHANNEL_BYTES_MAX, || ());
    let source = sources::start(specification.clone(), broker, None, Vec::new(), key_state.clone(), sender)?;
    let tidemark = Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    for sql in [
        &format!("CREATE CONNECTION kafka TO KAFKA (BROKER '{}')", kafka.bootstrap()),
        "CREATE SOURCE shop FROM KAFKA CONNECTION kafka (TOPIC PREFIX 'journey', TRANSACTION TOPIC 'journey.transaction') FORMAT JSON ENVELOPE DEBEZIUM
         FOR TABLES (public.orders AS orders (id bigint PRIMARY KEY, item text NOT NULL, quantity int NOT NULL),
                     public.stock AS stock (item text PRIMARY KEY, on_hand int NOT NULL))",
        "CREATE MATERIALIZED VIEW sold AS SELECT item, sum(quantity) AS sold FROM orders GROUP BY item",
    ] {
        simple(&mut client, sql).with_context(|| sql.to_owned())?;
    }
    let mut subscriber = Wire::connect(tidemark.pgwire())?;
    subscriber.query("SUBSCRIBE sold WITH (SNAPSHOT = false)")?;
    subscriber.receive_until(b'T')?;

    // One transaction over two tables.
    database.psql("BEGIN; INSERT INTO orders VALUES (1, 'anchor', 2); UPDATE stock SET on_hand = on_hand - 2 WHERE item = 'anchor'; COMMIT;")?;

    // 1. Broker.
    let orders = kafka.read_topic(&debezium.topic("public.orders"), DEADLINE, |records| !records.is_empty())?;
    let stock = kafka.read_topic(&stock_topic, DEADLINE, |records| records.len() >= 2)?;
    let boundaries = kafka.read_topic(&debezium.transaction_topic(), DEADLINE, |records| records.len() >= 2)?;
    let (order, update) = (&orders[0], &stock[1]);
    let told = |topic: &str, record: &ReceivedRecord| {
        format!("{topic}[{}]@{}: {} = {}", record.partition, record.offset, text(record.key.as_deref()), text(record.value.as_deref()))
    };
    show(
        1,
        "Broker: the messages of the transaction",
        &[
            told("journey.transaction", &boundaries[0]),
            told("journey.public.orders", order),
            told("journey.public.stock", update),
            told("journey.transaction", &boundaries[1]),
        ],
    );
    assert_eq!((order.partition, order.offset), (0, 0));
    assert_eq!(order.key_json()?, serde_json::json!({"id": 1}));
    let value = order.value_json()?;
    assert_eq!((&value["op"], &value["after"]), (&serde_json::json!("c"), &serde_json::json!({"id": 1, "item": "anchor", "quantity": 2})));
    let transaction = value["source"]["txId"].as_i64().context("a transaction number")?;

    // 2. Decode, and 3. gather: nothing is let go before the last event is there, although END is.
    let mut trace = Trace::new(&specification);
    let mut take = |topic: u32, record: &ReceivedRecord| {
        let headers = Headers(record.headers.clone());
        trace.message(Message {
            topic,
            partition: record.partition,
            offset: record.offset,
            timestamp_ms: record.timestamp_milliseconds,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &headers,
        })
    };
    let [begin, change, end, last] = [take(2, &boundaries[0])?, take(0, order)?, take(2, &boundaries[1])?, take(1, update)?];
    show(2, "Decode: what the messages say", &[begin.decoded.clone(), change.decoded.clone(), last.decoded.clone(), end.decoded.clone()]);
    for words in ["Upsert", "key: [Int8(1)]", r#"row: [Int8(1), Text("anchor"), Int4(2)]"#, "total_order: 1", &format!("Postgres({transaction})")] {
        ensure!(change.decoded.contains(words), "no {words} in {}", change.decoded);
    }
    ensure!(begin.decoded.contains("Begin") && end.decoded.contains("End"), "{begin:?} {end:?}");
    show(3, "Gather: both changes when the last of them arrives, in the order of the transaction", &last.released);
    for early in [&begin, &change, &end] {
        assert_eq!(early.released, Vec::<String>::new(), "half a transaction is let go by {}", early.decoded);
    }
    assert_eq!(last.released.len(), 2);
    ensure!(change.decoded.contains(&last.released[0]), "the order comes first: {:?}", last.released);
    ensure!(last.decoded.contains(&last.released[1]), "the stock comes second: {:?}", last.released);

    // 4. Apply: the source itself, whose key state knows the row that goes.
    let row = Row::pack([Datum::Int8(1), Datum::Text("anchor"), Datum::Int4(2)]);
    let [five, three] = [5, 3].map(|on_hand| Row::pack([Datum::Text("anchor"), Datum::Int4(on_hand)]));
    let snapshot = receive(&receiver, "the snapshot is applied", |batch| !batch.updates.is_empty())?;
    assert_eq!(snapshot.updates, [(STOCK, vec![(five.clone(), 1)])]);
    key_state.set(STOCK, Row::pack([Datum::Text("anchor")]), Some(five.clone()));
    key_state.settle(snapshot.sequence);
    let batch = receive(&receiver, "the transaction is applied", |batch| !batch.updates.is_empty())?;
    source.stop();
    let mut updates: BTreeMap<CollectionId, Vec<(Row, Diff)>> = batch.updates.iter().cloned().collect();
    updates.values_mut().for_each(|updates| updates.sort());
    let update_lines = |id: &CollectionId, updates: &[(Row, Diff)]| -> Vec<String> {
        updates.iter().map(|(row, diff)| format!("{id}: {diff:+} {row:?} = {}", hex(row.as_bytes()))).collect()
    };
    let mut lines: Vec<String> = updates.iter().flat_map(|(id, updates)| update_lines(id, updates)).collect();
    lines.push(format!("position: {}", String::from_utf8_lossy(&batch.position)));
    show(4, "Apply: updates, and the position that follows them", &lines);
    assert_eq!(updates[&ORDERS], [(row.clone(), 1)]);
    assert_eq!(updates[&STOCK], [(three.clone(), 1), (five.clone(), -1)]);

    // 5. Stamp and make durable.
    let directory = Directory::new("journey")?;
    let data = directory.join("data");
    let (began, committed) = (Timestamp(1_000), Timestamp(1_001));
    let frame_of = |timestamp, batch: &SourceBatch| Frame {
        timestamp,
        updates: batch.updates.clone(),
        positions: vec![(SOURCE, batch.position.clone())],
        dropped: Vec::new(),
    };
    let before = {
        let (mut log, _) = Log::open(Arc::new(FileDisk::open(&data)?), LogOptions::default())?;
        log.append(&frame_of(began, &snapshot))?;
        segment_bytes(&data)?.len()
    };
    let written = {
        let (mut log, _) = Log::open(Arc::new(FileDisk::open(&data)?), LogOptions::default())?;
        log.append(&frame_of(committed, &batch))?;
        // Read while the log is open: what is durable now is all there will be.
        segment_bytes(&data)?.get(before..).context("the frame is at the end")?.to_vec()
    };
    let rows_at = position_of(&written, row.as_bytes()).context("the row's bytes are in the frame")?;
    position_of(&written, &batch.position).context("the position is in the same frame")?;
    position_of(&written, &committed.0.to_le_bytes()).context("the timestamp is in the frame")?;
    show(
        5,
        &format!("Stamp and make durable: a frame of {} bytes, the row at byte {rows_at} of it", written.len()),
        &[format!("{} ...", hex(&written[..48])), format!("... {} ...", hex(&written[rows_at..rows_at + row.as_bytes().len()]))],
    );
    let (log, recovery) = Log::open(Arc::new(FileDisk::open(&data)?), LogOptions::default())?;
    assert_eq!((recovery.last, recovery.frames, &recovery.positions[&SOURCE]), (committed, 2, &batch.position));
    let mut replayed: BTreeMap<(CollectionId, Timestamp), Vec<(Row, Diff)>> = BTreeMap::new();
    log.replay(&mut |id, timestamp, rows| replayed.entry((id, timestamp)).or_default().extend(rows))?;
    replayed.values_mut().for_each(|rows| rows.sort());
    assert_eq!(replayed[&(STOCK, began)], [(five.clone(), 1)]);
    assert_eq!((&replayed[&(ORDERS, committed)], &replayed[&(STOCK, committed)]), (&updates[&ORDERS], &updates[&STOCK]));

    // 6. Push: into the dataflow, as one frame.
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let heard = events.clone();
    let on_event = Arc::new(move |event| {
        if let Ok(mut events) = heard.lock() {
            events.push(event);
        }
    });
    let mut dataflow = Stepper::new(dataflow::Config::default(), on_event);
    for relation in &specification.relations {
        dataflow.create_input(relation.id, InputDescription { types: relation.schema.types(), key: vec![0] }, began)?;
    }
    let plan = sold_per_item(specification.relations[0].schema.types())?;
    let view = ViewDescription { id: SOLD, plan: plan.clone(), context: plan::Context::default(), as_of: began, until: None, key: vec![0] };
    dataflow.create_view(view)?;
    let input_of = |timestamp: Timestamp, batch: &SourceBatch| dataflow::Frame {
        upper: timestamp.next(),
        batches: batch
            .updates
            .iter()
            .map(|(id, rows)| InputBatch { id: *id, rows: rows.iter().map(|(row, diff)| (row.clone(), timestamp, *diff)).collect(), errors: Vec::new() })
            .collect(),
    };
    dataflow.update(input_of(began, &snapshot))?;
    dataflow.settle();
    let earlier = dataflow.published();
    let pushed = input_of(committed, &batch);
    let pushed_lines = pushed.batches.iter().flat_map(|batch| batch.rows.iter().map(move |(row, time, diff)| format!("{}: {diff:+} {row:?} at {time}", batch.id)));
    show(6, &format!("Push: a frame up to {}", pushed.upper), &pushed_lines.collect::<Vec<_>>());
    dataflow.update(pushed)?;
    assert_eq!(dataflow.behind(), (1, 3), "one frame with three updates waits");
    assert_eq!(dataflow.published().get(SOLD).map(|sold| sold.upper()), Some(committed), "nothing is shown before it is maintained");

    // 7. Maintain.
    if let Ok(mut events) = events.lock() {
        events.clear();
    }
    dataflow.settle();
    let events = events.lock().map(|events| events.clone()).unwrap_or_default();
    show(7, "Maintain: the worker has stepped until nothing was left to do, and says", &[format!("{events:?}")]);
    ensure!(events.contains(&Event::Progress), "{events:?}");
    assert_eq!(dataflow.behind(), (0, 0));

    // 8. Publish.
    let published = dataflow.published();
    let sold = published.get(SOLD).context("the view is published")?;
    let metrics = sold.metrics();
    show(
        8,
        "Publish: a snapshot which every reader shares",
        &[format!("{SOLD}: readable from {} and before {}, {} batches, {} updates, {} bytes", sold.since(), sold.upper(), metrics.batches, metrics.updates, metrics.bytes)],
    );
    assert_eq!(sold.upper(), committed.next());
    ensure!(Arc::ptr_eq(&published, &dataflow.published()), "a second reader gets a copy");
    assert_eq!(published.readable(&[ORDERS, STOCK, SOLD]).map(|(_, upper)| upper), Some(committed.next()), "all of them are published together");

    // 9. Read: on the reader's thread, the same three ways.
    let total = Row::pack([Datum::Text("anchor"), Datum::Int8(2)]);
    let mut scanned = Vec::new();
    sold.scan(committed, &mut |row, diff| {
        scanned.push((Row::from_bytes(row), diff));
        true
    });
    let evaluated = plan::evaluate(&plan, &SnapshotInputs { published: &published, timestamp: committed }, &plan::Context::default())?;
    let mut point = Vec::new();
    sold.lookup(committed, &Row::pack([Datum::Text("anchor")]), &mut |row, diff| {
        point.push((Row::from_bytes(row), diff));
        true
    });
    show(9, "Read: the view's snapshot, a point of it, and the view's plan over its inputs' snapshots", &[format!("{scanned:?}"), format!("{point:?}"), format!("{evaluated:?}")]);
    assert_eq!([&scanned, &point, &evaluated], [&vec![(total, 1)]; 3]);
    // Who holds the moment before still reads it.
    let mut old = Vec::new();
    earlier.get(SOLD).context("the view was published")?.scan(began, &mut |row, diff| {
        old.push((Row::from_bytes(row), diff));
        true
    });
    assert_eq!(old, []);

    // 10. Speak: the server, which has followed the same topics.
    let delta = match subscriber.receive()? {
        message @ (b'D', _) => message,
        other => bail!("{other:?} where a row was expected"),
    };
    wait_until("the view shows the order", DEADLINE, || Ok((!simple(&mut client, "SELECT * FROM sold")?.is_empty()).then_some(())))?;
    let mut reader = Wire::connect(tidemark.pgwire())?;
    reader.query("SELECT item, sold FROM sold")?;
    let answer = reader.receive_until(b'Z')?;
    let lines: Vec<String> = answer.iter().map(|message| hex(&bytes_of(message))).collect();
    show(10, "Speak: SELECT item, sold FROM sold", &lines);
    println!("    SUBSCRIBE sold WITH (SNAPSHOT = false)");
    println!("    {}", hex(&bytes_of(&delta)));
    assert_eq!(answer.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), b"TDCZ");
    assert_eq!(bytes_of(&answer[1]), data_row(&["anchor", "2"]));
    assert_eq!(bytes_of(&answer[2]), b"C\0\0\0\x0dSELECT 1\0");
    assert_eq!(bytes_of(&answer[3]), b"Z\0\0\0\x05I");
    // The timestamp is the server's own: milliseconds since the epoch.
    let delta = bytes_of(&delta);
    let timestamp = delta.get(11..24).map(|digits| text(Some(digits))).context("a timestamp")?;
    ensure!(timestamp.parse::<u64>().is_ok(), "{timestamp} is no timestamp");
    assert_eq!(delta, data_row(&[&timestamp, "1", "anchor", "2"]));
    Ok(())
}

/// All that is in the log's segments, in order.
fn segment_bytes(data: &std::path::Path) -> Result<Vec<u8>> {
    let mut names: Vec<_> = fs::read_dir(data)?.collect::<Result<_, _>>()?;
    names.sort_by_key(|entry| entry.file_name());
    let segments = names.iter().filter(|entry| entry.file_name().to_string_lossy().starts_with("segment-"));
    let contents: Vec<Vec<u8>> = segments.map(|entry| fs::read(entry.path())).collect::<Result<_, _>>()?;
    Ok(contents.concat())
}

fn position_of(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
