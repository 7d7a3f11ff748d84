//! Named time zones, from the tables of IANA that are part of the program: a worker has no files.

use chrono::{DateTime, Offset, Utc};
use chrono_tz::{OffsetName, TZ_VARIANTS, Tz};
use rquickjs::Object;
use rquickjs::function::Func;

/// Adds what the dates of [`super::PARTS`] ask.
pub fn install(natives: &Object<'_>) -> rquickjs::Result<()> {
    natives.set("zoneName", Func::from(name))?;
    natives.set("zoneOffset", Func::from(offset_s))?;
    natives.set("zoneLetters", Func::from(letters))
}

/// The zone's own spelling of a name in any case.
fn name(text: String) -> Option<String> {
    find(&text).map(|zone| zone.name().to_owned())
}

/// Seconds east of Greenwich.
fn offset_s(name: String, epoch_ms: f64) -> i32 {
    at(&name, epoch_ms).map_or(0, |time| time.offset().fix().local_minus_utc())
}

/// What the zone is called then, such as `CEST`; an offset where it has no letters.
fn letters(name: String, epoch_ms: f64) -> String {
    let letters =
        at(&name, epoch_ms).and_then(|time| time.offset().abbreviation().map(str::to_owned));
    letters.unwrap_or_default()
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
