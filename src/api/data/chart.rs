//! Charts of a data table and of a device.

use poem::{IntoResponse, Response, Result, http::header};
use poem_openapi::{
    ApiResponse, Enum, OpenApi,
    param::{Path, Query},
    registry::{MetaResponses, MetaSchema, MetaSchemaRef, Registry},
};

use crate::{
    api::{
        data::{
            chosen_rows::ChosenRows,
            columns::{self, Column},
            drawing::{Drawing, DrawnLine, Theme},
            parameters::{self, ColumnsText, ZoneText},
        },
        http::{
            answer::success,
            caller::Caller,
            edge::IsCacheable,
            parameters::parameter_group,
            span::{self, PointInTime},
            types::{Id, Int},
        },
        tag::Tag,
    },
    clock::Time,
    error::Error,
    hub::{
        Hub,
        data::chart::{ChartRequest, Line, Lines},
    },
    id::DataTableId,
    store::{
        Scope,
        core::listing::Span,
        data::{self, number::NumberPath, numbers::Matching},
        devices,
    },
    text::DeviceId,
};

/// Width of a chart in pixels.
type Width = Int<200, 2000>;
/// Height of a chart in pixels.
type Height = Int<100, 1200>;

/// Time for which a client may show a picture again, in its own cache.
const CACHING: &str = "private, max-age=30";
/// Width of a chart if the client sets none.
pub const WIDTH_DEFAULT: i64 = 800;
/// Height of a chart if the client sets none.
pub const HEIGHT_DEFAULT: i64 = 300;

/// Colours of a chart: `light` or `dark`.
#[derive(Enum, Clone, Copy, PartialEq)]
#[oai(rename_all = "snake_case")]
pub enum ChartTheme {
    Light,
    Dark,
}

/// Response 200 with a picture. Nothing in it runs, even if a browser opens it as a page.
struct Svg(String);

parameter_group! {
    /// Form of a chart that a client requests.
    struct Picture {
        /// Time zone of the labels; UTC if absent.
        timezone: ZoneText,
        /// Width in pixels; 800 if absent.
        width: Width,
        /// Height in pixels; 300 if absent.
        height: Height,
        /// Colours; `light` if absent.
        theme: ChartTheme,
    }
}

/// Endpoints of charts.
pub struct ChartsApi {
    pub hub: Hub,
}

#[OpenApi(prefix_path = "/api/v3")]
impl ChartsApi {
    /// Draw a chart of a data table
    ///
    /// Returns a chart of the numbers in a data table as a picture in SVG, with one line for each device and column. A
    /// line is interrupted where a device has sent nothing for more than five times its usual interval. Lines with many
    /// points are reduced to the width of the picture; the smallest and the greatest value are always drawn. Numbers of
    /// 1e100 or more are left out. Filters are combined with AND. A client may show the picture again for 30 seconds
    /// (`Cache-Control: private`).
    ///
    /// Reads at most 200,000 values (rows multiplied by columns), and draws at most 12 lines. Fails with 400 if the chart
    /// exceeds these limits, if a column does not exist or has no numbers, or if `to` is before `from`; with 404 if the
    /// data table does not exist; and with 503 if too many aggregations are in progress, or if the database needs more
    /// than 15 seconds.
    #[oai(
        path = "/data-tables/:id/chart.svg",
        method = "get",
        operation_id = "get_data_table_chart",
        tag = "Tag::DataTables"
    )]
    async fn table(
        &self,
        caller: Caller,
        /// Unique identifier of the data table.
        id: Path<Id>,
        /// Paths of the columns. Absent: all columns of the type `number`. Required for a data table without columns.
        columns: Query<Option<ColumnsText>>,
        chosen: ChosenRows,
        picture: Picture,
    ) -> Result<Svg> {
        let scope = caller.scope();
        let chosen_of = chosen.read(scope)?;
        let table = data::get::<Column>(scope, DataTableId(**id)).await?;
        let own = table.provisioned.columns.as_deref();
        let request = ChartRequest {
            matching: chosen_of(table.id),
            columns: columns::numeric(own, columns.0.as_ref())?,
            by_device: true,
            points_max: picture.points_max(),
        };
        let unit = |path: &str| {
            let own = own.unwrap_or_default();
            let column = own.iter().find(|column| &*column.path == path);
            column.and_then(Column::unit)
        };
        let title = table.provisioned.name.clone();
        Ok(self.draw(scope, &request, &picture, title, unit).await?)
    }

    /// Draw a chart of a device
    ///
    /// Returns a chart of numbers in the decoded `data` of the device's stored uplinks as a picture in SVG, with one
    /// line for each column. Lines, limits and sizes are those of `get_data_table_chart`.
    ///
    /// Fails with 400 if the chart exceeds the limits or if `to` is before `from`, with 404 if the device does not exist,
    /// and with 503 if too many aggregations are in progress, or if the database needs more than 15 seconds.
    #[oai(
        path = "/devices/:id/chart.svg",
        method = "get",
        operation_id = "get_device_chart",
        tag = "Tag::Devices"
    )]
    async fn device(
        &self,
        caller: Caller,
        /// Identifier of the device.
        id: Path<DeviceId>,
        /// Paths of the decoded fields, with their parts joined by dots, such as `door.angle`.
        columns: Query<ColumnsText>,
        /// Start of the period, inclusive. Absent: the first uplink.
        from: Query<Option<PointInTime>>,
        /// End of the period, exclusive. Absent: the last uplink.
        to: Query<Option<PointInTime>>,
        picture: Picture,
    ) -> Result<Svg> {
        let scope = caller.scope();
        let span = span::asked(from.0, to.0, scope)?;
        let columns = parameters::columns(columns.0.split(','))?;
        let device = devices::get(scope, &id.0).await?;
        let request = ChartRequest {
            matching: Matching::uplinks(device.key, span),
            columns,
            by_device: false,
            points_max: picture.points_max(),
        };
        let name = Some(device.provisioned.name).filter(|name| !name.is_empty());
        let title = name.unwrap_or(device.provisioned.id);
        Ok(self
            .draw(scope, &request, &picture, title, |_| None)
            .await?)
    }
}

impl ChartsApi {
    async fn draw<'a>(
        &self,
        scope: &Scope,
        request: &ChartRequest,
        picture: &Picture,
        title: String,
        unit: impl Fn(&str) -> Option<&'a str>,
    ) -> Result<Svg, Error> {
        let Lines { lines, times } = self.hub.chart(scope, request).await?;
        let named = lines.into_iter().map(|line| DrawnLine {
            name: name(&line, &request.columns, &unit),
            segments: line.segments,
        });
        let drawing = Drawing {
            title,
            size: picture.size(),
            theme: picture.colours(),
            period: period(request.matching.span, times, scope.now()),
            zone: parameters::zone(picture.timezone.as_ref()),
            lines: named.collect(),
        };
        Ok(Svg(drawing.svg()?))
    }
}

impl Picture {
    fn size(&self) -> (u32, u32) {
        let width = self.width.map_or(WIDTH_DEFAULT, |width| *width);
        let height = self.height.map_or(HEIGHT_DEFAULT, |height| *height);
        let pixels = |number: i64| u32::try_from(number).unwrap_or_default();
        (pixels(width), pixels(height))
    }

    /// Returns the number of points of a line: one for each pixel.
    fn points_max(&self) -> usize {
        self.size().0 as usize
    }

    fn colours(&self) -> Theme {
        match self.theme {
            Some(ChartTheme::Dark) => Theme::DARK,
            Some(ChartTheme::Light) | None => Theme::LIGHT,
        }
    }
}

/// Returns the period of the axis: the requested one, at open ends that of the rows.
fn period(requested: Span, times: Option<(Time, Time)>, now: Time) -> (Time, Time) {
    let (first, last) = times.unwrap_or((now, now));
    let from = requested.from.unwrap_or(first);
    let to = requested.to.unwrap_or(last).max(from);
    if to - from >= chrono::TimeDelta::minutes(1) {
        return (from, to);
    }
    let around = chrono::TimeDelta::minutes(30);
    (from - around, to + around)
}

/// Returns the name of a line in the legend.
fn name<'a>(
    line: &Line,
    columns: &[NumberPath],
    unit: &impl Fn(&str) -> Option<&'a str>,
) -> String {
    let column = columns.get(line.column).map_or("", NumberPath::as_str);
    let column = match unit(column) {
        Some(unit) => format!("{column} ({unit})"),
        None => column.to_owned(),
    };
    match &line.device {
        Some(device) => format!("{device} {column}"),
        None => column,
    }
}

impl IntoResponse for Svg {
    fn into_response(self) -> Response {
        let mut response = Response::builder()
            .header(header::CONTENT_TYPE, "image/svg+xml")
            .header(
                header::CONTENT_SECURITY_POLICY,
                "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            )
            .header(header::CACHE_CONTROL, CACHING)
            .header(header::VARY, "Authorization")
            .body(self.0);
        response.set_data(IsCacheable);
        response
    }
}

impl ApiResponse for Svg {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let description = "The request succeeded. The body contains the picture.";
        success(200, description, "image/svg+xml", schema, vec![])
    }

    fn register(_: &mut Registry) {}
}
