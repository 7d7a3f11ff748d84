//! Faults around the hubs: kills, database sessions that end, silence, clocks that step.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use rand::{RngExt, rngs::StdRng};
use tokio::time::sleep;

use super::{journal::Rule, world::World};
use crate::support::database::{execute, surroundings};

/// The longest silence that ends by itself, in milliseconds.
const SILENT_MAX_MS: u64 = 1500;
/// Time for which a forgotten connection stays open: longer than a hub may wait for it.
const FORGOTTEN: Duration = Duration::from_secs(45);
/// Seconds by which a clock is wrong.
const STEPS_S: [i64; 5] = [-3600, -20, 0, 20, 3600];
/// An attempt that is under way when something is killed may have begun so long before.
const UNDER_WAY: Duration = Duration::from_secs(3);
/// Time for which a past fault is still felt.
const RECENT: Duration = Duration::from_secs(5);

/// A time at which what is sent may be sent again.
#[derive(Clone, Copy)]
pub struct Harm {
    pub begun: Instant,
    pub ended: Option<Instant>,
}

impl Harm {
    /// Returns whether it explains that something was taken at one time and sent again at another.
    pub fn explains(&self, taken: Instant, again: Instant) -> bool {
        self.begun <= again && self.ended.is_none_or(|ended| ended + UNDER_WAY >= taken)
    }
}

impl World {
    /// Kills a hub wherever it is, and starts it again.
    pub async fn kill(&self, chance: &mut StdRng) {
        let number = self.any_hub(chance);
        let member = &self.members[number];
        let harm = self.harm(format!("{} is killed", member.name));
        {
            let mut hub = member.hub.write().await;
            hub.tell(Signal::SIGKILL);
            hub.ended().await;
            sleep(Duration::from_millis(chance.random_range(0..500))).await;
            hub.start_again().await;
            member.has_recorded();
        }
        self.is_over(harm, format!("{} runs again", member.name));
    }

    /// Ends sessions of the hubs with their database, wherever their transactions are.
    pub async fn end_sessions(&self, chance: &mut StdRng) {
        let Some(url) = &self.database_url else {
            return;
        };
        let count = chance.random_range(1..=3);
        let harm = self.harm(format!("{count} database sessions are ended"));
        let ends = format!(
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
             ORDER BY random() LIMIT {count}) AS chosen"
        );
        execute(url, &ends).await;
        self.is_over(harm, "they are ended".to_owned());
    }

    /// Has a hub's database fall silent for a moment, or in a long run forget its connections for good.
    pub async fn silence(&self, chance: &mut StdRng) {
        let member = &self.members[self.any_hub(chance)];
        let Some(proxy) = &member.proxy else {
            return;
        };
        let harm = self.harm(format!("{}'s database falls silent", member.name));
        if self.is_long && chance.random_range(0..3) == 0 {
            {
                // A hub that is just starting would give up, and its operator would have to restart it.
                let _runs = member.hub.read().await;
                proxy.forget();
            }
            self.journal
                .note("its connections are forgotten".to_owned());
            self.rest(FORGOTTEN).await;
            proxy.close_forgotten();
        } else {
            proxy.fall_silent();
            sleep(Duration::from_millis(
                chance.random_range(50..SILENT_MAX_MS),
            ))
            .await;
            proxy.speak();
        }
        self.is_over(harm, format!("{}'s database speaks again", member.name));
    }

    /// Makes a hub's clock wrong. That is no excuse for anything.
    pub fn step_clock(&self, chance: &mut StdRng) {
        let member = &self.members[self.members.len() - 1];
        let seconds = STEPS_S[chance.random_range(0..STEPS_S.len())];
        member.clock.set(seconds);
        let step = format!("{}'s clock is wrong by {seconds} s", member.name);
        self.journal.note(step);
    }

    /// Watches that each hub goes on recording and that none ends by itself.
    pub async fn watch(&self) {
        while !self.is_ended() {
            for member in &self.members {
                let silent = member.silent_for();
                if silent > super::GOES_ON_WITHIN && !self.is_stopping() {
                    let what = format!("{} has recorded nothing for {silent:?}", member.name);
                    self.journal.broken(Rule::GoesOn, what);
                    member.has_recorded();
                }
                if let Ok(hub) = member.hub.try_read()
                    && !runs(hub.pid())
                {
                    let what = format!("{} has ended by itself", member.name);
                    self.journal.broken(Rule::Starts, what);
                    return;
                }
            }
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// Returns whether something goes wrong now, or has done so a moment ago.
    pub fn is_harmed(&self) -> bool {
        let harms = self.harms.lock().unwrap();
        let recent = |harm: &Harm| harm.ended.is_none_or(|ended| ended.elapsed() < RECENT);
        harms.iter().any(recent)
    }

    fn harm(&self, what: String) -> usize {
        self.journal.note(what);
        let mut harms = self.harms.lock().unwrap();
        harms.push(Harm {
            begun: Instant::now(),
            ended: None,
        });
        harms.len() - 1
    }

    fn is_over(&self, harm: usize, what: String) {
        self.harms.lock().unwrap()[harm].ended = Some(Instant::now());
        self.journal.note(what);
    }
}

/// Returns whether the process has not ended; one that has stays in the list until somebody asks for its status.
fn runs(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

/// Returns whether this run is one of the long ones, and its duration.
pub fn duration() -> (bool, Duration) {
    let seconds = surroundings("THINGSHUB_TEST_STRESS_SECONDS");
    let seconds = seconds.map(|seconds| seconds.parse().expect("a number of seconds"));
    let is_long = seconds.is_some_and(|seconds| seconds >= 60);
    (is_long, Duration::from_secs(seconds.unwrap_or(10)))
}
