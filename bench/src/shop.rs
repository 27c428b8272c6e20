//! The data both sides of a measurement of the engine work on: orders of customers who live in regions.

/// Customers per order, regions per customer: each region has many orders, each customer a few.
const ORDERS_PER_CUSTOMER: u64 = 20;
pub const REGIONS: u64 = 50;
/// A prime: orders that follow each other are of customers who do not.
const CUSTOMER_STEP: u64 = 7919;
/// A prime: changes that follow each other are of orders that do not.
const CHANGE_STEP: u64 = 104_729;
const AMOUNTS: u64 = 1000;

#[derive(Clone, Copy)]
pub struct Shop {
    pub orders: u64,
}

/// One order: id, customer, amount.
pub type Order = (u64, u64, i64);

impl Shop {
    pub fn customers(self) -> u64 {
        self.orders / ORDERS_PER_CUSTOMER + 1
    }
    pub fn region(customer: u64) -> u64 {
        customer % REGIONS
    }
    pub fn order(self, id: u64, version: u64) -> Order {
        (id, id * CUSTOMER_STEP % self.customers(), ((id + version) % AMOUNTS) as i64)
    }
    /// The order the `number`th change is of, before and after. A round through all orders is one version more.
    pub fn change(self, number: u64) -> (Order, Order) {
        let (id, version) = (number * CHANGE_STEP % self.orders, number / self.orders);
        (self.order(id, version), self.order(id, version + 1))
    }
}
