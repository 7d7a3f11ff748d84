//! The readable beginning of a backup.

use serde::{Deserialize, Serialize};

use crate::{
    clock,
    store::transfer::{Blueprint, Kind, Source},
};

/// First line of a backup; the number is the version of the format.
pub const MAGIC: &str = "thingshub-backup 1\n";

/// The header of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Version of the program that made the backup.
    pub program: String,
    /// Time at which the backup began.
    pub made_at: clock::Time,
    /// Kind of the database.
    pub database: String,
    /// True if the backup has the keys of sealed secrets.
    pub has_keys: bool,
    /// Names of the migrations of the database.
    pub migrations: Vec<String>,
    /// Tables in the order of the backup.
    pub tables: Vec<Table>,
}

/// A table in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Name of the table.
    pub name: String,
    /// Names of the columns with their types.
    pub columns: Vec<(String, String)>,
}

impl Header {
    /// Returns the header for a backup of this database.
    pub fn new(source: &Source, has_keys: bool) -> Self {
        let blueprint = source.blueprint();
        Self {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: clock::now(),
            database: source.kind().to_owned(),
            has_keys,
            migrations: blueprint.migrations.clone(),
            tables: tables(blueprint),
        }
    }

    /// Returns the tables of the backup as this program knows them; fails if it does not.
    pub async fn blueprint(&self) -> Result<Blueprint, String> {
        let blueprint = Blueprint::at(self.migrations.len()).await;
        let blueprint = blueprint.map_err(|error| error.causes())?;
        if blueprint.migrations != self.migrations {
            return Err(format!(
                "the backup is from thingshub {}, whose database this program, {}, does not know: restore it with \
                 that version or a newer one",
                self.program,
                env!("CARGO_PKG_VERSION")
            ));
        }
        match tables(&blueprint) == self.tables {
            true => Ok(blueprint),
            false => Err("the tables of the backup are not those of its migrations".to_owned()),
        }
    }
}

fn tables(blueprint: &Blueprint) -> Vec<Table> {
    let named = |kind: Kind| kind.name().to_owned();
    let tables = blueprint.tables.iter().map(|table| Table {
        name: table.name.clone(),
        columns: table
            .columns
            .iter()
            .map(|column| (column.name.clone(), named(column.kind)))
            .collect(),
    });
    tables.collect()
}
