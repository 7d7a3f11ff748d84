//! Looks for damage: of the database itself, of single values, and of references.

use futures_util::TryStreamExt;
use sea_orm::sqlx::{self, Row as _};

use super::{
    blueprint::Table,
    cell::Cell,
    source::{Connection, Source},
};
use crate::error::{Error, Result};

/// Maximum number of lines of SQLite's own check.
const LINES_MAX: usize = 20;

impl Source {
    /// Returns a line for each finding.
    pub async fn inspect(&mut self) -> Result<Vec<String>> {
        let mut findings = self.integrity().await?;
        for table in self.blueprint().tables.clone() {
            if let Err(error) = self.read_all(&table).await {
                findings.push(format!("table {}: {}", table.name, error.causes()));
                continue;
            }
            for reference in &table.references {
                let (column, to) = (&reference.column, &reference.to);
                self.orphans(&table.name, column, &reference.table, to, &mut findings)
                    .await?;
            }
            let has_tenant = table
                .columns
                .iter()
                .any(|column| column.name == "tenant_id");
            let is_checked = table
                .references
                .iter()
                .any(|reference| reference.column == "tenant_id");
            // Tables without references, such as the audit log, keep rows of deleted tenants.
            if has_tenant && !is_checked && !table.references.is_empty() {
                self.orphans(&table.name, "tenant_id", "tenants", "id", &mut findings)
                    .await?;
            }
        }
        Ok(findings)
    }

    async fn read_all(&mut self, table: &Table) -> Result<()> {
        let mut rows = self.rows(table);
        while let Some(row) = rows.try_next().await? {
            for (cell, column) in row.iter().zip(&table.columns) {
                if let Cell::Json(text) = cell
                    && serde_json::from_str::<serde_json::Value>(text).is_err()
                {
                    return Err(Error::internal(format!("{} is not JSON", column.name)));
                }
            }
        }
        Ok(())
    }

    /// SQLite's own check of its file. PostgreSQL has none for clients; there, reading all rows must do.
    async fn integrity(&mut self) -> Result<Vec<String>> {
        let Connection::Sqlite(connection) = &mut self.connection else {
            return Ok(Vec::new());
        };
        let rows = sqlx::query("PRAGMA integrity_check").fetch_all(&mut **connection);
        let rows = rows.await.map_err(Error::internal)?;
        let lines = rows.iter().map(|row| row.try_get::<String, _>(0));
        let lines = lines
            .collect::<sqlx::Result<Vec<String>>>()
            .map_err(Error::internal)?;
        let lines = lines
            .iter()
            .flat_map(|line| line.lines())
            .filter(|line| *line != "ok");
        let lines = lines.take(LINES_MAX).map(|line| format!("file: {line}"));
        Ok(lines.collect())
    }

    async fn orphans(
        &mut self,
        table: &str,
        column: &str,
        parents: &str,
        to: &str,
        findings: &mut Vec<String>,
    ) -> Result<()> {
        let orphans = format!(
            "\"{table}\" AS child WHERE child.\"{column}\" IS NOT NULL AND NOT EXISTS \
             (SELECT 1 FROM \"{parents}\" AS parent WHERE parent.\"{to}\" = child.\"{column}\")"
        );
        match self.count(&orphans).await? {
            0 => {}
            count => findings.push(format!(
                "table {table}: {count} rows whose {column} is not in {parents}"
            )),
        }
        Ok(())
    }
}
