//! Parameters that choose the rows of an aggregation or a chart.

use crate::{
    api::{
        data::parameters::{self, DevicesText},
        http::{
            parameters::parameter_group,
            span::{self, PointInTime},
        },
    },
    error::Error,
    hub::selectors::parse_selector,
    id::DataTableId,
    store::{
        Scope,
        data::numbers::{Matching, Source},
    },
    text::SelectorText,
};

parameter_group! {
    /// Devices and period of the rows.
    pub struct ChosenRows {
        /// Only rows of the devices with these identifiers.
        device_id: DevicesText,
        /// Only rows of the devices whose labels match this selector now. Empty: all devices that exist. Absent: also
        /// rows of devices that have been deleted.
        selector: SelectorText,
        /// Start of the period, inclusive. Absent: the first row.
        from: PointInTime,
        /// End of the period, exclusive. Absent: the last row.
        to: PointInTime,
    }
}

impl ChosenRows {
    /// Reads the parameters, and returns what makes of a data table the rows to read.
    pub fn read(
        self,
        scope: &Scope,
    ) -> Result<impl FnOnce(DataTableId) -> Matching + use<>, Error> {
        let devices = parameters::devices(self.device_id.as_ref());
        let selector = self.selector.as_deref().map(parse_selector).transpose()?;
        let span = span::asked(self.from, self.to, scope)?;
        Ok(move |table| Matching {
            source: Source::Rows(table),
            devices,
            selector,
            span,
        })
    }
}
