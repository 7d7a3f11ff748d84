//! The order of turns, played through without workers.

use tokio::sync::oneshot;

use super::super::job::Answer;
use super::super::observer::Unobserved;
use super::super::protocol::Task;
use super::super::request::Script;
use super::*;

fn queue(workers: usize, tenant_queue: usize) -> Arc<Queue> {
    let limits = Limits {
        workers,
        queue: 1_000,
        tenant_queue,
        ..Limits::default()
    };
    Arc::new(Queue::new(&limits, Arc::new(Unobserved)))
}

type Waiting = oneshot::Receiver<Result<Answer, DriverError>>;

fn push(queue: &Queue, tenant: i64, script: &str) -> Result<Waiting, DriverError> {
    let (reply, answer) = oneshot::channel();
    let script = Script {
        digest: script.to_owned(),
        source: String::new(),
    };
    let job = Job::new(tenant, Arc::new(script), Task::Check, reply);
    queue.push(job).map(|()| answer)
}

fn push_many(queue: &Queue, tenant: i64, script: &str, count: usize) -> Vec<Waiting> {
    let pushed = (0..count).map(|_| push(queue, tenant, script));
    pushed.collect::<Result<_, _>>().unwrap()
}

fn take(queue: &Arc<Queue>) -> Option<Share> {
    queue.next_share(&mut queue.lock())
}

/// Runs a share's calls at this cost each, and tells how many of which tenant they were.
fn run(queue: &Queue, share: &mut Share, cost_us: u64) -> (i64, usize) {
    let jobs = std::mem::take(&mut share.jobs);
    let told = (jobs[0].tenant, jobs.len());
    for mut job in jobs {
        assert_eq!(job.tenant, told.0, "a share is of one tenant");
        queue.charge(&mut job, cost_us);
    }
    told
}

fn cost_of(tenant: i64) -> u64 {
    if tenant == 1 { 50_000 } else { 200 }
}

#[test]
fn tenants_get_equal_cpu_time_of_one_worker() {
    let queue = queue(1, 1_000);
    let _slow = push_many(&queue, 1, "slow", 100);
    let _quick = push_many(&queue, 2, "quick", 400);
    let mut done = HashMap::new();
    while done.get(&2).copied().unwrap_or(0) < 400 {
        let mut share = take(&queue).unwrap();
        let tenant = share.jobs[0].tenant;
        let (_, count) = run(&queue, &mut share, cost_of(tenant));
        *done.entry(tenant).or_insert(0) += count;
    }
    // 400 calls of 200 us are 80 ms: the other tenant has had that, or a call more.
    assert!(done[&1] <= 3, "{done:?}");
}

#[test]
fn slow_calls_go_alone_and_leave_a_worker_to_the_others() {
    let queue = queue(2, 1_000);
    let _slow = push_many(&queue, 1, "slow", 10);
    // Nobody knows yet that it is slow; from then on it is known.
    assert_eq!(run(&queue, &mut take(&queue).unwrap(), 50_000), (1, 1));
    let mut running = take(&queue).unwrap();
    assert!(running.slow);
    assert_eq!(running.jobs.len(), 1);
    assert!(take(&queue).is_none(), "the other worker is kept free");
    let _quick = push_many(&queue, 2, "quick", 3);
    assert_eq!(run(&queue, &mut take(&queue).unwrap(), 200), (2, 1));
    assert_eq!(run(&queue, &mut running, 50_000), (1, 1));
    drop(running);
    assert!(take(&queue).is_some());
}

#[test]
fn quick_calls_go_together_within_a_bound() {
    let queue = queue(1, 1_000);
    let _waiting = push_many(&queue, 1, "quick", 60);
    assert_eq!(run(&queue, &mut take(&queue).unwrap(), 100), (1, 1));
    assert_eq!(
        run(&queue, &mut take(&queue).unwrap(), 4_000),
        (1, BATCH_CALLS)
    );
    let (_, count) = run(&queue, &mut take(&queue).unwrap(), 4_000);
    assert!((2..=6).contains(&count), "{count} calls of 4 ms");
}

#[test]
fn an_idle_tenant_saves_nothing_up() {
    let queue = queue(1, 1_000);
    let _waiting = push_many(&queue, 1, "a", 50);
    for _ in 0..30 {
        take(&queue).map(|mut share| run(&queue, &mut share, 4_000));
    }
    // A tenant that comes now gets half of the time, not all of it until it has caught up.
    let _waiting = (
        push_many(&queue, 1, "a", 500),
        push_many(&queue, 2, "b", 500),
    );
    let mut done = HashMap::new();
    for _ in 0..60 {
        let (tenant, count) = run(&queue, &mut take(&queue).unwrap(), 4_000);
        *done.entry(tenant).or_insert(0_usize) += count;
    }
    assert!(done[&1].abs_diff(done[&2]) < 20, "{done:?}");
}

#[test]
fn a_full_queue_says_whose_it_is() {
    let queue = queue(1, 2);
    let _waiting = push_many(&queue, 1, "a", 2);
    let error = push(&queue, 1, "a").expect_err("refused");
    assert_eq!(error.kind, DriverErrorKind::Overloaded);
    assert_eq!(
        error.message,
        "2 driver calls of this tenant are waiting already"
    );
    let _others = push(&queue, 2, "a").unwrap();
    let _more: Vec<_> = (3..501).map(|it| push_many(&queue, it, "a", 2)).collect();
    let _last = push(&queue, 600, "a").expect("room for one");
    let error = push(&queue, 601, "a").expect_err("refused");
    assert_eq!(error.message, "1000 driver calls are waiting already");
}

#[test]
fn without_a_worker_nobody_waits() {
    let queue = queue(2, 2);
    let mut waiting = push_many(&queue, 1, "a", 2);
    queue.worker_lost();
    queue.give_up_without_worker();
    assert!(queue.is_available(), "there is another worker");
    queue.worker_lost();
    let full = push(&queue, 1, "a").expect_err("refused");
    assert_eq!(full.kind, DriverErrorKind::Overloaded, "it may start");
    queue.start_failed();
    let kind = |refused: Result<Waiting, DriverError>| refused.expect_err("refused").kind;
    assert_eq!(kind(push(&queue, 1, "a")), DriverErrorKind::Unavailable);
    let _ordinary = push(&queue, 2, "a").expect("there may be a worker in a moment");

    queue.give_up_without_worker();
    assert!(!queue.is_available());
    let given_up = waiting.remove(0).try_recv().unwrap().expect_err("given up");
    assert_eq!(given_up.kind, DriverErrorKind::Unavailable);
    assert_eq!(kind(push(&queue, 3, "a")), DriverErrorKind::Unavailable);
    assert_eq!(queue.lock().waiting, 0);

    queue.worker_found();
    assert!(queue.is_available());
    let _waiting = push(&queue, 1, "a").expect("it waits");
    assert_eq!(run(&queue, &mut take(&queue).unwrap(), 100), (1, 1));
}

#[test]
fn no_cost_overflows() {
    let queue = queue(1, 1_000);
    let _waiting = push_many(&queue, 1, "a", 3);
    for _ in 0..3 {
        run(&queue, &mut take(&queue).unwrap(), u64::MAX);
    }
    queue.charge_more(1, &Script::new(String::new()), u64::MAX);
    assert_eq!(queue.lock().tenants[&1].used_us, u64::MAX);
}

#[test]
fn calls_put_back_are_next_and_cost_nothing() {
    let queue = queue(1, 1_000);
    let _waiting = push_many(&queue, 1, "a", 20);
    run(&queue, &mut take(&queue).unwrap(), 100);
    let mut share = take(&queue).unwrap();
    let used_us = || queue.lock().tenants[&1].used_us;
    let before_us = used_us();
    queue.put_back(std::mem::take(&mut share.jobs));
    assert_eq!(queue.lock().waiting, 19);
    assert_eq!(used_us(), before_us - 16 * 100);
}

#[test]
fn callers_that_have_gone_away_are_passed_over() {
    let queue = queue(1, 1_000);
    drop(push_many(&queue, 1, "a", 20));
    let _waiting = push_many(&queue, 2, "a", 1);
    assert_eq!(run(&queue, &mut take(&queue).unwrap(), 100), (2, 1));
    assert!(take(&queue).is_none());
    assert_eq!(queue.lock().waiting, 0);
}
