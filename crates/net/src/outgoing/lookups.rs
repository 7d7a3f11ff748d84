//! Host names, resolved by the system's resolver on a few dedicated threads.
//!
//! The resolver blocks for as long as the name's server takes, and cannot be interrupted. So it shares no
//! thread with other work, each tenant has a limited number of the threads, and results, also failures, are
//! cached for a moment, so that not every attempt of a delivery resolves the same name.

use std::{
    collections::{HashMap, VecDeque},
    io,
    net::{IpAddr, ToSocketAddrs},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use moka::sync::Cache;
use tokio::{sync::oneshot, time::timeout};

/// Maximum number of lookups at a time.
const RUNNING_MAX: usize = 64;
/// Maximum number of lookups of one tenant at a time.
const SHARE: usize = 16;
/// Maximum number of waiting lookups of one tenant.
const WAITING_MAX: usize = 256;
/// Maximum time to wait for a result. Callers may have a shorter timeout.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lifetime of a cached result, also of a failure.
const KEPT: Duration = Duration::from_secs(5);
/// Time after which a lookup that fails counts as slow: it blocks a thread for which other names of the
/// tenant wait.
const SLOW: Duration = Duration::from_secs(2);
/// Lifetime of the cached failure of a slow lookup, so that such names occupy few of the tenant's threads.
const KEPT_SLOW: Duration = Duration::from_secs(60);
/// Maximum number of cached results.
const KEPT_MAX: u64 = 10_000;

/// The tenant for which a name is looked up; `None`: the hub itself.
type Who = Option<i64>;
type Name = Arc<str>;
type Outcome = Result<Arc<[IpAddr]>, Arc<str>>;
type Resolve = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

/// Resolves names. Cheap to clone.
#[derive(Clone)]
pub struct Lookups(Arc<Inner>);

struct Inner {
    resolve: Box<Resolve>,
    state: Mutex<State>,
    /// Cache, separate for each tenant: a tenant must not learn from the response time which names another
    /// one has resolved.
    kept: Cache<(Who, Name), Outcome>,
    failed_slowly: Cache<(Who, Name), Outcome>,
}

#[derive(Default)]
struct State {
    running: usize,
    tenants: HashMap<Who, Tenant>,
}

/// The lookups of a tenant.
#[derive(Default)]
struct Tenant {
    running: usize,
    /// Waiting names, in the order of the requests.
    waiting: VecDeque<Name>,
    /// All waiting or running lookups, with the callers that wait for them.
    asked: HashMap<Name, Vec<oneshot::Sender<Outcome>>>,
}

impl std::fmt::Debug for Lookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lookups")
    }
}

impl Default for Lookups {
    fn default() -> Self {
        Self::by(system)
    }
}

impl Lookups {
    fn by(resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(Inner {
            resolve: Box::new(resolve),
            state: Mutex::default(),
            kept: cache(KEPT),
            failed_slowly: cache(KEPT_SLOW),
        }))
    }

    /// Returns the addresses of a name, in the order in which to try them. The error is for a person.
    pub async fn find(&self, who: Who, name: &str) -> Result<Arc<[IpAddr]>, String> {
        let name: Name = name.into();
        let key = (who, name.clone());
        let kept = self.0.kept.get(&key);
        let outcome = match kept.or_else(|| self.0.failed_slowly.get(&key)) {
            Some(outcome) => outcome,
            None => {
                let answer = self.ask(who, name)?;
                timeout(PATIENCE, answer)
                    .await
                    .map_err(|_| "the name is not found: no answer in time".to_owned())?
                    .map_err(|_| "the name is not found: looking it up broke".to_owned())?
            }
        };
        outcome.map_err(|error| format!("the name is not found: {error}"))
    }

    /// Requests a name, together with other callers that wait for it.
    fn ask(&self, who: Who, name: Name) -> Result<oneshot::Receiver<Outcome>, String> {
        let (tell, answer) = oneshot::channel();
        let mut state = self.lock();
        let tenant = state.tenants.entry(who).or_default();
        if let Some(asked) = tenant.asked.get_mut(&name) {
            // Callers that have given up must not accumulate during a slow lookup.
            asked.retain(|tell| !tell.is_closed());
            asked.push(tell);
            return Ok(answer);
        }
        tenant.forget_unwanted();
        if tenant.waiting.len() >= WAITING_MAX {
            return Err("too many other names are being looked up for this tenant".to_owned());
        }
        tenant.asked.insert(name.clone(), vec![tell]);
        tenant.waiting.push_back(name);
        let next = state.begin();
        drop(state);
        self.start(next);
        Ok(answer)
    }

    fn start(&self, mut next: Option<(Who, Name)>) {
        while let Some((who, name)) = next {
            let (lookups, asked) = (self.clone(), name.clone());
            let thread = thread::Builder::new().name("lookup".to_owned());
            next = match thread.spawn(move || lookups.work(who, asked)) {
                Ok(_) => return,
                Err(error) => self.finish(who, &name, Err(error.to_string().into())),
            };
        }
    }

    /// Looks up this name, and then other waiting ones.
    fn work(&self, who: Who, name: Name) {
        let mut next = Some((who, name));
        while let Some((who, name)) = next {
            let began = Instant::now();
            let found: Outcome = match catch_unwind(AssertUnwindSafe(|| (self.0.resolve)(&name))) {
                Ok(Ok(addresses)) => Ok(addresses.into()),
                Ok(Err(error)) => Err(error.to_string().into()),
                // The place must be released all the same.
                Err(_) => Err("looking it up broke".into()),
            };
            if found.is_err() && began.elapsed() >= SLOW {
                let key = (who, name.clone());
                self.0.failed_slowly.insert(key, found.clone());
            }
            next = self.finish(who, &name, found);
        }
    }

    /// Reports the result to the callers. Returns the name to look up next in its place.
    fn finish(&self, who: Who, name: &Name, outcome: Outcome) -> Option<(Who, Name)> {
        self.0.kept.insert((who, name.clone()), outcome.clone());
        let mut state = self.lock();
        let asked = state.end(who, name);
        let next = state.begin();
        drop(state);
        for tell in asked {
            let _ = tell.send(outcome.clone());
        }
        next
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns the next name to look up, of the tenant with the fewest running lookups.
    fn begin(&mut self) -> Option<(Who, Name)> {
        if self.running >= RUNNING_MAX {
            return None;
        }
        self.tenants.retain(|_, tenant| {
            tenant.forget_unwanted();
            !tenant.asked.is_empty()
        });
        let may_begin = |tenant: &Tenant| tenant.running < SHARE && !tenant.waiting.is_empty();
        let waiting = self
            .tenants
            .iter_mut()
            .filter(|(_, tenant)| may_begin(tenant));
        let (who, tenant) = waiting.min_by_key(|(_, tenant)| tenant.running)?;
        let name = tenant.waiting.pop_front()?;
        tenant.running += 1;
        self.running += 1;
        Some((*who, name))
    }

    /// Ends a lookup and returns the callers that wait for it.
    fn end(&mut self, who: Who, name: &Name) -> Vec<oneshot::Sender<Outcome>> {
        self.running -= 1;
        let Some(tenant) = self.tenants.get_mut(&who) else {
            return Vec::new();
        };
        tenant.running -= 1;
        let asked = tenant.asked.remove(name).unwrap_or_default();
        if tenant.asked.is_empty() {
            self.tenants.remove(&who);
        }
        asked
    }
}

impl Tenant {
    /// Removes waiting lookups whose callers have all given up.
    fn forget_unwanted(&mut self) {
        let asked = &mut self.asked;
        self.waiting.retain(|name| {
            let is_wanted = asked
                .get(name)
                .is_some_and(|asked| asked.iter().any(|tell| !tell.is_closed()));
            if !is_wanted {
                asked.remove(name);
            }
            is_wanted
        });
    }
}

fn cache(life: Duration) -> Cache<(Who, Name), Outcome> {
    Cache::builder()
        .max_capacity(KEPT_MAX)
        .time_to_live(life)
        .build()
}

/// Resolves a name as the system does: by its files, name servers, and other configured sources.
fn system(name: &str) -> io::Result<Vec<IpAddr>> {
    let found = (name, 0).to_socket_addrs()?;
    Ok(found.map(|address| address.ip()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const ONE: Who = Some(1);
    const OTHER: Who = Some(2);
    const FOUND: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Lookups in which the names that begin with `slow` wait for a word each, and the names that were asked for.
    fn halting() -> (Lookups, mpsc::Sender<()>, mpsc::Receiver<String>) {
        let (go_on, words) = mpsc::channel();
        let (seen, asked) = mpsc::channel();
        let words = Mutex::new(words);
        let lookups = Lookups::by(move |name| {
            seen.send(name.to_owned()).map_err(io::Error::other)?;
            match name {
                name if name.starts_with("slow") => {
                    let words = words.lock().unwrap_or_else(PoisonError::into_inner);
                    words.recv().map_err(io::Error::other)?;
                    Ok(vec![FOUND])
                }
                "missing" => Err(io::Error::other("no such name")),
                _ => Ok(vec![FOUND]),
            }
        });
        (lookups, go_on, asked)
    }

    #[tokio::test]
    async fn what_one_tenant_asks_for_keeps_no_other_waiting() {
        let (lookups, go_on, asked) = halting();
        let slow = |number: usize| lookups.ask(ONE, format!("slow{number}").into());
        let mut waiting: Vec<_> = (0..SHARE + WAITING_MAX).map(slow).collect();
        let refused = slow(SHARE + WAITING_MAX).unwrap_err();
        assert!(refused.contains("too many"), "{refused}");
        let found = lookups.find(OTHER, "other").await.unwrap();
        assert_eq!(*found, [FOUND]);
        assert_eq!(lookups.lock().running, SHARE);
        // All that wait are forgotten, but for the first that nobody has begun with.
        let wanted = waiting.remove(SHARE).unwrap();
        drop(waiting);
        for _ in 0..=SHARE {
            go_on.send(()).unwrap();
        }
        assert_eq!(*wanted.await.unwrap().unwrap(), [FOUND]);
        while lookups.lock().running > 0 {
            tokio::task::yield_now().await;
        }
        assert!(lookups.lock().tenants.is_empty());
        let asked: Vec<String> = asked.try_iter().collect();
        assert_eq!(asked.len(), SHARE + 2, "{asked:?}");
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_at_a_time_whatever_comes_of_it() {
        let (lookups, go_on, asked) = halting();
        let both = [
            lookups.ask(ONE, "slow".into()),
            lookups.ask(ONE, "slow".into()),
        ];
        go_on.send(()).unwrap();
        for answer in both {
            assert!(answer.unwrap().await.unwrap().is_ok());
        }
        for _ in 0..2 {
            let error = lookups.find(ONE, "missing").await.unwrap_err();
            assert_eq!(error, "the name is not found: no such name");
        }
        let asked: Vec<String> = asked.try_iter().collect();
        assert_eq!(asked, ["slow", "missing"]);
    }
}
