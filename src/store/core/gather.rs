//! Group read, the twin of the group commit: whoever asks while a statement is under way is answered
//! by the next one, together with all others who wait. Nobody waits for a timer, and every answer was
//! read after its question was asked, so nothing here can be out of date, however many hubs share
//! the database.

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

/// Its name in the log.
const NAME: &str = "group read";
/// Keys in one statement.
const KEYS_MAX: usize = 128;
/// Who may wait; beyond, the hub sheds load.
const WAITING_MAX: usize = 8192;

/// Reads rows of one kind by their keys.
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
    /// Reads with `load`, which leaves out what is missing, until the gather is dropped.
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

    /// The row with this key, as it is from now on.
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
            // One of the rows is at fault, and that is the concern of who asked for it.
            None => load(vec![key.clone()])
                .await
                .map(|mut found| found.remove(&key)),
        };
        // Who asked may have gone away.
        let _ = answer.send(found);
    }
}

/// Fills a list up to a power of two with copies of its last key: so the lists have few lengths, and
/// the database has few statements to prepare.
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
