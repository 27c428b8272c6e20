//! The bank: whatever is read while transfers stream in is some moment of the bank, never half a transfer and never money from nowhere.
//!
//! Transfers between ten accounts arrive on a real Kafka as Debezium changes of two tables. While they do, eight readers and a subscription to each view
//! compare what they see with every state the bank ever had:
//! - `total` is 0 at every closed timestamp, and in every read;
//! - each read, and all reads of one transaction together, are *one* prefix of the order in which the bank committed;
//! - prefixes never go back, within a session or from one session to another;
//! - at each timestamp all subscriptions show the same prefix, and no row of the legs' outer join ever lacks a side;
//! - when the transfers end, every view is exactly what the bank has.
//!
//! `BANK_SECONDS` (each number of partitions), `BANK_TRANSFERS_PER_SECOND`, `BANK_READS_PER_SECOND` (all readers together) and `BANK_SEED` change a run.

use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader};
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use postgres::{Client, NoTls};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tests::bank::{ACCOUNTS, History, Look, Upstream};
use tests::sql::TextRow;
use tests::{Kafka, Tidemark, TidemarkOptions, simple, wait_until};

/// Long enough in CI to see thousands of moments.
const SECONDS_DEFAULT: u64 = 15;
const TRANSFERS_PER_SECOND_DEFAULT: u64 = 5_000;
const READS_PER_SECOND_DEFAULT: u64 = 400;
const READERS: u64 = 8;
/// Transactions that are sent and not seen: with more of them the bank waits, so that the rate is the one the machine sustains.
const UNSEEN_MAX: usize = 5_000;
/// From the last transfer until everything shows it.
const END_DEADLINE: Duration = Duration::from_secs(60);
/// The bank waits this long before it looks again whether it may go on.
const BREATH: Duration = Duration::from_millis(1);

/// Below these a run has shown nothing. Per second of the run.
const TRANSACTIONS_PER_SECOND_MIN: u64 = 200;
const READS_PER_SECOND_MIN: u64 = 40;
const CLOSED_TIMESTAMPS_PER_SECOND_MIN: u64 = 30;

const VIEWS: [(&str, &str); 6] = [
    (
        "accepted_transactions",
        "SELECT o.id, o.account AS from_account, i.account AS to_account, o.amount FROM outgoing o JOIN incoming i ON i.id = o.id",
    ),
    ("credits", "SELECT account, sum(amount)::bigint AS credits FROM incoming GROUP BY account"),
    ("debits", "SELECT account, sum(amount)::bigint AS debits FROM outgoing GROUP BY account"),
    (
        "balance",
        "SELECT coalesce(c.account, d.account) AS account, coalesce(c.credits, 0) - coalesce(d.debits, 0) AS balance
         FROM credits c FULL JOIN debits d ON d.account = c.account",
    ),
    ("total", "SELECT coalesce(sum(balance), 0)::bigint AS total FROM balance"),
    (
        "legs",
        "SELECT o.id AS out_id, i.id AS in_id, o.amount AS out_amount, i.amount AS in_amount FROM outgoing o FULL JOIN incoming i ON i.id = o.id",
    ),
];

/// A number from the environment.
fn setting(name: &str, default: u64) -> Result<u64> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name} is not a number: {text}")),
        Err(_) => Ok(default),
    }
}

/// What all threads of a run share.
#[derive(Default)]
struct Run {
    history: History,
    /// The newest prefix anyone has seen: what is read from now on must not be older.
    seen: AtomicUsize,
    newest_id: AtomicI64,
    /// No more transfers.
    is_closed: AtomicBool,
    /// The bank is closed and all has been seen: readers end.
    is_over: AtomicBool,
    has_failed: AtomicBool,
}

impl Run {
    /// The prefix of a look, which must not be before `floor`.
    fn prefix(&self, look: Look, floor: usize) -> Result<usize> {
        if let Some(prefix) = self.history.find(look, floor) {
            return Ok(prefix);
        }
        ensure!(!self.history.was_ever(look), "time went back: this is from before transaction {floor}, which was seen: {look:?}");
        bail!("there was no such moment: {look:?}")
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst) && !self.has_failed.load(Ordering::SeqCst)
    }

    /// Runs a thread's work; its failure ends the others.
    fn work<T>(&self, what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let result = work().with_context(|| what.to_owned());
        if let Err(error) = &result {
            // At once: what else fails after it is most likely a consequence.
            if !self.has_failed.swap(true, Ordering::SeqCst) {
                println!("bank: failed first: {error:#}");
            }
        }
        result
    }
}

fn number<T: FromStr>(field: Option<&str>) -> Result<T> {
    let text = field.context("NULL where a number should be")?;
    text.parse().map_err(|_| anyhow!("{text} is not a number"))
}

/// Account and amount; an account without a row has 0.
fn per_account(rows: &[TextRow]) -> Result<[i64; ACCOUNTS]> {
    let mut all = [0; ACCOUNTS];
    for row in rows {
        let account: usize = number(row[0].as_deref())?;
        *all.get_mut(account).with_context(|| format!("there is no account {account}"))? = number(row[1].as_deref())?;
    }
    Ok(all)
}

fn transfers(row: &TextRow, count: usize, amount: usize) -> Result<Look> {
    Ok(Look::Transfers(number(row[count].as_deref())?, number(row[amount].as_deref())?))
}

/// One reader: kinds of reads in turn, each checked against the history.
struct Reader<'a> {
    run: &'a Run,
    client: Client,
    random: ChaCha8Rng,
    /// The newest prefix of this session.
    own: usize,
}

/// How many reads there were, and how many of them saw something new.
#[derive(Clone, Copy, Debug, Default)]
struct ReadCounters {
    reads: u64,
    moved: u64,
}

impl Reader<'_> {
    fn read_on(&mut self, first: u64, per_second: u64) -> Result<ReadCounters> {
        let mut counters = ReadCounters::default();
        let pause = Duration::from_secs(1) / u32::try_from(per_second.max(1))?;
        let mut next = Instant::now();
        while self.run.goes_on() {
            let before = self.own;
            self.read(first + counters.reads)?;
            counters.reads += 1;
            counters.moved += u64::from(self.own > before);
            next = (next + pause).max(Instant::now() - pause);
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(counters)
    }

    fn read(&mut self, kind: u64) -> Result<()> {
        // Loaded before the read begins: what anyone has seen by now, this read must see.
        let floor = self.run.seen.load(Ordering::SeqCst);
        let looks = match kind % 16 {
            // Whole relations, which are large: not as often as the others.
            0 => self.legs()?,
            1 => self.relations()?,
            2 | 6 | 10 => self.three_views()?,
            3 | 7 | 11 => self.one_statement()?,
            4 | 8 | 12 => self.one_transfer()?,
            5 | 9 => self.total()?,
            _ => vec![Look::Balances(per_account(&simple(&mut self.client, "SELECT account, balance FROM balance")?)?)],
        };
        let mut prefix = None;
        for look in looks {
            let found = match prefix {
                None => self.run.prefix(look, floor)?,
                Some(prefix) => {
                    let found = self.run.prefix(look, floor)?;
                    ensure!(found == prefix, "one transaction read prefix {prefix} and then {found}, by {look:?}");
                    found
                }
            };
            prefix = Some(found);
        }
        if let Some(prefix) = prefix {
            self.own = prefix;
            self.run.seen.fetch_max(prefix, Ordering::SeqCst);
        }
        Ok(())
    }

    fn total(&mut self) -> Result<Vec<Look>> {
        let rows = simple(&mut self.client, "SELECT total FROM total")?;
        ensure!(rows == [[Some("0".to_owned())]], "the total is {rows:?}");
        Ok(Vec::new())
    }

    fn legs(&mut self) -> Result<Vec<Look>> {
        let rows = simple(
            &mut self.client,
            "SELECT count(*), coalesce(sum(out_amount), 0), coalesce(sum(in_amount), 0), \
             count(*) FILTER (WHERE out_id IS NULL OR in_id IS NULL OR out_amount <> in_amount) FROM legs",
        )?;
        let [row] = rows.as_slice() else { bail!("not one row: {rows:?}") };
        ensure!(number::<i64>(row[3].as_deref())? == 0, "half transfers: {row:?}");
        Ok(vec![transfers(row, 0, 1)?, transfers(row, 0, 2)?])
    }

    /// Both tables and a view of both, one statement after the other in a transaction.
    fn relations(&mut self) -> Result<Vec<Look>> {
        let rows = simple(
            &mut self.client,
            "BEGIN; SELECT count(*), coalesce(sum(amount), 0) FROM outgoing; SELECT count(*), coalesce(sum(amount), 0) FROM accepted_transactions; \
             SELECT count(*), coalesce(sum(amount), 0) FROM incoming; COMMIT",
        )?;
        ensure!(rows.len() == 3, "{rows:?}");
        rows.iter().map(|row| transfers(row, 0, 1)).collect()
    }

    /// Three views in a transaction, with a round trip between them.
    fn three_views(&mut self) -> Result<Vec<Look>> {
        let mut transaction = self.client.transaction()?;
        let mut read = |sql: &str| -> Result<[i64; ACCOUNTS]> {
            let mut all = [0; ACCOUNTS];
            for row in transaction.query(sql, &[])? {
                let account = usize::try_from(row.try_get::<_, i32>(0)?)?;
                *all.get_mut(account).context("no such account")? = row.try_get(1)?;
            }
            Ok(all)
        };
        let looks = vec![
            Look::Credits(read("SELECT account, credits FROM credits")?),
            Look::Balances(read("SELECT account, balance FROM balance")?),
            Look::Debits(read("SELECT account, debits FROM debits")?),
        ];
        transaction.commit()?;
        Ok(looks)
    }

    /// Views and their definitions, in one statement.
    fn one_statement(&mut self) -> Result<Vec<Look>> {
        let rows = simple(
            &mut self.client,
            "SELECT a.account, coalesce(c.credits, 0), coalesce(d.debits, 0), coalesce(b.balance, 0), (SELECT total FROM total), (SELECT sum(balance) FROM balance)
             FROM generate_series(0, 9) AS a(account) LEFT JOIN credits c ON c.account = a.account LEFT JOIN debits d ON d.account = a.account
             LEFT JOIN balance b ON b.account = a.account ORDER BY 1",
        )?;
        ensure!(rows.len() == ACCOUNTS, "{rows:?}");
        let (mut credits, mut debits, mut balances) = ([0; ACCOUNTS], [0; ACCOUNTS], [0; ACCOUNTS]);
        for (account, row) in rows.iter().enumerate() {
            credits[account] = number(row[1].as_deref())?;
            debits[account] = number(row[2].as_deref())?;
            balances[account] = number(row[3].as_deref())?;
            for sum in [&row[4], &row[5]] {
                ensure!(sum.as_deref().unwrap_or("0") == "0", "money from nowhere: {rows:?}");
            }
        }
        Ok(vec![Look::Credits(credits), Look::Debits(debits), Look::Balances(balances)])
    }

    /// One transfer as both tables and two views have it: the same, or not there at all.
    fn one_transfer(&mut self) -> Result<Vec<Look>> {
        let newest = self.run.newest_id.load(Ordering::SeqCst).max(1);
        // The newest are those which may be on their way.
        let id = newest - self.random.random_range(0..newest.min(2_000));
        let rows = simple(
            &mut self.client,
            &format!(
                "BEGIN; SELECT amount FROM outgoing WHERE id = {id}; SELECT amount FROM incoming WHERE id = {id}; \
                 SELECT out_amount FROM legs WHERE in_id = {id}; SELECT amount FROM accepted_transactions WHERE id = {id}; COMMIT"
            ),
        )?;
        let is_whole = rows.is_empty() || (rows.len() == 4 && rows.iter().all(|row| row == &rows[0] && row[0].is_some()));
        ensure!(is_whole, "transfer {id} is torn: {rows:?}");
        Ok(Vec::new())
    }
}

/// What a subscription has seen.
#[derive(Debug, Default)]
struct Seen {
    /// Each timestamp at which something changed, and the prefix it led to.
    prefixes: Vec<(u64, usize)>,
    closed_timestamps: u64,
    rows: u64,
    /// From sent to shown, of each transaction.
    ages: Vec<Duration>,
}

/// A subscription to one view, accumulated.
struct Subscriber<'a> {
    run: &'a Run,
    view: &'static str,
    contents: HashMap<String, i64>,
    /// Rows of `contents` with a negative count: within a timestamp there may be some.
    negative: usize,
    /// What `contents` adds up to, kept as rows come and go.
    per_account: [i64; ACCOUNTS],
    transfers: (i64, i64),
    prefix: usize,
    seen: Seen,
}

impl Subscriber<'_> {
    /// Follows the view until it has shown the last transaction.
    fn follow(self, mut client: Client) -> Result<Seen> {
        let cancel = client.cancel_token();
        let seen = self.follow_on(&mut client);
        // A client waits for the end of its statement before it closes, and a subscription has none.
        cancel.cancel_query(NoTls)?;
        seen
    }

    fn follow_on(mut self, client: &mut Client) -> Result<Seen> {
        let reader = client.copy_out(&format!("COPY (SUBSCRIBE {} WITH (PROGRESS)) TO STDOUT", self.view))?;
        let mut reader = BufReader::new(reader);
        let mut line = String::new();
        // A timestamp which is not closed yet, and whether there was anything at it.
        let (mut open, mut progressed): (Option<u64>, u64) = (None, 0);
        while !self.run.has_failed.load(Ordering::SeqCst) {
            line.clear();
            ensure!(reader.read_line(&mut line)? > 0, "the subscription ended");
            let fields: Vec<&str> = line.trim_end_matches('\n').split('\t').collect();
            let [timestamp, is_progress, diff, row @ ..] = fields.as_slice() else { bail!("not a row of a subscription: {line}") };
            let timestamp: u64 = number(Some(*timestamp))?;
            ensure!(timestamp >= progressed, "timestamp {timestamp} came after progress to {progressed}");
            if *is_progress == "t" {
                if let Some(closed) = open.take_if(|open| *open < timestamp) {
                    self.close(closed)?;
                }
                progressed = timestamp;
                self.seen.closed_timestamps += 1;
                // The first is the moment at which the contents that follow begin.
                if self.seen.closed_timestamps > 1 {
                    self.check_total()?;
                }
                if self.is_complete() {
                    return Ok(self.seen);
                }
                continue;
            }
            if let Some(closed) = open.filter(|open| *open < timestamp) {
                self.close(closed)?;
            }
            open = Some(timestamp);
            self.seen.rows += 1;
            self.change(row, number(Some(*diff))?)?;
        }
        bail!("ended, as something else failed")
    }

    fn change(&mut self, row: &[&str], diff: i64) -> Result<()> {
        let field = |position: usize| row.get(position).copied().filter(|field| *field != "\\N");
        match self.view {
            "credits" | "debits" | "balance" => {
                let account: usize = number(field(0))?;
                *self.per_account.get_mut(account).context("no such account")? += diff * number::<i64>(field(1))?;
            }
            "accepted_transactions" => {
                self.transfers.0 += diff;
                self.transfers.1 += diff * number::<i64>(field(3))?;
            }
            "legs" => {
                let sides = [0, 1, 2, 3].map(field);
                let is_whole = sides[0].is_some() && sides[0] == sides[1] && sides[2].is_some() && sides[2] == sides[3];
                ensure!(is_whole, "half a transfer: {row:?}");
                self.transfers.0 += diff;
                self.transfers.1 += diff * number::<i64>(field(2))?;
            }
            _ => {}
        }
        let key = row.join("\t");
        let count = self.contents.entry(key.clone()).or_default();
        let was_negative = *count < 0;
        *count += diff;
        match (was_negative, *count < 0) {
            (false, true) => self.negative += 1,
            (true, false) => self.negative -= 1,
            _ => {}
        }
        if *count == 0 {
            self.contents.remove(&key);
        }
        Ok(())
    }

    /// All changes of a timestamp are in: the view must be a moment of the bank.
    fn close(&mut self, timestamp: u64) -> Result<()> {
        ensure!(self.negative == 0, "{} rows are there less than not at all, at {timestamp}", self.negative);
        let look = match self.view {
            "credits" => Look::Credits(self.per_account),
            "debits" => Look::Debits(self.per_account),
            "balance" => Look::Balances(self.per_account),
            "total" => return self.check_total(),
            _ => Look::Transfers(self.transfers.0, self.transfers.1),
        };
        let prefix = self.run.prefix(look, self.prefix).with_context(|| format!("at {timestamp}"))?;
        self.seen.ages.extend(self.run.history.ages(self.prefix, prefix));
        self.seen.prefixes.push((timestamp, prefix));
        self.prefix = prefix;
        self.run.seen.fetch_max(prefix, Ordering::SeqCst);
        Ok(())
    }

    fn check_total(&self) -> Result<()> {
        if self.view == "total" {
            ensure!(self.contents == HashMap::from([("0".to_owned(), 1)]), "the total is {:?}", self.contents);
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        match self.view {
            "total" => self.run.is_over.load(Ordering::SeqCst),
            _ => self.run.is_over.load(Ordering::SeqCst) && self.prefix == self.run.history.last().0,
        }
    }
}

/// Commits transactions at a rate, or at the rate at which they come out again.
fn trade(run: &Run, upstream: &mut Upstream, per_second: u64, duration: Duration) -> Result<Duration> {
    let begin = Instant::now();
    let mut committed = 0;
    while begin.elapsed() < duration && !run.is_closed.load(Ordering::SeqCst) && !run.has_failed.load(Ordering::SeqCst) {
        let due = begin.elapsed().as_micros() as u64 * per_second / 1_000_000;
        let seen = run.seen.load(Ordering::SeqCst);
        if committed >= due || run.history.last().0 > seen + UNSEEN_MAX {
            thread::sleep(BREATH);
            continue;
        }
        upstream.commit(|state| {
            run.history.commit(state);
        })?;
        run.newest_id.store(upstream.newest_id(), Ordering::SeqCst);
        committed += 1;
    }
    upstream.flush()?;
    // All must come out. The readers go on meanwhile.
    await_all_seen(run)?;
    Ok(begin.elapsed())
}

fn await_all_seen(run: &Run) -> Result<()> {
    let last = run.history.last().0;
    let end = Instant::now() + END_DEADLINE;
    while run.seen.load(Ordering::SeqCst) < last && !run.has_failed.load(Ordering::SeqCst) {
        ensure!(Instant::now() < end, "of {last} transactions {} were seen after {END_DEADLINE:?}", run.seen.load(Ordering::SeqCst));
        thread::sleep(BREATH);
    }
    Ok(())
}

/// The connection, the source and the views.
fn define(client: &mut Client, kafka: &Kafka, source: &str) -> Result<()> {
    simple(client, &format!("CREATE CONNECTION bank_kafka TO KAFKA (BROKER '{}')", kafka.bootstrap()))?;
    simple(client, source)?;
    for (name, query) in VIEWS {
        simple(client, &format!("CREATE MATERIALIZED VIEW {name} AS {query}"))?;
    }
    Ok(())
}

/// Everything is what the bank has, to the last unit.
fn compare_in_the_end(run: &Run, client: &mut Client) -> Result<()> {
    let (_, state) = run.history.last();
    let rows = simple(client, "SELECT account, balance FROM balance")?;
    ensure!(per_account(&rows)? == state.balances(), "the balances are {rows:?} and should be {:?}", state.balances());
    for relation in ["outgoing", "incoming", "accepted_transactions"] {
        let rows = simple(client, &format!("SELECT count(*), coalesce(sum(amount), 0) FROM {relation}"))?;
        ensure!(transfers(&rows[0], 0, 1)? == Look::Transfers(state.transfers, state.amount()), "{relation} has {rows:?} and should have {state:?}");
    }
    Ok(())
}

/// A thread that panicked is one that failed.
fn joined<T>(handle: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    handle.join().map_err(|_| anyhow!("a thread panicked"))?
}

fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

/// Whether the source is told of the upstream's transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transactions {
    Whole,
    Ignored,
}

fn bank(partitions: usize, workers: usize, transactions: Transactions) -> Result<()> {
    let seconds = setting("BANK_SECONDS", SECONDS_DEFAULT)?;
    let transfers_per_second = setting("BANK_TRANSFERS_PER_SECOND", TRANSFERS_PER_SECOND_DEFAULT)?;
    let reads_per_second = setting("BANK_READS_PER_SECOND", READS_PER_SECOND_DEFAULT)?;
    let seed = setting("BANK_SEED", rand::rng().random_range(0..1_000_000))?;
    println!("bank: {partitions} partitions, {workers} workers, {seconds} s, BANK_SEED={seed}");

    let kafka = Kafka::shared()?;
    let prefix = match transactions {
        Transactions::Whole => format!("bank{partitions}"),
        Transactions::Ignored => "torn".to_owned(),
    };
    let mut upstream = Upstream::new(kafka, &prefix, partitions, seed)?;
    let flags = vec!["--workers".to_owned(), workers.to_string()];
    let tidemark = Tidemark::start(TidemarkOptions { flags, ..TidemarkOptions::default() })?;
    let mut client = tidemark.connect()?;
    let source = match transactions {
        Transactions::Whole => upstream.create_source("bank_kafka"),
        Transactions::Ignored => upstream.create_source("bank_kafka").replace(&format!(", TRANSACTION TOPIC '{prefix}.transaction'"), ""),
    };
    define(&mut client, kafka, &source)?;
    let run = &Run::default();
    let (tidemark, upstream) = (&tidemark, &mut upstream);
    let results = thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS)
            .map(|position| {
                let read = move || {
                    let client = tidemark.connect()?;
                    let random = ChaCha8Rng::seed_from_u64(seed + position + 1);
                    Reader { run, client, random, own: 0 }.read_on(position * 2, reads_per_second / READERS)
                };
                scope.spawn(move || run.work(&format!("reader {position}"), read))
            })
            .collect();
        let subscribers: Vec<_> = VIEWS
            .iter()
            .map(|(view, _)| {
                let follow = move || {
                    let subscriber = Subscriber {
                        run,
                        view,
                        contents: HashMap::new(),
                        negative: 0,
                        per_account: [0; ACCOUNTS],
                        transfers: (0, 0),
                        prefix: 0,
                        seen: Seen::default(),
                    };
                    subscriber.follow(tidemark.connect()?)
                };
                scope.spawn(move || run.work(&format!("the subscription to {view}"), follow))
            })
            .collect();
        let traded = run.work("the bank", || trade(run, upstream, transfers_per_second, Duration::from_secs(seconds)));
        run.is_over.store(true, Ordering::SeqCst);
        (
            traded,
            readers.into_iter().map(joined).collect::<Vec<_>>(),
            subscribers.into_iter().map(joined).collect::<Vec<_>>(),
        )
    });
    let (traded, readers, subscribers) = results;
    // All failures: the first in time is not the first in this order.
    let failures: Vec<String> = (traded.as_ref().err().into_iter())
        .chain(readers.iter().filter_map(|reader| reader.as_ref().err()))
        .chain(subscribers.iter().filter_map(|subscriber| subscriber.as_ref().err()))
        .map(|error| format!("{error:#}"))
        .collect();
    ensure!(failures.is_empty(), "{}\n{}", failures.join("\n"), tidemark.component().describe_log());
    let took = traded?;
    let readers: Vec<ReadCounters> = readers.into_iter().collect::<Result<_>>()?;
    let subscribers: Vec<Seen> = subscribers.into_iter().collect::<Result<_>>()?;

    // At each timestamp all subscriptions show the same.
    let by_view = || VIEWS.iter().map(|(view, _)| *view).zip(&subscribers).filter(|(view, _)| *view != "total");
    let from = by_view().filter_map(|(_, seen)| seen.prefixes.first()).map(|(timestamp, _)| *timestamp).max().context("nothing was seen")?;
    let common = |seen: &Seen| seen.prefixes.iter().copied().filter(|(timestamp, _)| *timestamp > from).collect::<Vec<_>>();
    let mut views = by_view();
    let (first_view, first) = views.next().map(|(view, seen)| (view, common(seen))).context("there are views")?;
    for (view, seen) in views {
        let other = common(seen);
        let differs = first.iter().zip(&other).find(|(own, other)| own != other);
        ensure!(differs.is_none() && first.len() == other.len(), "{first_view} and {view} differ at one timestamp: {differs:?} ({} and {} changes)", first.len(), other.len());
    }

    compare_in_the_end(run, &mut client)?;
    let last = run.history.last().0;
    let counters = upstream.counters();
    let reads: u64 = readers.iter().map(|reader| reader.reads).sum();
    let moved: u64 = readers.iter().map(|reader| reader.moved).sum();
    let closed: u64 = subscribers.iter().map(|seen| seen.closed_timestamps).sum();
    let changed: usize = subscribers.iter().map(|seen| seen.prefixes.len()).sum();
    let rows: u64 = subscribers.iter().map(|seen| seen.rows).sum();
    let mut ages: Vec<Duration> = by_view().filter(|(view, _)| *view == "balance").flat_map(|(_, seen)| seen.ages.iter().copied()).collect();
    ages.sort_unstable();
    println!("bank: {last} transactions in {took:.1?} ({:.0}/s) of {} messages: {counters:?}", last as f64 / took.as_secs_f64(), counters.messages);
    println!("bank: {reads} reads ({moved} saw something new), {closed} closed timestamps ({changed} with changes), {rows} rows subscribed; 0 violations");
    println!(
        "bank: sent to subscribed: p50 {:.1?}, p90 {:.1?}, p99 {:.1?}, max {:.1?}",
        percentile(&ages, 50),
        percentile(&ages, 90),
        percentile(&ages, 99),
        percentile(&ages, 100)
    );
    for (what, had, per_second) in [
        ("transactions", counters.transactions(), TRANSACTIONS_PER_SECOND_MIN),
        ("reads", reads, READS_PER_SECOND_MIN),
        ("closed timestamps", closed, CLOSED_TIMESTAMPS_PER_SECOND_MIN),
        ("repetitions by the connector", counters.repeated_transactions + counters.torn_transactions, 1),
        ("reads that saw something new", moved, READS_PER_SECOND_MIN / 4),
        ("timestamps with changes", changed as u64, CLOSED_TIMESTAMPS_PER_SECOND_MIN / 2),
    ] {
        ensure!(had >= per_second * seconds, "{had} {what} are too few to show anything");
    }
    Ok(())
}

#[test]
fn every_read_is_one_moment_of_the_bank() -> Result<()> {
    bank(1, 1, Transactions::Whole)
}

#[test]
fn every_read_is_one_moment_of_the_bank_on_eight_partitions_and_three_workers() -> Result<()> {
    bank(8, 3, Transactions::Whole)
}

/// Transactions that wait in the topics when the source is created.
const BACKLOG_DEFAULT: u64 = 50_000;
/// Below this, catching up is not worth the name.
const BACKLOG_PER_SECOND_MIN: f64 = 2_000.0;

/// All of a backlog comes in by moments of the bank too, and quickly. `BANK_BACKLOG` makes it longer.
#[test]
fn a_backlog_is_caught_up_moment_by_moment() -> Result<()> {
    let backlog = setting("BANK_BACKLOG", BACKLOG_DEFAULT)?;
    let seed = setting("BANK_SEED", rand::rng().random_range(0..1_000_000))?;
    println!("bank: a backlog of {backlog} transactions, BANK_SEED={seed}");
    let kafka = Kafka::shared()?;
    let mut upstream = Upstream::new(kafka, "backlog", 4, seed)?;
    let run = &Run::default();
    for _ in 0..backlog {
        upstream.commit(|state| {
            run.history.commit(state);
        })?;
    }
    upstream.flush()?;
    run.newest_id.store(upstream.newest_id(), Ordering::SeqCst);
    let tidemark = &Tidemark::start(TidemarkOptions::default())?;
    let mut client = tidemark.connect()?;
    let begin = Instant::now();
    define(&mut client, kafka, &upstream.create_source("bank_kafka"))?;
    let (reads, took) = thread::scope(|scope| -> Result<_> {
        let reader = scope.spawn(move || {
            run.work("the reader", || {
                let mut reader = Reader { run, client: tidemark.connect()?, random: ChaCha8Rng::seed_from_u64(seed), own: 0 };
                reader.read_on(2, READS_PER_SECOND_DEFAULT / READERS)
            })
        });
        let caught_up = run.work("catching up", || await_all_seen(run));
        let took = begin.elapsed();
        run.is_over.store(true, Ordering::SeqCst);
        let reads = joined(reader)?;
        caught_up.map(|()| (reads, took))
    })
    .with_context(|| tidemark.component().describe_log())?;
    let per_second = backlog as f64 / took.as_secs_f64();
    println!("bank: caught up in {took:.1?}: {per_second:.0} transactions/s of {} messages; {reads:?}", upstream.counters().messages);
    ensure!(reads.moved >= 2, "nobody saw it come: {reads:?}");
    ensure!(per_second >= BACKLOG_PER_SECOND_MIN, "{per_second:.0} transactions/s are too few");
    compare_in_the_end(run, &mut client)
}

/// Each of them costs two or three seconds.
const KILLS_DEFAULT: u64 = 5;
const KILLS_TRANSFERS_PER_SECOND: u64 = 2_000;
const KILLS_READERS: u64 = 3;
/// The server is killed so many milliseconds after it was seen to go on, at random.
const KILL_AFTER_MILLISECONDS: std::ops::Range<u64> = 0..1_000;
/// The broker dies together with every third server.
const KILLS_PER_BROKER_KILL: u64 = 3;

/// `kill -9` of the server in the middle of it all, and now and then of the broker too: nothing is lost, nothing is doubled, and what anyone saw before is never unseen.
/// `BANK_KILLS` makes it longer.
#[test]
fn nothing_is_lost_doubled_or_unseen_over_kills() -> Result<()> {
    let kills = setting("BANK_KILLS", KILLS_DEFAULT)?;
    let seed = setting("BANK_SEED", rand::rng().random_range(0..1_000_000))?;
    println!("bank: {kills} kills, BANK_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut kafka = Kafka::start()?;
    let mut upstream = Upstream::new(&kafka, "kills", 3, seed)?;
    let mut tidemark = Tidemark::start(TidemarkOptions::default())?;
    define(&mut tidemark.connect()?, &kafka, &upstream.create_source("bank_kafka"))?;
    let run = &Run::default();
    let mut reads = ReadCounters::default();
    // Kills which found something that was committed and not seen yet.
    let mut in_mid_load = 0;
    thread::scope(|scope| -> Result<()> {
        let upstream = &mut upstream;
        let trader = scope.spawn(move || {
            let traded = run.work("the bank", || trade(run, upstream, KILLS_TRANSFERS_PER_SECOND, Duration::MAX));
            run.is_over.store(true, Ordering::SeqCst);
            traded
        });
        let mut lives = || -> Result<()> {
            for life in 0..=kills {
                let is_last = life == kills;
                let seed = random.random();
                let after = Duration::from_millis(random.random_range(KILL_AFTER_MILLISECONDS));
                let counters = one_life(run, &mut tidemark, is_last, after, seed)?;
                reads.reads += counters.reads;
                reads.moved += counters.moved;
                if is_last {
                    return Ok(());
                }
                in_mid_load += u64::from(run.history.last().0 > run.seen.load(Ordering::SeqCst));
                if life % KILLS_PER_BROKER_KILL == 1 {
                    kafka.kill9()?;
                    tidemark.start_again()?;
                    kafka.start_again()?;
                } else {
                    tidemark.start_again()?;
                }
            }
            Ok(())
        };
        let lived = run.work("the server", &mut lives);
        run.is_closed.store(true, Ordering::SeqCst);
        let traded = joined(trader).map(drop);
        lived.and(traded)
    })
    .with_context(|| tidemark.component().describe_log())?;
    compare_in_the_end(run, &mut tidemark.connect()?)?;
    let counters = upstream.counters();
    println!("bank: {kills} kills, {in_mid_load} of them in mid-load; {reads:?}, {counters:?}; 0 violations");
    ensure!(in_mid_load * 2 >= kills, "{in_mid_load} of {kills} kills in mid-load are too few to show anything");
    ensure!(reads.moved >= 5 * kills && counters.transactions() >= 500 * kills, "{reads:?} and {counters:?} are too little to show anything");
    Ok(())
}

fn is_broken_connection(error: &anyhow::Error) -> bool {
    let found = error.chain().find_map(|cause| cause.downcast_ref::<postgres::Error>());
    found.is_some_and(|error| error.as_db_error().is_none())
}

/// Readers look at a server until it is killed; at the last one until it has shown everything.
fn one_life(run: &Run, tidemark: &mut Tidemark, is_last: bool, after: Duration, seed: u64) -> Result<ReadCounters> {
    let is_over = &AtomicBool::new(false);
    let clients: Vec<Client> = (0..KILLS_READERS).map(|_| tidemark.connect()).collect::<Result<_>>()?;
    let born = run.seen.load(Ordering::SeqCst);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..KILLS_READERS)
            .zip(clients)
            .map(|(position, client)| {
                let read = move || -> Result<ReadCounters> {
                    let random = ChaCha8Rng::seed_from_u64(seed.wrapping_add(position));
                    let mut reader = Reader { run, client, random, own: 0 };
                    let mut counters = ReadCounters::default();
                    while !is_over.load(Ordering::SeqCst) && !run.has_failed.load(Ordering::SeqCst) {
                        let before = reader.own;
                        match reader.read(position * 5 + counters.reads) {
                            Ok(()) => counters.reads += 1,
                            // A connection to a killed server breaks. Whatever else is wrong is not of that kind.
                            Err(error) if is_over.load(Ordering::SeqCst) && is_broken_connection(&error) => break,
                            Err(error) => return Err(error),
                        }
                        counters.moved += u64::from(reader.own > before);
                        thread::sleep(BREATH);
                    }
                    Ok(counters)
                };
                scope.spawn(move || run.work(&format!("reader {position}"), read))
            })
            .collect();
        let mut live = || -> Result<()> {
            wait_until("something new is seen", END_DEADLINE, || {
                let goes_on = run.seen.load(Ordering::SeqCst) > born;
                Ok((goes_on || run.has_failed.load(Ordering::SeqCst)).then_some(()))
            })?;
            if is_last {
                run.is_closed.store(true, Ordering::SeqCst);
                return wait_until("everything is seen", END_DEADLINE * 2, || Ok(run.is_over.load(Ordering::SeqCst).then_some(())));
            }
            thread::sleep(after);
            is_over.store(true, Ordering::SeqCst);
            tidemark.kill9()
        };
        let lived = live();
        is_over.store(true, Ordering::SeqCst);
        let mut sum = ReadCounters::default();
        for reader in readers {
            let counters = joined(reader)?;
            sum.reads += counters.reads;
            sum.moved += counters.moved;
        }
        lived.map(|()| sum)
    })
}

/// What the checks are worth: without the transaction topic each table goes its own way, and they must find it.
#[test]
fn the_same_checks_find_torn_transfers_when_transactions_are_ignored() -> Result<()> {
    let Err(error) = bank(8, 1, Transactions::Ignored) else { bail!("no check failed") };
    let text = format!("{error:#}");
    let words = ["half a transfer", "half transfers", "is torn", "there was no such moment", "the total is", "money from nowhere"];
    ensure!(words.iter().any(|words| text.contains(words)), "it failed of something else: {text}");
    Ok(())
}
