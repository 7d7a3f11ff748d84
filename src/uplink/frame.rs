//! Recognises messages that are copies of one frame.
//!
//! Copies are matched by the network's id of the reception ([`Uplink::reception`]) if there is one,
//! otherwise by time. The frame counter alone is not enough: devices without a counter always send 0,
//! and devices that restart without a join count from 0 again within the same session.

use chrono::TimeDelta;
use sha2::{Digest, Sha256};

use crate::{networks::Uplink, store::devices::frames::Mark};

/// Maximum difference between the times of two copies of a frame with a counter. Covers the delay
/// between gateways or network servers; a device takes longer than this to restart.
const COUNTED: TimeDelta = TimeDelta::seconds(10);
/// Maximum difference between the times of two copies of a frame without a counter. A device listens
/// for more than a second after an uplink before it may send another.
const UNCOUNTED: TimeDelta = TimeDelta::seconds(1);

/// Returns the mark that identifies a frame among those of its device. `None` if nothing distinguishes
/// it from the next message with the same payload.
pub fn mark(uplink: &Uplink) -> Option<Mark> {
    // Zero may stand for a counter that was left out.
    let is_numbered = uplink.f_cnt.is_some_and(|counter| counter > 0);
    let reception = uplink.reception.as_deref().map(hash_of_reception);
    if !is_numbered && reception.is_none() && uplink.time.is_none() {
        return None;
    }
    Some(Mark {
        print: print(uplink),
        reception,
        time: uplink.time,
        apart_max: match (&uplink.session, is_numbered) {
            (None, _) => TimeDelta::zero(),
            (Some(_), true) => COUNTED,
            (Some(_), false) => UNCOUNTED,
        },
        is_numbered,
    })
}

/// Hashes the fields that all copies of a frame share.
fn print(uplink: &Uplink) -> u64 {
    let mut hash = Sha256::new();
    let mut add = |part: Option<&[u8]>| {
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(part.unwrap_or_default());
    };
    add(uplink.session.as_deref().map(str::as_bytes));
    add(uplink.f_cnt.map(u32::to_be_bytes).as_ref().map(|c| &c[..]));
    add(uplink.f_port.as_ref().map(std::slice::from_ref));
    add(uplink.payload.as_deref());
    u64::from_be_bytes(first_bytes(&hash.finalize()))
}

fn hash_of_reception(id: &str) -> u32 {
    // Zero is stored for "no reception".
    u32::from_be_bytes(first_bytes(&Sha256::digest(id))).max(1)
}

fn first_bytes<const N: usize>(digest: &[u8]) -> [u8; N] {
    digest.first_chunk().copied().unwrap_or([0; N])
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn frame() -> Uplink {
        Uplink {
            session: Some("00189440".to_owned()),
            f_port: Some(1),
            f_cnt: Some(7),
            payload: Some(Bytes::from_static(b"\x01")),
            time: Some("2026-01-31T12:00:00Z".parse().unwrap()),
            ..Uplink::default()
        }
    }

    #[test]
    fn copies_have_one_print_and_other_frames_another() {
        let first = print(&frame());
        let later = Some("2026-01-31T12:00:01Z".parse().unwrap());
        let copy = Uplink {
            time: later,
            reception: Some("x".to_owned()),
            ..frame()
        };
        assert_eq!(print(&copy), first);
        let others = [
            Uplink {
                session: Some("00189441".to_owned()),
                ..frame()
            },
            Uplink {
                f_cnt: Some(8),
                ..frame()
            },
            Uplink {
                f_port: None,
                ..frame()
            },
            Uplink {
                payload: None,
                ..frame()
            },
            Uplink {
                payload: Some(Bytes::from_static(b"\x02")),
                ..frame()
            },
        ];
        for other in others {
            assert_ne!(print(&other), first, "{other:?}");
        }
    }

    #[test]
    fn what_is_not_counted_is_told_by_reception_and_time() {
        let counted = mark(&frame()).unwrap();
        assert!(counted.is_numbered);
        assert_eq!(counted.apart_max, COUNTED);
        for f_cnt in [None, Some(0)] {
            let bare = Uplink { f_cnt, ..frame() };
            let reported = mark(&bare).unwrap();
            assert!(!reported.is_numbered);
            assert_eq!(reported.apart_max, UNCOUNTED);
            let without_session = Uplink {
                session: None,
                ..bare
            };
            let reported = mark(&without_session).unwrap();
            assert_eq!(reported.apart_max, TimeDelta::zero());
        }
        let named = |name: &str| Uplink {
            reception: Some(name.to_owned()),
            time: None,
            f_cnt: None,
            ..frame()
        };
        let reception = |name| mark(&named(name)).unwrap().reception;
        assert_ne!(reception("a"), reception("b"));
        assert_eq!(reception("a"), reception("a"));
    }

    #[test]
    fn what_nothing_numbers_is_never_a_copy() {
        for session in [None, Some(String::new()), Some("00189440".to_owned())] {
            for f_cnt in [None, Some(0)] {
                let bare = Uplink {
                    session: session.clone(),
                    f_cnt,
                    time: None,
                    ..frame()
                };
                assert_eq!(mark(&bare), None);
            }
        }
    }
}
