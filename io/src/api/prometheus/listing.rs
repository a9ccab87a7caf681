//! `series`, `labels`, `label/<name>/values`: what there is, of the series that `match[]`, `start` and `end` choose.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::iter::Peekable;
use std::rc::Rc;
use std::sync::Arc;

use engine::limits;
use engine::promql::PromError;
use engine::promql::answer::push_labels;
use engine::promql::expression::Leaf;
use engine::promql::labels::{Label, exposed_name};
use engine::promql::listing::{ListQuestion, Listed, Listing};
use engine::promql::scan::Wanted;
use engine::query::request::push_json_string;
use percent_encoding::percent_decode_str;

use super::owners::{ask, too_large};
use super::parameters::Parameters;
use super::text::AnswerText;
use crate::api::Refusal;
use crate::core::Core;

/// Answers `series`.
pub(super) async fn series(
    core: &Rc<Core>,
    parameters: &Parameters,
    out: &mut AnswerText,
) -> Result<(), Refusal> {
    let selection = Selection::read(core, parameters)?;
    if selection.leaves.is_empty() {
        return Err(Refusal::bad_request("no match[] parameter"));
    }
    let entries_max = selection.entries_max;
    let lists = ask_for(core, selection, Listed::Series, out).await?;
    let lists = lists.into_iter().map(|list| list.series.into_iter()).collect();
    out.push_list(Merged::new(lists), entries_max, push_labels).await;
    Ok(())
}

/// Answers `labels`.
pub(super) async fn names(
    core: &Rc<Core>,
    parameters: &Parameters,
    out: &mut AnswerText,
) -> Result<(), Refusal> {
    let selection = Selection::read(core, parameters)?;
    if selection.is_all() {
        let names = Label::ALL.iter().map(|label| label.name());
        out.push_list(names, selection.entries_max, |out, name| push_json_string(out, name)).await;
        return Ok(());
    }
    texts(core, selection, Listed::Names, out).await
}

/// Answers `label/<name>/values`; the name as it stands in the path.
pub(super) async fn values(
    core: &Rc<Core>,
    name: &str,
    parameters: &Parameters,
    out: &mut AnswerText,
) -> Result<(), Refusal> {
    let selection = Selection::read(core, parameters)?;
    let Some(label) = Label::of_name(&label_name(name)?) else {
        out.push("[]");
        return Ok(());
    };
    if selection.is_all() && label == Label::Name {
        let metrics = Arc::clone(core.router.borrow().metrics());
        let names: BTreeSet<_> = metrics.iter().map(|(_, metric)| exposed_name(&metric.name)).collect();
        out.push_list(names, selection.entries_max, |out, name| push_json_string(out, name)).await;
        return Ok(());
    }
    if selection.is_all() && matches!(label, Label::Cluster | Label::Host) {
        let mut names = BTreeSet::new();
        core.directory.for_each(|cluster, host| {
            names.insert(Arc::clone(if label == Label::Cluster { cluster } else { host }));
        });
        out.push_list(names, selection.entries_max, |out, name| push_json_string(out, name)).await;
        return Ok(());
    }
    texts(core, selection, Listed::Values(label), out).await
}

/// Which series are meant, and how many entries.
struct Selection {
    leaves: Vec<Leaf>,
    start: Option<i64>,
    end: Option<i64>,
    entries_max: usize,
}

impl Selection {
    fn read(core: &Core, parameters: &Parameters) -> Result<Self, Refusal> {
        Ok(Self {
            leaves: parameters.selectors(core)?,
            start: parameters.bound_seconds("start")?,
            end: parameters.bound_seconds("end")?,
            entries_max: parameters.entries_max()?,
        })
    }

    /// Whether all series are meant, of any time.
    fn is_all(&self) -> bool {
        self.leaves.is_empty() && self.start.is_none() && self.end.is_none()
    }
}

/// Writes names or values.
async fn texts(
    core: &Rc<Core>,
    selection: Selection,
    listed: Listed,
    out: &mut AnswerText,
) -> Result<(), Refusal> {
    let entries_max = selection.entries_max;
    let lists = ask_for(core, selection, listed, out).await?;
    let lists = lists.into_iter().map(|list| list.texts.into_iter()).collect();
    out.push_list(Merged::new(lists), entries_max, |out, text| push_json_string(out, text)).await;
    Ok(())
}

/// The lists of all owners.
async fn ask_for(
    core: &Rc<Core>,
    selection: Selection,
    listed: Listed,
    out: &mut AnswerText,
) -> Result<Vec<Listing>, Refusal> {
    let Selection { mut leaves, start, end, entries_max } = selection;
    if leaves.is_empty() {
        leaves.push(Leaf::of_all(core.router.borrow().metrics()));
    }
    const SECONDS_MAX: i64 = limits::TIME_SECONDS_MAX;
    let times = (start.is_some() || end.is_some())
        .then(|| start.unwrap_or(-SECONDS_MAX)..end.unwrap_or(SECONDS_MAX) + 1);
    let bytes_max = core.query_values_max.saturating_mul(limits::QUERY_VALUE_BYTES as u64);
    let question = ListQuestion { listed, times, entries_max, bytes_max };
    let answers = ask(core, leaves, Wanted::List(question)).await?;
    let lists: Vec<Listing> = answers.into_iter().map(|answer| answer.listing).collect();
    let bytes = lists.iter().fold(0u64, |sum, list| sum.saturating_add(list.bytes));
    out.hold(bytes);
    if bytes > bytes_max {
        return Err(too_large(core, &PromError::Execution(Listing::too_large(bytes_max))));
    }
    Ok(lists)
}

/// Sorted lists as one, without what occurs twice.
struct Merged<I: Iterator>(Vec<Peekable<I>>);

impl<I: Iterator> Merged<I> {
    fn new(lists: Vec<I>) -> Self {
        Self(lists.into_iter().map(Iterator::peekable).collect())
    }
}

impl<I: Iterator<Item: Ord>> Iterator for Merged<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let heads = self.0.iter_mut().enumerate();
        let heads = heads.filter_map(|(index, list)| list.peek().map(|head| (head, index)));
        let (_, index) = heads.min()?;
        let next = self.0[index].next()?;
        for list in &mut self.0 {
            list.next_if_eq(&next);
        }
        Some(next)
    }
}

/// The name of a label in a path: percent-encoded, and, where it could not be a name otherwise, as `U__…`.
fn label_name(raw: &str) -> Result<Cow<'_, str>, Refusal> {
    let wrong = || {
        let shown: String = raw.chars().take(limits::ERROR_QUOTE_BYTES_MAX).collect();
        Refusal::bad_request(format_args!("invalid label name: {shown:?}"))
    };
    let name = percent_decode_str(raw).decode_utf8().map_err(|_| wrong())?;
    if let Some(escaped) = name.strip_prefix("U__")
        && let Some(unescaped) = unescape(escaped)
    {
        return if unescaped.is_empty() { Err(wrong()) } else { Ok(unescaped.into()) };
    }
    let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric());
    if is_name { Ok(name) } else { Err(wrong()) }
}

/// Takes back how Prometheus 3 writes names of any letters: `__` is an underscore, `_2e_` the letter of that number.
fn unescape(escaped: &str) -> Option<String> {
    let mut name = String::new();
    let mut rest = escaped;
    while let Some((plain, behind)) = rest.split_once('_') {
        name += plain;
        let (code, behind) = behind.split_once('_')?;
        match code {
            "" => name.push('_'),
            // `from_str_radix` takes a sign.
            _ if code.len() <= 6 && code.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
                name.push(char::from_u32(u32::from_str_radix(code, 16).ok()?)?);
            }
            _ => return None,
        }
        rest = behind;
    }
    Some(name + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_merged_in_order_and_each_entry_once() {
        let lists = [vec![1, 4, 9], vec![], vec![2, 4, 5], vec![4, 9, 10]];
        let merged: Vec<i32> = Merged::new(lists.into_iter().map(Vec::into_iter).collect()).collect();
        assert_eq!(merged, [1, 2, 4, 5, 9, 10]);
    }

    #[test]
    fn names_of_labels_in_paths() {
        for (raw, name) in [
            ("host", "host"),
            ("h%6Fst", "host"),
            ("__name__", "__name__"),
            ("_", "_"),
            ("U__host", "host"),
            ("U__my_2e_label", "my.label"),
            ("U__a__b_1F600_", "a_b\u{1f600}"),
            ("U__a_", "U__a_"),
            ("U__a_zz_", "U__a_zz_"),
            ("U__a_d800_", "U__a_d800_"),
            ("U__a_1234567_", "U__a_1234567_"),
        ] {
            assert_eq!(label_name(raw).unwrap_or_else(|error| panic!("{raw}: {}", error.message)), name);
        }
        for wrong in ["", "1a", "a-b", "a.b", "a%2Db", "%ff", "U__", "h%C3%B6st", "a%00"] {
            assert!(label_name(wrong).is_err(), "{wrong}");
        }
    }
}
