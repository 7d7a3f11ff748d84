//! What makes two messages copies of one frame.

use sha2::{Digest, Sha256};

use super::networks::Uplink;

/// The fingerprint of a frame: the same for every copy of it, whichever connection it comes over, and
/// another one for every other frame of the device. None for a message that nothing tells from the next
/// one with the same payload.
pub fn fingerprint(uplink: &Uplink) -> Option<u64> {
    let is_numbered = match uplink.session.as_deref() {
        // A session that is one for life tells nothing without a counter.
        Some("") => uplink.f_cnt.is_some() || uplink.time.is_some(),
        // A zero may be a counter that was left out.
        None => uplink.f_cnt.is_some_and(|counter| counter > 0) || uplink.time.is_some(),
        Some(_) => true,
    };
    if !is_numbered {
        return None;
    }
    // Copies of a frame have times that differ a little; a counter within a session needs no time.
    let time = match (&uplink.session, uplink.f_cnt) {
        (Some(_), Some(_)) => None,
        _ => uplink.time.map(|time| time.timestamp_micros()),
    };
    let payload = uplink.payload.as_deref();
    let mut hash = Sha256::new();
    let mut add = |part: Option<&[u8]>| {
        let length = part.map_or(u64::MAX, |part| part.len() as u64);
        hash.update(length.to_be_bytes());
        hash.update(part.unwrap_or_default());
    };
    add(uplink.session.as_deref().map(str::as_bytes));
    add(uplink.f_cnt.map(u32::to_be_bytes).as_ref().map(|c| &c[..]));
    add(uplink.f_port.as_ref().map(std::slice::from_ref));
    add(time.map(i64::to_be_bytes).as_ref().map(|t| &t[..]));
    add(payload);
    let digest = hash.finalize();
    digest.first_chunk().map(|first| u64::from_be_bytes(*first))
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
    fn copies_have_one_fingerprint_and_other_frames_another() {
        let first = fingerprint(&frame());
        assert!(first.is_some());
        let later = Some("2026-01-31T12:00:01Z".parse().unwrap());
        let copy = Uplink {
            time: later,
            ..frame()
        };
        assert_eq!(fingerprint(&copy), first);
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
            assert_ne!(fingerprint(&other), first, "{other:?}");
        }
    }

    #[test]
    fn without_a_session_the_time_counts() {
        let bare = Uplink {
            session: None,
            ..frame()
        };
        let later = Uplink {
            time: Some("2026-01-31T12:00:01Z".parse().unwrap()),
            ..bare.clone()
        };
        assert_ne!(fingerprint(&bare), fingerprint(&later));
        assert_eq!(fingerprint(&bare), fingerprint(&bare.clone()));
    }

    #[test]
    fn what_nothing_numbers_is_never_a_copy() {
        for session in [None, Some(String::new())] {
            let bare = Uplink {
                session,
                f_cnt: None,
                time: None,
                ..frame()
            };
            assert_eq!(fingerprint(&bare), None);
        }
    }
}
