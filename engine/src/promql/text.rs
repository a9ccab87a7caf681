//! The text of a question, made harmless for the foreign parser behind it ([`plan`](super::plan)).
//!
//! That parser builds and drops trees by recursion, compiles every regular expression it sees, and panics on some odd strings and
//! durations. So it is given no strings, no regular expressions and nothing but ASCII: a string is replaced by its number in
//! quotes, and `!=`, `=~` or `!~` before it by `=`. What they were stands in [`Question::literals`].

use super::PromError;
use crate::limits;

/// A range or offset in seconds beyond this is no question, and the parser cannot take much more.
const SECONDS_MAX: f64 = limits::TIME_SECONDS_MAX as f64;

/// A string of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// Without quotes and escapes.
    pub value: String,
    /// `=~` or `!~` stood before it.
    pub is_pattern: bool,
    /// `!=` or `!~` stood before it.
    pub is_negated: bool,
}

/// A question that may be parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// With the index of a literal in each pair of quotes.
    pub text: String,
    /// The strings.
    pub literals: Vec<Literal>,
}

impl Question {
    /// Takes a text apart.
    ///
    /// # Errors
    /// [`PromError::BadData`] for what is too long, too complicated, or no PromQL already at the level of letters.
    pub fn new(text: &str) -> Result<Self, PromError> {
        if text.len() > limits::PROMQL_BYTES_MAX {
            let max = limits::PROMQL_BYTES_MAX;
            return Err(PromError::BadData(format!("the question has more than {max} bytes")));
        }
        let question = Reader { rest: text, question: Self::default() }.read()?;
        if question.text.len() > limits::PROMQL_SYNTAX_BYTES_MAX {
            let max = limits::PROMQL_SYNTAX_BYTES_MAX;
            return Err(PromError::BadData(format!(
                "the question has more than {max} bytes outside of strings"
            )));
        }
        question.check_size()?;
        Ok(question)
    }

    /// What a name or value of the parsed text stands for.
    #[must_use]
    pub fn literal(&self, value: &str) -> Literal {
        // Names do not begin with a digit, so what does is an index.
        let literal = value.parse::<usize>().ok().and_then(|index| self.literals.get(index));
        let itself = || Literal { value: value.to_owned(), is_pattern: false, is_negated: false };
        literal.cloned().unwrap_or_else(itself)
    }

    /// Bounds the depth of the tree, and what is to be matched.
    fn check_size(&self) -> Result<(), PromError> {
        let nodes = self.text.bytes().filter(|byte| b"+-*/%^<>=!({[,".contains(byte)).count();
        // Operators that are words stand between spaces or brackets.
        let words = self.text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let words = words.filter(|word| {
            ["and", "or", "unless", "atan2"].iter().any(|name| word.eq_ignore_ascii_case(name))
        });
        if nodes + words.count() > limits::PROMQL_NODES_MAX {
            return Err(PromError::BadData("the question is too complicated".to_owned()));
        }
        if self.literals.iter().filter(|literal| literal.is_pattern).count() > limits::PROMQL_PATTERNS_MAX {
            let max = limits::PROMQL_PATTERNS_MAX;
            return Err(PromError::BadData(format!("the question has more than {max} regular expressions")));
        }
        Ok(())
    }
}

/// Goes through a text.
struct Reader<'a> {
    rest: &'a str,
    question: Question,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Result<Question, PromError> {
        let bad = |what: String| Err(PromError::BadData(what));
        // Where an operator stands that may be followed by a string.
        let mut operator_at: Option<usize> = None;
        let mut brackets = 0usize;
        // Behind `offset` and `@`, too, stands a time.
        let mut is_time = false;
        while let Some(c) = self.rest.chars().next() {
            let operator_before = operator_at.take();
            match c {
                '"' | '\'' | '`' => {
                    self.rest = &self.rest[1..];
                    let value = self.string(c)?;
                    let Question { text, literals } = &mut self.question;
                    let operator = operator_before.map(|at| text.split_off(at)).unwrap_or_default();
                    if operator_before.is_some() {
                        text.push('=');
                    }
                    *text += &format!("\"{}\"", literals.len());
                    literals.push(Literal {
                        value,
                        is_pattern: operator.contains('~'),
                        is_negated: operator.contains('!'),
                    });
                }
                '#' => {
                    self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
                    self.question.text.push(' ');
                }
                '=' | '!' if self.rest[1..].starts_with('~') || self.rest.starts_with("!=") => {
                    operator_at = Some(self.question.text.len());
                    self.question.text += &self.rest[..2];
                    self.rest = &self.rest[2..];
                }
                _ if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') || (c == ':' && brackets == 0) => {
                    let word = self.word(brackets > 0);
                    if (brackets > 0 || is_time)
                        && word.parse::<f64>().is_ok_and(|seconds| seconds > SECONDS_MAX || seconds.is_nan())
                    {
                        return bad(format!("{word} seconds are too long"));
                    }
                    is_time = word.eq_ignore_ascii_case("offset");
                    // The parser knows the later name of this function only.
                    let is_smoothing = word == "holt_winters" && self.rest.trim_start().starts_with('(');
                    self.question.text += if is_smoothing { "double_exponential_smoothing" } else { word };
                }
                _ if c.is_ascii() => {
                    match c {
                        '[' => brackets += 1,
                        ']' => brackets = brackets.saturating_sub(1),
                        _ => {}
                    }
                    is_time =
                        c == '@' || (is_time && (c.is_ascii_whitespace() || matches!(c, '-' | '+' | '(')));
                    operator_at = operator_before.filter(|_| c.is_ascii_whitespace());
                    self.question.text.push(c);
                    self.rest = &self.rest[1..];
                }
                _ => return bad(format!("{c:?} may stand in quotes only")),
            }
        }
        Ok(self.question)
    }

    /// Takes a name or number. In brackets, a colon stands between two.
    fn word(&mut self, in_brackets: bool) -> &'a str {
        let bytes = self.rest.as_bytes();
        let is_number = bytes[0].is_ascii_digit() || bytes[0] == b'.';
        let end = (1..bytes.len()).find(|&at| {
            let is_exponent =
                is_number && matches!(bytes[at], b'+' | b'-') && matches!(bytes[at - 1], b'e' | b'E');
            let is_colon = bytes[at] == b':' && !in_brackets;
            !(bytes[at].is_ascii_alphanumeric()
                || matches!(bytes[at], b'_' | b'.')
                || is_colon
                || is_exponent)
        });
        let (word, rest) = self.rest.split_at(end.unwrap_or(bytes.len()));
        self.rest = rest;
        word
    }

    /// Takes a string behind its first quote.
    fn string(&mut self, quote: char) -> Result<String, PromError> {
        let mut value = String::new();
        let mut rest = self.rest.chars();
        while let Some(c) = rest.next() {
            match c {
                _ if c == quote => {
                    self.rest = rest.as_str();
                    return Ok(value);
                }
                '\\' if quote != '`' => value.push(escaped(&mut rest)?),
                _ => value.push(c),
            }
        }
        Err(PromError::BadData("a string is not closed".to_owned()))
    }
}

/// What stands behind a backslash.
fn escaped(rest: &mut std::str::Chars<'_>) -> Result<char, PromError> {
    let bad = |what: &str| PromError::BadData(format!("{what} in a string; write \\\\ for a backslash"));
    let c = rest.next().ok_or_else(|| bad("nothing follows a backslash"))?;
    let (digits, radix) = match c {
        'n' => return Ok('\n'),
        'r' => return Ok('\r'),
        't' => return Ok('\t'),
        'a' => return Ok('\u{7}'),
        'b' => return Ok('\u{8}'),
        'f' => return Ok('\u{c}'),
        'v' => return Ok('\u{b}'),
        '\\' | '"' | '\'' | '`' => return Ok(c),
        'x' => (2, 16),
        'u' => (4, 16),
        'U' => (8, 16),
        '0'..='7' => (2, 8),
        _ => return Err(bad(&format!("there is no escape {:?}", format_args!("\\{c}").to_string()))),
    };
    let mut code = if radix == 8 { c.to_digit(8).unwrap_or(0) } else { 0 };
    for _ in 0..digits {
        let digit = rest.next().and_then(|c| c.to_digit(radix));
        code = code
            .checked_mul(radix)
            .zip(digit)
            .and_then(|(code, digit)| code.checked_add(digit))
            .ok_or_else(|| bad("an escape is broken"))?;
    }
    char::from_u32(code).filter(|_| radix != 8 || code < 256).ok_or_else(|| bad("an escape is no character"))
}

/// A duration as PromQL writes it, such as `1m30s`, in milliseconds; at most [`limits::TIME_SECONDS_MAX`].
#[must_use]
pub fn parse_duration_ms(text: &str) -> Option<i64> {
    const UNITS: [(&str, i64); 7] = [
        ("y", 365 * 86_400_000),
        ("w", 7 * 86_400_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let (mut rest, mut total, mut units) = (text, 0i64, &UNITS[..]);
    while !rest.is_empty() {
        let (digits, behind) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) =
            behind.split_at(behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len()));
        // Each once, the largest first.
        let place = units.iter().position(|(name, _)| *name == unit)?;
        total = total.checked_add(digits.parse::<i64>().ok()?.checked_mul(units[place].1)?)?;
        units = &units[place + 1..];
        rest = after;
    }
    (!text.is_empty() && total <= limits::TIME_SECONDS_MAX * 1000).then_some(total)
}
