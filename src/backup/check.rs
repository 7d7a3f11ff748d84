//! Checks a database.

use crate::store::{plan, transfer::Source};

/// Result of a check.
#[derive(Debug, Default)]
pub struct Checked {
    /// A line for each finding.
    pub findings: Vec<String>,
    /// True if the database has the current schema.
    pub is_current: bool,
}

/// Checks the database at this URL. A database that cannot be opened is a finding as well.
pub async fn check(url: &str) -> Checked {
    let mut checked = Checked::default();
    match plan(url).await {
        Ok(pending) if pending.is_empty() => checked.is_current = true,
        Ok(pending) => checked.findings.push(format!(
            "schema: {} migrations have not run: {}",
            pending.len(),
            pending.join(", ")
        )),
        Err(error) => {
            checked
                .findings
                .push(format!("database: {}", error.causes()));
            return checked;
        }
    }
    let inspected = async {
        let mut source = Source::open(url).await?;
        let inspected = source.inspect().await;
        source.close().await?;
        inspected
    };
    match inspected.await {
        Ok(findings) => checked.findings.extend(findings),
        Err(error) => {
            checked.is_current = false;
            checked
                .findings
                .push(format!("database: {}", error.causes()));
        }
    }
    checked
}
