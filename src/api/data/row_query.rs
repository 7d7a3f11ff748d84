//! Parameters that select the rows of a data table, the same for lists and exports.

use poem::{Request, RequestBody, Result};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions,
    param::Query,
    registry::{MetaParamIn, MetaSchemaRef, Registry},
};

use super::{columns::Column, filter};
use crate::{
    api::http::{
        parameters::{Declared, placeholder, read},
        sort::{RowTime, SortBy},
        span::{self, PointInTime},
    },
    error::Error,
    store::data::{DataTable, RowFilter},
    text::{DeviceId, RowFilterText},
};

const DEVICE: &str = "device_id";
const FROM: &str = "from";
const TO: &str = "to";
const FILTER: &str = "filter";
const SORT: &str = "sort";

/// Rows that a client asks for, and their order.
pub struct RowQuery {
    device_id: Option<DeviceId>,
    from: Option<PointInTime>,
    to: Option<PointInTime>,
    filter: Option<RowFilterText>,
    sort: Option<SortBy<RowTime>>,
}

impl RowQuery {
    /// Returns the filter of the rows of a table; fails if it does not fit the columns of the table.
    pub fn filter(&self, table: &DataTable<Column>) -> Result<RowFilter, Error> {
        let columns = table.provisioned.columns.as_deref();
        let conditions = self.filter.as_ref();
        let values = conditions.map(|conditions| filter::read(conditions, columns));
        Ok(RowFilter {
            device_id: self.device_id.clone().map(DeviceId::into_string),
            span: span::read(self.from, self.to)?,
            values: values.transpose()?.unwrap_or_default(),
            until: None,
        })
    }

    /// True if the newest row comes first.
    pub fn is_newest_first(&self) -> bool {
        SortBy::asks_for_newest_first(self.sort)
    }
}

impl<'a> ApiExtractor<'a> for RowQuery {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::Parameter];
    const PARAM_IS_REQUIRED: bool = false;
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        <Query<Option<DeviceId>> as ApiExtractor>::register(registry);
        <Query<Option<PointInTime>> as ApiExtractor>::register(registry);
        <Query<Option<RowFilterText>> as ApiExtractor>::register(registry);
        <Query<Option<SortBy<RowTime>>> as ApiExtractor>::register(registry);
    }

    fn param_in() -> Option<MetaParamIn> {
        Some(MetaParamIn::Query)
    }

    fn param_schema_ref() -> Option<MetaSchemaRef> {
        Some(placeholder(vec![
            Declared::new::<DeviceId>(
                DEVICE,
                "Only rows of the device with this identifier, which consists of ASCII letters and digits, with \
                 single dashes between them.",
            ),
            Declared::new::<PointInTime>(FROM, "Start of the period, inclusive."),
            Declared::new::<PointInTime>(TO, "End of the period, exclusive."),
            Declared::new::<RowFilterText>(
                FILTER,
                "Conditions on the values of the columns, such as `temperature>30, door.open=true`: 1 to 16 \
                 conditions, separated by commas, all of which must hold. Each consists of a column, one of `=`, \
                 `!=`, `<`, `<=`, `>`, `>=`, and a number, `true`, `false` or a text. Columns with one of `=!<>,\"` \
                 and texts with a comma or a quote are written as JSON strings in quotes. A condition holds only for \
                 values of the type that it names: `temperature!=30` does not match texts or rows without a \
                 temperature. Texts are compared by the code points of their characters. Must not contain control \
                 characters.",
            ),
            Declared::new::<SortBy<RowTime>>(
                SORT,
                "Sort key; prefix it with `-` for descending order. Sorted by `time`, the oldest first, if omitted.",
            ),
        ]))
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _: ExtractParamOptions<()>,
    ) -> Result<Self> {
        Ok(Self {
            device_id: read(request, body, DEVICE).await?,
            from: read(request, body, FROM).await?,
            to: read(request, body, TO).await?,
            filter: read(request, body, FILTER).await?,
            sort: read(request, body, SORT).await?,
        })
    }
}
