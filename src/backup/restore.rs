//! Restores a backup into an empty database.

use std::path::Path;

use super::{
    header::Header,
    parts::compare,
    reader::{Part, Reader},
};
use crate::store::transfer::{Blueprint, Digest, Found, Purpose, Summary, Target};

/// A database that was restored.
pub struct Restored {
    /// Header of the backup.
    pub header: Header,
    /// Number of rows.
    pub rows: u64,
}

/// Restores a backup into the database at this URL, which must be empty or the target of an interrupted restore or
/// copy. `put_keys` gets the keys of the backup before the database is declared complete.
pub async fn restore(
    url: &str,
    path: &Path,
    put_keys: impl FnOnce(&str) -> Result<(), String>,
) -> Result<Restored, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut reader = Reader::open(path).map_err(named)?;
    let header = reader.header().clone();
    let blueprint = header.blueprint().await;
    let blueprint = blueprint.map_err(|error| format!("{}: {error}", path.display()))?;
    let target = Target::open(url).await;
    let mut target = target.map_err(|error| format!("database: {}", error.causes()))?;
    let found = target.find().await.map_err(|error| error.causes())?;
    if matches!(found, Found::Data) {
        return Err("the database has data: restore into an empty one".to_owned());
    }
    let begun = target.begin(Purpose::Restore, &blueprint).await;
    begun.map_err(|error| error.causes())?;
    let mut summaries = Vec::new();
    for table in &blueprint.tables {
        let mut digest = Digest::default();
        let stored = loop {
            match reader.next().map_err(named)? {
                Part::Row(row, bytes) => {
                    if row.len() != table.columns.len() {
                        return Err(named(std::io::Error::other("a row has other columns")));
                    }
                    digest.add(&row);
                    let inserted = target.insert(table, row, bytes).await;
                    inserted.map_err(|error| error.causes())?;
                }
                Part::EndOfTable(summary) => break summary,
                _ => return Err(named(std::io::Error::other("a table has no end"))),
            }
        };
        compare(&table.name, &stored, &digest.summary())?;
        let flushed = target.flush(table).await;
        flushed.map_err(|error| error.causes())?;
        summaries.push(stored);
    }
    let (mut numbers, mut keys) = (Vec::new(), None);
    loop {
        match reader.next().map_err(named)? {
            Part::Numbers(found) => numbers = found,
            Part::Keys(found) => keys = Some(found),
            Part::End => break,
            _ => return Err(named(std::io::Error::other("it has rows of no table"))),
        }
    }
    let rows = verify(&target, &blueprint, &summaries).await?;
    if let Some(keys) = keys {
        put_keys(&keys)?;
    }
    let finished = target.finish(&blueprint, &numbers).await;
    finished.map_err(|error| error.causes())?;
    target.close().await.map_err(|error| error.causes())?;
    Ok(Restored { header, rows })
}

/// Reads the database back; returns the number of its rows.
async fn verify(
    target: &Target,
    blueprint: &Blueprint,
    summaries: &[Summary],
) -> Result<u64, String> {
    let mut rows = 0;
    for (table, stored) in blueprint.tables.iter().zip(summaries) {
        let read = target.summary(table).await;
        let read = read.map_err(|error| error.causes())?;
        compare(&table.name, stored, &read)?;
        rows += read.rows;
    }
    Ok(rows)
}
