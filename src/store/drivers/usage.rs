//! Use of drivers by devices and by rules for automatic provisioning, and the references that they contain.

use std::collections::{BTreeMap, HashSet};

use sea_orm::{
    ColumnTrait, Condition, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait, Func, LockType},
};

use crate::{
    error::{Error, Reason, Result},
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

/// Driver reference that devices use.
#[derive(Debug, Clone, PartialEq)]
pub struct InUse {
    /// Reference as `author/name:tag` or `author/name@digest`; `author/name` counts as `:latest`.
    pub reference: String,
    /// Digest that it resolves to; `None` if it does not resolve.
    pub digest: Option<String>,
    /// Number of devices that use it.
    pub devices: i64,
}

/// Part of a driver whose users are searched.
#[derive(Debug, Clone, Copy)]
pub enum Users<'a> {
    /// The whole driver.
    Driver,
    /// A tag.
    Tag(&'a str),
    /// The version with this digest: devices pinned to it, and devices of these tags, which point at it.
    Version(&'a str, &'a [String]),
}

/// Returns the condition for devices that use this reference; without a tag or digest, any version of the driver.
pub(in crate::store) fn using(reference: &Reference) -> Condition {
    naming(
        reference,
        &Expr::col((device::Entity, device::Column::Driver)),
    )
}

/// Driver that a connection's rule assigns to the devices that it provisions.
const RULE_S_DRIVER: &str = "(\"network_connections\".\"auto_provisioning\" ->> 'driver')";

/// Returns the condition that a text refers to the same driver as this reference.
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

/// Returns the condition that a text starts with another. LIKE is not used because it ignores case in SQLite.
fn starting_with(text: &Expr, start: &str) -> Expr {
    let length = i32::try_from(start.chars().count()).unwrap_or(i32::MAX);
    let beginning = Func::cust("SUBSTR")
        .arg(text.clone())
        .arg(Expr::value(1))
        .arg(Expr::value(length));
    Expr::expr(beginning).eq(start)
}

/// Returns a page of the references to a driver that devices use, in their order.
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
    // `author/name` and `author/name:latest` are the same reference.
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
    // A reference is unique, so it serves as its own place.
    let place = |used: &InUse| Place(used.reference.clone(), 0);
    Ok(Page::cut(found.collect(), stretch.limit, place).of(total))
}

/// Locks the drivers of references that are about to be stored, with their tags and versions, until the end of the
/// transaction. Returns the references that do not resolve. Must be called before the devices are locked.
pub(in crate::store) async fn hold(
    scope: &Scope,
    transaction: &DatabaseTransaction,
    references: impl IntoIterator<Item = &str>,
) -> Result<HashSet<String>> {
    let mut missing = HashSet::new();
    // In a fixed order, so that two callers that lock several drivers do not deadlock.
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
        // Deletions of a driver, a tag or a version also lock this row.
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

/// Locks the driver of one device like [`hold`]; the error names the field.
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

/// Returns the error for a reference that does not resolve.
pub(in crate::store) fn no_driver(reference: &str) -> Error {
    Error::of_field(
        Reason::UnknownReference,
        "driver",
        format!("there is no driver {reference}"),
    )
}

/// Fails if devices, rules for automatic provisioning, or tags use the part that is to be deleted.
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
        (_, []) => "assign another driver first".to_owned(),
        (_, [first, rest @ ..]) => {
            let more = match rest.len() {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            format!("the tag {first}{more} points at it: move or delete all its tags first")
        }
    };
    Err(Error::rejected(
        Reason::InUse,
        format!("driver {what} is in use by {devices} device(s){by_rules}: {advice}"),
    ))
}
