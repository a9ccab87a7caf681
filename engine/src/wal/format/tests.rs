//! Holds `docs/format/log.md` against the places of the code.

use super::*;
use crate::limits;

const PAGE: &str = include_str!("../../../../docs/format/log.md");

/// The cells of the table below a heading, without its two head lines.
fn table(heading: &str) -> Vec<Vec<String>> {
    let section = PAGE.split_once(&format!("\n## {heading}\n")).expect("the heading is on the page").1;
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()).collect()
}

fn assert_fields(heading: &str, fields: &[Field], end: Option<usize>) {
    let mut rows = table(heading);
    if let Some(end) = end {
        let payload = rows.pop().unwrap();
        assert_eq!((&*payload[0], &*payload[2]), (&*end.to_string(), "payload"));
    }
    let documented: Vec<_> = rows.iter().map(|row| (&*row[0], &*row[1], &*row[2])).collect();
    let numbers: Vec<_> =
        fields.iter().map(|field| (field.offset.to_string(), field.size.to_string())).collect();
    let coded: Vec<_> =
        fields.iter().zip(&numbers).map(|(field, (offset, size))| (&**offset, &**size, field.name)).collect();
    assert_eq!(documented, coded, "{heading}");
}

#[test]
fn the_page_has_the_places_of_the_code() {
    let segment = [
        SEGMENT_MAGIC,
        SEGMENT_VERSION,
        SEGMENT_CORE,
        SEGMENT_CORES,
        SEGMENT_ID,
        SEGMENT_CREATED,
        SEGMENT_CRC,
    ];
    assert_fields("Segment header", &segment, None);
    let block = [BLOCK_CRC, BLOCK_LENGTH, BLOCK_SEGMENT, BLOCK_SEQUENCE, BLOCK_SETTLED];
    assert_fields("Block", &block, Some(BLOCK_HEADER_BYTES));
    assert_eq!(table("Segment header")[1][3], VERSION.to_string());
    assert_eq!(MAGIC, *b"CCMSLOG\n");
}

#[test]
fn the_page_has_the_kinds_and_bounds_of_the_code() {
    let kinds: Vec<_> = table("Records").iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let coded = [(DECLARATION, "declaration"), (RUN, "run"), (FREE, "free")];
    assert_eq!(kinds, coded.map(|(kind, name)| (kind.to_string(), name.to_owned())));
    assert!(PAGE.contains(&format!("sectors of {SECTOR_BYTES} bytes")));
    assert!(PAGE.contains(&format!("1 to {} MiB", limits::LOG_BLOCK_PAYLOAD_BYTES_MAX >> 20)));
    assert!(PAGE.contains(&format!("2 to {} names", limits::LOG_PATH_NAMES_MAX)));
    assert_eq!((SHAPE_SHARED, SHAPE_METRIC_SHARED, SHAPE_NAMES_SHIFT), (7, 8, 4));
    assert_eq!(limits::SELECTOR_PART_BYTES_MAX, 65_535);
    assert_eq!(limits::METRIC_NAME_BYTES_MAX, 255);
    assert_eq!(limits::TIME_SECONDS_MAX, 100_000_000_000);
}
