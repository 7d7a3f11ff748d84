//! Drivers that are part of the hub, which the registry lists together with pushed ones.

use serde::de::DeserializeOwned;

use crate::{
    clock::Time,
    driver::{BUILT_IN_AUTHOR, BuiltIn},
    error::Result,
    reference::DriverKey,
    store::{
        Page, Scope,
        core::listing::{Place, Sort, Stretch},
        drivers::{
            self, Driver, Metadata,
            list::{self, Filter, SortBy},
        },
    },
};

/// Returns a driver, pushed or built in.
pub async fn get<S: DeserializeOwned>(scope: &Scope, key: &DriverKey) -> Result<Driver<S>> {
    match BuiltIn::find(&key.author, &key.name) {
        Some(driver) => Ok(shown(driver)),
        None => drivers::get(scope, key).await,
    }
}

/// Returns a page of all drivers.
pub async fn list<S: DeserializeOwned>(
    scope: &Scope,
    filter: &Filter,
    sort: Sort<SortBy>,
    stretch: &Stretch,
) -> Result<Page<Driver<S>, Place>> {
    let built_in = BuiltIn::ALL.into_iter().map(shown);
    let picked = built_in.filter(|driver| picks(filter, driver)).collect();
    list::list(scope, filter, sort, stretch, picked).await
}

fn shown<S>(driver: BuiltIn) -> Driver<S> {
    let key = DriverKey {
        author: BUILT_IN_AUTHOR.to_owned(),
        name: driver.name().to_owned(),
    };
    let metadata = Metadata {
        description: driver.description().to_owned(),
        supports: Vec::new(),
        labels: Vec::new(),
    };
    Driver::beside(key, metadata, Time::UNIX_EPOCH)
}

/// Returns true if a built-in driver matches the filter of a list. It is for no particular device and has no
/// labels.
fn picks<S>(filter: &Filter, driver: &Driver<S>) -> bool {
    let Filter {
        author,
        manufacturer,
        model,
        label,
        search,
    } = filter;
    let holds = |text: &String| {
        let (key, text) = (&driver.key, text.to_lowercase());
        let places = [&key.author, &key.name, &driver.metadata.description];
        places
            .iter()
            .any(|place| place.to_lowercase().contains(&text))
    };
    author
        .as_ref()
        .is_none_or(|author| *author == driver.key.author)
        && search.as_ref().is_none_or(holds)
        && [manufacturer, model, label]
            .iter()
            .all(|named| named.is_none())
}

#[cfg(test)]
mod tests {
    use crate::{driver, reference};

    #[test]
    fn references_know_the_author_of_built_in_drivers() {
        assert_eq!(reference::BUILT_IN_AUTHOR, driver::BUILT_IN_AUTHOR);
    }
}
