//! Parts: a collection's consolidated rows, sorted, in immutable Arrow files.
//!
//! A part is written whole and read whole, so it can as well be an object in a bucket. It has two columns, `row` (binary) and `diff` (int64), in Arrow's IPC
//! file format with zstd. Rows grow strictly from part to part and within them, and no diff is zero. Whoever names a part keeps its length and
//! checksums, which are checked before a byte of it is interpreted.

use crate::header::{file_name, path};
use crate::{Disk, StorageError};
use arrow_array::builder::BinaryBuilder;
use arrow_array::{Array, BinaryArray, Int64Array, RecordBatch};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions};
use arrow_schema::{ArrowError, DataType, Field, Schema};
use repr::Diff;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::Cursor;
use std::sync::Arc;

/// Each so many bytes of a part have a checksum of their own, so that a message can say where the damage is.
const CHECKSUM_BLOCK_BYTES: usize = 1 << 16;
/// A batch within a part ends when it has so many rows, or so many bytes of them.
const BATCH_ROWS_MAX: usize = 8192;
const BATCH_BYTES_MAX: usize = 1 << 20;

/// What is known of a part without reading it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Numbers are never used again.
    pub number: u64,
    pub rows: u64,
    pub length_bytes: u64,
    checksums: Vec<u32>,
}

fn schema() -> Arc<Schema> {
    Arc::new(Schema::new(vec![Field::new("row", DataType::Binary, false), Field::new("diff", DataType::Int64, false)]))
}

fn checksums(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(CHECKSUM_BLOCK_BYTES).map(crc32fast::hash).collect()
}

/// Where parts are put.
#[derive(Clone, Copy)]
pub(crate) struct PartStore<'a> {
    pub disk: &'a dyn Disk,
    /// How their names begin.
    pub prefix: &'static str,
    /// A part ends when its rows have so many bytes, before compression.
    pub part_bytes_max: u64,
    /// Whether a part must survive a crash.
    pub durable: bool,
}

impl PartStore<'_> {
    fn put(&self, number: u64, rows: u64, bytes: &[u8]) -> Result<Part, StorageError> {
        let name = file_name(self.prefix, number);
        let path = path(self.disk, &name);
        let mut file = self.disk.create(&name).map_err(StorageError::write(&path))?;
        file.append(bytes).map_err(StorageError::write(&path))?;
        if self.durable {
            file.sync().map_err(StorageError::io("fsync", &path))?;
        }
        Ok(Part { number, rows, length_bytes: bytes.len() as u64, checksums: checksums(bytes) })
    }
}

/// Numbers for the parts to come.
pub(crate) struct PartNumbers {
    pub next: u64,
}

impl PartNumbers {
    fn take(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }
}

/// Writes sorted rows as parts.
pub(crate) struct PartsWriter<'a> {
    store: PartStore<'a>,
    parts: Vec<Part>,
    file: Option<FileWriter<Vec<u8>>>,
    /// Of the part being written.
    rows: u64,
    raw_bytes: u64,
    batch_rows: BinaryBuilder,
    batch_diffs: Vec<Diff>,
    batch_bytes: usize,
}

/// Encoding into memory does not fail on any row; if it does, the compaction ends and nothing is lost.
fn encoding_failed(store: &PartStore<'_>) -> impl Fn(ArrowError) -> StorageError {
    let directory = store.disk.name();
    move |error| StorageError::Io { operation: "encode", file: directory.clone(), source: std::io::Error::other(error.to_string()) }
}

impl<'a> PartsWriter<'a> {
    pub fn new(store: PartStore<'a>) -> PartsWriter<'a> {
        PartsWriter {
            store,
            parts: Vec::new(),
            file: None,
            rows: 0,
            raw_bytes: 0,
            batch_rows: BinaryBuilder::new(),
            batch_diffs: Vec::new(),
            batch_bytes: 0,
        }
    }
    /// Rows must come in strictly growing order.
    pub fn push(&mut self, row: &[u8], diff: Diff, numbers: &mut PartNumbers) -> Result<(), StorageError> {
        self.batch_rows.append_value(row);
        self.batch_diffs.push(diff);
        self.batch_bytes += row.len() + size_of::<Diff>();
        if self.batch_diffs.len() >= BATCH_ROWS_MAX || self.batch_bytes >= BATCH_BYTES_MAX.min(self.store.part_bytes_max as usize) {
            self.finish_batch()?;
            if self.raw_bytes >= self.store.part_bytes_max {
                self.finish_part(numbers)?;
            }
        }
        Ok(())
    }
    fn finish_batch(&mut self) -> Result<(), StorageError> {
        let failed = encoding_failed(&self.store);
        let rows = self.batch_diffs.len();
        let columns: Vec<Arc<dyn Array>> = vec![Arc::new(self.batch_rows.finish()), Arc::new(Int64Array::from(std::mem::take(&mut self.batch_diffs)))];
        let batch = RecordBatch::try_new(schema(), columns).map_err(&failed)?;
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD)).map_err(&failed)?;
                self.file.insert(FileWriter::try_new_with_options(Vec::new(), &schema(), options).map_err(&failed)?)
            }
        };
        file.write(&batch).map_err(&failed)?;
        self.rows += rows as u64;
        self.raw_bytes += std::mem::take(&mut self.batch_bytes) as u64;
        Ok(())
    }
    fn finish_part(&mut self, numbers: &mut PartNumbers) -> Result<(), StorageError> {
        if let Some(file) = self.file.take() {
            let bytes = file.into_inner().map_err(encoding_failed(&self.store))?;
            self.parts.push(self.store.put(numbers.take(), std::mem::take(&mut self.rows), &bytes)?);
            self.raw_bytes = 0;
        }
        Ok(())
    }
    pub fn finish(mut self, numbers: &mut PartNumbers) -> Result<Vec<Part>, StorageError> {
        if !self.batch_diffs.is_empty() {
            self.finish_batch()?;
        }
        self.finish_part(numbers)?;
        Ok(self.parts)
    }
}

/// Reads the rows of a sequence of parts in order. It holds one part's compressed bytes and one batch.
pub(crate) struct PartsReader<'a> {
    store: PartStore<'a>,
    parts: VecDeque<Part>,
    path: String,
    length_bytes: u64,
    file: Option<FileReader<Cursor<Vec<u8>>>>,
    rows_left: u64,
    batch: Option<(BinaryArray, Int64Array)>,
    index: usize,
    /// The last row of the batch before.
    previous: Option<Vec<u8>>,
}

impl<'a> PartsReader<'a> {
    pub fn new(store: PartStore<'a>, parts: &[Part]) -> Result<PartsReader<'a>, StorageError> {
        let mut reader = PartsReader {
            store,
            parts: parts.iter().cloned().collect(),
            path: String::new(),
            length_bytes: 0,
            file: None,
            rows_left: 0,
            batch: None,
            index: 0,
            previous: None,
        };
        reader.next_batch()?;
        Ok(reader)
    }
    pub fn peek(&self) -> Option<(&[u8], Diff)> {
        self.batch.as_ref().map(|(rows, diffs)| (rows.value(self.index), diffs.value(self.index)))
    }
    pub fn advance(&mut self) -> Result<(), StorageError> {
        self.index += 1;
        match &self.batch {
            Some((rows, _)) if self.index < rows.len() => Ok(()),
            _ => self.next_batch(),
        }
    }
    /// All that is wrong behind valid checksums is our own mistake, and it is not known where.
    fn wrong(&self, what: impl Into<String>) -> StorageError {
        StorageError::corrupted(&self.path, 0, what)
    }
    fn next_batch(&mut self) -> Result<(), StorageError> {
        if let Some((rows, _)) = self.batch.take() {
            self.previous = Some(rows.value(rows.len() - 1).to_vec());
        }
        self.index = 0;
        loop {
            let Some(file) = &mut self.file else {
                match self.parts.pop_front() {
                    Some(part) => self.open(&part)?,
                    None => return Ok(()),
                }
                continue;
            };
            match file.next() {
                Some(batch) => {
                    let batch = batch.map_err(|error| self.wrong(error.to_string()))?;
                    if batch.num_rows() > 0 {
                        return self.check_batch(&batch);
                    }
                }
                None if self.rows_left == 0 => self.file = None,
                None => return Err(self.wrong(format!("{} rows are missing", self.rows_left))),
            }
        }
    }
    fn open(&mut self, part: &Part) -> Result<(), StorageError> {
        let name = file_name(self.store.prefix, part.number);
        self.path = path(self.store.disk, &name);
        self.length_bytes = part.length_bytes;
        let file = self.store.disk.open(&name).map_err(StorageError::open(&self.path))?;
        check_length(&*file, &self.path, part)?;
        let mut bytes = vec![0; part.length_bytes as usize];
        file.read_at(0, &mut bytes).map_err(StorageError::io("read", &self.path))?;
        for (index, (found, expected)) in checksums(&bytes).iter().zip(&part.checksums).enumerate() {
            if found != expected {
                let what = format!("the checksum of the block is {found:08x} and should be {expected:08x}");
                return Err(StorageError::corrupted(&self.path, (index * CHECKSUM_BLOCK_BYTES) as u64, what));
            }
        }
        let file = FileReader::try_new(Cursor::new(bytes), None).map_err(|error| self.wrong(error.to_string()))?;
        if file.schema() != schema() {
            return Err(self.wrong(format!("the columns are {:?}", file.schema().fields())));
        }
        self.rows_left = part.rows;
        self.file = Some(file);
        Ok(())
    }
    fn check_batch(&mut self, batch: &RecordBatch) -> Result<(), StorageError> {
        let rows = batch.column(0).as_any().downcast_ref::<BinaryArray>().ok_or_else(|| self.wrong("the rows are not binary"))?;
        let diffs = batch.column(1).as_any().downcast_ref::<Int64Array>().ok_or_else(|| self.wrong("the diffs are not integers"))?;
        if rows.null_count() > 0 || diffs.null_count() > 0 || diffs.values().contains(&0) {
            return Err(self.wrong("a row has no multiplicity"));
        }
        let grows = (1..rows.len()).all(|index| rows.value(index - 1) < rows.value(index));
        if !grows || self.previous.as_deref().is_some_and(|previous| previous >= rows.value(0)) {
            return Err(self.wrong("the rows are not in order"));
        }
        self.rows_left = self.rows_left.checked_sub(rows.len() as u64).ok_or_else(|| self.wrong("there are too many rows"))?;
        self.batch = Some((rows.clone(), diffs.clone()));
        Ok(())
    }
}

/// Checks what can be checked of a part without reading it.
pub(crate) fn check_present(disk: &dyn Disk, prefix: &str, part: &Part) -> Result<(), StorageError> {
    let name = file_name(prefix, part.number);
    let path = path(disk, &name);
    let file = disk.open(&name).map_err(StorageError::open(&path))?;
    check_length(&*file, &path, part)
}

fn check_length(file: &dyn crate::disk::DiskFile, path: &str, part: &Part) -> Result<(), StorageError> {
    let found = file.length().map_err(StorageError::io("read", path))?;
    if found != part.length_bytes {
        let what = format!("the file has {found} bytes and should have {}", part.length_bytes);
        return Err(StorageError::corrupted(path, found.min(part.length_bytes), what));
    }
    Ok(())
}
