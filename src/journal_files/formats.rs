//! Writers of exported events, one for each format.

use super::staged::Writer;
use crate::journal::StoredEvent;
use crate::journal::codec::{timestamp, write_line};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io::{self, Write};
use std::sync::Arc;

/// Most events in a row group, and most bytes of their texts: bounds the memory of the writer.
const GROUP_EVENTS: usize = 20_000;
const GROUP_BYTES: usize = 16 << 20;

/// Format of exported events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One line of JSON per event: the canonical sealed event. The format that `import` reads.
    Ndjson,
    /// RFC 4180, with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

const COLUMNS: [&str; 10] = [
    "position",
    "recordedAt",
    "aggregateType",
    "aggregateId",
    "sequence",
    "eventType",
    "eventVersion",
    "payload",
    "metadata",
    "leafHash",
];

const SCHEMA: &str = "message event {
    REQUIRED INT64 position; REQUIRED INT64 recordedAt (TIMESTAMP(MILLIS, true)); REQUIRED BYTE_ARRAY aggregateType (STRING);
    REQUIRED BYTE_ARRAY aggregateId (STRING); REQUIRED INT64 sequence; REQUIRED BYTE_ARRAY eventType (STRING);
    REQUIRED BYTE_ARRAY eventVersion (STRING); REQUIRED BYTE_ARRAY payload (JSON); REQUIRED BYTE_ARRAY metadata (JSON);
    REQUIRED BYTE_ARRAY leafHash;
}";

/// Writes events in one of the formats.
pub(super) enum EventWriter {
    Ndjson { file: Writer, line: String },
    Csv(Box<csv::Writer<Writer>>),
    Parquet(Box<ParquetWriter>),
}

impl EventWriter {
    pub(super) fn new(format: Format, file: Writer) -> io::Result<Self> {
        Ok(match format {
            Format::Ndjson => EventWriter::Ndjson { file, line: String::new() },
            Format::Csv => {
                let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(file);
                writer.write_record(COLUMNS)?;
                EventWriter::Csv(Box::new(writer))
            }
            Format::Parquet => EventWriter::Parquet(Box::new(ParquetWriter::new(file).map_err(io::Error::other)?)),
        })
    }

    pub(super) fn write(&mut self, event: &StoredEvent) -> io::Result<()> {
        match self {
            EventWriter::Ndjson { file, line } => {
                line.clear();
                write_line(line, event);
                line.push('\n');
                file.write_all(line.as_bytes())
            }
            EventWriter::Csv(writer) => Ok(writer.write_record([
                event.position.to_string().as_str(),
                &timestamp(event.recorded_at),
                &event.aggregate_type,
                &event.aggregate_id,
                &event.sequence.to_string(),
                &event.event_type,
                &event.event_version,
                &event.payload,
                &event.metadata,
                &BASE64.encode(event.leaf_hash),
            ])?),
            EventWriter::Parquet(writer) => writer.write(event).map_err(io::Error::other),
        }
    }

    /// Finishes the events and returns the file.
    pub(super) fn finish(self) -> io::Result<Writer> {
        match self {
            EventWriter::Ndjson { file, .. } => Ok(file),
            EventWriter::Csv(writer) => writer.into_inner().map_err(|error| error.into_error()),
            EventWriter::Parquet(writer) => writer.finish().map_err(io::Error::other),
        }
    }
}

/// Writes events in row groups.
pub(super) struct ParquetWriter {
    writer: SerializedFileWriter<Writer>,
    group: Vec<StoredEvent>,
    bytes: usize,
}

impl ParquetWriter {
    fn new(file: Writer) -> Result<Self, ParquetError> {
        let schema = Arc::new(parse_message_type(SCHEMA)?);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = SerializedFileWriter::new(file, schema, Arc::new(properties))?;
        Ok(ParquetWriter { writer, group: Vec::new(), bytes: 0 })
    }

    fn write(&mut self, event: &StoredEvent) -> Result<(), ParquetError> {
        self.bytes += event.payload.len() + event.metadata.len();
        self.group.push(event.clone());
        if self.group.len() == GROUP_EVENTS || self.bytes > GROUP_BYTES { self.end_group() } else { Ok(()) }
    }

    fn end_group(&mut self) -> Result<(), ParquetError> {
        let mut group = self.writer.next_row_group()?;
        let mut column = 0;
        while let Some(mut writer) = group.next_column()? {
            let events = self.group.iter();
            match COLUMNS[column] {
                "position" | "sequence" | "recordedAt" => {
                    let numbers: Vec<i64> = events.map(|event| number(event, COLUMNS[column])).collect();
                    writer.typed::<Int64Type>().write_batch(&numbers, None, None)?;
                }
                name => {
                    let texts: Vec<ByteArray> =
                        events.map(|event| ByteArray::from(bytes(event, name).to_vec())).collect();
                    writer.typed::<ByteArrayType>().write_batch(&texts, None, None)?;
                }
            }
            writer.close()?;
            column += 1;
        }
        group.close()?;
        self.group.clear();
        self.bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Writer, ParquetError> {
        if !self.group.is_empty() {
            self.end_group()?;
        }
        self.writer.into_inner()
    }
}

fn number(event: &StoredEvent, column: &str) -> i64 {
    let signed = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    match column {
        "position" => signed(event.position),
        "sequence" => signed(event.sequence),
        _ => event.recorded_at.timestamp_millis(),
    }
}

fn bytes<'e>(event: &'e StoredEvent, column: &str) -> &'e [u8] {
    match column {
        "aggregateType" => event.aggregate_type.as_bytes(),
        "aggregateId" => event.aggregate_id.as_bytes(),
        "eventType" => event.event_type.as_bytes(),
        "eventVersion" => event.event_version.as_bytes(),
        "payload" => event.payload.as_bytes(),
        "metadata" => event.metadata.as_bytes(),
        _ => &event.leaf_hash,
    }
}
