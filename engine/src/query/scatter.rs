//! A query split by owning core, and the owner's side of it.
//!
//! The owner works in steps of one row, so that ingest runs between them; a step's cost is bounded by
//! the data the row combines.

use std::cell::Cell;
use std::sync::Arc;

use super::answer::{self, RowRequest, Scratch};
use super::request::{Query, QueryRequest, push_query_echo};
use super::scan;
use super::text::{Mark, Text};
use crate::config::Metrics;
use crate::limits;
use crate::memory::shard::Shard;
use crate::series::directory::Directory;
use crate::series::route::core_of;
use crate::series::tree::LevelId;

/// Answers that have at most so many values for their range are not counted before they are made: counting a row costs up to a
/// tenth of making it.
const UNCOUNTED_VALUES_MAX: u64 = 50_000;
/// A row's grid may have a few slots more than its range has whole ones.
const ROUNDING_VALUES: u64 = 8;

/// What one core is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The whole request.
    pub request: Arc<QueryRequest>,
    /// Indices of the request's queries whose hosts the core owns.
    pub queries: Vec<u32>,
    /// For `for-all-nodes`: the hosts the core owns, in name order.
    pub nodes: Vec<Arc<str>>,
    /// Most values all cores together may answer.
    pub values_max: u64,
}

/// The answer could not fit (SPEC section 4), or takes more to make than any answer that fits should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLarge {
    /// It has too many values.
    #[error("the answer would have more than {max} values: ask for less at once, or raise query-limit")]
    Values {
        /// The limit.
        max: u64,
    },
    /// It combines too many.
    #[error(
        "more than {max} values would have to be read for the answer: ask for less at once, or raise query-limit, of which this is the {times}-fold",
        times = limits::QUERY_READ_PER_VALUE
    )]
    Read {
        /// The limit of one core.
        max: u64,
    },
}

impl Question {
    /// Whether the core has nothing to answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.queries.is_empty() && self.nodes.is_empty()
    }
}

/// Splits a request: which core answers which of its queries, and for which hosts of `for-all-nodes`.
///
/// # Errors
/// [`TooLarge`] if it asks for more rows than values may be answered.
pub fn scatter(
    request: QueryRequest,
    directory: &Directory,
    values_max: u64,
) -> Result<Vec<Question>, TooLarge> {
    let cores = directory.cores();
    let rows_max = values_max.min(limits::QUERY_ROWS_MAX);
    let too_large = TooLarge::Values { max: rows_max };
    let rows =
        request.queries.iter().fold(0u64, |rows, query| rows.saturating_add(scan::row_count(query) as u64));
    let rows_left = rows_max.checked_sub(rows).ok_or(too_large)?;
    let mut queries = vec![Vec::new(); cores];
    for (index, query) in request.queries.iter().enumerate() {
        let index = u32::try_from(index).map_err(|_| too_large)?;
        queries[core_of(&request.cluster, &query.host, cores)].push(index);
    }
    let nodes = all_nodes(&request, directory, rows_left).ok_or(too_large)?;
    let request = Arc::new(request);
    Ok(queries
        .into_iter()
        .zip(nodes)
        .map(|(queries, nodes)| Question { request: Arc::clone(&request), queries, nodes, values_max })
        .collect())
}

/// Upper bound of the bytes of an answer, as far as the request shows it: runs of nulls are numbers, and take none.
#[must_use]
pub fn answer_bytes_max(questions: &[Question], metrics: &Metrics) -> u64 {
    let Some(request) = questions.first().map(|question| &question.request) else { return 0 };
    let seconds = u64::try_from(request.to.saturating_sub(request.from)).unwrap_or(0);
    let row_bytes = |metric: &str, resolution: i64| {
        let metric = metrics.find(metric.as_bytes()).filter(|_| request.with_data);
        let step = metric.map(|id| metrics.get(id).frequency.max(resolution).unsigned_abs().max(1));
        let values = step.map_or(0, |step| seconds / step + ROUNDING_VALUES);
        values.saturating_mul(limits::QUERY_VALUE_BYTES as u64).saturating_add(limits::QUERY_ROW_BYTES)
    };
    let rows = request.queries.iter().map(|query| {
        row_bytes(&query.metric, query.resolution).saturating_mul(scan::row_count(query) as u64)
    });
    let nodes = questions.iter().map(|question| question.nodes.len() as u64).sum::<u64>();
    let all_nodes = request.for_all_nodes.iter().flatten();
    rows.chain(all_nodes.map(|metric| row_bytes(metric, 0).saturating_mul(nodes)))
        .fold(0, u64::saturating_add)
}

/// By core, the hosts that `for-all-nodes` means; `None` if they have more than `rows_max` rows.
fn all_nodes(request: &QueryRequest, directory: &Directory, rows_max: u64) -> Option<Vec<Vec<Arc<str>>>> {
    let metrics = request.for_all_nodes.as_ref().map_or(0, Vec::len);
    if metrics == 0 {
        return Some(vec![Vec::new(); directory.cores()]);
    }
    let mut hosts_left = usize::try_from(rows_max / metrics as u64).unwrap_or(usize::MAX);
    (0..directory.cores())
        .map(|core| {
            let hosts = directory.hosts(core, &request.cluster, hosts_left)?;
            hosts_left -= hosts.len();
            Some(hosts)
        })
        .collect()
}

/// One query's rows in a [`CoreAnswer`].
#[derive(Debug)]
pub struct Part {
    /// Where its rows end; they begin where the part before ends.
    pub end: Mark,
    /// For `for-all-nodes`: the host, and where the echo of the query ends; the rows follow.
    pub echo: Option<(Box<str>, Mark)>,
}

/// What one core answers.
#[derive(Debug, Default)]
pub struct CoreAnswer {
    /// The rows of all parts.
    pub text: Text,
    /// In the order of [`Question::queries`], then one per host and metric of `for-all-nodes`.
    pub parts: Vec<Part>,
    /// How many values are in it, at most.
    pub values: u64,
}

/// A question being answered by its core.
#[derive(Debug)]
pub struct CoreQuery {
    question: Question,
    /// Queries of `for-all-nodes`, one per host and metric.
    all_nodes: Vec<Query>,
    state: State,
    query: usize,
    row: usize,
    rows_written: bool,
    /// Values read so far.
    read: u64,
    /// The values were counted before anything is answered.
    is_counted: bool,
    /// The host found last, and a query of it.
    recent_host: Cell<Option<(usize, LevelId)>>,
    scratch: Scratch,
    answer: CoreAnswer,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Listing,
    Counting,
    Answering,
}

impl CoreQuery {
    /// A question not yet looked at.
    #[must_use]
    pub fn new(question: Question) -> Self {
        Self {
            question,
            all_nodes: Vec::new(),
            state: State::Listing,
            query: 0,
            row: 0,
            rows_written: false,
            read: 0,
            is_counted: false,
            recent_host: Cell::default(),
            scratch: Scratch::default(),
            answer: CoreAnswer::default(),
        }
    }

    /// Does a small part of the work; the answer, when that was the last.
    pub fn step(&mut self, shard: &Shard) -> Option<Result<CoreAnswer, TooLarge>> {
        match self.state {
            State::Listing => {
                self.list_all_nodes();
                self.state = State::Counting;
                if let Some(values) = self.values_bound(shard) {
                    self.state = State::Answering;
                    self.reserve(values);
                }
                None
            }
            State::Counting => {
                // First the size of everything, from the buffers' edges; nothing is read for it.
                let mut series = 0;
                while series < limits::QUERY_SERIES_COUNTED_PER_STEP {
                    let Some((query, row)) = self.next_row() else {
                        self.state = State::Answering;
                        self.is_counted = true;
                        (self.query, self.row) = (0, 0);
                        self.reserve(self.answer.values);
                        return None;
                    };
                    let mut scratch = std::mem::take(&mut self.scratch);
                    let values =
                        answer::count_values(shard, self.row_request(shard, query, row), &mut scratch);
                    // A row without series takes time as well.
                    series += scratch.series_count().max(1);
                    self.scratch = scratch;
                    self.answer.values = self.answer.values.saturating_add(values);
                    if self.answer.values > self.question.values_max {
                        return self.too_large();
                    }
                }
                None
            }
            State::Answering => self.answer_row(shard),
        }
    }

    fn too_large(&self) -> Option<Result<CoreAnswer, TooLarge>> {
        Some(Err(TooLarge::Values { max: self.question.values_max }))
    }

    /// How many values this core reads at most, if it is seen from the request alone that all cores together read
    /// few and allowed ones. Nulls in front of data may come on top: those of data behind the range are many, and none is made yet.
    fn values_bound(&self, shard: &Shard) -> Option<u64> {
        let Question { request, queries, values_max, .. } = &self.question;
        if request.for_all_nodes.is_some() {
            return None;
        }
        let seconds = u64::try_from(request.to.saturating_sub(request.from)).unwrap_or(0);
        let bound = |query: &Query| {
            let metric = shard.metrics().find(query.metric.as_bytes()).filter(|_| request.with_data);
            let frequency = metric.map(|id| shard.metrics().get(id).frequency.unsigned_abs().max(1));
            // Those of the range, some more at its ends, and one for the row itself.
            let values = frequency.map_or(0, |frequency| seconds / frequency + ROUNDING_VALUES) + 1;
            values.saturating_mul(scan::row_count(query) as u64)
        };
        let all = request.queries.iter().fold(0u64, |all, query| all.saturating_add(bound(query)));
        let mine = || queries.iter().map(|&index| bound(&request.queries[index as usize])).sum();
        (all <= UNCOUNTED_VALUES_MAX.min(*values_max)).then(mine)
    }

    /// Makes room for the answer: growing, it would be moved.
    fn reserve(&mut self, values: u64) {
        let values = if self.question.request.with_data { values } else { 0 };
        let values = usize::try_from(values).unwrap_or(usize::MAX);
        self.answer.text.expect_bytes(values.saturating_mul(limits::QUERY_VALUE_BYTES));
    }

    /// The place of the next row; moves on. `None` behind the last one.
    ///
    /// Queries that ask for no rows at all are passed over.
    fn next_row(&mut self) -> Option<(usize, usize)> {
        while self.query < self.question.queries.len() + self.all_nodes.len() {
            let row = self.row;
            if row < scan::row_count(self.query_at(self.query)) {
                self.row += 1;
                return Some((self.query, row));
            }
            (self.query, self.row) = (self.query + 1, 0);
        }
        None
    }

    fn row_request(&self, shard: &Shard, query: usize, row: usize) -> RowRequest<'_> {
        let index = query;
        let (request, query) = (&*self.question.request, self.query_at(query));
        let host = self.recent_host(shard, query).or_else(|| {
            let host = shard.tree().find([&*request.cluster, &*query.host]);
            self.recent_host.set(host.map(|level| (index, level)));
            host
        });
        RowRequest { request, query, selection: scan::selection(query, row), host }
    }

    /// The level of a query's host, if the query looked at last was of the same: mostly several of one follow each other.
    fn recent_host(&self, shard: &Shard, query: &Query) -> Option<LevelId> {
        let (of, level) = self.recent_host.get()?;
        // It may have lost its data since.
        (self.query_at(of).host == query.host && shard.tree().level(level).is_live()).then_some(level)
    }

    fn answer_row(&mut self, shard: &Shard) -> Option<Result<CoreAnswer, TooLarge>> {
        if self.query >= self.question.queries.len() + self.all_nodes.len() {
            return Some(Ok(std::mem::take(&mut self.answer)));
        }
        let mut text = std::mem::take(&mut self.answer.text);
        text.cut();
        let mut scratch = std::mem::take(&mut self.scratch);
        let query = self.query_at(self.query);
        let mut echo = None;
        if self.row == 0 {
            if self.query >= self.question.queries.len() {
                push_query_echo(text.bytes_mut(), query);
                echo = Some((query.host.as_str().into(), text.mark()));
            }
            text.bytes_mut().push(b'[');
        }
        let rows = scan::row_count(query);
        let mut written = self.rows_written;
        if self.row < rows {
            let separator: &[u8] = if written { b"," } else { b"" };
            let row = self.row_request(shard, self.query, self.row);
            written |= answer::push_row(shard, row, separator, &mut scratch, &mut text);
            self.read = self.read.saturating_add(scratch.read());
            let max = self.question.values_max.saturating_mul(limits::QUERY_READ_PER_VALUE);
            if self.read > max {
                return Some(Err(TooLarge::Read { max }));
            }
            if !self.is_counted {
                self.answer.values = self.answer.values.saturating_add(scratch.values());
                if self.answer.values > self.question.values_max {
                    return self.too_large();
                }
            }
        }
        let done = self.row + 1 >= rows;
        if done {
            text.bytes_mut().push(b']');
        }
        let end = text.mark();
        self.answer.text = text;
        self.scratch = scratch;
        if self.row == 0 {
            self.answer.parts.push(Part { end, echo });
        }
        if done {
            self.answer.parts.last_mut().expect("pushed with its first row").end = end;
            (self.query, self.row, self.rows_written) = (self.query + 1, 0, false);
        } else {
            (self.row, self.rows_written) = (self.row + 1, written);
        }
        None
    }

    fn query_at(&self, index: usize) -> &Query {
        match self.question.queries.get(index) {
            Some(&query) => &self.question.request.queries[query as usize],
            None => &self.all_nodes[index - self.question.queries.len()],
        }
    }

    /// The queries of `for-all-nodes`. How many there may be was checked when the request was split.
    fn list_all_nodes(&mut self) {
        let Question { request, nodes, .. } = &self.question;
        for host in nodes {
            self.all_nodes.extend(request.for_all_nodes.iter().flatten().map(|metric| Query {
                metric: metric.clone(),
                host: String::from(&**host),
                ..Query::default()
            }));
        }
    }
}
