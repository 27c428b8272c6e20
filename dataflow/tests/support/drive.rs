//! The engine under test, with or without threads.

use dataflow::{Config, Control, Engine, Event, Stepper};
use repr::{CollectionId, Timestamp};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// More than this without progress is a hang.
const WAIT_MAX: Duration = Duration::from_secs(120);

pub enum Driver {
    Stepper(Box<Stepper>),
    Threads(Engine, Arc<Signal>),
}

#[derive(Default)]
pub struct Signal {
    news: Mutex<(u64, Option<String>)>,
    arrived: Condvar,
}

impl Driver {
    /// `workers` of 0: no threads.
    pub fn new(workers: usize) -> Driver {
        let signal = Arc::new(Signal::default());
        let teller = Arc::clone(&signal);
        let on_event = Arc::new(move |event: Event| {
            let mut news = teller.news.lock().unwrap();
            news.0 += 1;
            if let Event::WorkerPanicked { worker, message } = event {
                news.1 = Some(format!("worker {worker}: {message}"));
            }
            teller.arrived.notify_all();
        });
        match workers {
            0 => Driver::Stepper(Box::new(Stepper::new(Config::default(), on_event))),
            workers => Driver::Threads(Engine::start(Config { workers, ..Config::default() }, on_event), signal),
        }
    }
    pub fn control(&self) -> &Control {
        match self {
            Driver::Stepper(stepper) => stepper,
            Driver::Threads(engine, _) => engine.control(),
        }
    }
    /// Waits until all of `ids` are complete up to `upper`.
    pub fn wait(&mut self, ids: &[CollectionId], upper: Timestamp) {
        self.wait_for(&format!("{ids:?} up to {upper}"), |control| {
            control.published().readable(ids).is_some_and(|(_, reached)| reached >= upper)
        });
    }
    pub fn wait_for(&mut self, what: &str, mut is_done: impl FnMut(&Control) -> bool) {
        match self {
            Driver::Stepper(stepper) => {
                stepper.settle();
                assert!(is_done(stepper), "the engine has nothing left to do and yet not reached: {what}");
            }
            Driver::Threads(engine, signal) => {
                let mut news = signal.news.lock().unwrap();
                while !is_done(engine) {
                    assert_eq!(news.1, None, "while waiting for {what}");
                    let seen = news.0;
                    let (more, timeout) = signal.arrived.wait_timeout_while(news, WAIT_MAX, |news| news.0 == seen).unwrap();
                    assert!(!timeout.timed_out(), "no progress while waiting for {what}");
                    news = more;
                }
            }
        }
    }
}
