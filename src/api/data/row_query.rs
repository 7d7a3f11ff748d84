//! Parameters that select the rows of a data table, the same for lists and exports.

use super::{columns::Column, filter};
use crate::{
    api::http::{
        parameters::parameter_group,
        sort::{RowTime, SortBy},
        span::{self, PointInTime},
    },
    error::Error,
    store::{
        Scope,
        data::{DataTable, RowFilter},
    },
    text::{DeviceId, RowFilterText},
};

parameter_group! {
    /// Rows that a client asks for, and their order.
    pub struct RowQuery {
        /// Only rows of the device with this identifier, which consists of ASCII letters and digits, with single dashes
        /// between them.
        device_id: DeviceId,
        /// Start of the period, inclusive.
        from: PointInTime,
        /// End of the period, exclusive.
        to: PointInTime,
        /// Conditions on the values of the columns, such as `temperature>30, door.open=true`: 1 to 16 conditions,
        /// separated by commas, all of which must hold. Each consists of a column, one of `=`, `!=`, `<`, `<=`, `>`,
        /// `>=`, and a number, `true`, `false` or a text. Columns with one of `=!<>,"` and texts with a comma or a
        /// quote are written as JSON strings in quotes. A condition holds only for values of the type that it names:
        /// `temperature!=30` does not match texts or rows without a temperature. Texts are compared by the code points
        /// of their characters.
        filter: RowFilterText,
        /// Sort key; prefix it with `-` for descending order. Sorted by `time`, the oldest first, if omitted.
        sort: SortBy<RowTime>,
    }
}

impl RowQuery {
    /// Returns the filter of the rows of a table; fails if it does not fit the columns of the table.
    pub fn filter(&self, table: &DataTable<Column>, scope: &Scope) -> Result<RowFilter, Error> {
        let columns = table.provisioned.columns.as_deref();
        let conditions = self.filter.as_ref();
        let values = conditions.map(|conditions| filter::read(conditions, columns));
        Ok(RowFilter {
            device_id: self.device_id.clone().map(DeviceId::into_string),
            span: span::asked(self.from, self.to, scope)?,
            values: values.transpose()?.unwrap_or_default(),
            until: None,
        })
    }

    /// True if the newest row comes first.
    pub fn is_newest_first(&self) -> bool {
        SortBy::asks_for_newest_first(self.sort)
    }
}
