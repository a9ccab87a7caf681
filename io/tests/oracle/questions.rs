//! Random questions in PromQL, as dashboards and alert rules ask them, and some that are wrong.
//!
//! A last bit that differs must not decide: what compares, counts or rounds values is asked of values that are exact in every order of
//! operations ([`Accuracy::Exact`]).

use super::super::daemon::random::Random;

/// What becomes of last bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accuracy {
    /// The same bits in any order of operations.
    Exact,
    /// Nearly the same.
    Near,
}

use Accuracy::{Exact, Near};

/// Makes questions.
pub(crate) struct Questions<'a> {
    /// Where they come from.
    pub(crate) random: &'a mut Random,
    /// The metrics.
    pub(crate) metrics: &'a [&'a str],
    /// The seconds between which there are samples.
    pub(crate) times: (i64, i64),
}

impl Questions<'_> {
    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.random.below(of.len())]
    }

    /// A question.
    pub(crate) fn question(&mut self) -> String {
        match self.random.below(24) {
            0 => self.scalar(2),
            1 => self.wrong(),
            2 => format!("sort{}({})", self.pick(&["", "_desc"]), self.vector(1, Exact)),
            _ => {
                let depth = 1 + self.random.below(3);
                self.vector(depth, Near)
            }
        }
    }

    /// A question for the samples of a range, which only `query` answers.
    pub(crate) fn range_question(&mut self) -> String {
        if self.random.below(4) == 0 { self.subquery(1, Near) } else { self.range() }
    }

    fn wrong(&mut self) -> String {
        let vector = self.vector(1, Near);
        match self.random.below(12) {
            0 => format!("{vector} and 1"),
            1 => format!("1 > {}", self.scalar(0)),
            2 => format!("rate({vector})"),
            3 => format!("sum({vector}"),
            4 => format!("topk({vector})"),
            5 => format!("{vector} + bool 1"),
            6 => format!("{vector} offset x"),
            7 => format!("label_replace({vector}, \"no name\", \"$1\", \"host\", \"(.*)\")"),
            8 => format!("label_replace({vector}, \"x\", \"$1\", \"host\", \"(\")"),
            9 => format!("abs({})", self.scalar(0)),
            10 => format!("holt_winters({}, 2, 0.5)", self.range()),
            _ => format!("{vector} / on(host) group_left(host) {vector}"),
        }
    }

    fn number(&mut self) -> String {
        self.pick(&["0", "1", "2", "-3", "0.5", "10", "100", "1e3", "NaN", "Inf", "-Inf", "0x1f"]).to_owned()
    }

    fn scalar(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.number();
        }
        match self.random.below(6) {
            0 => "time()".to_owned(),
            1 => "pi()".to_owned(),
            2 => format!("scalar({})", self.vector(depth - 1, Near)),
            3 => format!("-({})", self.scalar(depth - 1)),
            4 => {
                let operator = self.pick(&["+", "-", "*", "/", "%", "^", "> bool", "== bool", "atan2"]);
                format!("({} {operator} {})", self.scalar(depth - 1), self.scalar(depth - 1))
            }
            _ => self.number(),
        }
    }

    fn selector(&mut self) -> String {
        let metric = self.pick(self.metrics);
        let matchers = self.pick(&[
            "",
            "",
            "",
            "",
            "{cluster=\"c0\"}",
            "{host=~\"h[01]\"}",
            "{host!=\"h0\"}",
            "{scope=\"node\"}",
            "{id=~\"0|2\"}",
            "{id!~\"1\",cluster=\"c1\"}",
            "{host=\"none\"}",
            "{job=\"\"}",
            "{host=~\"(h0|h2|h3)\"}",
            "{host=~\"h.+\",id=\"\"}",
        ]);
        match self.random.below(20) {
            0 => "{__name__=~\"gauge_.\"}".to_owned(),
            1 => format!("{{__name__=\"{metric}\"}}"),
            _ => format!("{metric}{matchers}"),
        }
    }

    fn modifiers(&mut self) -> String {
        let offset =
            self.pick(&["", "", "", "", " offset 5m", " offset -7m", " offset 90s", " offset 1h30m"]);
        let at = match self.random.below(10) {
            0 => " @ start()".to_owned(),
            1 => " @ end()".to_owned(),
            2 => format!(" @ {}", self.time()),
            _ => String::new(),
        };
        if self.random.below(2) == 0 { format!("{offset}{at}") } else { format!("{at}{offset}") }
    }

    /// A time within the samples, or a little out of them.
    pub(crate) fn time(&mut self) -> i64 {
        let (from, to) = self.times;
        let span = usize::try_from(to - from + 1200).expect("it is after");
        let time = from - 600 + i64::try_from(self.random.below(span)).expect("it is small");
        if self.random.below(2) == 0 { time / 60 * 60 } else { time }
    }

    fn range(&mut self) -> String {
        let length = self.pick(&["1m", "2m", "5m", "330s", "10m", "20m", "1h", "45s"]);
        format!("{}[{length}]{}", self.selector(), self.modifiers())
    }

    fn subquery(&mut self, depth: usize, accuracy: Accuracy) -> String {
        let (length, step) =
            (self.pick(&["5m", "10m", "30m", "301s"]), self.pick(&["1m", "1m", "", "30s", "77s", "5m"]));
        format!("({})[{length}:{step}]{}", self.vector(depth.min(1), accuracy), self.modifiers())
    }

    fn any_range(&mut self, depth: usize, accuracy: Accuracy) -> String {
        if self.random.below(4) == 0 && depth > 0 { self.subquery(depth - 1, accuracy) } else { self.range() }
    }

    fn labels(&mut self) -> &'static str {
        self.pick(&[
            "",
            "host",
            "cluster",
            "host, id",
            "scope",
            "host, cluster, scope",
            "job",
            "__name__",
            "id, made",
        ])
    }

    fn grouping(&mut self) -> String {
        match self.random.below(3) {
            0 => String::new(),
            1 => format!(" by ({})", self.labels()),
            _ => format!(" without ({})", self.labels()),
        }
    }

    fn matching(&mut self) -> String {
        let labels = self.labels();
        let word = self.pick(&["on", "ignoring"]);
        match self.random.below(4) {
            0 => String::new(),
            1 => "on(cluster, host, id, scope)".to_owned(),
            2 => format!("{word}({labels})"),
            _ => {
                let side = self.pick(&["group_left", "group_right"]);
                let taken = self.pick(&["", "()", "(made)", "(id)", "(parent)"]);
                format!("{word}({labels}) {side}{taken}")
            }
        }
    }

    fn vector(&mut self, depth: usize, accuracy: Accuracy) -> String {
        if depth == 0 {
            return format!("{}{}", self.selector(), self.modifiers());
        }
        if accuracy == Near && self.random.below(2) == 0 {
            self.near(depth)
        } else {
            self.exact(depth, accuracy)
        }
    }

    /// What keeps exact values exact.
    fn exact(&mut self, depth: usize, accuracy: Accuracy) -> String {
        let below = depth - 1;
        match self.random.below(16) {
            0 => {
                let function = self.pick(&["sum", "min", "max", "count", "group", "sum", "count"]);
                let grouping = self.grouping();
                format!("{function}{grouping} ({})", self.vector(below, accuracy))
            }
            1 => {
                let function = self.pick(&["sum", "max", "count"]);
                let labels = self.labels();
                format!("{function}({}) by ({labels})", self.vector(below, accuracy))
            }
            2 => {
                let function = self.pick(&["topk", "bottomk"]);
                let (count, grouping) = (
                    self.pick(&["1", "2", "3", "0", "-1", "2.9", "100", "time() - time() + 2"]),
                    self.grouping(),
                );
                format!("{function}{grouping} ({count}, {})", self.vector(0, Exact))
            }
            3 => {
                let function = self.pick(&["min", "max", "sum", "count", "last", "present"]);
                format!("{function}_over_time({})", self.any_range(depth, accuracy))
            }
            4 => {
                let function = self.pick(&["changes", "resets", "idelta", "absent_over_time"]);
                format!("{function}({})", self.any_range(depth, Exact))
            }
            5 => {
                let function = self.pick(&["abs", "ceil", "floor", "sgn", "round"]);
                format!("{function}({})", self.vector(below, Exact))
            }
            6 => format!("round({}, {})", self.vector(below, Exact), self.pick(&["0.5", "8", "-2", "100"])),
            7 => {
                let (function, number) = (self.pick(&["clamp_min", "clamp_max"]), self.scalar(0));
                format!("{function}({}, {number})", self.vector(below, accuracy))
            }
            8 => format!("clamp({}, {}, {})", self.vector(below, accuracy), self.scalar(0), self.scalar(0)),
            9 => {
                let operator = self.pick(&["==", "!=", ">", "<", ">=", "<="]);
                let is_bool = self.pick(&["", " bool"]);
                let number = self.pick(&["0", "10", "100", "-20.5", "NaN"]);
                match self.random.below(3) {
                    0 => format!("({} {operator}{is_bool} {number})", self.vector(below, Exact)),
                    1 => format!("({number} {operator}{is_bool} {})", self.vector(below, Exact)),
                    _ => {
                        let matching = self.matching();
                        format!(
                            "({} {operator}{is_bool} {matching} {})",
                            self.vector(below, Exact),
                            self.vector(0, Exact)
                        )
                    }
                }
            }
            10 | 11 => {
                let operator = self.pick(&["and", "or", "unless"]);
                let matching = if self.random.below(2) == 0 {
                    String::new()
                } else {
                    format!("{}({})", self.pick(&["on", "ignoring"]), self.labels())
                };
                format!(
                    "({} {operator} {matching} {})",
                    self.vector(below, accuracy),
                    self.vector(below, accuracy)
                )
            }
            12 => {
                let (left, right) = (self.vector(below, accuracy), self.vector(0, Exact));
                format!("({left} {} {} {right})", self.pick(&["+", "-"]), self.matching())
            }
            13 => {
                let to = self.pick(&["made", "id", "host", "__name__", "made"]);
                let replacement = self.pick(&["$1", "x-$1", "", "${1}y$$", "$2"]);
                let from = self.pick(&["host", "scope", "none", "id", "cluster"]);
                let pattern = self.pick(&["(.*)", "h(.*)", "(h)([0-9])", "", "hw.*", "c."]);
                let of = self.vector(below, accuracy);
                format!("label_replace({of}, \"{to}\", \"{replacement}\", \"{from}\", \"{pattern}\")")
            }
            14 => {
                let to = self.pick(&["made", "id", "host"]);
                let from = self.pick(&[
                    "\"host\"",
                    "\"host\", \"id\"",
                    "\"none\"",
                    "\"cluster\", \"scope\", \"id\"",
                ]);
                format!(
                    "label_join({}, \"{to}\", \"{}\", {from})",
                    self.vector(below, accuracy),
                    self.pick(&["-", "", "/"])
                )
            }
            _ => match self.random.below(4) {
                0 => format!("-({})", self.vector(below, accuracy)),
                1 => format!("absent({})", self.vector(below, accuracy)),
                2 => {
                    let part =
                        self.pick(&["timestamp(", "hour(timestamp(", "day_of_year(timestamp(", "month(abs("]);
                    let end = if part.starts_with("timestamp") { ")" } else { "))" };
                    format!("{part}{} offset 90s{end}", self.selector())
                }
                _ => {
                    let grouping = self.pick(&[
                        "",
                        " by (host)",
                        " by (cluster)",
                        " without (host)",
                        " without (id, made)",
                    ]);
                    format!("count_values{grouping} (\"made\", {})", self.vector(below, Exact))
                }
            },
        }
    }

    /// What rounds.
    fn near(&mut self, depth: usize) -> String {
        let below = depth - 1;
        match self.random.below(10) {
            0 => {
                let function = self.pick(&["avg", "stddev", "stdvar"]);
                let grouping = self.grouping();
                format!("{function}{grouping} ({})", self.vector(below, Exact))
            }
            1 => {
                let phi = self.pick(&["0", "0.5", "0.95", "1", "-1", "2", "NaN"]);
                format!("quantile{} ({phi}, {})", self.grouping(), self.vector(below, Near))
            }
            2 | 3 => {
                let function =
                    self.pick(&["rate", "increase", "irate", "delta", "rate", "increase", "deriv"]);
                format!("{function}({})", self.any_range(depth, Exact))
            }
            4 => {
                let function = self.pick(&["avg", "stddev", "stdvar"]);
                format!("{function}_over_time({})", self.any_range(depth, Exact))
            }
            5 => match self.random.below(4) {
                0 => format!(
                    "quantile_over_time({}, {})",
                    self.pick(&["0.5", "0.9", "1", "-0.1"]),
                    self.any_range(depth, Near)
                ),
                1 => format!(
                    "quantile_over_time(scalar(count(gauge_a)) / 10, {}[10m] offset 90s)",
                    self.selector()
                ),
                2 => format!(
                    "predict_linear({}[20m] offset 3m, {})",
                    self.selector(),
                    self.pick(&["600", "-60", "3600", "60 * 60"])
                ),
                _ => format!(
                    "holt_winters({}, {}, {})",
                    self.any_range(depth, Exact),
                    self.pick(&["0.5", "0.1"]),
                    self.pick(&["0.3", "0.9"])
                ),
            },
            6 => {
                let function = self.pick(&[
                    "exp", "ln", "log2", "log10", "sqrt", "sin", "cos", "tan", "asin", "acos", "atan",
                    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad",
                ]);
                format!("{function}({})", self.vector(0, Exact))
            }
            7 => {
                let operator = self.pick(&["+", "-", "*", "/", "*", "/"]);
                let number = self.scalar(0);
                if self.random.below(2) == 0 {
                    format!("({} {operator} {number})", self.vector(below, Near))
                } else {
                    format!("({number} {operator} {})", self.vector(below, Near))
                }
            }
            8 => {
                let operator = self.pick(&["*", "/", "%", "^", "atan2"]);
                let (left, right) = (self.vector(0, Exact), self.vector(0, Exact));
                format!("({left} {operator} {} {right})", self.matching())
            }
            _ => {
                let (left, right) = (self.vector(below, Near), self.vector(0, Exact));
                format!("({left} {} {} {right})", self.pick(&["*", "/", "+"]), self.matching())
            }
        }
    }
}
