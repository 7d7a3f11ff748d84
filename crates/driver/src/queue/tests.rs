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

/// Returns the CPU time that a tenant has used: in all, by quick calls, and by slow ones.
fn used_by(queue: &Queue, tenant: i64) -> [u64; 3] {
    let state = queue.lock();
    let tenant = &state.tenants[&tenant];
    [tenant.used_us, tenant.quick.used_us, tenant.slow.used_us]
}

/// Lets a script's cost be known, by one call of the tenant.
fn learn(queue: &Arc<Queue>, tenant: i64, script: &str, cost_us: u64) {
    let _waiting = push(queue, tenant, script).unwrap();
    assert_eq!(run(queue, &mut take(queue).unwrap(), cost_us), (tenant, 1));
}

#[test]
fn a_worker_is_busy_until_its_share_is_dropped() {
    let queue = queue(2, 1_000);
    let _waiting = push_many(&queue, 1, "a", 2);
    let share = take(&queue).unwrap();
    assert_eq!(queue.lock().busy, 1);
    drop(share);
    assert_eq!(queue.lock().busy, 0);
}

#[test]
fn only_a_tenant_that_was_idle_starts_at_the_level() {
    let queue = queue(1, 1_000);
    let _first = push(&queue, 2, "b").unwrap();
    queue.lock().level_us = 7_000;
    let _second = push(&queue, 2, "b").unwrap();
    assert_eq!(used_by(&queue, 2)[0], 0, "it waited already");
    let _other = push(&queue, 3, "b").unwrap();
    assert_eq!(used_by(&queue, 3)[0], 7_000);
}

#[test]
fn what_a_worker_hid_is_charged() {
    let queue = queue(1, 1_000);
    learn(&queue, 1, "a", 100);
    let script = Script {
        digest: "a".to_owned(),
        source: String::new(),
    };
    queue.charge_more(1, &script, 900);
    assert_eq!(used_by(&queue, 1), [1_000, 1_000, 0]);
}

#[test]
fn a_script_is_slow_above_the_bound_alone() {
    let queue = queue(1, 1_000);
    learn(&queue, 1, "at", SLOW_CPU_TIME_US);
    learn(&queue, 1, "above", SLOW_CPU_TIME_US + 8);
    let before = used_by(&queue, 1);
    let _waiting = push_many(&queue, 1, "at", 1);
    let _waiting = push_many(&queue, 1, "above", 1);
    let of = |slow| {
        queue
            .lock()
            .tenants
            .get_mut(&1)
            .unwrap()
            .lane(slow)
            .jobs
            .len()
    };
    assert_eq!((of(false), of(true)), (1, 1));
    // Each is charged where it waited.
    for _ in 0..2 {
        let mut share = take(&queue).unwrap();
        let cost_us = if share.slow { 7_000 } else { 300 };
        run(&queue, &mut share, cost_us);
    }
    let after = used_by(&queue, 1);
    assert_eq!(after[1] - before[1], 300);
    // A lane that was idle starts level with the other.
    assert_eq!(after[2], before[1] + 7_000);
}

#[test]
fn of_two_lanes_the_one_that_has_had_less_is_next() {
    let queue = queue(1, 1_000);
    learn(&queue, 1, "slow", 8_000);
    learn(&queue, 1, "quick", 8);
    let _slow = push_many(&queue, 1, "slow", 1);
    let _quick = push_many(&queue, 1, "quick", 1);
    let is_slow_next = |slow_us, quick_us| {
        let mut state = queue.lock();
        let tenant = state.tenants.get_mut(&1).unwrap();
        (tenant.slow.used_us, tenant.quick.used_us) = (slow_us, quick_us);
        tenant.is_slow_next(true)
    };
    assert!(is_slow_next(1, 2));
    assert!(!is_slow_next(2, 2));
    assert!(!is_slow_next(3, 2));
}

#[test]
fn a_batch_ends_when_its_expected_time_is_reached() {
    let queue = queue(1, 1_000);
    learn(&queue, 1, "a", BATCH_CPU_TIME_US / 2);
    let _waiting = push_many(&queue, 1, "a", 10);
    assert_eq!(take(&queue).unwrap().jobs.len(), 2);
}

#[test]
fn idle_tenants_are_forgotten_beyond_a_bound() {
    let queue = queue(1, 1_000);
    // One is above the level.
    learn(&queue, 1, "a", 900);
    let idle = i64::try_from(IDLE_TENANTS_MAX).unwrap();
    for tenant in 2..=idle {
        learn(&queue, tenant, "a", 0);
    }
    assert_eq!(queue.lock().tenants.len(), IDLE_TENANTS_MAX);
    let [first, second] = [idle + 1, idle + 2];
    let _waiting = [first, second].map(|tenant| push(&queue, tenant, "a").unwrap());
    assert_eq!(run(&queue, &mut take(&queue).unwrap(), 0), (first, 1));
    let mut kept: Vec<i64> = queue.lock().tenants.keys().copied().collect();
    kept.sort_unstable();
    // The first is charged until its cost is known.
    assert_eq!(kept, [1, first, second]);
    assert_eq!(run(&queue, &mut take(&queue).unwrap(), 0), (second, 1));
}

#[test]
fn a_closed_queue_answers_all_that_waits() {
    let queue = queue(1, 1_000);
    let mut waiting = push_many(&queue, 1, "a", 2);
    let mut share = take(&queue).unwrap();
    assert!(!queue.is_closed());
    queue.close();
    assert!(queue.is_closed());
    queue.put_back(std::mem::take(&mut share.jobs));
    for answer in &mut waiting {
        let error = answer.try_recv().unwrap().expect_err("it is closed");
        assert_eq!(error.kind, DriverErrorKind::Overloaded);
    }
}

/// One wake-up is passed on, because calls that are put back come together.
#[tokio::test]
async fn calls_put_back_wake_all_who_can_take_them() {
    let queue = queue(2, 1_000);
    let _waiting = [push(&queue, 1, "a").unwrap(), push(&queue, 2, "a").unwrap()];
    let mut shares = [take(&queue).unwrap(), take(&queue).unwrap()];
    let jobs = shares.iter_mut().flat_map(|share| share.jobs.drain(..));
    let jobs: VecDeque<Job> = jobs.collect();
    let taking = [0, 1].map(|_| {
        let queue = queue.clone();
        tokio::spawn(async move { queue.take().await.is_some() })
    });
    // Both wait now, and what pushing has told is taken.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    queue.put_back(jobs);
    for taken in taking {
        assert!(taken.await.unwrap());
    }
}
