//! Copies a database to another one, which may be of the other kind.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;

use super::parts::compare;
use crate::store::transfer::{
    Blueprint, Cell, Digest, Found, Purpose, Row, Source, Summary, Table, Target,
};

/// Copies all tables; `report` gets a line for each. What an interrupted copy has completed is not copied again, if
/// the source still has it. Returns the number of rows.
pub async fn copy(
    from: &str,
    to: &str,
    mut report: impl FnMut(&str) -> Result<(), String>,
) -> Result<u64, String> {
    let source = Source::open(from).await;
    let mut source = source.map_err(|error| format!("source: {}", error.causes()))?;
    let target = Target::open(to).await;
    let mut target = target.map_err(|error| format!("target: {}", error.causes()))?;
    let blueprint = source.blueprint().clone();
    let mut summaries = done(&mut source, &target, &blueprint).await?;
    if summaries.is_empty() {
        let begun = target.begin(Purpose::Copy, &blueprint).await;
        begun.map_err(|error| error.causes())?;
    }
    for table in &blueprint.tables {
        let name = &table.name;
        if let Some(Summary { rows, .. }) = summaries.get(name) {
            report(&format!("{name}: {rows} rows were copied before"))?;
            continue;
        }
        let summary = one(&mut source, &mut target, table).await?;
        report(&format!("{name}: {} rows", summary.rows))?;
        summaries.insert(name.clone(), summary);
    }
    let mut rows = 0;
    for table in &blueprint.tables {
        let read = target.summary(table).await;
        let read = read.map_err(|error| error.causes())?;
        if let Some(summary) = summaries.get(&table.name) {
            compare(&table.name, summary, &read)?;
        }
        rows += read.rows;
    }
    let numbers = source.numbers().await.map_err(|error| error.causes())?;
    let finished = target.finish(&blueprint, &numbers).await;
    finished.map_err(|error| error.causes())?;
    target.close().await.map_err(|error| error.causes())?;
    source.close().await.map_err(|error| error.causes())?;
    Ok(rows)
}

/// Returns the tables that need not be copied again. Empty if the copy begins anew: if the target has nothing, or if
/// the source has changed since.
async fn done(
    source: &mut Source,
    target: &Target,
    blueprint: &Blueprint,
) -> Result<BTreeMap<String, Summary>, String> {
    let begun = match target.find().await.map_err(|error| error.causes())? {
        Found::Data => return Err("the target has data: copy into an empty database".to_owned()),
        Found::Empty => return Ok(BTreeMap::new()),
        Found::Begun(begun) => begun,
    };
    let mut summaries = BTreeMap::new();
    if !begun.is_copy || begun.level != blueprint.migrations.len() {
        return Ok(summaries);
    }
    for table in &blueprint.tables {
        let Some(copied) = begun.done.get(&table.name) else {
            break;
        };
        let summary = source.summary(table).await;
        let summary = summary.map_err(|error| error.causes())?;
        if summary.to_string() != *copied {
            return Ok(BTreeMap::new());
        }
        summaries.insert(table.name.clone(), summary);
    }
    Ok(summaries)
}

async fn one(source: &mut Source, target: &mut Target, table: &Table) -> Result<Summary, String> {
    // Rows of an interrupted attempt; no table that references this one has rows yet.
    let cleared = target.clear(table).await;
    cleared.map_err(|error| error.causes())?;
    let mut digest = Digest::default();
    let mut rows = source.rows(table);
    while let Some(row) = rows.try_next().await.map_err(|error| error.causes())? {
        digest.add(&row);
        let bytes = size(&row);
        let inserted = target.insert(table, row, bytes).await;
        inserted.map_err(|error| error.causes())?;
    }
    let flushed = target.flush(table).await;
    flushed.map_err(|error| error.causes())?;
    let summary = digest.summary();
    let noted = target.note_done(table, &summary).await;
    noted.map_err(|error| error.causes())?;
    Ok(summary)
}

/// Approximate size of a row.
fn size(row: &Row) -> usize {
    let cells = row.iter().map(|cell| match cell {
        Cell::Text(text) | Cell::Json(text) => text.len(),
        Cell::Bytes(bytes) => bytes.len(),
        _ => 8,
    });
    cells.sum()
}
