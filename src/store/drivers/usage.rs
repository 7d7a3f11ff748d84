//! Which devices, and rules that make devices, use which driver, and by what they call it.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{
    ColumnTrait, Condition, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Func, LockType},
};

use crate::{
    error::{Error, Result},
    reference::{BUILT_IN_AUTHOR, DriverKey, LATEST, Pick, Reference},
    store::{
        core::{
            listing::{Place, Stretch},
            page::Page,
            scope::Scope,
            transaction::DatabaseTransaction,
        },
        drivers::{picked, rows, tag},
        entities::{device, driver, driver_version, network_connection},
    },
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
pub(in crate::store) fn using(reference: &Reference) -> Condition {
    naming(
        reference,
        &Expr::col((device::Entity, device::Column::Driver)),
    )
}

/// The driver that a connection's rule gives to the devices that it makes.
const RULE_S_DRIVER: &str = "(\"network_connections\".\"auto_provisioning\" ->> 'driver')";

/// Where a text names what this reference picks.
fn naming(reference: &Reference, text: &Expr) -> Condition {
    let own = reference.key.to_string();
    let exactly = |driver: String| text.clone().eq(driver);
    let starting_with = |start: &str| starting_with(text, start);
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
fn starting_with(text: &Expr, start: &str) -> Expr {
    let length = i32::try_from(start.chars().count()).unwrap_or(i32::MAX);
    let beginning = Func::cust("SUBSTR")
        .arg(text.clone())
        .arg(Expr::value(1))
        .arg(Expr::value(length));
    Expr::expr(beginning).eq(start)
}

/// A stretch of the references to a driver that devices use, in their order.
pub async fn list(scope: &Scope, key: &DriverKey, stretch: &Stretch) -> Result<Page<InUse, Place>> {
    let driver = rows::find(scope, scope.reader(), key).await?;
    let driver = driver.ok_or_else(|| rows::missing(key))?;
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
    let mut tags = tag::of_drivers(scope, scope.reader(), [driver.id]).await?;
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

/// Which of these references, that are about to be stored, stand for nothing. The drivers of the others
/// stay until the end of the transaction, with their tags and versions. Held before the devices.
pub(in crate::store) async fn hold(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    references: impl IntoIterator<Item = &str>,
) -> Result<HashSet<String>> {
    let mut missing = HashSet::new();
    // In one order, so that two who hold several do not wait for each other.
    let mut named: BTreeMap<String, (DriverKey, BTreeMap<String, Pick>)> = BTreeMap::new();
    for text in references {
        match Reference::parse(text) {
            None => {
                missing.insert(text.to_owned());
            }
            Some(reference) if reference.key.author == BUILT_IN_AUTHOR => {}
            Some(reference) => {
                let pick = reference.pick();
                let key = reference.key;
                let entry = named.entry(key.to_string());
                let (_, picks) = entry.or_insert((key, BTreeMap::new()));
                picks.insert(text.to_owned(), pick);
            }
        }
    }
    for (key, picks) in named.into_values() {
        // Whoever deletes the driver, a tag or a version holds it as well.
        scope
            .find::<driver::Entity>()
            .filter(rows::called(&key))
            .lock(LockType::Share)
            .one(transaction)
            .await?;
        for (text, pick) in picks {
            let found = picked::find_id(scope, transaction, &key, &pick).await?;
            if found.is_none() {
                missing.insert(text);
            }
        }
    }
    Ok(missing)
}

/// The same for the driver of one device; the error names the field.
pub(in crate::store) async fn hold_one(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    reference: Option<&str>,
) -> Result<()> {
    let missing = hold(scope, transaction, reference).await?;
    missing
        .into_iter()
        .next()
        .map_or(Ok(()), |reference| Err(no_driver(&reference)))
}

/// What a device names is no driver.
pub(in crate::store) fn no_driver(reference: &str) -> Error {
    Error::field("driver", format!("there is no driver {reference}"))
}

/// Refuses to go on while devices, rules that make devices, or tags need what is to be deleted.
pub(in crate::store) async fn refuse_used(
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
    let picked_by = |text: &Expr| {
        let any = Condition::any();
        picked
            .iter()
            .fold(any, |any, reference| any.add(naming(reference, text)))
    };
    let devices = scope
        .find::<device::Entity>()
        .filter(picked_by(&Expr::col((
            device::Entity,
            device::Column::Driver,
        ))))
        .count(transaction)
        .await?;
    let rules = scope
        .find::<network_connection::Entity>()
        .filter(picked_by(&Expr::cust(RULE_S_DRIVER)))
        .count(transaction)
        .await?;
    let by_rules = match rules {
        0 => String::new(),
        _ => format!(" and the auto_provisioning of {rules} network connection(s)"),
    };
    let advice = match (devices + rules, tags) {
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
        "driver {what} is in use by {devices} device(s){by_rules}: {advice}"
    )))
}
