//! Lines whose fields are metrics, against a table, and against themselves over chunk borders.

use proptest::prelude::*;

use crate::limits;
use crate::line::decode::tests::{NOW, Row, decode_dialect, row};
use crate::line::decode::{BadLine, Dialect};
use crate::line::error::Fault;
use crate::line::timestamp::TimeUnit;

const FIELDS: Dialect =
    Dialect { time_unit: TimeUnit::Seconds, field_metrics: true, retention_seconds: None };

fn good(text: &str) -> (Vec<Row>, u64) {
    let (rows, counts, error) = decode_dialect(&[text.as_bytes()], BadLine::Stop, FIELDS);
    assert_eq!(error, None, "{text:?}");
    assert_eq!(counts.samples as usize, rows.len());
    (rows, counts.unconfigured)
}

#[test]
fn every_number_is_a_sample() {
    let path = "default/h";
    let (load, user) = (row(path, "cpu_load", 7, 1.5), row(path, "cpu_user", 7, 2.0));
    for (text, expected, unconfigured) in [
        ("cpu,host=h load=1.5,user=2i 7\n", vec![load.clone(), user.clone()], 0),
        ("cpu,host=h user=2u,load=1.5 7", vec![load.clone(), user.clone()], 0),
        ("cpu,host=h load=1.5,other=3,user=2 7\r\n", vec![load.clone(), user], 1),
        ("cpu,host=h  load=1.5   7  \n", vec![load.clone()], 0),
        ("cpu,host=h up=true,load=1.5,ok=F 7\n", vec![load.clone()], 0),
        ("cpu,host=h note=\"a,b=c \\\" load=9\",load=1.5 7\n", vec![load.clone()], 0),
        ("cpu,host=h note=\"two\nlines\",load=1.5 7\n", vec![load.clone()], 0),
        ("cpu,host=h note=\"\",load=1.5,end=\"\\\\\" 7\n", vec![load.clone()], 0),
        ("cpu,host=h note=\"only\" 7\n", vec![], 0),
        ("cpu_load,host=h value=1.5 7\n", vec![load.clone()], 0),
        ("cpu_load,host=h value=1.5,max=3 7\n", vec![load.clone()], 1),
        ("cpu,host=h load=1.5 7\n# comment \"\n\n", vec![load], 0),
        ("cpu,host=h a\\=b=4\n", vec![row(path, "cpu_a=b", NOW, 4.0)], 0),
        ("mem,host=h \\ used=4\n", vec![], 1),
        (
            "flops,host=h,type=hwthread,type-id=3 any=4 1\n",
            vec![row("default/h/hwthread3", "flops_any", 1, 4.0)],
            0,
        ),
    ] {
        assert_eq!(good(text), (expected, unconfigured), "{text:?}");
    }
}

#[test]
fn the_same_field_twice_is_written_twice() {
    assert_eq!(
        good("cpu,host=h load=1,load=2 7\n").0,
        [1.0, 2.0].map(|v| row("default/h", "cpu_load", 7, v))
    );
}

#[test]
fn bad_fields_say_where_and_store_nothing_of_their_line() {
    for (bad, column, fault) in [
        ("cpu,host=h", 11, Fault::FieldMissing),
        ("cpu,host=h 7", 12, Fault::FieldMissing),
        ("cpu,host=h load=1, 7", 19, Fault::FieldMissing),
        ("cpu,host=h load=1,=2 7", 19, Fault::FieldMissing),
        ("cpu,host=h load=1,user= 7", 24, Fault::ValueSyntax),
        ("cpu,host=h load=1,user=1x 7", 24, Fault::ValueSyntax),
        ("cpu,host=h load=1,user=NaN 7", 24, Fault::ValueSyntax),
        ("cpu,host=h load=1,note=\"open 7", 24, Fault::ValueSyntax),
        ("cpu,host=h load=1,note=\"closed\"x 7", 32, Fault::TimestampSyntax),
        ("cpu,host=h load=1 x", 19, Fault::TimestampSyntax),
        ("cpu,host=h load=1 1700000000000", 19, Fault::TimestampRange),
        ("cpu,host= load=1 7", 10, Fault::TagEmpty),
        ("cpu,host=h,x load=1 7", 12, Fault::TagEqualsMissing),
        (",host=h load=1 7", 1, Fault::MeasurementMissing),
    ] {
        let text = format!("cpu,host=a load=1 1\n{bad}\ncpu,host=b load=2 2\n");
        let (rows, counts, error) = decode_dialect(&[text.as_bytes()], BadLine::Skip, FIELDS);
        assert_eq!(error, None);
        let first = counts.first_bad.unwrap_or_else(|| panic!("{bad:?} was accepted"));
        assert_eq!((first.line, first.column, first.fault), (2, column, fault), "{bad:?}");
        let kept = [row("default/a", "cpu_load", 1, 1.0), row("default/b", "cpu_load", 2, 2.0)];
        assert_eq!((&rows[..], counts.bad), (&kept[..], 1), "{bad:?}");
    }
}

#[test]
fn fields_times_tags_are_bounded() {
    let tags = "x".repeat(limits::LINE_BYTES_MAX / 2);
    let fields = "load=1,".repeat(10);
    let text = format!("cpu,host=h,x={tags} {fields}user=1 7\n");
    let (rows, counts, _) = decode_dialect(&[text.as_bytes()], BadLine::Skip, FIELDS);
    assert_eq!((rows.len(), counts.first_bad.map(|bad| bad.fault)), (0, Some(Fault::FieldsTooMany)));
}

#[test]
fn units_hold_without_fields_as_metrics() {
    let dialect = Dialect { time_unit: TimeUnit::Milliseconds, ..Dialect::default() };
    let text = "cpu_load,host=h value=1 1700000000\ncpu_load,host=h value=2 1700000000\n";
    let (rows, _, error) = decode_dialect(&[text.as_bytes()], BadLine::Stop, dialect);
    assert_eq!(error, None);
    assert_eq!(rows, [1.0, 2.0].map(|value| row("default/h", "cpu_load", 1_700_000, value)));
}

fn any_line() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => (0..3u8, 0..100u32).prop_map(|(host, value)| format!("cpu,host=h{host} load={value},user=1i {value}\n")),
        1 => Just("cpu,host=h note=\"a\nb\",load=1 1\n".to_owned()),
        1 => Just("cpu,host=h note=\"a\n".to_owned()),
        1 => Just("cpu,host=h a\"b=1,load=1 1\n".to_owned()),
        1 => Just("cpu,host=h load=1,user=oops 1\n".to_owned()),
        1 => "cpu,host=h [a\\\\\" =,\n]{0,12}\n",
    ]
}

proptest! {
    /// However the bytes are cut into chunks: the same samples and counts.
    #[test]
    fn chunk_borders_do_not_matter(lines in proptest::collection::vec(any_line(), 0..12), size in 1usize..60) {
        let text: String = lines.concat();
        let (rows, counts, _) = decode_dialect(&[text.as_bytes()], BadLine::Skip, FIELDS);
        let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
        let (cut_rows, cut_counts, _) = decode_dialect(&chunks, BadLine::Skip, FIELDS);
        prop_assert_eq!(rows, cut_rows);
        prop_assert_eq!(counts, cut_counts);
    }

    #[test]
    fn any_bytes_are_answered(bytes: Vec<u8>) {
        decode_dialect(&[&bytes], BadLine::Skip, FIELDS);
        decode_dialect(&[&bytes], BadLine::Stop, FIELDS);
    }
}
