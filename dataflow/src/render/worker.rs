//! A worker: takes commands, runs dataflows, publishes.

use super::batch::{RowSpine, Shared as SharedBatch, StoredBatch, RowLayout, only};
use super::bundle::{Arrangement, Bundle};
use super::operators::{self, Rows};
use super::render::Renderer;
use super::stage::error_row;
use super::trace::{ImportToken, ReadTrace, Window, import};
use crate::engine::{Mailboxes, Updates};
use crate::layout::Shape;
use crate::published::Shard;
use crate::shared::{Progress, Shared};
use crate::{Event, IndexDescription, ViewDescription};
use crossbeam_channel::Receiver;
use differential_dataflow::operators::arrange::TraceAgent;
use differential_dataflow::trace::{BatchReader, ExertionLogic, TraceReader};
use plan::{Context, Plan};
use repr::{CollectionId, Row, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use timely::WorkerConfig;
use timely::communication::{Allocator, allocator::thread::Thread};
use timely::container::CapacityContainerBuilder;
use timely::dataflow::InputHandle;
use timely::dataflow::operators::Input;
use timely::progress::frontier::AntichainRef;
use timely::worker::Worker;

/// What a worker is told.
pub enum Command {
    CreateInput { id: CollectionId, shape: Shape, as_of: Timestamp },
    CreateView { description: Arc<ViewDescription>, shape: Shape },
    CreateIndex { description: Arc<IndexDescription>, shape: Shape },
    Update { upper: Timestamp, batches: Updates },
    Drop { id: CollectionId },
}

/// More batches than this in an arrangement are merged even when nothing arrives.
const BATCHES_MAX: usize = 6;
/// Updates an arrangement merges at a time when nothing arrives.
const EXERTION_UPDATES: usize = 1 << 9;
/// Steps in which a small batch is brought up to a great one.
const EXERTION_STEPS: usize = 16;
/// The least it merges at a time.
const EXERTION_UPDATES_MIN: usize = 1 << 2;
/// Steps without news after which a stepped worker has nothing left to do.
const QUIET_STEPS: usize = 8;

type Agent = TraceAgent<RowSpine<u64>>;
type Handle<D> = InputHandle<u64, CapacityContainerBuilder<Vec<(D, u64, i64)>>>;

/// A relation on this worker.
struct Maintained {
    rows: Agent,
    errors: Agent,
    shape: Rc<Shape>,
    /// The relation whose rows these are: itself, or what an index is on.
    of: CollectionId,
    input: Option<(Handle<Row>, Handle<Row>)>,
    dataflow: usize,
    /// What keeps its imports alive.
    _imports: Vec<ImportToken>,
    as_of: Timestamp,
    shard: Arc<Shard>,
    /// How far rows and errors were published.
    published: (u64, u64),
    since: u64,
}

/// The state of a worker beside timely's.
struct WorkerState {
    shared: Arc<Shared>,
    commands: Receiver<Command>,
    relations: BTreeMap<CollectionId, Maintained>,
    last_upper: u64,
}

/// When an arrangement merges on its own, and how much: the smallest batches are merged with one another, at the cost of what they hold (more
/// effort than that would count as updates that were never made, and bring merges of everything forward), and a merge of great ones that has begun goes on
/// in small steps.
fn exertion_logic() -> ExertionLogic {
    Arc::new(|levels| {
        let batches: usize = levels.iter().filter(|(_, _, length)| *length > 0).map(|(_, count, _)| count).sum();
        if batches <= BATCHES_MAX {
            return None;
        }
        if levels.iter().any(|(_, count, length)| *count > 1 && *length >= EXERTION_UPDATES) {
            return Some(EXERTION_UPDATES);
        }
        let small: usize = levels.iter().map(|(_, _, length)| *length).filter(|length| *length > 0).skip(BATCHES_MAX - 1).sum();
        // A batch may stand higher than its size says; then a fraction of that height at a time, lest it takes too many steps.
        let height = levels.iter().filter(|(_, _, length)| *length > 0).map(|(level, _, _)| *level).min().unwrap_or(0);
        Some(small.max(EXERTION_UPDATES_MIN).max((1usize << height.min(30)) / EXERTION_STEPS))
    })
}

fn worker_config() -> WorkerConfig {
    let mut config = WorkerConfig::default();
    config.set::<ExertionLogic>("differential/default_exert_logic".to_string(), exertion_logic());
    config
}

/// The worker threads.
pub struct Workers(timely::communication::WorkerGuards<()>);

impl Workers {
    pub fn start(shared: Arc<Shared>, mailboxes: Arc<Mailboxes>, receivers: Vec<Receiver<Command>>) -> Workers {
        let config = match receivers.len() {
            1 => timely::Config::thread(),
            workers => timely::Config::process(workers),
        };
        let config = timely::Config { worker: worker_config(), ..config };
        let receivers: Mutex<Vec<Option<Receiver<Command>>>> = Mutex::new(receivers.into_iter().map(Some).collect());
        let guards = timely::execute(config, move |worker| {
            let index = worker.index();
            mailboxes.set_thread(index, std::thread::current());
            let receiver = receivers.lock().unwrap_or_else(PoisonError::into_inner)[index].take();
            let Some(commands) = receiver else { return };
            let result = catch_unwind(AssertUnwindSafe(|| {
                let mut state = WorkerState::new(Arc::clone(&shared), commands);
                while !shared.is_stopped() {
                    state.take_commands(worker);
                    worker.step_or_park(None);
                    state.publish(worker);
                }
                // Dataflows go first: an arrangement whose operator is gone looks complete.
                worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
            }));
            if let Err(panic) = result {
                worker.installed_dataflows().into_iter().for_each(|dataflow| worker.drop_dataflow(dataflow));
                let text = panic.downcast_ref::<String>().cloned().or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
                shared.stop();
                mailboxes.wake();
                shared.tell(Event::WorkerPanicked { worker: index, message: text.unwrap_or_default() });
            }
        });
        Workers(guards.expect("the system starts the worker threads"))
    }
    pub fn join(self) {
        self.0.join().into_iter().for_each(drop);
    }
}

/// A worker without a thread.
pub struct SteppedWorker {
    worker: Worker,
    state: WorkerState,
    quiet: usize,
}

impl SteppedWorker {
    pub fn new(shared: Arc<Shared>, commands: Receiver<Command>) -> SteppedWorker {
        let worker = Worker::new(worker_config(), Allocator::Thread(Thread::default()), None);
        SteppedWorker { worker, state: WorkerState::new(shared, commands), quiet: 0 }
    }
    pub fn step(&mut self) -> bool {
        let is_told = self.state.take_commands(&mut self.worker);
        self.worker.step();
        let is_new = self.state.publish(&self.worker);
        self.quiet = if is_told || is_new || self.state.is_behind() { 0 } else { self.quiet + 1 };
        self.quiet < QUIET_STEPS
    }
}

impl Drop for SteppedWorker {
    fn drop(&mut self) {
        self.state.shared.stop();
        self.worker.installed_dataflows().into_iter().for_each(|dataflow| self.worker.drop_dataflow(dataflow));
    }
}

impl WorkerState {
    fn new(shared: Arc<Shared>, commands: Receiver<Command>) -> WorkerState {
        WorkerState { shared, commands, relations: BTreeMap::new(), last_upper: 0 }
    }

    fn take_commands(&mut self, worker: &mut Worker) -> bool {
        let mut is_told = false;
        while let Ok(command) = self.commands.try_recv() {
            is_told = true;
            match command {
                Command::CreateInput { id, shape, as_of } => self.create_input(worker, id, shape, as_of),
                Command::CreateView { description, shape } => self.create_view(worker, &description, shape),
                Command::CreateIndex { description, shape } => self.create_index(worker, &description, shape),
                Command::Update { upper, batches } => self.update(upper, batches),
                Command::Drop { id } => self.drop_relation(worker, id),
            }
        }
        is_told
    }

    fn is_behind(&self) -> bool {
        self.relations.values().any(|relation| relation.shard.upper.0 < self.last_upper)
    }

    fn add(&mut self, id: CollectionId, mut relation: Maintained) {
        let as_of = relation.as_of.0;
        for agent in [&mut relation.rows, &mut relation.errors] {
            agent.set_logical_compaction(AntichainRef::new(&[as_of]));
        }
        self.relations.insert(id, relation);
    }

    fn create_input(&mut self, worker: &mut Worker, id: CollectionId, shape: Shape, as_of: Timestamp) {
        let dataflow = worker.next_dataflow_index();
        let context = Context::default();
        let (rows, errors, input) = worker.dataflow_named::<u64, _, _>(&format!("input {id}"), |scope| {
            let (mut rows_handle, rows) = scope.new_input::<Vec<(Row, u64, i64)>>();
            let (mut errors_handle, errors) = scope.new_input::<Vec<(Row, u64, i64)>>();
            rows_handle.advance_to(as_of.0);
            errors_handle.advance_to(as_of.0);
            let bundle = Bundle::from_rows(rows, shape.types.clone(), vec![errors]);
            let (rows, errors) = export(&bundle, &shape, &context, scope);
            (rows, errors, (rows_handle, errors_handle))
        });
        let shard = Arc::new(Shard { upper: as_of, ..Shard::default() });
        self.add(id, Maintained { rows, errors, shape: Rc::new(shape), of: id, input: Some(input), dataflow, _imports: Vec::new(), as_of, shard, published: (0, 0), since: as_of.0 });
    }

    fn create_view(&mut self, worker: &mut Worker, description: &ViewDescription, shape: Shape) {
        let ViewDescription { id, plan, context, as_of, until, .. } = description;
        let inputs: BTreeSet<CollectionId> = plan.global_inputs().into_iter().collect();
        let window = Window { as_of: as_of.0, until: until.map_or(u64::MAX, |until| until.0) };
        let with_indexes = has_join(plan);
        let dataflow = worker.next_dataflow_index();
        let mut imports = Vec::new();
        let (rows, errors) = worker.dataflow_named::<u64, _, _>(&format!("view {id}"), |scope| {
            let mut globals = BTreeMap::new();
            for input in &inputs {
                let mut arrangements = Vec::new();
                let mut errors = Vec::new();
                for (index, relation) in self.relations.iter_mut().filter(|(_, relation)| relation.of == *input) {
                    if index != input && !with_indexes {
                        continue;
                    }
                    let (arranged, token) = import(&mut relation.rows, scope, &format!("rows {index}"), window);
                    imports.push(token);
                    let arrangement = Arrangement { shape: Rc::clone(&relation.shape), arranged };
                    if index == input {
                        let (failed, token) = import(&mut relation.errors, scope, &format!("errors {index}"), window);
                        imports.push(token);
                        errors.push(failed.as_collection(|key, _| Row::from_bytes(key.0)).inner);
                        arrangements.insert(0, arrangement);
                    } else {
                        arrangements.push(arrangement);
                    }
                }
                let types = arrangements.first().map(|arrangement| arrangement.shape.types.clone()).unwrap_or_default();
                globals.insert(*input, Bundle::from_arrangements(arrangements, types, errors));
            }
            let mut renderer = Renderer { scope, context, as_of: as_of.0, globals, locals: BTreeMap::new(), negative: BTreeSet::new(), depth: 0 };
            let bundle = renderer.render(plan);
            export(&bundle, &shape, context, scope)
        });
        self.shared.lock().unpin(&inputs, *as_of);
        let shard = Arc::new(Shard { upper: *as_of, ..Shard::default() });
        self.add(*id, Maintained { rows, errors, shape: Rc::new(shape), of: *id, input: None, dataflow, _imports: imports, as_of: *as_of, shard, published: (0, 0), since: as_of.0 });
    }

    fn create_index(&mut self, worker: &mut Worker, description: &IndexDescription, shape: Shape) {
        let IndexDescription { id, on, context, as_of, .. } = description;
        let window = Window { as_of: as_of.0, until: u64::MAX };
        let dataflow = worker.next_dataflow_index();
        let mut imports = Vec::new();
        let Some(relation) = self.relations.get_mut(on) else { return };
        let (rows, errors) = worker.dataflow_named::<u64, _, _>(&format!("index {id}"), |scope| {
            let (arranged, token) = import(&mut relation.rows, scope, &format!("rows {on}"), window);
            let (failed, errors_token) = import(&mut relation.errors, scope, &format!("errors {on}"), window);
            imports.extend([token, errors_token]);
            let errors = failed.as_collection(|key, _| Row::from_bytes(key.0)).inner;
            let arrangement = Arrangement { shape: Rc::clone(&relation.shape), arranged };
            let bundle = Bundle::from_arrangements(vec![arrangement], shape.types.clone(), vec![errors]);
            export(&bundle, &shape, context, scope)
        });
        self.shared.lock().unpin(&BTreeSet::from([*on]), *as_of);
        let shard = Arc::new(Shard { upper: *as_of, ..Shard::default() });
        // Only an arrangement by another key than the relation's own is worth importing beside it.
        self.add(*id, Maintained { rows, errors, shape: Rc::new(shape), of: *on, input: None, dataflow, _imports: imports, as_of: *as_of, shard, published: (0, 0), since: as_of.0 });
    }

    fn update(&mut self, upper: Timestamp, batches: Updates) {
        for (id, batch) in batches {
            let Some((rows, errors)) = self.relations.get_mut(&id).and_then(|relation| relation.input.as_mut()) else { continue };
            let mut updates: Vec<(Row, u64, i64)> = batch.rows.into_iter().map(|(row, time, diff)| (row, time.0, diff)).collect();
            if !updates.is_empty() {
                rows.send_batch(&mut updates);
            }
            let mut updates: Vec<(Row, u64, i64)> = batch.errors.iter().map(|(error, time, diff)| (error_row(error, 0), time.0, *diff)).collect();
            if !updates.is_empty() {
                errors.send_batch(&mut updates);
            }
        }
        self.last_upper = upper.0;
        for (rows, errors) in self.relations.values_mut().filter_map(|relation| relation.input.as_mut()) {
            if *rows.time() < upper.0 {
                rows.advance_to(upper.0);
                errors.advance_to(upper.0);
            }
        }
    }

    fn drop_relation(&mut self, worker: &mut Worker, id: CollectionId) {
        if let Some(relation) = self.relations.remove(&id) {
            let dataflow = relation.dataflow;
            drop(relation);
            worker.drop_dataflow(dataflow);
        }
        self.shared.dropped(id);
    }

    /// Publishes what is new. Whether anything was.
    fn publish(&mut self, worker: &Worker) -> bool {
        let mut progress = Vec::new();
        for (id, relation) in &mut self.relations {
            if let Some((shard, sealed)) = relation.progress() {
                progress.push(Progress { id: *id, shard, sealed });
            }
        }
        if progress.is_empty() {
            return false;
        }
        for (id, since) in self.shared.publish(worker.index(), progress) {
            if let Some(relation) = self.relations.get_mut(&id) {
                relation.compact(since.0);
            }
        }
        true
    }
}

impl Maintained {
    /// The batches now, and those among them that were sealed since they were last published; `None` if nothing changed.
    fn progress(&mut self) -> Option<(Arc<Shard>, Shard)> {
        let (rows, rows_upper) = collect(&self.rows);
        let (errors, errors_upper) = collect(&self.errors);
        // Before `as_of` there is nothing to be read, whatever the frontier. Rows and errors advance one after the other; what one has beyond the
        // other is published with it and not read yet.
        let upper = Timestamp(rows_upper.min(errors_upper).max(self.as_of.0));
        if upper == self.shard.upper && is_same(&rows, &self.shard.rows) && is_same(&errors, &self.shard.errors) {
            return None;
        }
        let sealed = Shard { upper, rows: since(&rows, self.published.0), errors: since(&errors, self.published.1) };
        self.published = (rows_upper, errors_upper);
        self.shard = Arc::new(Shard { upper, rows, errors });
        Some((Arc::clone(&self.shard), sealed))
    }

    /// Lets the arrangements forget and merge, up to what was published.
    fn compact(&mut self, since: u64) {
        for (agent, upper) in [(&mut self.rows, self.published.0), (&mut self.errors, self.published.1)] {
            if since > self.since {
                agent.set_logical_compaction(AntichainRef::new(&[since]));
            }
            if upper < u64::MAX {
                agent.set_physical_compaction(AntichainRef::new(&[upper]));
            } else {
                agent.set_physical_compaction(AntichainRef::new(&[]));
            }
        }
        self.since = self.since.max(since);
    }
}

/// The batches that were sealed after those up to `published`. A trace does not merge across it, see [`Maintained::compact`].
fn since(batches: &[StoredBatch], published: u64) -> Vec<StoredBatch> {
    let is_new = |batch: &&StoredBatch| {
        let (start, end) = batch.bounds();
        let is_new = start.is_none_or(|start| start >= published);
        assert!(is_new || end.is_some_and(|end| end <= published) || published == u64::MAX, "a batch spans what was published up to {published}");
        is_new
    };
    batches.iter().filter(is_new).cloned().collect()
}

fn is_same(left: &[StoredBatch], right: &[StoredBatch]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| left.0.is_same(&right.0))
}

/// The batches of a trace that have something in them, and the upper of all. Asserts that they are contiguous from the beginning.
fn collect(agent: &Agent) -> (Vec<StoredBatch>, u64) {
    let mut batches = Vec::new();
    let mut upper = Some(0);
    agent.map_batches(|batch: &SharedBatch<RowLayout<u64>>| {
        assert!(only(batch.lower().borrow()) == upper, "the batches of a trace are contiguous");
        upper = only(batch.upper().borrow());
        if !batch.is_empty() {
            batches.push(StoredBatch(batch.clone()));
        }
    });
    (batches, upper.unwrap_or(u64::MAX))
}

/// Arranges a relation as it is published. An arrangement that is there already is published as it is.
fn export(bundle: &Bundle<'_, u64>, shape: &Shape, context: &Context, scope: timely::dataflow::Scope<'_, u64>) -> (Agent, Agent) {
    let existing = bundle.arrangements().into_iter().find_map(|arrangement| match arrangement.arranged.trace {
        ReadTrace::Own(agent) if arrangement.shape.key == shape.key && arrangement.shape.value == shape.value => Some(agent),
        _ => None,
    });
    let (rows, errors) = match existing {
        Some(agent) => (agent, bundle.errors.clone()),
        None => {
            let (pairs, errors) = bundle.pairs(&shape.key, &shape.value, context, "Export");
            (operators::arrange(pairs, "Export").trace, errors)
        }
    };
    let errors: Rows<'_, u64> = operators::concatenate(scope, errors);
    (rows, operators::arrange_errors(errors, "ExportErrors").trace)
}

/// Whether indexes of the inputs can be of use.
fn has_join(plan: &Plan) -> bool {
    let mut found = matches!(plan, Plan::Join { .. });
    plan.for_each_child(&mut |child| found |= has_join(child));
    found
}
