//! Rows as an Apache Parquet file, with a typed column for each field.
//!
//! A Parquet file consists of groups of rows, and ends with a footer without which no program reads it: a truncated file
//! is never taken for a complete one. The memory of an export is that of one group, plus some 100 bytes of the footer
//! for each column of each group.

use std::{
    mem,
    sync::{Arc, LazyLock},
};

use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int64Type},
    errors::ParquetError,
    file::{
        properties::{EnabledStatistics, WriterProperties},
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{Type, TypePtr},
};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{Field, FieldKind, Format};
use crate::{error::Error, store::data::Row, threads::run_apart};

/// Maximum number of rows in a group.
const GROUP_ROWS_MAX: usize = 20_000;
/// Number of bytes of values after which a group is written.
const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Maximum number of groups that are written at a time, so that exports which are given up leave little work behind.
const WRITTEN_AT_ONCE: usize = 2;
/// Names of the first two columns.
const FIXED: [&str; 2] = ["time", "device_id"];

static WRITING: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(WRITTEN_AT_ONCE)));

/// Parquet file.
#[derive(Default)]
pub struct Parquet {
    fields: Vec<Field>,
    writer: Option<SerializedFileWriter<Vec<u8>>>,
    group: Group,
}

/// Rows of a group, by column.
#[derive(Default)]
struct Group {
    times: Vec<i64>,
    devices: Vec<ByteArray>,
    columns: Vec<Values>,
    bytes: usize,
}

/// Values of a column, and for each row whether it has one.
struct Values {
    present: Vec<i16>,
    content: Content,
}

enum Content {
    Numbers(Vec<f64>),
    Booleans(Vec<bool>),
    Texts(Vec<ByteArray>),
    Json(Vec<ByteArray>),
}

impl Format for Parquet {
    const FIELDS_MAX: usize = 1000;

    fn begin(&mut self, fields: Vec<Field>) -> Result<Vec<u8>, Error> {
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true)
            .build();
        let schema = schema(&fields).map_err(Error::internal)?;
        let writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties));
        self.group = Group::new(&fields);
        self.fields = fields;
        self.writer = Some(writer.map_err(Error::internal)?);
        Ok(Vec::new())
    }

    async fn rows(&mut self, rows: Vec<Row>) -> Result<Vec<u8>, Error> {
        for row in rows {
            self.group.add(&self.fields, row);
        }
        match self.group.is_full() {
            true => self.write(false).await,
            false => Ok(Vec::new()),
        }
    }

    async fn end(&mut self) -> Result<Vec<u8>, Error> {
        self.write(true).await
    }
}

impl Parquet {
    /// Writes the group, and the footer if it is the last one. Returns the bytes.
    async fn write(&mut self, is_last: bool) -> Result<Vec<u8>, Error> {
        let gone = || Error::internal("a file is written after its end");
        let mut writer = self.writer.take().ok_or_else(gone)?;
        let group = mem::replace(&mut self.group, Group::new(&self.fields));
        let work = move || {
            group.write(&mut writer)?;
            match is_last {
                true => drop(writer.finish()?),
                false => writer.flush()?,
            }
            let bytes = mem::take(writer.inner_mut());
            Ok((writer, bytes))
        };
        let place = WRITING.clone().acquire_owned().await;
        let place = place.map_err(Error::internal)?;
        let work = || work().map_err(parquet_error);
        let (writer, bytes) = run_apart("parquet", place, work).await?;
        self.writer = Some(writer).filter(|_| !is_last);
        Ok(bytes)
    }
}

fn parquet_error(error: ParquetError) -> Error {
    Error::internal(error)
}

fn schema(fields: &[Field]) -> Result<TypePtr, ParquetError> {
    let [time, device] = FIXED;
    let micros = LogicalType::timestamp(true, TimeUnit::MICROS);
    let mut columns = vec![
        column(
            time,
            PhysicalType::INT64,
            Some(micros),
            Repetition::REQUIRED,
        )?,
        column(
            device,
            PhysicalType::BYTE_ARRAY,
            Some(LogicalType::String),
            Repetition::REQUIRED,
        )?,
    ];
    for field in fields {
        let (physical, logical) = match field.kind {
            FieldKind::Number => (PhysicalType::DOUBLE, None),
            FieldKind::Boolean => (PhysicalType::BOOLEAN, None),
            FieldKind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
            FieldKind::Json => (PhysicalType::BYTE_ARRAY, Some(LogicalType::Json)),
        };
        let name = name(&field.path);
        columns.push(column(&name, physical, logical, Repetition::OPTIONAL)?);
    }
    let root = Type::group_type_builder("row").with_fields(columns);
    Ok(Arc::new(root.build()?))
}

/// Returns the name of a field's column. Columns of one name would not be told apart by readers.
fn name(path: &str) -> String {
    match FIXED.contains(&path) {
        true => format!("data.{path}"),
        false => path.to_owned(),
    }
}

fn column(
    name: &str,
    physical: PhysicalType,
    logical: Option<LogicalType>,
    repetition: Repetition,
) -> Result<TypePtr, ParquetError> {
    let column = Type::primitive_type_builder(name, physical)
        .with_logical_type(logical)
        .with_repetition(repetition);
    Ok(Arc::new(column.build()?))
}

impl Group {
    fn new(fields: &[Field]) -> Self {
        let values = |field: &Field| Values {
            present: Vec::new(),
            content: match field.kind {
                FieldKind::Number => Content::Numbers(Vec::new()),
                FieldKind::Boolean => Content::Booleans(Vec::new()),
                FieldKind::Text => Content::Texts(Vec::new()),
                FieldKind::Json => Content::Json(Vec::new()),
            },
        };
        Self {
            columns: fields.iter().map(values).collect(),
            ..Self::default()
        }
    }

    fn is_full(&self) -> bool {
        self.times.len() >= GROUP_ROWS_MAX || self.bytes >= GROUP_BYTES_MAX
    }

    fn add(&mut self, fields: &[Field], mut row: Row) {
        self.times.push(row.time.timestamp_micros());
        self.bytes += size_of::<i64>() + row.device_id.len();
        self.devices.push(row.device_id.into_bytes().into());
        for (field, values) in fields.iter().zip(&mut self.columns) {
            self.bytes += values.add(row.data.shift_remove(&field.path));
        }
    }

    fn write(self, writer: &mut SerializedFileWriter<Vec<u8>>) -> Result<(), ParquetError> {
        if self.times.is_empty() {
            return Ok(());
        }
        let mut group = writer.next_row_group()?;
        write::<Int64Type>(&mut group, &self.times, None)?;
        write::<ByteArrayType>(&mut group, &self.devices, None)?;
        for Values { present, content } in self.columns {
            let present = Some(&present[..]);
            match content {
                Content::Numbers(values) => write::<DoubleType>(&mut group, &values, present)?,
                Content::Booleans(values) => write::<BoolType>(&mut group, &values, present)?,
                Content::Texts(values) | Content::Json(values) => {
                    write::<ByteArrayType>(&mut group, &values, present)?;
                }
            }
        }
        group.close().map(drop)
    }
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    values: &[T::T],
    present: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let missing = || ParquetError::General("a column is missing in the schema".to_owned());
    let mut column = group.next_column()?.ok_or_else(missing)?;
    column.typed::<T>().write_batch(values, present, None)?;
    column.close()
}

impl Values {
    /// Adds the value of a row, and returns its size. A value of another type than the column's, which the column had
    /// before it was changed, is left out.
    fn add(&mut self, value: Option<Value>) -> usize {
        let size = match (&mut self.content, value) {
            (_, None | Some(Value::Null)) => None,
            (Content::Numbers(values), Some(Value::Number(number))) => {
                values.extend(number.as_f64());
                number.as_f64().map(|_| size_of::<f64>())
            }
            (Content::Booleans(values), Some(Value::Bool(value))) => {
                values.push(value);
                Some(size_of::<bool>())
            }
            (Content::Texts(values), Some(Value::String(text))) => Some(pushed(values, text)),
            (Content::Json(values), Some(value)) => Some(pushed(values, value.to_string())),
            _ => None,
        };
        self.present.push(i16::from(size.is_some()));
        size.unwrap_or_default() + size_of::<i16>()
    }
}

fn pushed(values: &mut Vec<ByteArray>, text: String) -> usize {
    let size = text.len() + size_of::<ByteArray>();
    values.push(text.into_bytes().into());
    size
}
