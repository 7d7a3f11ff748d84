//! Named time zones, from the tables of IANA that are part of the program: a worker has no files.

use chrono::{DateTime, Offset, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};
use rquickjs::Object;
use rquickjs::function::Func;

use super::locales;

/// Adds what the dates of [`super::PARTS`] ask.
pub fn install(natives: &Object<'_>) -> rquickjs::Result<()> {
    natives.set("zoneName", Func::from(name))?;
    natives.set("zoneOffset", Func::from(offset_s))
}

/// Node's name of the zone that has this one, in any case.
fn name(text: String) -> Option<String> {
    find(&text).map(|zone| locales::canonical(zone.name()).to_owned())
}

/// Seconds east of Greenwich.
fn offset_s(name: String, epoch_ms: f64) -> i32 {
    at(&name, epoch_ms).map_or(0, |time| time.offset().fix().local_minus_utc())
}

fn at(name: &str, epoch_ms: f64) -> Option<DateTime<Tz>> {
    let time = DateTime::<Utc>::from_timestamp_millis(epoch_ms as i64)?;
    Some(time.with_timezone(&find(name)?))
}

fn find(text: &str) -> Option<Tz> {
    text.parse().ok().or_else(|| {
        let mut zones = TZ_VARIANTS.iter();
        zones
            .find(|zone| zone.name().eq_ignore_ascii_case(text))
            .copied()
    })
}
