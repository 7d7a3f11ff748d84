//! The last frames of a device, kept with its state: what comes a second time is told apart without a
//! query of its own.

use uuid::Uuid;

use crate::clock::Time;

/// Most frames kept of a device: more than gateways and retries have under way at a time.
const FRAMES_MAX: usize = 16;
const FINGERPRINT_BYTES: usize = 8;
const FRAME_BYTES: usize = FINGERPRINT_BYTES + 16;

/// Fingerprints of frames with the ids of the uplinks that they became, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames(Vec<u8>);

impl Frames {
    /// Reads what a row stores.
    pub fn read(stored: Option<Vec<u8>>) -> Self {
        Self(stored.unwrap_or_default())
    }

    /// What a row stores.
    pub fn write(self) -> Option<Vec<u8>> {
        (!self.0.is_empty()).then_some(self.0)
    }

    /// The uplink that this frame became in the last `window_s` seconds before `now`.
    pub fn find(&self, fingerprint: u64, now: Time, window_s: u64) -> Option<Uuid> {
        let fingerprint = fingerprint.to_be_bytes();
        let mut frames = self.0.chunks_exact(FRAME_BYTES).rev();
        let id = frames.find_map(|frame| {
            let id = frame.strip_prefix(&fingerprint)?;
            Uuid::from_slice(id).ok()
        })?;
        // An uplink's id tells when it was recorded.
        let (seconds, _) = id.get_timestamp()?.to_unix();
        let age_s = now.timestamp().saturating_sub_unsigned(seconds);
        (age_s <= i64::try_from(window_s).unwrap_or(i64::MAX)).then_some(id)
    }

    /// Remembers a frame; the oldest is forgotten.
    pub fn push(&mut self, fingerprint: u64, id: Uuid) {
        if self.0.len() >= FRAMES_MAX * FRAME_BYTES {
            self.0.drain(..FRAME_BYTES);
        }
        self.0.extend_from_slice(&fingerprint.to_be_bytes());
        self.0.extend_from_slice(id.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::{clock, id::new_uuid};

    #[test]
    fn the_last_frames_are_found_within_the_window() {
        let now = clock::now();
        let mut frames = Frames::default();
        let ids: Vec<Uuid> = (0..20).map(|_| new_uuid()).collect();
        for (fingerprint, id) in (0..).zip(&ids) {
            frames.push(fingerprint, *id);
        }
        let frames = Frames::read(frames.write());
        assert_eq!(frames.find(19, now, 300), Some(ids[19]));
        assert_eq!(frames.find(4, now, 300), Some(ids[4]));
        assert_eq!(frames.find(3, now, 300), None, "forgotten");
        let later = now + TimeDelta::seconds(302);
        assert_eq!(frames.find(19, later, 300), None);
        assert_eq!(frames.find(19, later, 600), Some(ids[19]));
        assert_eq!(Frames::default().write(), None);
        assert_eq!(Frames::read(Some(vec![1, 2, 3])).find(0, now, 300), None);
    }
}
