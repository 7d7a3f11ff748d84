//! Group read, the twin of the group commit: whoever asks while a statement is under way is answered
//! by the next one, together with all others who wait. Nobody waits for a timer, and every answer was
//! read after its question was asked, so nothing here can be out of date, however many hubs share
//! the database.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    hash::Hash,
};

use tokio::sync::{mpsc, oneshot};

use crate::{
    batch,
    error::{Error, Result},
};

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
    pub fn start<F>(load: impl Fn(Vec<K>) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<HashMap<K, V>>> + Send + 'static,
    {
        let (waiting, questions) = mpsc::channel(WAITING_MAX);
        tokio::spawn(answer_all(questions, load));
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

async fn answer_all<K, V, F>(
    mut questions: mpsc::Receiver<Question<K, V>>,
    load: impl Fn(Vec<K>) -> F,
) where
    K: Clone + Eq + Hash,
    V: Clone,
    F: Future<Output = Result<HashMap<K, V>>>,
{
    let mut asked = Vec::with_capacity(KEYS_MAX);
    while batch::take(&mut questions, &mut asked, KEYS_MAX).await > 0 {
        let keys: HashSet<K> = asked.iter().map(|question| question.key.clone()).collect();
        let is_alone = keys.len() == 1;
        let loaded = load(keys.into_iter().collect()).await;
        for Question { key, answer } in asked.drain(..) {
            // Who asked may have gone away.
            let _ = answer.send(match &loaded {
                Ok(found) => Ok(found.get(&key).cloned()),
                Err(error) if is_alone || matches!(error, Error::Unavailable { .. }) => {
                    Err(error.echo())
                }
                // One of the rows is at fault, and that is the concern of who asked for it.
                Err(_) => load(vec![key.clone()])
                    .await
                    .map(|mut found| found.remove(&key)),
            });
        }
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
    async fn a_row_that_does_not_read_is_the_fault_of_who_asked_for_it() {
        let gather = Gather::start(async |keys: Vec<u32>| match keys.contains(&7) {
            true => Err(Error::internal("it does not read")),
            false => Ok(keys.into_iter().map(|key| (key, key)).collect()),
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
