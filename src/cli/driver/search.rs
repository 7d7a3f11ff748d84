//! `driver search`: lists drivers in a hub's registry.

use clap::{Arg, ArgMatches, Command};
use serde_json::value::RawValue;

use super::{
    arguments::json_argument,
    registry::{Driver, Registry},
};
use crate::cli::{
    connection::printable,
    exit::{EXIT_CODES, Failure, Reason},
    output, pages, target,
};

/// Flags that become query parameters of the same name.
const FILTERS: [(&str, &str); 4] = [
    ("author", "Only drivers of this author"),
    (
        "manufacturer",
        "Only drivers for devices of this manufacturer, ignoring case",
    ),
    (
        "model",
        "Only drivers for devices of this model, ignoring case",
    ),
    ("label", "Only drivers with this label"),
];

/// `thingshub driver search`.
pub fn command() -> Command {
    let filter = |(name, help): (&'static str, &'static str)| {
        Arg::new(name)
            .long(name)
            .value_name(name.to_uppercase())
            .help(help)
    };
    Command::new("search")
        .about("Find drivers in a hub's registry")
        .after_help(EXIT_CODES)
        .arg(Arg::new("text").value_name("TEXT").help(
            "Text in the author, name, description, manufacturer, model or label, ignoring case",
        ))
        .args(FILTERS.map(filter))
        .arg(json_argument().help("Print one line of JSON per driver, as the hub returns it"))
        .args(target::arguments())
}

/// Prints the found drivers: as a table, or as a line of JSON each.
pub async fn search(matches: &ArgMatches) -> Result<(), Failure> {
    let given = |id: &'static str, query| {
        let value = matches.get_one::<String>(id)?;
        Some((query, value.as_str()))
    };
    let mut queries: Vec<(&str, &str)> = FILTERS
        .iter()
        .filter_map(|(name, _)| given(name, *name))
        .collect();
    queries.extend(given("text", "q"));
    let registry = Registry::connect(matches)?;
    if matches.get_flag("json") {
        let print = |items: &[Box<RawValue>]| output::bytes(&pages::lines(items)?);
        return registry.search(&queries, print).await;
    }
    let mut rows = vec![["DRIVER", "TAGS", "DESCRIPTION"].map(str::to_owned)];
    registry
        .search(&queries, |items| {
            for item in items {
                let driver = serde_json::from_str(item.get()).map_err(|_| {
                    Failure::new(Reason::HubFailed, "the response is not that of a hub")
                })?;
                rows.push(row(&driver));
            }
            Ok(())
        })
        .await?;
    output::bytes(table(&rows).as_bytes())
}

fn row(driver: &Driver) -> [String; 3] {
    let tags: Vec<&str> = driver.tags.iter().map(|tag| tag.tag.as_str()).collect();
    [
        format!("{}/{}", driver.author, driver.name),
        tags.join(" "),
        driver.description.clone(),
    ]
    .map(|text| printable(&text))
}

/// Formats columns as wide as their content, without trailing blanks.
fn table(rows: &[[String; 3]]) -> String {
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let (first, second) = (width(0), width(1));
    let line = |[driver, tags, description]: &[String; 3]| {
        let line = format!("{driver:first$}  {tags:second$}  {description}");
        line.trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_the_script() {
        let rows = [["a/b", "1", "x"], ["ä/longer", "latest 2", ""]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(table(&rows), "a/b       1         x\nä/longer  latest 2\n");
    }
}
