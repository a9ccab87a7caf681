//! The message: `prometheus.WriteRequest`, read one time series at a time where it lies, so that a small body cannot become a large tree.

use super::MessageError;
use crate::limits;

/// A sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// A marker that the series ended is a NaN, too.
    pub value: f64,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
}

/// A series, and what came of it. Exemplars and native histograms are passed over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimeSeries<'a> {
    /// Names and values of its labels.
    pub labels: Vec<(&'a str, &'a str)>,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// How many bytes a message has that is decompressed; nothing is allocated.
///
/// # Errors
/// [`MessageError::Compression`], or [`MessageError::TooLong`].
pub fn decompressed_bytes(body: &[u8]) -> Result<usize, MessageError> {
    let bytes = snap::raw::decompress_len(body).map_err(|error| bad_compression(&error))?;
    let bytes_max = limits::REMOTE_WRITE_BYTES_MAX;
    if bytes > bytes_max { Err(MessageError::TooLong { bytes, bytes_max }) } else { Ok(bytes) }
}

/// A message as it was before it was compressed.
///
/// # Errors
/// As [`decompressed_bytes`], before anything is allocated.
pub fn decompress(body: &[u8]) -> Result<Vec<u8>, MessageError> {
    decompressed_bytes(body)?;
    snap::raw::Decoder::new().decompress_vec(body).map_err(|error| bad_compression(&error))
}

fn bad_compression(error: &snap::Error) -> MessageError {
    MessageError::Compression(error.to_string())
}

/// What is left of a message.
#[derive(Clone, Debug)]
pub struct MessageReader<'a> {
    fields: Fields<'a>,
}

impl<'a> MessageReader<'a> {
    /// A whole message.
    #[must_use]
    pub fn new(message: &'a [u8]) -> Self {
        Self { fields: Fields { rest: message } }
    }

    /// What is not read yet.
    #[must_use]
    pub fn bytes_left(&self) -> usize {
        self.fields.rest.len()
    }

    /// Reads the next series in the place of the last one; false behind the last one. Metadata are passed over.
    ///
    /// # Errors
    /// [`MessageError::Message`] or [`MessageError::SeriesTooLong`]; nothing behind it can be read.
    pub fn next_series(&mut self, series: &mut TimeSeries<'a>) -> Result<bool, MessageError> {
        while let Some(field) = self.fields.next()? {
            if let (1, Field::Bytes(message)) = field {
                let (bytes, bytes_max) = (message.len(), limits::REMOTE_WRITE_SERIES_BYTES_MAX);
                if bytes > bytes_max {
                    return Err(MessageError::SeriesTooLong { bytes, bytes_max });
                }
                series.read(message)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<'a> TimeSeries<'a> {
    fn read(&mut self, message: &'a [u8]) -> Result<(), MessageError> {
        self.labels.clear();
        self.samples.clear();
        let mut fields = Fields { rest: message };
        while let Some(field) = fields.next()? {
            match field {
                (1, Field::Bytes(label)) => self.labels.push(read_label(label)?),
                (2, Field::Bytes(sample)) => self.samples.push(read_sample(sample)?),
                _ => {}
            }
        }
        Ok(())
    }
}

fn read_label(message: &[u8]) -> Result<(&str, &str), MessageError> {
    let text =
        |bytes| str::from_utf8(bytes).map_err(|_| MessageError::Message("a label is not UTF-8".to_owned()));
    let mut label = ("", "");
    let mut fields = Fields { rest: message };
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Bytes(name)) => label.0 = text(name)?,
            (2, Field::Bytes(value)) => label.1 = text(value)?,
            _ => {}
        }
    }
    Ok(label)
}

fn read_sample(message: &[u8]) -> Result<Sample, MessageError> {
    let mut sample = Sample::default();
    let mut fields = Fields { rest: message };
    while let Some(field) = fields.next()? {
        match field {
            (1, Field::Fixed64(bytes)) => sample.value = f64::from_le_bytes(bytes),
            (2, Field::Number(number)) => sample.timestamp_ms = number as i64,
            _ => {}
        }
    }
    Ok(sample)
}

/// What a field holds.
enum Field<'a> {
    Number(usize),
    Fixed64([u8; 8]),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of a message, each with its number.
#[derive(Clone, Debug)]
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn next(&mut self) -> Result<Option<(usize, Field<'a>)>, MessageError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.number()?;
        let field = match key & 7 {
            0 => Field::Number(self.number()?),
            1 => Field::Fixed64(self.take(8)?.try_into().unwrap_or_default()),
            2 => {
                let bytes = self.number()?;
                Field::Bytes(self.take(bytes)?)
            }
            5 => {
                self.take(4)?;
                Field::Fixed32
            }
            kind => return Err(MessageError::Message(format!("a field of kind {kind}"))),
        };
        Ok(Some((key >> 3, field)))
    }

    /// A number of any length; lengths are written the same way.
    fn number(&mut self) -> Result<usize, MessageError> {
        prost::decode_length_delimiter(&mut self.rest)
            .map_err(|error| MessageError::Message(error.to_string()))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], MessageError> {
        let parts = self.rest.split_at_checked(bytes);
        let (taken, rest) =
            parts.ok_or_else(|| MessageError::Message("it ends within a field".to_owned()))?;
        self.rest = rest;
        Ok(taken)
    }
}
