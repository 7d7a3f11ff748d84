//! Number of statements and transactions that have or want a connection, for metrics: a pool does not report who
//! waits for it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Counts those that have or want a connection of a pool. Cheap to clone.
#[derive(Clone, Default)]
pub struct Demand(Arc<AtomicUsize>);

/// Counts until dropped.
pub struct Demanded(Demand);

impl Demand {
    /// Counts another one.
    pub fn enter(&self) -> Demanded {
        self.0.fetch_add(1, Ordering::Relaxed);
        Demanded(self.clone())
    }

    /// Returns the current number.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Demanded {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Use of a pool of connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolUse {
    /// Name of the pool.
    pub name: &'static str,
    /// Number of open connections.
    pub open: usize,
    /// Number of connections in use.
    pub used: usize,
    /// Approximate number of statements and transactions that wait for a connection.
    pub waiting: usize,
}

impl PoolUse {
    /// Combines the state of a pool with the demand for it.
    pub fn new(name: &'static str, open: usize, idle: usize, demand: usize) -> Self {
        let used = open.saturating_sub(idle);
        Self {
            name,
            open,
            used,
            waiting: demand.saturating_sub(used),
        }
    }
}
