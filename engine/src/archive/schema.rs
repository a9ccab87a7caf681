//! The columns of an archive file, their order and their encodings; `docs/format/archive.md` explains the choice.

use std::sync::Arc;

use parquet::basic::{Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::SortingColumn;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::{ColumnPath, Type};

use crate::limits;

/// The columns, in their order. All are required.
pub const COLUMNS: [(&str, PhysicalType); 8] = [
    ("cluster", PhysicalType::BYTE_ARRAY),
    ("hostname", PhysicalType::BYTE_ARRAY),
    ("metric", PhysicalType::BYTE_ARRAY),
    ("scope", PhysicalType::BYTE_ARRAY),
    ("scope_id", PhysicalType::BYTE_ARRAY),
    ("timestamp", PhysicalType::INT64),
    ("frequency", PhysicalType::INT64),
    ("value", PhysicalType::FLOAT),
];

/// The columns that rows are sorted by, ascending: cluster, hostname, metric, timestamp.
const SORTED_BY: [i32; 4] = [0, 1, 2, 5];

/// Level of the compression: higher ones take several times as long for a few percent.
const ZSTD_LEVEL: i32 = 3;

/// The schema of an archive file.
///
/// # Errors
/// None, unless the library refuses what it takes today.
pub fn schema() -> Result<Type, ParquetError> {
    let column = |(name, physical): &(&str, PhysicalType)| {
        let is_text = *physical == PhysicalType::BYTE_ARRAY;
        Type::primitive_type_builder(name, *physical)
            .with_repetition(Repetition::REQUIRED)
            .with_logical_type(is_text.then_some(LogicalType::String))
            .build()
            .map(Arc::new)
    };
    let columns = COLUMNS.iter().map(column).collect::<Result<_, _>>()?;
    Type::group_type_builder("samples").with_fields(columns).build()
}

/// How each column is written.
///
/// # Errors
/// As [`schema`].
pub fn properties() -> Result<WriterProperties, ParquetError> {
    properties_with(TimestampEncoding::Delta, Encoding::BYTE_STREAM_SPLIT, ZSTD_LEVEL)
}

/// How timestamps can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimestampEncoding {
    /// DELTA_BINARY_PACKED.
    Delta,
    /// Dictionary, with plain values where it would be too large.
    Dictionary,
}

/// [`properties`] with other encodings, to compare them.
///
/// # Errors
/// As [`schema`], or the level is none of zstd's.
pub fn properties_with(
    timestamp: TimestampEncoding,
    value: Encoding,
    zstd_level: i32,
) -> Result<WriterProperties, ParquetError> {
    let path = |name: &str| ColumnPath::from(name);
    let sorting = SORTED_BY
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: false })
        .to_vec();
    let mut builder = WriterProperties::builder()
        .set_created_by(concat!("cc-metric-store ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(zstd_level)?))
        .set_sorting_columns(Some(sorting))
        .set_max_row_group_row_count(Some(limits::ARCHIVE_ROW_GROUP_ROWS_MAX))
        .set_data_page_row_count_limit(limits::ARCHIVE_PAGE_ROWS_MAX)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        // Readers find the pages of a metric and a time by these.
        .set_column_statistics_enabled(path("metric"), EnabledStatistics::Page)
        .set_column_statistics_enabled(path("timestamp"), EnabledStatistics::Page)
        .set_column_dictionary_enabled(path("value"), false)
        .set_column_encoding(path("value"), value);
    if timestamp == TimestampEncoding::Delta {
        builder = builder
            .set_column_dictionary_enabled(path("timestamp"), false)
            .set_column_encoding(path("timestamp"), Encoding::DELTA_BINARY_PACKED);
    }
    Ok(builder.build())
}
