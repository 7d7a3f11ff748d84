//! Fills: a fill ends at the time of its beginning, because later uplinks add their rows themselves.

use crate::{
    error::Result,
    hub::Hub,
    id::DataTableId,
    store::{
        Scope,
        core::listing::Span,
        data::fills::{Fill, NewFill},
        devices,
    },
};

impl Hub {
    /// Begins a fill, which adds the rows of stored uplinks to a data table.
    pub async fn begin_fill(
        &self,
        scope: &Scope,
        table: DataTableId,
        span: Span,
        device_id: Option<String>,
        is_replacing: bool,
    ) -> Result<Fill> {
        if let Some(device) = &device_id {
            devices::get(scope, device).await?;
        }
        let now = scope.now();
        let new = NewFill {
            from: span.from,
            to: span.to.map_or(now, |to| to.min(now)),
            device_id,
            is_replacing,
        };
        self.fills.begin(scope, table, new).await
    }
}
