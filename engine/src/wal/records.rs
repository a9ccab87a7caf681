//! From the payload of a block, whose checksum matched, to records.

use super::declared::DeclaredIds;
use super::format::{
    DECLARATION, FREE, RUN, SAMPLE_BYTES_MIN, SHAPE_METRIC_SHARED, SHAPE_NAMES_SHIFT, SHAPE_SHARED,
};
use super::replay::{Counts, Visitor};
use super::varint;
use crate::limits;
use crate::line::key::is_path_safe;

/// What is wrong with a record of a block whose checksum matches: a fault of the program that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordDamage {
    /// The first byte is that of no record.
    #[error("a record of unknown kind {kind}")]
    Kind {
        /// The byte.
        kind: u8,
    },
    /// The payload ends within a record, or a number in it is too long.
    #[error("a record is cut off")]
    Cut,
    /// A name, or the number of names, is out of bounds.
    #[error("a name of {bytes} bytes")]
    NameLength {
        /// Length of the name.
        bytes: u32,
    },
    /// A name is not UTF-8.
    #[error("a name that is not UTF-8")]
    NameText,
    /// A cluster or host that cannot become a directory.
    #[error("a cluster or host that must not become a path")]
    NameUnsafe,
    /// A path has too few or too many names, or shares names that are not there.
    #[error("a path of an impossible shape {shape}")]
    Path {
        /// Shape of a declaration, or number of names of a free.
        shape: u8,
    },
    /// There are more series than numbers for them.
    #[error("too many series are declared")]
    SeriesCount,
    /// A run has no sample, or more than the payload has room for.
    #[error("a run of {samples} samples")]
    RunLength {
        /// Length of the run.
        samples: u32,
    },
    /// A sample of a series that was not declared before it.
    #[error("a sample of series {id}, {declared} are declared")]
    Undeclared {
        /// The id.
        id: u32,
        /// How many are declared.
        declared: u32,
    },
    /// A time beyond [`limits::TIME_SECONDS_MAX`].
    #[error("a sample at the impossible time {time}")]
    Time {
        /// The time, seconds.
        time: i64,
    },
}

type Names<'a> = [&'a str; limits::LOG_PATH_NAMES_MAX];

/// Hands the records of a payload to `visitor` and counts them; `declared` are the series that were declared before it.
pub(super) fn visit(
    payload: &[u8],
    declared: &mut DeclaredIds,
    counts: &mut Counts,
    visitor: &mut impl Visitor,
) -> Result<(), RecordDamage> {
    let mut reader = Reader { rest: payload };
    let mut declaration = Declaration::default();
    let mut place = Place::default();
    // Declarations without an id, because some before them were lost.
    let mut waiting: Vec<Declaration<'_>> = Vec::new();
    while !reader.rest.is_empty() {
        match reader.byte()? {
            DECLARATION => {
                reader.declaration(&mut declaration)?;
                match declared.next() {
                    Some(id) => {
                        declared.add().ok_or(RecordDamage::SeriesCount)?;
                        counts.series += 1;
                        visitor.declare(id, &declaration.path[..declaration.names], declaration.metric);
                    }
                    None => waiting.push(declaration),
                }
            }
            RUN => {
                if !waiting.is_empty() {
                    // A declaration is followed by the first sample of its series.
                    let last = reader.first_id_of_run(&place)?;
                    let first =
                        last.checked_sub(waiting.len() as u32 - 1).ok_or(RecordDamage::SeriesCount)?;
                    for (id, declaration) in (first..).zip(waiting.drain(..)) {
                        if !declared.go_on_with(id) {
                            return Err(RecordDamage::Undeclared { id, declared: declared.count() });
                        }
                        counts.series += 1;
                        visitor.declare(id, &declaration.path[..declaration.names], declaration.metric);
                    }
                }
                reader.run(declared, &mut place, counts, visitor)?;
            }
            FREE => {
                let to = i64::from_le_bytes(reader.array()?);
                let names = reader.byte()?;
                let mut path = Names::default();
                for name in path.get_mut(..names.into()).ok_or(RecordDamage::Path { shape: names })? {
                    *name = reader.name(limits::SELECTOR_PART_BYTES_MAX)?;
                }
                counts.frees += 1;
                visitor.free(&path[..names.into()], to);
            }
            kind => return Err(RecordDamage::Kind { kind }),
        }
    }
    Ok(())
}

/// The last declaration of the block.
#[derive(Clone, Copy, Default)]
struct Declaration<'a> {
    path: Names<'a>,
    names: usize,
    metric: &'a str,
}

/// What the next sample of the block is told against.
#[derive(Default)]
struct Place {
    next_id: u32,
    last_time: i64,
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Result<u8, RecordDamage> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordDamage> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(RecordDamage::Cut)?;
        self.rest = rest;
        Ok(*array)
    }

    fn name(&mut self, bytes_max: usize) -> Result<&'a str, RecordDamage> {
        let bytes = varint::take_u32(&mut self.rest).ok_or(RecordDamage::Cut)?;
        if bytes as usize > bytes_max {
            return Err(RecordDamage::NameLength { bytes });
        }
        let (name, rest) = self.rest.split_at_checked(bytes as usize).ok_or(RecordDamage::Cut)?;
        self.rest = rest;
        std::str::from_utf8(name).map_err(|_| RecordDamage::NameText)
    }

    /// Reads a declaration over the one before it in the block.
    fn declaration(&mut self, last: &mut Declaration<'a>) -> Result<(), RecordDamage> {
        let shape = self.byte()?;
        let shared = usize::from(shape & SHAPE_SHARED);
        let names = shared + usize::from(shape >> SHAPE_NAMES_SHIFT);
        let metric_shared = shape & SHAPE_METRIC_SHARED != 0;
        let possible = (2..=limits::LOG_PATH_NAMES_MAX).contains(&names)
            && shared <= last.names
            && (!metric_shared || last.names > 0);
        if !possible {
            return Err(RecordDamage::Path { shape });
        }
        for index in shared..names {
            last.path[index] = self.name(limits::SELECTOR_PART_BYTES_MAX)?;
            if index < 2 && !is_path_safe(last.path[index]) {
                return Err(RecordDamage::NameUnsafe);
            }
        }
        last.names = names;
        if !metric_shared {
            last.metric = self.name(limits::METRIC_NAME_BYTES_MAX)?;
            if last.metric.is_empty() {
                return Err(RecordDamage::NameLength { bytes: 0 });
            }
        }
        Ok(())
    }

    /// The series of the first sample of the run that comes, which stays unread.
    fn first_id_of_run(&self, place: &Place) -> Result<u32, RecordDamage> {
        let mut ahead = Reader { rest: self.rest };
        ahead.array::<4>()?;
        let step = varint::take_u32(&mut ahead.rest).ok_or(RecordDamage::Cut)?;
        Ok(place.next_id.wrapping_add(varint::unfold_u32(step)))
    }

    /// Reads a run of samples.
    fn run(
        &mut self,
        declared: &DeclaredIds,
        place: &mut Place,
        counts: &mut Counts,
        visitor: &mut impl Visitor,
    ) -> Result<(), RecordDamage> {
        let samples = u32::from_le_bytes(self.array()?);
        if samples == 0 || samples as usize > self.rest.len() / SAMPLE_BYTES_MIN {
            return Err(RecordDamage::RunLength { samples });
        }
        let Place { mut next_id, mut last_time } = *place;
        let mut unknown = 0;
        for _ in 0..samples {
            let (step, delta) = match self.rest {
                &[step, delta, ref rest @ ..] if step | delta < 0x80 => {
                    self.rest = rest;
                    (u32::from(step), u64::from(delta))
                }
                _ => (
                    varint::take_u32(&mut self.rest).ok_or(RecordDamage::Cut)?,
                    varint::take(&mut self.rest).ok_or(RecordDamage::Cut)?,
                ),
            };
            let value = f64::from_le_bytes(self.array()?);
            let id = next_id.wrapping_add(varint::unfold_u32(step));
            let time = last_time.wrapping_add(varint::unfold_u64(delta) as i64);
            if time.unsigned_abs() > limits::TIME_SECONDS_MAX as u64 {
                return Err(RecordDamage::Time { time });
            }
            next_id = id.wrapping_add(1);
            last_time = time;
            match declared.is_declared(id) {
                Some(true) => visitor.sample(id, time, value),
                Some(false) => unknown += 1,
                None => return Err(RecordDamage::Undeclared { id, declared: declared.count() }),
            }
        }
        *place = Place { next_id, last_time };
        counts.samples += u64::from(samples) - unknown;
        counts.unknown += unknown;
        Ok(())
    }
}
