//! Group read, the counterpart of the group commit: requests that arrive while a statement runs are answered
//! together by the next one. No request waits for a timer, and every result is read after its request arrived, so
//! results are never out of date, however many hubs share the database.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    hash::Hash,
};

use futures_util::FutureExt;
use tokio::sync::{mpsc, oneshot};

use crate::{
    batch,
    error::{Error, Result},
    supervise,
};

/// Name of the task in the log.
const NAME: &str = "group read";
/// Maximum number of keys per statement.
const KEYS_MAX: usize = 128;
/// Maximum number of waiting requests; beyond it, the hub sheds load.
const WAITING_MAX: usize = 8192;

/// Group read of rows of one kind by their keys.
pub struct Gather<K, V> {
    waiting: mpsc::Sender<Question<K, V>>,
}

struct Question<K, V> {
    key: K,
    answer: oneshot::Sender<Result<Option<V>>>,
}

impl<K, V> Gather<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Starts a group read that calls `load` until the value is dropped. `load` omits missing rows.
    pub fn start<F>(load: impl Fn(Vec<K>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<HashMap<K, V>>> + Send + 'static,
    {
        let (waiting, questions) = mpsc::channel(WAITING_MAX);
        supervise::spawn(NAME, (questions, load), |(questions, load)| {
            answer_all(questions, load).boxed()
        });
        Self { waiting }
    }

    /// Reads the row with this key; `None` if there is none.
    pub async fn get(&self, key: K) -> Result<Option<V>> {
        let (answer, answered) = oneshot::channel();
        self.waiting
            .try_send(Question { key, answer })
            .map_err(|_| Error::overloaded("too many reads are waiting for the database"))?;
        answered
            .await
            .map_err(|_| Error::internal("a read ended without an answer"))?
    }
}

async fn answer_all<K, V, L, F>(questions: &mut mpsc::Receiver<Question<K, V>>, load: &L)
where
    K: Clone + Eq + Hash,
    V: Clone,
    L: Fn(Vec<K>) -> F,
    F: Future<Output = Result<HashMap<K, V>>>,
{
    let answer = |asked| answer(asked, load);
    batch::each(NAME, questions, KEYS_MAX, answer).await;
}

async fn answer<K, V, L, F>(asked: Vec<Question<K, V>>, load: &L)
where
    K: Clone + Eq + Hash,
    V: Clone,
    L: Fn(Vec<K>) -> F,
    F: Future<Output = Result<HashMap<K, V>>>,
{
    let keys: HashSet<K> = asked.iter().map(|question| question.key.clone()).collect();
    let is_alone = keys.len() == 1;
    let loaded = load(keys.into_iter().collect()).await;
    for Question { key, answer } in asked {
        let found = match &loaded {
            Ok(found) => Some(Ok(found.get(&key).cloned())),
            Err(error) if is_alone || matches!(error, Error::Unavailable { .. }) => {
                Some(Err(error.echo()))
            }
            Err(_) => None,
        };
        let found = match found {
            Some(found) => found,
            // One row broke the whole read: each key is read alone, so that only requests for the broken row fail.
            None => load(vec![key.clone()])
                .await
                .map(|mut found| found.remove(&key)),
        };
        // The caller may have stopped waiting.
        let _ = answer.send(found);
    }
}

/// Pads a list to a power of two with copies of its last key. Lists then have few distinct lengths, and the database
/// prepares few statements.
pub fn padded<K: Clone>(mut keys: Vec<K>) -> Vec<K> {
    if let Some(last) = keys.last().cloned() {
        keys.resize(keys.len().next_power_of_two(), last);
    }
    keys
}

#[cfg(test)]
mod tests {
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn a_read_that_breaks_is_an_error_for_those_who_asked() {
        let gather = Gather::start(|keys: Vec<u32>| async move {
            assert!(!keys.contains(&0), "on purpose");
            Ok(keys.into_iter().map(|key| (key, key * 10)).collect())
        });
        assert_eq!(gather.get(1).await.unwrap(), Some(10));
        let broken = gather.get(0).await.unwrap_err();
        assert!(matches!(broken, Error::Internal(_)), "{broken:?}");
        assert_eq!(gather.get(2).await.unwrap(), Some(20));
    }

    #[tokio::test]
    async fn a_row_that_does_not_read_is_the_fault_of_who_asked_for_it() {
        let gather = Gather::start(|keys: Vec<u32>| async move {
            match keys.contains(&7) {
                true => Err(Error::internal("it does not read")),
                false => Ok(keys.into_iter().map(|key| (key, key)).collect()),
            }
        });
        let answers = join_all((0..20).map(|key| gather.get(key))).await;
        for (key, answer) in (0..20).zip(answers) {
            match key {
                7 => assert!(answer.is_err()),
                key => assert_eq!(answer.unwrap(), Some(key)),
            }
        }
    }
}
