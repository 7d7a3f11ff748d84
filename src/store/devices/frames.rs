//! Recent frames of a device, stored with its state: duplicates are detected without a separate query.
//!
//! Two messages are copies of one frame if their fingerprints are equal and the network identifies them as one
//! reception. The fingerprint alone is not enough: a device without a counter sends the same one with each press of
//! its button, and a restarted one counts from the beginning.

use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;

use crate::{
    clock::Time,
    config::Config,
    id::{ConnectionId, time_of},
    store::core::shared_clock::Moment,
};

/// Time after a frame within which a message can be its copy.
#[derive(Debug, Clone, Copy)]
pub struct DedupeWindow {
    /// Duration in seconds.
    pub seconds: u64,
}

impl DedupeWindow {
    /// Returns the window from the settings.
    pub fn of(config: &Config) -> Self {
        Self {
            seconds: config.dedupe_window_s,
        }
    }
}

/// Maximum number of frames kept per device; more than gateways and retries have in transit at a time.
const FRAMES_MAX: usize = 16;
/// First byte of stored frames. Data that begins otherwise has an older format without this byte, and is discarded.
const FORM: u8 = 2;
const FRAME_BYTES: usize = 49;
/// Format without the recording time, which the id of the frame's uplink gives approximately.
const FORM_WITHOUT_TIME: u8 = 1;
const FRAME_BYTES_WITHOUT_TIME: usize = 41;

/// Characteristics that distinguish a frame from the others of its device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Hash of the content that all copies of a frame share: session, counter, port and payload.
    pub print: u64,
    /// Hash of the network server's identifier of the reception: equal in all copies of a frame that it sends, and
    /// different for each received frame.
    pub reception: Option<u32>,
    /// Time at which the network received the frame.
    pub time: Option<Time>,
    /// Maximum difference between the times of two copies.
    pub apart_max: TimeDelta,
    /// True if an equal fingerprint identifies a copy when neither reception nor time is known.
    pub is_numbered: bool,
}

/// Known frame of which a message is a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// Uplink that the frame became.
    pub uplink: Uuid,
    /// True if the network's accompanying reports were recorded as events.
    pub has_reports: bool,
    index: usize,
}

/// Recent frames with the ids of their uplinks, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frames(Vec<Frame>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Frame {
    print: u64,
    source: u32,
    reception: Option<u32>,
    time_us: Option<i64>,
    uplink: Uuid,
    has_reports: bool,
    /// Recording time in microseconds, by the clock that all hubs share. The uplink's id does not provide it,
    /// because ids never go back, as clocks do.
    recorded_us: i64,
}

impl Frames {
    /// Parses the stored form.
    pub fn read(stored: Option<Vec<u8>>) -> Self {
        let stored = stored.unwrap_or_default();
        let (size, frames) = match stored.split_first() {
            Some((&FORM, frames)) => (FRAME_BYTES, frames),
            Some((&FORM_WITHOUT_TIME, frames)) => (FRAME_BYTES_WITHOUT_TIME, frames),
            _ => return Self::default(),
        };
        Self(frames.chunks_exact(size).filter_map(Frame::read).collect())
    }

    /// Returns the stored form; `None` if there are no frames.
    pub fn write(&self) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        let mut stored = Vec::with_capacity(1 + self.0.len() * FRAME_BYTES);
        stored.push(FORM);
        for frame in &self.0 {
            frame.write(&mut stored);
        }
        Some(stored)
    }

    /// Returns the frame of which this is a copy, if it was recorded at most `window_s` seconds before `now`. A
    /// window of 0 disables the detection.
    pub fn find(
        &self,
        mark: &Mark,
        source: ConnectionId,
        now: &Moment,
        window_s: u64,
    ) -> Option<Known> {
        if window_s == 0 {
            return None;
        }
        let window = Duration::from_secs(window_s);
        let mut frames = self.0.iter().enumerate().rev();
        frames.find_map(|(index, frame)| {
            let is_recent = || {
                let at = Time::from_timestamp_micros(frame.recorded_us);
                at.is_some_and(|at| now.is_within(window, at))
            };
            let is_known = frame.is_copied_by(mark, source_of(source)) && is_recent();
            is_known.then_some(Known {
                uplink: frame.uplink,
                has_reports: frame.has_reports,
                index,
            })
        })
    }

    /// Adds a frame and drops the oldest if there are too many.
    pub fn push(
        &mut self,
        mark: &Mark,
        source: ConnectionId,
        uplink: Uuid,
        has_reports: bool,
        recorded_at: Time,
    ) {
        if self.0.len() >= FRAMES_MAX {
            self.0.remove(0);
        }
        self.0.push(Frame {
            print: mark.print,
            source: source_of(source),
            reception: mark.reception,
            time_us: mark.time.map(|time| time.timestamp_micros()),
            uplink,
            has_reports,
            recorded_us: recorded_at.timestamp_micros(),
        });
    }

    /// Marks the network's reports about a frame as recorded.
    pub fn note_reports(&mut self, known: Known) {
        if let Some(frame) = self.0.get_mut(known.index) {
            frame.has_reports = true;
        }
    }
}

/// Returns the low half of a connection's id, which suffices because a device has few connections.
fn source_of(connection: ConnectionId) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the low half is what is wanted"
    )]
    {
        connection.0 as u32
    }
}

impl Frame {
    fn is_copied_by(&self, mark: &Mark, source: u32) -> bool {
        if self.print != mark.print {
            return false;
        }
        let is_another = match (self.reception, mark.reception) {
            (Some(known), Some(new)) if known == new => return true,
            (Some(_), Some(_)) => self.source == source,
            _ => false,
        };
        match (self.time_us, mark.time) {
            // The same network server identifies this as another reception. A frame counter takes precedence: a
            // network that checks no counters reports frames that gateways forward late as receptions of their own.
            _ if is_another && !mark.is_numbered => false,
            (Some(known), Some(new)) => {
                let apart_max = mark.apart_max.num_microseconds().unwrap_or(i64::MAX);
                known.abs_diff(new.timestamp_micros()) <= apart_max.unsigned_abs()
            }
            _ => mark.is_numbered && !is_another,
        }
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (print, rest) = bytes.split_first_chunk()?;
        let (source, rest) = rest.split_first_chunk()?;
        let (reception, rest) = rest.split_first_chunk()?;
        let (time_us, rest) = rest.split_first_chunk()?;
        let (uplink, rest) = rest.split_first_chunk()?;
        let (has_reports, rest) = rest.split_first()?;
        let uplink = Uuid::from_bytes(*uplink);
        let recorded_us = match rest.first_chunk() {
            Some(recorded_us) => i64::from_be_bytes(*recorded_us),
            None => time_of(uplink)?.timestamp_micros(),
        };
        Some(Self {
            print: u64::from_be_bytes(*print),
            source: u32::from_be_bytes(*source),
            reception: Some(u32::from_be_bytes(*reception)).filter(|hash| *hash != 0),
            time_us: Some(i64::from_be_bytes(*time_us)).filter(|time| *time != i64::MIN),
            uplink,
            has_reports: *has_reports != 0,
            recorded_us,
        })
    }

    fn write(&self, stored: &mut Vec<u8>) {
        stored.extend_from_slice(&self.print.to_be_bytes());
        stored.extend_from_slice(&self.source.to_be_bytes());
        stored.extend_from_slice(&self.reception.unwrap_or(0).to_be_bytes());
        stored.extend_from_slice(&self.time_us.unwrap_or(i64::MIN).to_be_bytes());
        stored.extend_from_slice(self.uplink.as_bytes());
        stored.push(self.has_reports.into());
        stored.extend_from_slice(&self.recorded_us.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock, id::new_uuid};

    const HERE: ConnectionId = ConnectionId(1);
    const THERE: ConnectionId = ConnectionId(2);

    fn mark(print: u64) -> Mark {
        Mark {
            print,
            reception: None,
            time: None,
            apart_max: TimeDelta::seconds(10),
            is_numbered: true,
        }
    }

    fn found(frames: &Frames, mark: &Mark, source: ConnectionId) -> Option<Uuid> {
        let known = frames.find(mark, source, &clock::now().into(), 300);
        known.map(|known| known.uplink)
    }

    #[test]
    fn the_last_frames_are_found_within_the_window() {
        let now = clock::now();
        let mut frames = Frames::default();
        let ids: Vec<Uuid> = (0..20).map(|_| new_uuid()).collect();
        for (print, id) in (0..).zip(&ids) {
            frames.push(&mark(print), HERE, *id, false, now);
        }
        let frames = Frames::read(frames.write());
        let find = |print, at, window_s| {
            let known = frames.find(&mark(print), HERE, &Moment::from(at), window_s);
            known.map(|known| known.uplink)
        };
        assert_eq!(find(19, now, 300), Some(ids[19]));
        assert_eq!(find(4, now, 300), Some(ids[4]));
        assert_eq!(find(3, now, 300), None, "forgotten");
        let later = now + TimeDelta::seconds(302);
        assert_eq!(find(19, later, 300), None);
        assert_eq!(find(19, later, 600), Some(ids[19]));
        assert_eq!(find(19, now, 0), None, "switched off");
        // The clock of a hub was ahead when it recorded the frames.
        assert_eq!(find(19, now - TimeDelta::days(1), 300), None);
        assert_eq!(Frames::default().write(), None);
        for other_form in [vec![1, 2, 3], vec![0; 24], vec![1; 48], vec![3; 42]] {
            let frames = Frames::read(Some(other_form));
            assert!(frames.find(&mark(0), HERE, &now.into(), 300).is_none());
        }
    }

    #[test]
    fn frames_of_the_form_without_a_time_are_read() {
        let (now, id) = (clock::now(), new_uuid());
        let mut frames = Frames::default();
        frames.push(&mark(1), HERE, id, true, now - TimeDelta::days(1));
        let mut stored = frames.write().unwrap();
        stored.truncate(1 + FRAME_BYTES_WITHOUT_TIME);
        stored[0] = FORM_WITHOUT_TIME;
        let frames = Frames::read(Some(stored));
        assert_eq!(found(&frames, &mark(1), HERE), Some(id));
        let later = now + TimeDelta::seconds(302);
        assert!(frames.find(&mark(1), HERE, &later.into(), 300).is_none());
    }

    #[test]
    fn the_network_says_what_one_reception_is() {
        let at = |seconds: i64| Time::from_timestamp(1_700_000_000 + seconds, 0);
        let counted = |reception, seconds| Mark {
            reception,
            time: at(seconds),
            ..mark(7)
        };
        let bare = |reception, seconds| Mark {
            is_numbered: false,
            apart_max: TimeDelta::seconds(1),
            ..counted(reception, seconds)
        };
        let mut frames = Frames::default();
        frames.push(&counted(Some(5), 0), HERE, new_uuid(), false, clock::now());
        let frames = Frames::read(frames.write());
        let is_copy = |mark: Mark, source| found(&frames, &mark, source).is_some();
        assert!(is_copy(counted(Some(5), 0), HERE));
        assert!(is_copy(bare(Some(5), 99), THERE), "the same id");
        assert!(!is_copy(bare(Some(6), 0), HERE), "another id");
        // Another network server has its own identifiers, so the times decide.
        assert!(is_copy(bare(Some(6), 1), THERE));
        assert!(!is_copy(bare(Some(6), 2), THERE));
        assert!(!is_copy(bare(None, 2), HERE));
        // Equal counters within seconds mean a copy; later, the device has restarted.
        assert!(is_copy(counted(Some(6), 10), HERE));
        assert!(!is_copy(counted(Some(6), 11), HERE));
        assert!(!is_copy(counted(None, -11), HERE));
        assert!(is_copy(mark(7), HERE), "the counter tells");
        let timeless = Mark {
            reception: Some(6),
            ..mark(7)
        };
        assert!(!is_copy(timeless, HERE), "another id, and no time");
        let nothing = Mark {
            is_numbered: false,
            ..mark(7)
        };
        assert!(!is_copy(nothing, HERE), "nothing tells");
        assert!(!is_copy(mark(8), HERE));
    }

    #[test]
    fn presses_of_one_print_are_each_remembered() {
        let press = |reception| Mark {
            reception: Some(reception),
            is_numbered: false,
            ..mark(7)
        };
        let mut frames = Frames::default();
        let ids = [new_uuid(), new_uuid()];
        frames.push(&press(1), HERE, ids[0], false, clock::now());
        frames.push(&press(2), HERE, ids[1], true, clock::now());
        assert_eq!(found(&frames, &press(1), HERE), Some(ids[0]));
        assert_eq!(found(&frames, &press(2), HERE), Some(ids[1]));
        assert_eq!(found(&frames, &press(3), HERE), None);
        let first = frames
            .find(&press(1), HERE, &clock::now().into(), 300)
            .unwrap();
        assert!(!first.has_reports);
        frames.note_reports(first);
        let first = frames
            .find(&press(1), HERE, &clock::now().into(), 300)
            .unwrap();
        assert!(first.has_reports);
    }
}
