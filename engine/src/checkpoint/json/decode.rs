//! Reads `.json` snapshots; see [`super`].
//!
//! Keys come in any order and unknown ones are skipped. A series' values are looked at in place: first to check and
//! count them, then again when the visitor iterates.

use std::borrow::Cow;

use super::super::visit::check_series;
use super::super::{SnapshotError, SnapshotHeader, SnapshotSeries, SnapshotVisitor, Values};
use super::scan::Scan;
use crate::limits;

/// Reads a whole snapshot. The file is checked from beginning to end before the visitor sees anything of it.
///
/// # Errors
/// What is wrong with the file, and where. The visitor has seen nothing then.
pub fn decode(text: &[u8], visitor: &mut impl SnapshotVisitor) -> Result<SnapshotHeader, SnapshotError> {
    walk(text, &mut |_: SnapshotSeries<'_>| ())?;
    walk(text, visitor)
}

fn walk(text: &[u8], visitor: &mut impl SnapshotVisitor) -> Result<SnapshotHeader, SnapshotError> {
    let mut scan = Scan::new(text);
    let mut header = SnapshotHeader { from: 0, to: 0 };
    if scan.peek() != Some(b'{') {
        return Err(scan.expected("the object of a snapshot"));
    }
    level(&mut scan, &mut Vec::new(), Some(&mut header), visitor)?;
    scan.end()?;
    header.check(0)?;
    Ok(header)
}

/// Reads the level that `path` leads to. `from` and `to` count at the top only.
fn level<'a>(
    scan: &mut Scan<'a>,
    path: &mut Vec<Cow<'a, str>>,
    mut header: Option<&mut SnapshotHeader>,
    visitor: &mut impl SnapshotVisitor,
) -> Result<(), SnapshotError> {
    scan.object("the object of a level", |scan, key| match (&*key, &mut header) {
        ("metrics", _) => {
            let path: Vec<&str> = path.iter().map(|name| &**name).collect();
            scan.object("the object of metrics", |scan, metric| series(scan, &path, &metric, visitor))
        }
        ("children", _) => scan.object("the object of children", |scan, name| {
            if path.len() == limits::SNAPSHOT_DEPTH_MAX {
                return Err(SnapshotError::TooDeep { at: scan.at() });
            }
            path.push(checked_name(scan, name, "level")?);
            level(scan, path, None, visitor)?;
            path.pop();
            Ok(())
        }),
        ("from", Some(header)) => scan.integer("a time in seconds").map(|time| header.from = time),
        ("to", Some(header)) => scan.integer("a time in seconds").map(|time| header.to = time),
        _ => scan.skip(),
    })
}

fn series(
    scan: &mut Scan<'_>,
    path: &[&str],
    metric: &str,
    visitor: &mut impl SnapshotVisitor,
) -> Result<(), SnapshotError> {
    checked_name(scan, Cow::Borrowed(metric), "metric")?;
    let at = scan.at();
    let (mut frequency, mut start) = (0, 0);
    let mut values = JsonValues { scan: scan.clone(), left: 0 };
    scan.object("the object of a series", |scan, key| match &*key {
        "frequency" => scan.integer("seconds").map(|seconds| frequency = seconds),
        "start" => scan.integer("a time in seconds").map(|time| start = time),
        "data" => JsonValues::check(scan).map(|checked| values = checked),
        _ => scan.skip(),
    })?;
    check_series(start, frequency, values.left, at)?;
    visitor.series(SnapshotSeries { path, metric, frequency, start, values: Values::json(values) });
    Ok(())
}

fn checked_name<'n>(
    scan: &Scan<'_>,
    name: Cow<'n, str>,
    what: &'static str,
) -> Result<Cow<'n, str>, SnapshotError> {
    if name.len() > limits::SELECTOR_PART_BYTES_MAX {
        return Err(SnapshotError::NameTooLong { at: scan.at(), what, length: name.len() });
    }
    Ok(name)
}

/// The values of a list that was checked before.
#[derive(Clone, Debug)]
pub(in super::super) struct JsonValues<'a> {
    /// Before the next value, or before the comma in front of it.
    scan: Scan<'a>,
    left: usize,
}

impl<'a> JsonValues<'a> {
    /// Checks and counts the list that `scan` stands before, and moves behind it.
    fn check(scan: &mut Scan<'a>) -> Result<Self, SnapshotError> {
        let mut first = None;
        let mut left = 0;
        scan.list("the list of values", |scan| {
            first.get_or_insert_with(|| scan.clone());
            left += 1;
            scan.value().map(drop)
        })?;
        Ok(Self { scan: first.unwrap_or_else(|| scan.clone()), left })
    }
}

impl Iterator for JsonValues<'_> {
    type Item = f32;

    fn next(&mut self) -> Option<f32> {
        self.left = self.left.checked_sub(1)?;
        self.scan.skip_comma();
        let value = self.scan.value();
        debug_assert!(value.is_ok(), "values are handed on after they were checked");
        value.ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
