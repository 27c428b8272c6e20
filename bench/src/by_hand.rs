//! `orders JOIN customers GROUP BY region` written by hand on differential dataflow, over typed rows: what maintenance can cost at least.

use crate::shop::{Order, REGIONS, Shop};
use differential_dataflow::input::{Input, InputSession};
use differential_dataflow::operators::count::CountTotal;
use std::cell::RefCell;
use std::rc::Rc;
use timely::WorkerConfig;
use timely::communication::{Allocator, allocator::thread::Thread};
use timely::dataflow::ProbeHandle;
use timely::worker::Worker;

/// Number of orders and sum of amounts of each region.
pub type Totals = Vec<(i64, i64)>;

/// The program on a worker that the caller's thread steps.
pub struct ByHand {
    worker: Worker,
    orders: InputSession<u64, Order, isize>,
    customers: InputSession<u64, (u64, u64), isize>,
    probe: ProbeHandle<u64>,
    totals: Rc<RefCell<Totals>>,
}

impl ByHand {
    pub fn new() -> ByHand {
        let mut worker = Worker::new(WorkerConfig::default(), Allocator::Thread(Thread::default()), None);
        let totals = Rc::new(RefCell::new(vec![(0, 0); REGIONS as usize]));
        let shown = Rc::clone(&totals);
        let probe = ProbeHandle::new();
        let (orders, customers) = worker.dataflow::<u64, _, _>(|scope| {
            let (orders_input, orders) = scope.new_collection::<Order, isize>();
            let (customers_input, customers) = scope.new_collection::<(u64, u64), isize>();
            let by_customer = orders.map(|(_, customer, amount)| (customer, amount)).arrange_by_key();
            let regions = customers.arrange_by_key();
            by_customer
                .join_core(regions, |_, amount, region| Some((*region, *amount)))
                .explode(|(region, amount)| Some((region, (1isize, amount as isize))))
                .count_total_core::<isize>()
                .inspect_batch(move |_, updates| {
                    let mut shown = shown.borrow_mut();
                    for ((region, (count, sum)), _, diff) in updates {
                        let total = &mut shown[*region as usize];
                        *total = (total.0 + (count * diff) as i64, total.1 + (sum * diff) as i64);
                    }
                })
                .probe_with(&probe);
            (orders_input, customers_input)
        });
        ByHand { worker, orders, customers, probe, totals }
    }

    /// Takes in everything.
    pub fn load(&mut self, shop: Shop) {
        for customer in 0..shop.customers() {
            self.customers.insert((customer, Shop::region(customer)));
        }
        for id in 0..shop.orders {
            self.orders.insert(shop.order(id, 0));
        }
        self.advance();
    }

    /// Replaces orders, and waits for the result.
    pub fn change(&mut self, changes: &[(Order, Order)]) {
        for (before, after) in changes {
            self.orders.remove(*before);
            self.orders.insert(*after);
        }
        self.advance();
    }

    fn advance(&mut self) {
        let time = *self.orders.time() + 1;
        self.orders.advance_to(time);
        self.orders.flush();
        self.customers.advance_to(time);
        self.customers.flush();
        let probe = self.probe.clone();
        self.worker.step_while(|| probe.less_than(&time));
    }

    pub fn totals(&self) -> Totals {
        self.totals.borrow().clone()
    }
}
