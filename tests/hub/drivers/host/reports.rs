//! Reports of the host about its work: the reasons why workers end, and the costs of calls that ended them.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use thingshub::driver::{Observer, WorkerEnd};

use super::{forged, *};

/// Reports received from a host: the ends of its workers, and the CPU time of all calls.
#[derive(Default)]
pub struct Reports(Mutex<(Vec<WorkerEnd>, Duration)>);

impl Reports {
    fn change(&self, change: impl FnOnce(&mut (Vec<WorkerEnd>, Duration))) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn get(&self) -> (Vec<WorkerEnd>, Duration) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Observer for Reports {
    fn call_dequeued(&self, _: Duration) {}

    fn call_answered(&self, _: Option<DriverErrorKind>) {}

    fn cpu_time_used(&self, time: Duration) {
        self.change(|(_, used)| *used += time);
    }

    fn worker_ended(&self, end: WorkerEnd) {
        self.change(|(ends, _)| ends.push(end));
    }
}

#[tokio::test]
async fn a_forger_is_ended_as_one() {
    let reports = Arc::new(Reports::default());
    let host = forged::start_observed("asking", reports.clone())
        .await
        .expect("it starts");
    fails(&host, GOOD).await;
    let (ends, _) = reports.get();
    assert!(!ends.is_empty());
    assert!(ends.iter().all(|end| *end == WorkerEnd::Forged), "{ends:?}");
}

/// Otherwise a driver that ends its workers would cost its tenant nothing.
#[tokio::test]
async fn a_call_that_ends_its_worker_is_charged() {
    let reports = Arc::new(Reports::default());
    let host = Host::start_observed(program(), one_worker(), reports.clone())
        .await
        .expect("workers start");
    let error = fails(&host, &body("new Array(1e9).join('x')")).await;
    let (ends, used) = reports.get();
    assert_eq!(ends, [WorkerEnd::CpuTime], "{error:?}");
    let least = Duration::from_millis(one_worker().cpu_time_ms);
    assert!(used >= least, "{used:?} {error:?}");
}
