//! The message-cost model: what a request costs on its core, what handing it over adds, and what follows for more
//! cores than this machine has.
//!
//! The program `scaling` measures and fits; docs/performance.md explains. With requests of `n` lines of one host and
//! `N` cores that own equal shares of the hosts:
//!
//! ```text
//! local(n)   = request + line · n                              CPU time, request on the owner's core
//! extra(n)   = message + handed · n                            if another core received it
//! cost(N, n) = local(n) + (1 − 1/N) · extra(n)                 a request, wherever it arrives
//! gain(N, n) = N · (1 − idle(N)) · cost(1, n) / cost(N, n) / (1 − idle(1))
//! ```
//!
//! `idle(N)` is the share of a core that ticks and empty mailboxes take, a straight line in `N`. Not in the model: memory
//! bandwidth, sockets and caches shared by cores, the kernel's own scaling, requests that share a commit.

/// A straight line: `fixed + slope · x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// Value at 0.
    pub fixed: f64,
    /// Growth per unit of x.
    pub slope: f64,
}

impl Line {
    /// The line with the smallest squared relative deviations from points `(x, y)`: measurements here have errors
    /// in proportion to their size.
    ///
    /// # Panics
    /// With fewer than two different x, or a y that is not above 0.
    #[must_use]
    pub fn fit(points: &[(f64, f64)], weight_of: impl Fn(usize) -> f64) -> Self {
        let (mut w, mut wx, mut wy, mut wxx, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (index, &(x, y)) in points.iter().enumerate() {
            let weight = weight_of(index);
            w += weight;
            wx += weight * x;
            wy += weight * y;
            wxx += weight * x * x;
            wxy += weight * x * y;
        }
        let determinant = w * wxx - wx * wx;
        assert!(determinant > 0.0, "a line needs two different x");
        let slope = (w * wxy - wx * wy) / determinant;
        Self { fixed: (wy - slope * wx) / w, slope }
    }

    /// The value at `x`.
    #[must_use]
    pub fn at(self, x: f64) -> f64 {
        self.fixed + self.slope * x
    }
}

/// The fitted model; times in nanoseconds of CPU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// A request with one core, by lines.
    pub single: Line,
    /// A request of a host that its core owns, by lines.
    pub local: Line,
    /// What handing it over adds, by lines.
    pub extra: Line,
    /// Share of a core that an idle daemon takes, by cores.
    pub idle: Line,
}

/// Medians measured at one size of request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// Lines a request.
    pub lines: f64,
    /// CPU of a request with one core, in nanoseconds.
    pub single_ns: f64,
    /// With two cores, all hosts owned by the core that receives.
    pub local_ns: f64,
    /// With two cores, all hosts owned by the other one.
    pub remote_ns: f64,
    /// With two cores, all hosts.
    pub mixed_ns: f64,
}

impl Model {
    /// Fits the model to measurements at several sizes, and idle shares by cores.
    ///
    /// # Panics
    /// With fewer than two sizes or numbers of cores.
    #[must_use]
    pub fn fit(measured: &[Measured], idle: &[(f64, f64)]) -> Self {
        // Extra is a difference: its errors go with the size of what it is the difference of.
        let weight = |index: usize| measured[index].local_ns.powi(-2);
        let fit = |y: fn(&Measured) -> f64| {
            let points: Vec<(f64, f64)> = measured.iter().map(|at| (at.lines, y(at))).collect();
            Line::fit(&points, weight)
        };
        Self {
            single: fit(|at| at.single_ns),
            local: fit(|at| at.local_ns),
            extra: fit(|at| at.remote_ns - at.local_ns),
            idle: Line::fit(idle, |_| 1.0),
        }
    }

    /// CPU nanoseconds of a request of `lines` with so many cores, wherever it arrives.
    #[must_use]
    pub fn cost_ns(&self, cores: f64, lines: f64) -> f64 {
        if cores <= 1.0 {
            return self.single.at(lines);
        }
        self.local.at(lines) + (1.0 - 1.0 / cores) * self.extra.at(lines)
    }

    /// How many times the lines of one core so many cores take.
    #[must_use]
    pub fn gain(&self, cores: f64, lines: f64) -> f64 {
        let free = |cores: f64| 1.0 - self.idle.at(cores);
        cores * free(cores) / free(1.0) * self.cost_ns(1.0, lines) / self.cost_ns(cores, lines)
    }

    /// How many times the lines it takes if every request arrives at its owner.
    #[must_use]
    pub fn affinity_gain(&self, cores: f64, lines: f64) -> f64 {
        self.cost_ns(cores, lines) / self.local.at(lines)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRUTH: Model = Model {
        single: Line { fixed: 9_000.0, slope: 100.0 },
        local: Line { fixed: 10_000.0, slope: 100.0 },
        extra: Line { fixed: 4_000.0, slope: 20.0 },
        idle: Line { fixed: 0.01, slope: 0.001 },
    };

    #[test]
    fn measurements_made_by_a_model_give_that_model() {
        let measured = [20.0, 90.0, 740.0].map(|lines| Measured {
            lines,
            single_ns: TRUTH.single.at(lines),
            local_ns: TRUTH.local.at(lines),
            remote_ns: TRUTH.local.at(lines) + TRUTH.extra.at(lines),
            mixed_ns: 0.0,
        });
        let model = Model::fit(&measured, &[(1.0, 0.011), (8.0, 0.018)]);
        for (found, truth) in [
            (model.single, TRUTH.single),
            (model.local, TRUTH.local),
            (model.extra, TRUTH.extra),
            (model.idle, TRUTH.idle),
        ] {
            assert!((found.fixed / truth.fixed - 1.0).abs() < 1e-6, "{found:?} {truth:?}");
            assert!((found.slope / truth.slope - 1.0).abs() < 1e-6, "{found:?} {truth:?}");
        }
    }

    #[test]
    fn costs_and_gains_are_those_of_the_formula() {
        assert_eq!(TRUTH.cost_ns(1.0, 740.0), 83_000.0);
        assert_eq!(TRUTH.cost_ns(2.0, 740.0), 84_000.0 + 0.5 * 18_800.0);
        let gain = 16.0 * (1.0 - 0.026) / (1.0 - 0.011) * 83_000.0 / (84_000.0 + 15.0 / 16.0 * 18_800.0);
        assert!((TRUTH.gain(16.0, 740.0) - gain).abs() < 1e-9);
        assert_eq!(TRUTH.gain(1.0, 740.0), 1.0);
        assert!((TRUTH.affinity_gain(1e9, 740.0) - 102_800.0 / 84_000.0).abs() < 1e-6);
    }
}
