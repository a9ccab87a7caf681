//! The answers of all cores joined into one, in the order of the request.
//!
//! The cores' bytes are not looked at again: pieces of them are put in order between the brackets.

use super::scatter::{CoreAnswer, Question};
use super::text::{Mark, Piece};

/// The answer as a list of pieces.
#[derive(Debug, Default)]
pub struct Gathered {
    /// In order.
    pub pieces: Vec<GatheredPiece>,
}

/// A piece of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatheredPiece {
    /// Bytes between the parts.
    Literal(&'static str),
    /// A piece of the answer of a core.
    Core(usize, Piece),
}

/// Joins the cores' answers to their questions.
///
/// # Panics
/// If an answer has other parts than its question asks for: a bug.
#[must_use]
pub fn gather(questions: &[Question], answers: &[CoreAnswer]) -> Gathered {
    let mut gathered = Gathered::default();
    let mut owners: Vec<(u32, usize, usize)> = Vec::new();
    for (core, question) in questions.iter().enumerate() {
        owners.extend(question.queries.iter().enumerate().map(|(part, &query)| (query, core, part)));
    }
    owners.sort_unstable();

    // The hosts of all cores in name order; the metrics of a host stay in the order of the request.
    let mut all_nodes: Vec<(&str, usize, usize)> = Vec::new();
    for (core, (question, answer)) in questions.iter().zip(answers).enumerate() {
        for (part, answered) in answer.parts.iter().enumerate().skip(question.queries.len()) {
            let (host, _) = answered.echo.as_ref().expect("parts of all nodes have an echo");
            all_nodes.push((host, core, part));
        }
    }
    all_nodes.sort_unstable();

    gathered.literal("{");
    if !all_nodes.is_empty() {
        gathered.literal("\"queries\":[");
        for (index, &(_, core, part)) in all_nodes.iter().enumerate() {
            gathered.separate(index);
            let (start, rows, _) = bounds(&answers[core], part);
            gathered.core(core, &answers[core], start, rows);
        }
        gathered.literal("],");
    }
    gathered.literal("\"results\":[");
    let places = owners.iter().map(|&(_, core, part)| (core, part));
    for (index, (core, part)) in
        places.chain(all_nodes.iter().map(|&(_, core, part)| (core, part))).enumerate()
    {
        gathered.separate(index);
        let (_, rows, end) = bounds(&answers[core], part);
        gathered.core(core, &answers[core], rows, end);
    }
    gathered.literal("]}\n");
    gathered
}

/// Where a part begins, where its rows begin, and where it ends.
fn bounds(answer: &CoreAnswer, part: usize) -> (Mark, Mark, Mark) {
    let start = part.checked_sub(1).map_or(Mark::default(), |before| answer.parts[before].end);
    let rows = answer.parts[part].echo.as_ref().map_or(start, |&(_, echo_end)| echo_end);
    (start, rows, answer.parts[part].end)
}

impl Gathered {
    fn literal(&mut self, text: &'static str) {
        self.pieces.push(GatheredPiece::Literal(text));
    }

    fn separate(&mut self, index: usize) {
        if index > 0 {
            self.literal(",");
        }
    }

    fn core(&mut self, core: usize, answer: &CoreAnswer, from: Mark, to: Mark) {
        self.pieces.extend(answer.text.pieces(from, to).map(|piece| GatheredPiece::Core(core, piece)));
    }
}
