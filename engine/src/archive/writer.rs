//! Writes archive files: a row group per host, more for a host with very many rows.
//!
//! Before: the rows of a host ([`RowMerge`]). After: bytes to be appended to the file, taken after every row group, so
//! that the file is never held as a whole.

use std::sync::Arc;

use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};

use super::merge::{RowMerge, Rows, RunNames};
use super::scope::Scope;
use super::{HostRows, schema};
use crate::limits;

/// Rows handed to the library at once.
const BATCH_ROWS: usize = 8192;

/// Why an archive file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the Parquet library refuses the rows, which is a fault of this program: {0}")]
pub struct ArchiveError(#[from] ParquetError);

/// One archive file being written: the hosts of a cluster, in the order of their names.
#[derive(Debug)]
pub struct ArchiveWriter {
    cluster: ByteArray,
    file: SerializedFileWriter<Vec<u8>>,
    rows: Rows,
    host: Option<HostMerge>,
    rows_written: u64,
}

/// The host whose rows are being written.
#[derive(Debug)]
struct HostMerge {
    host: ByteArray,
    merge: RowMerge,
    /// By run: metric, scope, scope id.
    names: Vec<[ByteArray; 3]>,
}

impl ArchiveWriter {
    /// Begins the file of a cluster.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn new(cluster: &str) -> Result<Self, ArchiveError> {
        Self::with_properties(cluster, schema::properties()?)
    }

    /// [`new`](Self::new) with other encodings, to compare them.
    ///
    /// # Errors
    /// As there.
    pub fn with_properties(cluster: &str, properties: WriterProperties) -> Result<Self, ArchiveError> {
        let file = SerializedFileWriter::new(Vec::new(), Arc::new(schema::schema()?), Arc::new(properties))?;
        Ok(Self { cluster: cluster.into(), file, rows: Rows::default(), host: None, rows_written: 0 })
    }

    /// Begins the next host, once [`write_rows`](Self::write_rows) has written the one before. Hosts come in the order
    /// of their names.
    ///
    /// # Panics
    /// If rows of the last one are left.
    pub fn begin_host(&mut self, host: &str, rows: HostRows) {
        assert!(self.host.is_none(), "the rows of a host are all written before the next one's");
        let merge = RowMerge::from(rows);
        let names = merge.names().iter().map(|RunNames { series, .. }| {
            let path: Vec<&str> = series.path.iter().map(|name| &**name).collect();
            let Scope { scope, id } = Scope::of(&path);
            [&*series.metric, scope, id].map(ByteArray::from)
        });
        let names = names.collect();
        self.host = Some(HostMerge { host: host.into(), merge, names });
    }

    /// Writes a row group of the host that was begun; `false` when it has no more rows.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn write_rows(&mut self) -> Result<bool, ArchiveError> {
        let Some(host) = &mut self.host else { return Ok(false) };
        host.merge.next_rows(&mut self.rows, limits::ARCHIVE_ROW_GROUP_ROWS_MAX);
        let count = self.rows.times.len();
        if count > 0 {
            let mut group = self.file.next_row_group()?;
            write_group(&mut group, &self.cluster, host, &self.rows)?;
            group.close()?;
            self.rows_written += count as u64;
        }
        let is_more = count == limits::ARCHIVE_ROW_GROUP_ROWS_MAX;
        if !is_more {
            self.host = None;
        }
        Ok(is_more)
    }

    /// Rows so far.
    #[must_use]
    pub fn rows_written(&self) -> u64 {
        self.rows_written
    }

    /// What is to be appended to the file since the last call.
    ///
    /// # Errors
    /// None: it is in memory.
    pub fn take_bytes(&mut self) -> Result<Vec<u8>, ArchiveError> {
        self.file.flush().map_err(ParquetError::from)?;
        Ok(std::mem::take(self.file.inner_mut()))
    }

    /// Ends the file: its last bytes.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn finish(self) -> Result<Vec<u8>, ArchiveError> {
        Ok(self.file.into_inner()?)
    }
}

fn write_group(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    cluster: &ByteArray,
    host: &HostMerge,
    rows: &Rows,
) -> Result<(), ParquetError> {
    for value in [cluster, &host.host] {
        column::<ByteArrayType, _>(group, &rows.runs, |_| value.clone())?;
    }
    for name in 0..3 {
        column::<ByteArrayType, _>(group, &rows.runs, |run| host.names[*run as usize][name].clone())?;
    }
    column::<Int64Type, _>(group, &rows.times, |time| *time)?;
    let names = host.merge.names();
    column::<Int64Type, _>(group, &rows.runs, |run| names[*run as usize].frequency)?;
    column::<FloatType, _>(group, &rows.values, |value| *value)
}

/// Writes the next column, made of `rows` in batches.
fn column<T: DataType, R>(
    group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    rows: &[R],
    value: impl Fn(&R) -> T::T,
) -> Result<(), ParquetError> {
    let no_column = || ParquetError::General("a column too many".to_owned());
    let mut writer = group.next_column()?.ok_or_else(no_column)?;
    let mut batch = Vec::with_capacity(BATCH_ROWS.min(rows.len()));
    for rows in rows.chunks(BATCH_ROWS) {
        batch.clear();
        batch.extend(rows.iter().map(&value));
        writer.typed::<T>().write_batch(&batch, None, None)?;
    }
    writer.close()
}
