//! Any bytes as line protocol: the same samples, counts and errors, however the bytes are cut (SPEC section 2).
//!
//! The first byte chooses what follows a bad line, the next three the sizes of the pieces; the rest is the body.

#![no_main]

use std::sync::Arc;

use engine::config::{Aggregation, Metric, Metrics};
use engine::limits;
use engine::line::decode::{BadLine, Counts, LineStream, Outbox};
use engine::line::error::LineError;
use engine::series::declare::Declarations;
use engine::series::route::Router;
use libfuzzer_sys::fuzz_target;

const NOW: i64 = 1_700_000_000;
const CORES: usize = 3;

/// All that comes out of a body: by core the series declared, and link, time and value of the samples.
#[derive(Debug, PartialEq)]
struct Decoded {
    result: Result<(), LineError>,
    counts: Counts,
    samples: Vec<Vec<(u32, i64, u64)>>,
}

fn metrics() -> Arc<Metrics> {
    let metric = |name: &str| Metric { name: name.into(), frequency: 60, aggregation: Aggregation::Sum };
    Metrics::new(vec![metric("m"), metric("cpu_load"), metric("a b")]).expect("the metrics are valid")
}

fn decode<'a>(router: &mut Router, pieces: impl Iterator<Item = &'a [u8]>, bad_line: BadLine) -> Decoded {
    let mut stream = LineStream::new(bad_line);
    let mut outbox = Outbox::new(CORES);
    let mut result = Ok(());
    for piece in pieces {
        result = stream.push(router, "default", NOW, piece, &mut outbox);
        if result.is_err() {
            break;
        }
    }
    if result.is_ok() {
        result = stream.finish(router, "default", NOW, &mut outbox);
    }
    let bits = |sample: &engine::series::route::Sample| (sample.link, sample.time, sample.value.to_bits());
    let samples = outbox.samples.iter().map(|samples| samples.iter().map(bits).collect()).collect();
    Decoded { result, counts: stream.counts, samples }
}

fn declarations(router: &mut Router) -> Vec<Declarations> {
    (0..CORES).map(|core| router.seal(core, Vec::new()).declarations).collect()
}

fuzz_target!(|data: &[u8]| {
    let Some((&[mode, sizes @ ..], body)) = data.split_first_chunk::<4>() else { return };
    let bad_line = if mode % 2 == 0 { BadLine::Stop } else { BadLine::Skip };

    let mut router = Router::new(metrics(), CORES, 1);
    let whole = decode(&mut router, std::iter::once(body), bad_line);
    let series = declarations(&mut router);

    let mut rest = body;
    let mut sizes = sizes.iter().map(|&size| usize::from(size).max(1)).cycle();
    let pieces = std::iter::from_fn(|| {
        let (piece, behind) = rest.split_at(sizes.next()?.min(rest.len()));
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    });
    let mut other_router = Router::new(metrics(), CORES, 2);
    let cut = decode(&mut other_router, pieces, bad_line);
    assert_eq!(cut, whole, "chunk borders do not matter");
    assert_eq!(declarations(&mut other_router), series);

    // Once more: now every key is known.
    let again = decode(&mut router, std::iter::once(body), bad_line);
    assert_eq!(again, whole, "lines seen before mean the same");
    assert!(declarations(&mut router).iter().all(Declarations::is_empty));

    assert!(bad_line == BadLine::Stop || whole.result.is_ok());
    if let Err(error) = &whole.result {
        assert!(error.quote.len() <= limits::ERROR_QUOTE_BYTES_MAX && error.column >= 1 && error.line >= 1);
    }
    let samples: usize = whole.samples.iter().map(Vec::len).sum();
    assert_eq!(whole.counts.samples, samples as u64);
    for (samples, series) in whole.samples.iter().zip(&series) {
        for &(link, time, value) in samples {
            assert!((link as usize) < series.len(), "a sample's series was declared");
            assert!(f64::from_bits(value).is_finite());
            assert!((-limits::TIME_SECONDS_MAX..=NOW + limits::FUTURE_SECONDS_MAX).contains(&time));
        }
    }
    for declared in series.iter().flat_map(Declarations::iter) {
        let names: Vec<&str> = declared.path().collect();
        let [cluster, host, ..] = names[..] else { panic!("a host is two levels deep") };
        for name in [cluster, host] {
            assert!(
                !name.is_empty()
                    && name != "."
                    && !name.contains(['/', '\\', '\0'])
                    && !name.contains("..")
            );
        }
    }
});
