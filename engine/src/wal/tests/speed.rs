//! What a sample costs on the way into a block and out of it. Run in release with `--ignored --nocapture`.

use std::time::Instant;

use super::super::encode::SegmentEncoder;
use super::super::replay::{End, Visitor, replay};
use super::history::header;

/// Looks at every sample.
#[derive(Default)]
struct Sum(u64);

impl Visitor for Sum {
    fn declare(&mut self, _id: u32, _path: &[&str], _metric: &str) {}

    fn sample(&mut self, id: u32, time: i64, value: f64) {
        self.0 = self.0.wrapping_add(u64::from(id) ^ time as u64 ^ value.to_bits());
    }

    fn free(&mut self, _path: &[&str], _to: i64) {}
}

const HOSTS: u32 = 20;
const SERIES: u32 = 740;
const MINUTES: i64 = 300;

#[test]
#[ignore = "a measurement"]
fn encoding_and_replay() {
    let mut encoder = SegmentEncoder::new(header(1));
    for round in 0..3 {
        encoder.open(header(round));
        let mut file = header(round).encode().to_vec();
        file.reserve_exact(HOSTS as usize * SERIES as usize * MINUTES as usize * 12);
        let mut encoding = std::time::Duration::ZERO;
        for minute in 0..MINUTES {
            for host in 0..HOSTS {
                let start = Instant::now();
                for index in 0..SERIES {
                    let series = host * SERIES + index;
                    if !encoder.is_declared(series) {
                        encoder.declare(
                            series,
                            &["fritz", &format!("f{host:04}"), &format!("hwthread{index}")],
                            "m",
                        );
                    }
                    encoder.sample(series, 1_700_000_000 + 60 * minute, f64::from(index) * 1.7);
                }
                let block = encoder.seal();
                encoding += start.elapsed();
                file.extend_from_slice(block);
            }
        }
        let start = Instant::now();
        let mut sum = Sum::default();
        let outcome = replay(&file, &mut sum).unwrap();
        let replaying = start.elapsed();
        assert_eq!(outcome.end, End::Clean);
        let samples = outcome.counts.samples as f64;
        println!(
            "encode and seal {:.2} ns, {:.2} bytes a sample; replay {:.1} million samples/s ({})",
            encoding.as_nanos() as f64 / samples,
            file.len() as f64 / samples,
            samples / replaying.as_secs_f64() / 1e6,
            sum.0
        );
    }
}
