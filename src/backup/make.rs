//! Makes a backup.

use std::path::Path;

use futures_util::TryStreamExt;

use super::{header::Header, writer::Writer};
use crate::store::transfer::{Digest, Source, write_row};

/// A backup that was made.
pub struct BackupSummary {
    /// Number of tables.
    pub tables: usize,
    /// Number of rows.
    pub rows: u64,
    /// Size of the file.
    pub bytes: u64,
}

/// Writes a backup of the database at this URL. `keys` returns the keys of sealed secrets; it is called after the
/// snapshot was taken, because a key is in its file before a value is sealed with it. An existing file is only
/// overwritten if the backup `replaces` it.
pub async fn back_up(
    url: &str,
    path: &Path,
    keys: Option<&dyn Fn() -> Result<String, String>>,
    replaces: bool,
) -> Result<BackupSummary, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    if !replaces && path.symlink_metadata().is_ok() {
        return Err(format!(
            "{}: the file exists; --force replaces it",
            path.display()
        ));
    }
    let source = Source::open(url).await;
    let mut source = source.map_err(|error| format!("database: {}", error.causes()))?;
    let keys = keys.map(|read| read()).transpose()?;
    let header = Header::new(&source, keys.is_some());
    let mut writer = Writer::create(path, &header).map_err(named)?;
    let tables = source.blueprint().tables.clone();
    let mut total = 0;
    let mut written = Vec::new();
    for table in &tables {
        let mut digest = Digest::default();
        let mut rows = source.rows(table);
        while let Some(row) = rows.try_next().await.map_err(|error| error.causes())? {
            digest.add(&row);
            written.clear();
            write_row(&row, &mut written);
            writer.row(&written).map_err(named)?;
        }
        let summary = digest.summary();
        writer.end_of_table(&summary).map_err(named)?;
        total += summary.rows;
    }
    let numbers = source.numbers().await.map_err(|error| error.causes())?;
    writer.numbers(&numbers).map_err(named)?;
    if let Some(keys) = &keys {
        writer.keys(keys).map_err(named)?;
    }
    source.close().await.map_err(|error| error.causes())?;
    Ok(BackupSummary {
        tables: tables.len(),
        rows: total,
        bytes: writer.finish(path, replaces).map_err(named)?,
    })
}
