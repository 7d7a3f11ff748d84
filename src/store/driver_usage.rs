//! Which devices use which driver, and by what they call it.

use std::collections::BTreeMap;

use sea_orm::{
    ColumnTrait, Condition, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Func},
};

use super::{
    Page, Scope, driver_tags, drivers,
    entities::{device, driver_version},
    listing::{Place, Stretch},
    transaction::DatabaseTransaction,
};
use crate::{
    error::{Error, Result},
    reference::{DriverKey, LATEST, Pick, Reference},
};

/// A reference that devices use.
#[derive(Debug, Clone, PartialEq)]
pub struct InUse {
    /// As `author/name:tag` or `author/name@digest`; `author/name` counts as `:latest`.
    pub reference: String,
    /// What it resolves to now; `None`: nothing.
    pub digest: Option<String>,
    /// Devices that use it.
    pub devices: i64,
}

/// Whose devices are looked for.
#[derive(Debug, Clone, Copy)]
pub enum Users<'a> {
    /// Of the whole driver.
    Driver,
    /// Of the tag.
    Tag(&'a str),
    /// Of the version with this digest: those that are pinned to it, and those of these tags, which
    /// point at it.
    Version(&'a str, &'a [String]),
}

/// The devices that this reference picks: without a tag or digest, all that use the driver.
pub(super) fn using(reference: &Reference) -> Condition {
    let own = reference.key.to_string();
    let exactly = |text: String| device::Column::Driver.eq(text);
    match &reference.named {
        None => Condition::any()
            .add(exactly(own.clone()))
            .add(starting_with(&format!("{own}:")))
            .add(starting_with(&format!("{own}@"))),
        Some(pick) => {
            let picked = Condition::any().add(exactly(format!("{own}{pick}")));
            match pick {
                Pick::Tag(tag) if tag == LATEST => picked.add(exactly(own)),
                _ => picked,
            }
        }
    }
}

/// Not LIKE: SQLite's knows no difference between upper and lower case.
fn starting_with(start: &str) -> Expr {
    let length = i32::try_from(start.chars().count()).unwrap_or(i32::MAX);
    let driver = Expr::col((device::Entity, device::Column::Driver));
    let beginning = Func::cust("SUBSTR")
        .arg(driver)
        .arg(Expr::value(1))
        .arg(Expr::value(length));
    Expr::expr(beginning).eq(start)
}

/// A stretch of the references to a driver that devices use, in their order.
pub async fn list(scope: &Scope, key: &DriverKey, stretch: &Stretch) -> Result<Page<InUse, Place>> {
    let driver = drivers::find(scope, scope.reader(), key).await?;
    let driver = driver.ok_or_else(|| drivers::missing(key))?;
    let whole = Reference {
        key: key.clone(),
        named: None,
    };
    let counted: Vec<(String, i64)> = scope
        .find::<device::Entity>()
        .filter(using(&whole))
        .select_only()
        .column(device::Column::Driver)
        .column_as(device::Column::Id.count(), "devices")
        .group_by(device::Column::Driver)
        .into_tuple()
        .all(scope.reader())
        .await?;
    // `author/name` and `author/name:latest` are one.
    let mut devices: BTreeMap<String, (Pick, i64)> = BTreeMap::new();
    for (text, count) in counted {
        let Some(reference) = Reference::parse(&text) else {
            continue;
        };
        let entry = devices.entry(reference.to_string());
        entry.or_insert((reference.pick(), 0)).1 += count;
    }
    let mut tags = driver_tags::of_drivers(scope, scope.reader(), [driver.id]).await?;
    let tags = tags.remove(&driver.id).unwrap_or_default();
    let pinned = devices.values().filter_map(|(pick, _)| match pick {
        Pick::Digest(digest) => Some(digest.clone()),
        Pick::Tag(_) => None,
    });
    let versions: Vec<String> = scope
        .find::<driver_version::Entity>()
        .filter(driver_version::Column::DriverId.eq(driver.id))
        .filter(driver_version::Column::Digest.is_in(pinned))
        .select_only()
        .column(driver_version::Column::Digest)
        .into_tuple()
        .all(scope.reader())
        .await?;
    let digest = |pick: &Pick| match pick {
        Pick::Digest(digest) => Some(digest.clone()).filter(|digest| versions.contains(digest)),
        Pick::Tag(name) => tags
            .iter()
            .find(|tag| tag.name == *name)
            .map(|tag| tag.digest.clone()),
    };
    let total = stretch.total.then_some(devices.len() as u64);
    let after = stretch.after.as_ref().map(|Place(text, _)| text);
    let most = usize::try_from(stretch.limit).unwrap_or(usize::MAX);
    let found = devices
        .into_iter()
        .filter(|(reference, _)| after.is_none_or(|after| reference > after))
        .take(most.saturating_add(1))
        .map(|(reference, (pick, devices))| InUse {
            digest: digest(&pick),
            reference,
            devices,
        });
    // A reference is its own place: no two are alike.
    let place = |used: &InUse| Place(used.reference.clone(), 0);
    Ok(Page::cut(found.collect(), stretch.limit, place).of(total))
}

/// Refuses to go on while devices, or tags, need what is to be deleted.
pub(super) async fn refuse_used(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    key: &DriverKey,
    users: Users<'_>,
) -> Result<()> {
    let of = |named| {
        let key = key.clone();
        Reference { key, named }
    };
    let (what, picked, tags) = match users {
        Users::Driver => (key.to_string(), vec![of(None)], &[][..]),
        Users::Tag(tag) => {
            let reference = of(Some(Pick::Tag(tag.to_owned())));
            (reference.to_string(), vec![reference], &[][..])
        }
        Users::Version(digest, tags) => {
            let pinned = of(Some(Pick::Digest(digest.to_owned())));
            let what = pinned.to_string();
            let tagged = tags.iter().map(|tag| of(Some(Pick::Tag(tag.clone()))));
            (what, tagged.chain([pinned]).collect(), tags)
        }
    };
    let using = picked
        .iter()
        .fold(Condition::any(), |any, reference| any.add(using(reference)));
    let devices = scope
        .find::<device::Entity>()
        .filter(using)
        .count(transaction)
        .await?;
    let advice = match (devices, tags) {
        (0, []) => return Ok(()),
        (_, []) => "give them another driver first".to_owned(),
        (_, [first, rest @ ..]) => {
            let more = match rest.len() {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            format!("the tag {first}{more} points at it: move or delete what points at it first")
        }
    };
    Err(Error::Conflict(format!(
        "driver {what} is in use by {devices} device(s): {advice}"
    )))
}
