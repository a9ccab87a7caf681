//! Series of all kinds, in blocks, from a fixed seed; and some of a real machine.

/// Blocks of each kind.
const BLOCKS: usize = 200;

/// `bench/data/record-proc.py` recorded them.
const PROC: &str = include_str!("../../data/proc.csv");

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = bench::values::mix(self.0);
        self.0
    }

    /// 0 to below 1, all 53 bits random.
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// About normal, mean 0, deviation 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

/// The value of a slot: by chance, by its number, by what was before.
type Value = Box<dyn FnMut(&mut Random, usize, &mut f64) -> f64>;

/// Name and blocks of every kind of series.
pub(crate) fn all(block_values: usize) -> Vec<(String, Vec<Vec<f64>>)> {
    let mut kinds: Vec<(String, Vec<Vec<f64>>)> = Vec::new();
    let mut add = |name: &str, mut value: Value| {
        let mut random = Random(7);
        let blocks = (0..BLOCKS)
            .map(|_| {
                let mut state = random.unit() * 1e6;
                (0..block_values).map(|slot| value(&mut random, slot, &mut state)).collect()
            })
            .collect();
        kinds.push((name.to_owned(), blocks));
    };
    add("two decimals below 100, random", Box::new(|random, _, _| (random.next() % 10_000) as f64 / 100.0));
    add("integers below 10⁶, random", Box::new(|random, _, _| (random.next() % 1_000_000) as f64));
    add(
        "two decimals, random walk",
        Box::new(|random, _, state| {
            *state += random.normal();
            (*state * 100.0).round() / 100.0
        }),
    );
    add(
        "counter, increments below 2,000",
        Box::new(|random, _, state| {
            *state = (*state + (random.next() % 2000) as f64).round();
            *state
        }),
    );
    add("f32 gauge", Box::new(|random, _, _| f64::from((50.0 + 20.0 * random.normal()) as f32)));
    add("full entropy below 100", Box::new(|random, _, _| 100.0 * random.unit()));
    add("full entropy, both signs", Box::new(|random, _, _| random.normal()));
    add(
        "rate of a counter (full entropy)",
        Box::new(|random, _, _| (random.next() % 10_000_000) as f64 / (1.0 + random.unit() * 1e-3)),
    );
    add("constant", Box::new(|_, _, _| 42.17));
    add(
        "mostly 0, bursts of two decimals",
        Box::new(|random, slot, state| {
            if slot % 64 == 0 {
                *state = if random.next().is_multiple_of(4) { 1.0 } else { 0.0 };
            }
            if *state > 0.0 { (random.next() % 10_000) as f64 / 100.0 } else { 0.0 }
        }),
    );
    add(
        "two decimals, runs of NaN",
        Box::new(|random, slot, state| {
            if slot % 100 == 0 {
                *state = if random.next().is_multiple_of(3) { f64::NAN } else { 0.0 };
            }
            *state + (random.next() % 10_000) as f64 / 100.0
        }),
    );
    add(
        "two decimals, 1 in 300 a spike",
        Box::new(|random, _, _| {
            let high = if random.next().is_multiple_of(300) { 1e6 } else { 0.0 };
            high + (random.next() % 10_000) as f64 / 100.0
        }),
    );
    add(
        "two decimals, 1 in 300 odd",
        Box::new(|random, _, _| {
            let value = (random.next() % 10_000) as f64 / 100.0;
            if random.next().is_multiple_of(300) { value / 3.0 } else { value }
        }),
    );
    let mut proc =
        vec![("/proc: gauges", Vec::new()), ("/proc: counters", Vec::new()), ("/proc: rates", Vec::new())];
    for line in PROC.lines() {
        let (name, values) = line.split_once(',').expect("a name and values");
        let values: Vec<f64> = values.split(',').map(|value| value.parse().expect("a number")).collect();
        let is_gauge = name.starts_with("mem") || name.starts_with("load") || name == "procs_running";
        if is_gauge {
            proc[0].1.push(values[..block_values].to_vec());
        } else {
            proc[1].1.push(values[..block_values].to_vec());
            let rates = values.windows(2).map(|pair| (pair[1] - pair[0]) / 1.000_37);
            proc[2].1.push(rates.take(block_values).collect());
        }
    }
    kinds.extend(proc.into_iter().map(|(name, blocks)| (name.to_owned(), blocks)));
    kinds
}
