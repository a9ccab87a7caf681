//! Ways to pack the values of a series, compared in one run: bytes a point, time to pack and to unpack.
//!
//! Prints the table of `docs/decisions/0004-compression.md`. `ours` is what a buffer does: values are appended one
//! by one. The others pack a whole block of 512 at once, which a daemon would have to do besides what it does
//! while the block grows.

#[path = "pack/candidates.rs"]
mod candidates;
#[path = "pack/data.rs"]
mod data;

use std::time::Instant;

use candidates::{Candidate, all};

/// Values of a block.
const BLOCK_VALUES: usize = 512;
const ROUNDS: usize = 9;

fn main() {
    let kinds = data::all(BLOCK_VALUES);
    for measure in ["bytes a point", "ns to pack a point", "ns to unpack a point"] {
        print!("\n| {measure} |");
        all().iter().for_each(|candidate| print!(" {} |", candidate.name()));
        print!("\n|---|");
        all().iter().for_each(|_| print!("--:|"));
        println!();
        for (kind, blocks) in &kinds {
            print!("| {kind} |");
            for candidate in &mut all() {
                let figures = measure_candidate(candidate.as_mut(), blocks);
                match measure {
                    "bytes a point" => print!(" {:.2} |", figures.bytes),
                    "ns to pack a point" => print!(" {:.1} |", figures.pack_ns),
                    _ => print!(" {:.1} |", figures.unpack_ns),
                }
            }
            println!();
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Figures {
    bytes: f64,
    pack_ns: f64,
    unpack_ns: f64,
}

/// The best of several rounds over all blocks.
fn measure_candidate(candidate: &mut dyn Candidate, blocks: &[Vec<f64>]) -> Figures {
    let points: usize = blocks.iter().map(Vec::len).sum();
    let mut figures = Figures { bytes: 0.0, pack_ns: f64::MAX, unpack_ns: f64::MAX };
    let mut packed = vec![Vec::new(); blocks.len()];
    let mut values = Vec::new();
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        for (block, packed) in blocks.iter().zip(&mut packed) {
            packed.clear();
            candidate.pack(block, packed);
        }
        figures.pack_ns = figures.pack_ns.min(begin.elapsed().as_nanos() as f64 / points as f64);
        let begin = Instant::now();
        for packed in &packed {
            candidate.unpack(packed, BLOCK_VALUES, &mut values);
        }
        figures.unpack_ns = figures.unpack_ns.min(begin.elapsed().as_nanos() as f64 / points as f64);
    }
    for (block, packed) in blocks.iter().zip(&packed) {
        candidate.unpack(packed, BLOCK_VALUES, &mut values);
        let same = |(a, b): (&f64, &f64)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
        assert!(block.iter().zip(&values).all(same), "{} loses bits", candidate.name());
        assert_eq!(block.len(), values.len());
    }
    figures.bytes = packed.iter().map(Vec::len).sum::<usize>() as f64 / points as f64;
    figures
}
