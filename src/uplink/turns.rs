//! Serialises uplinks of one device that need its driver state, in their order of arrival. Other
//! devices are not delayed, and uplinks without a state skip this.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

use crate::id::DeviceKey;

/// Queues of the devices with uplinks in progress.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<i64, Arc<Queue<()>>>>);

/// Turn of one uplink; dropping it ends the turn.
pub struct Turn<'a> {
    turns: &'a Turns,
    device: i64,
    held: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Waits for all earlier turns of the device.
    pub async fn take(&self, device: DeviceKey) -> Turn<'_> {
        // Created before the wait, so that a cancelled wait cleans up as well.
        let mut turn = Turn {
            turns: self,
            device: device.0,
            held: None,
        };
        let queue = self.lock().entry(device.0).or_default().clone();
        turn.held = Some(queue.lock_owned().await);
        turn
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Arc<Queue<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut queues = self.turns.lock();
        // No other task can obtain this queue while the map is locked.
        let is_last = |queue: &Arc<Queue<()>>| Arc::strong_count(queue) == 1;
        if queues.get(&self.device).is_some_and(is_last) {
            queues.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn turns_of_one_device_go_in_order_and_leave_nothing() {
        let turns = Turns::default();
        let (busy, order) = (AtomicBool::new(false), Mutex::new(Vec::new()));
        let first = turns.take(DeviceKey(1)).await;
        // Another device's turn starts immediately.
        drop(turns.take(DeviceKey(2)).await);
        let uplinks = (0..50).map(async |number| {
            let _turn = turns.take(DeviceKey(1)).await;
            assert!(!busy.swap(true, Ordering::SeqCst));
            tokio::task::yield_now().await;
            order.lock().unwrap().push(number);
            busy.store(false, Ordering::SeqCst);
        });
        let all = join_all(uplinks);
        futures_util::future::join(all, async { drop(first) }).await;
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>());
        assert!(turns.lock().is_empty());
    }

    #[tokio::test]
    async fn who_gives_up_waiting_leaves_nothing() {
        let turns = Turns::default();
        let first = turns.take(DeviceKey(1)).await;
        {
            let waiting = turns.take(DeviceKey(1));
            futures_util::pin_mut!(waiting);
            assert!(futures_util::poll!(&mut waiting).is_pending());
        }
        drop(first);
        assert!(turns.lock().is_empty());
    }
}
