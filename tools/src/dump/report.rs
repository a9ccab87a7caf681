//! The content of files as text or as JSON, one line a series.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::content::{Content, SeriesContent, SeriesName};
use super::file_kind::FileKind;

/// What was printed so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Files that could be opened or not.
    pub files: u64,
    /// Series over all files.
    pub series: u64,
    /// Values that are there.
    pub values: u64,
    /// Slots without a value.
    pub missing: u64,
    /// Files that are damaged or could not be opened.
    pub damaged: u64,
}

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Prints files, one after the other.
#[derive(Debug)]
pub struct Report<W> {
    out: W,
    style: Style,
    totals: Totals,
}

impl<W: Write> Report<W> {
    /// A report without files so far.
    pub fn new(out: W, style: Style) -> Self {
        Self { out, style, totals: Totals::default() }
    }

    /// Prints the series of a file, and what is wrong with it.
    ///
    /// # Errors
    /// Those of the output.
    pub fn file(&mut self, file: &str, kind: FileKind, content: &Content) -> io::Result<()> {
        self.totals.files += 1;
        self.head(file, kind, content)?;
        for (name, series) in &content.series {
            self.totals.series += 1;
            self.totals.values += series.value_count;
            self.totals.missing += series.missing_count;
            match self.style {
                Style::Text => self.series_text(name, series)?,
                Style::Json => self.line(&series_json(file, name, series))?,
            }
        }
        for (path, to) in &content.freed {
            match self.style {
                Style::Text => writeln!(self.out, "{}  freed before {to}", shown(path, ""))?,
                Style::Json => self.line(&json!({"file": file, "freed": path, "to": to}))?,
            }
        }
        match &content.damage {
            Some(damage) => self.damage(file, damage),
            None => Ok(()),
        }
    }

    /// Prints why a file cannot be read at all.
    ///
    /// # Errors
    /// Those of the output.
    pub fn unreadable(&mut self, file: &str, error: &dyn std::error::Error) -> io::Result<()> {
        self.totals.files += 1;
        self.damage(file, error)
    }

    /// Prints the summary; what it says.
    ///
    /// # Errors
    /// Those of the output.
    pub fn finish(mut self) -> io::Result<Totals> {
        let Totals { files, series, values, missing, damaged } = self.totals;
        match self.style {
            Style::Text => writeln!(
                self.out,
                "total: {files} files, {series} series, {values} values, {missing} missing, {damaged} damaged files"
            )?,
            Style::Json => self.line(&json!({"total": {
                "files": files, "series": series, "values": values, "missing": missing, "damaged": damaged
            }}))?,
        }
        self.out.flush()?;
        Ok(self.totals)
    }

    fn head(&mut self, file: &str, kind: FileKind, content: &Content) -> io::Result<()> {
        let span = content.header;
        match (self.style, span) {
            (Style::Text, Some((from, to))) => {
                writeln!(self.out, "{file}: {} from {from} to {to}", kind.title())
            }
            (Style::Text, None) => writeln!(self.out, "{file}: {}", kind.title()),
            (Style::Json, _) => {
                let (from, to) = span.unzip();
                self.line(&json!({"file": file, "kind": kind.title(), "from": from, "to": to}))
            }
        }
    }

    fn series_text(&mut self, name: &SeriesName, series: &SeriesContent) -> io::Result<()> {
        write!(self.out, "{}", shown(&name.path, &name.metric))?;
        if let Some(frequency) = series.frequency_seconds {
            write!(self.out, "  every {frequency} s")?;
        }
        if let Some((first, last)) = series.span_seconds {
            write!(self.out, "  first {first}  last {last}")?;
        }
        writeln!(self.out, "  {} values, {} missing", series.value_count, series.missing_count)?;
        for (time, value) in &series.samples {
            if value.is_nan() {
                writeln!(self.out, "  {time} -")?;
            } else {
                writeln!(self.out, "  {time} {value}")?;
            }
        }
        Ok(())
    }

    fn damage(&mut self, file: &str, error: &dyn std::error::Error) -> io::Result<()> {
        self.totals.damaged += 1;
        // Behind the lines that it is about, also when both go to one terminal.
        self.out.flush()?;
        eprintln!("error: {file}: {error}");
        match self.style {
            Style::Text => Ok(()),
            Style::Json => self.line(&json!({"file": file, "error": error.to_string()})),
        }
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{value}")
    }
}

fn series_json(file: &str, name: &SeriesName, series: &SeriesContent) -> Value {
    let (first, last) = series.span_seconds.unzip();
    let mut line = json!({
        "file": file, "path": name.path, "metric": name.metric, "frequency": series.frequency_seconds,
        "first": first, "last": last, "values": series.value_count, "missing": series.missing_count
    });
    if !series.samples.is_empty() {
        // JSON has no NaN and no infinity: both are null.
        line["samples"] = series.samples.iter().map(|(time, value)| json!([time, value])).collect();
    }
    line
}

/// Path and metric on one line of a terminal, whatever is in them.
fn shown(path: &[String], metric: &str) -> String {
    let metric = (!metric.is_empty()).then_some(metric);
    let names: Vec<_> = path.iter().map(String::as_str).chain(metric).map(escaped).collect();
    if names.is_empty() { "(everything)".to_owned() } else { names.join(" ") }
}

fn escaped(name: &str) -> String {
    let plain = !name.is_empty()
        && !name.chars().any(|character| character.is_control() || character.is_whitespace());
    if plain { name.to_owned() } else { format!("{name:?}") }
}
