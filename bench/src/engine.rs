//! The engine beside the same program written by hand: hydration, and changes of one, a hundred and ten thousand orders.

use crate::by_hand::{ByHand, Totals};
use crate::figures::{Durations, ratio};
use crate::shop::{Order, REGIONS, Shop};
use anyhow::{Context as _, Result, ensure};
use dataflow::{Config, Control, Engine, Frame, InputBatch, InputDescription, Stepper, ViewDescription};
use plan::{Aggregate, AggregateFunction, Context, Plan, Scalar, aggregate};
use repr::{CollectionId, ColumnType, Datum, Diff, Row, Timestamp, Type};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Times both sides are hydrated.
const ROUNDS: usize = 5;
/// Between looks at whether much work is done.
const LOAD_PAUSE: Duration = Duration::from_micros(200);
/// Changes in a batch, and how many batches.
const BATCHES: [(usize, usize); 3] = [(1, 2000), (100, 500), (10_000, 20)];

const ORDERS: CollectionId = CollectionId(CollectionId::FIRST_USER.0);
const CUSTOMERS: CollectionId = CollectionId(CollectionId::FIRST_USER.0 + 1);
const VIEW: CollectionId = CollectionId(CollectionId::FIRST_USER.0 + 2);

/// How the engine is made to work.
enum Drive {
    /// On a thread of its own, as the server runs it.
    Thread(Engine),
    /// On the thread that waits: the work alone, without the way between threads.
    Stepped(Stepper),
}

struct Ours {
    drive: Drive,
    upper: u64,
}

impl Ours {
    fn threaded() -> Ours {
        Ours { drive: Drive::Thread(Engine::start(Config::default(), Arc::new(|_| {}))), upper: 1 }
    }
    fn stepped() -> Ours {
        Ours { drive: Drive::Stepped(Stepper::new(Config::default(), Arc::new(|_| {}))), upper: 1 }
    }
    fn control(&self) -> &Control {
        match &self.drive {
            Drive::Thread(engine) => engine,
            Drive::Stepped(stepper) => stepper,
        }
    }
    /// Waits until all of `ids` show what was fed. Without a pause the figures are the engine's and not those of a wakeup; with one it has the machine.
    fn wait(&mut self, ids: &[CollectionId], pause: Duration) {
        let upper = Timestamp(self.upper);
        while self.control().published().readable(ids).is_none_or(|(_, reached)| reached < upper) {
            match &mut self.drive {
                Drive::Thread(_) if pause.is_zero() => std::hint::spin_loop(),
                Drive::Thread(_) => std::thread::sleep(pause),
                Drive::Stepped(stepper) => _ = stepper.step(),
            }
        }
    }
    fn load(&mut self, shop: Shop) -> Result<()> {
        let types = |columns: usize| vec![ColumnType::new(Type::Int8).not_null(); columns];
        self.control().create_input(ORDERS, InputDescription { types: types(3), key: vec![0] }, Timestamp(self.upper))?;
        self.control().create_input(CUSTOMERS, InputDescription { types: types(2), key: vec![0] }, Timestamp(self.upper))?;
        let at = Timestamp(self.upper);
        let pair = |customer: u64| Row::pack([Datum::Int8(customer as i64), Datum::Int8(Shop::region(customer) as i64)]);
        let customers = (0..shop.customers()).map(|customer| (pair(customer), at, 1)).collect();
        let orders = (0..shop.orders).map(|id| (order_row(shop.order(id, 0)), at, 1)).collect();
        self.feed(vec![batch(CUSTOMERS, customers), batch(ORDERS, orders)])?;
        self.wait(&[ORDERS, CUSTOMERS], LOAD_PAUSE);
        Ok(())
    }
    fn feed(&mut self, batches: Vec<InputBatch>) -> Result<()> {
        self.upper += 1;
        self.control().update(Frame { upper: Timestamp(self.upper), batches })?;
        Ok(())
    }
    fn create_view(&mut self) -> Result<()> {
        let as_of = Timestamp(self.upper - 1);
        self.control().create_view(ViewDescription { id: VIEW, plan: plan()?, context: Context::default(), as_of, until: None, key: vec![0] })?;
        self.wait(&[VIEW], LOAD_PAUSE);
        Ok(())
    }
    /// Rows are made before the clock starts: reading them is the sources' work.
    fn change(&mut self, changes: &[(Order, Order)]) -> Result<Duration> {
        let at = Timestamp(self.upper);
        let rows = changes.iter().flat_map(|(before, after)| [(order_row(*before), at, -1), (order_row(*after), at, 1)]).collect();
        let start = Instant::now();
        self.feed(vec![batch(ORDERS, rows)])?;
        self.wait(&[ORDERS, VIEW], Duration::ZERO);
        Ok(start.elapsed())
    }
    fn totals(&self) -> Result<Totals> {
        let published = self.control().published();
        let view = published.get(VIEW).context("the view is published")?;
        let mut totals = vec![(0, 0); REGIONS as usize];
        view.scan(Timestamp(self.upper - 1), &mut |row, _| {
            let mut numbers = repr::RowRef::new(row).iter().map(|datum| datum_text(datum).parse::<i64>().unwrap_or(i64::MIN));
            if let (Some(region), Some(count), Some(sum)) = (numbers.next(), numbers.next(), numbers.next())
                && let Some(total) = totals.get_mut(region as usize)
            {
                *total = (count, sum);
            }
            true
        });
        Ok(totals)
    }
}

fn datum_text(datum: Datum<'_>) -> String {
    match datum {
        Datum::Int8(value) => value.to_string(),
        Datum::Numeric(value) => value.to_string(),
        other => format!("{other:?}"),
    }
}

fn order_row((id, customer, amount): Order) -> Row {
    Row::pack([Datum::Int8(id as i64), Datum::Int8(customer as i64), Datum::Int8(amount)])
}

fn batch(id: CollectionId, rows: Vec<(Row, Timestamp, Diff)>) -> InputBatch {
    InputBatch { id, rows, errors: Vec::new() }
}

/// `SELECT region, count(*), sum(amount) FROM orders JOIN customers ON customer = customers.id GROUP BY region`.
fn plan() -> Result<Plan> {
    let types = |columns: usize| vec![ColumnType::new(Type::Int8).not_null(); columns];
    let aggregate = |name: &str, types: &[Type], arguments: Vec<Scalar>| -> Result<Aggregate> {
        let entry = aggregate::lookup(name).iter().find(|entry| entry.arguments == types).copied().context("an aggregate of this name")?;
        Ok(Aggregate {
            function: AggregateFunction(entry),
            arguments,
            distinct: false,
            filter: None,
            order: Vec::new(),
            column_type: ColumnType::new(if name == "count" { Type::Int8 } else { Type::Numeric }),
        })
    };
    let join = Plan::join(vec![Plan::get(ORDERS, types(3)), Plan::get(CUSTOMERS, types(2))], vec![vec![Scalar::Column(1), Scalar::Column(3)]]);
    Ok(join.project(vec![4, 2]).reduce(
        vec![Scalar::Column(0)],
        vec![aggregate("count", &[], Vec::new())?, aggregate("sum", &[Type::Int8], vec![Scalar::Column(1)])?],
    ))
}

pub fn hydrate(orders: u64) -> Result<()> {
    let shop = Shop { orders };
    let (mut ours_taken, mut by_hand_taken) = (Durations::default(), Durations::default());
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let mut by_hand = ByHand::new();
        by_hand.load(shop);
        by_hand_taken.push(start.elapsed());

        let mut ours = Ours::threaded();
        ours.load(shop)?;
        let start = Instant::now();
        ours.create_view()?;
        ours_taken.push(start.elapsed());
        ensure!(ours.totals()? == by_hand.totals(), "the engine and the program written by hand do not agree");
    }
    let rate = |durations: &mut Durations| orders as f64 / durations.median().as_secs_f64() / 1e6;
    println!("hydrate, {orders} orders, median of {ROUNDS}: by hand {:.2} M rows/s, tidemark {:.2} M rows/s", rate(&mut by_hand_taken), rate(&mut ours_taken));
    println!("hydrate ratio (wanted: at least 0.5): {:.2}", ratio(by_hand_taken.median(), ours_taken.median()));
    Ok(())
}

pub fn update(orders: u64) -> Result<()> {
    let shop = Shop { orders };
    let mut by_hand = ByHand::new();
    by_hand.load(shop);
    let mut sides = [("stepped", Ours::stepped()), ("threaded", Ours::threaded())];
    for (_, ours) in &mut sides {
        ours.load(shop)?;
        ours.create_view()?;
    }
    let mut number = 0;
    for (size, batches) in BATCHES {
        let mut by_hand_taken = Durations::default();
        let mut taken = [Durations::default(), Durations::default()];
        for _ in 0..batches {
            let changes: Vec<(Order, Order)> = (number..number + size as u64).map(|number| shop.change(number)).collect();
            number += size as u64;
            let start = Instant::now();
            by_hand.change(&changes);
            by_hand_taken.push(start.elapsed());
            for ((_, ours), taken) in sides.iter_mut().zip(&mut taken) {
                taken.push(ours.change(&changes)?);
            }
        }
        let updates = (2 * size * batches) as f64 / 1e6;
        let rate = |durations: &Durations| updates / durations.total().as_secs_f64();
        println!("update of {size}: by hand {}, {:.2} M updates/s", by_hand_taken.summary(), rate(&by_hand_taken));
        for ((name, _), taken) in sides.iter().zip(&mut taken) {
            println!(
                "update of {size}: {name} {}, {:.2} M updates/s, {:.1} times as long",
                taken.summary(),
                rate(taken),
                ratio(taken.total(), by_hand_taken.total())
            );
        }
    }
    for (name, ours) in &sides {
        ensure!(ours.totals()? == by_hand.totals(), "the engine ({name}) and the program written by hand do not agree");
    }
    Ok(())
}
