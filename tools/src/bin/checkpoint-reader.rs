//! `checkpoint-reader FILE…`: what is in snapshots and logs, as text. Opens files for reading only.

use std::fs;
use std::io::{self, BufWriter, IsTerminal};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, value_parser};
use tools::dump::content::Content;
use tools::dump::file_kind::FileKind;
use tools::dump::report::{Report, Style, Totals};
use tools::progress::Shown;

/// A file that cannot be dumped.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    #[error("is not a file; name the files in it")]
    NotAFile,
    #[error("is neither a snapshot nor a log; it begins like none of them")]
    Unknown,
}

fn main() -> ExitCode {
    let options = command().get_matches();
    let style = if options.get_flag("json") { Style::Json } else { Style::Text };
    let files: Vec<&Path> =
        options.get_many::<PathBuf>("file").into_iter().flatten().map(PathBuf::as_path).collect();
    match dump(&files, style, options.get_flag("values")) {
        Ok(totals) if totals.damaged == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        // The reader of our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: cannot write the output: {error}");
            ExitCode::FAILURE
        }
    }
}

fn command() -> Command {
    Command::new("checkpoint-reader")
        .about("Prints what is in snapshots (.bin, .json) and logs (current.wal, log segments); changes nothing.")
        .after_help("Exit code 1: a file is damaged or cannot be read. What is valid in it is printed all the same.")
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("One JSON object a line"))
        .arg(Arg::new("values").long("values").action(ArgAction::SetTrue).help("Every value with its time"))
        .arg(
            Arg::new("file")
                .value_name("FILE")
                .required(true)
                .num_args(1..)
                .value_parser(value_parser!(PathBuf))
                .help("Files to read"),
        )
}

fn dump(files: &[&Path], style: Style, keep_values: bool) -> io::Result<Totals> {
    let length = |path: &Path| fs::metadata(path).map_or(0, |metadata| metadata.len());
    let planned_bytes = files.iter().map(|path| length(path)).sum();
    // On a terminal the output itself shows how far it is.
    let mut shown = (!io::stdout().is_terminal()).then(|| Shown::start("reading", "files", planned_bytes));
    let mut report = Report::new(BufWriter::new(io::stdout().lock()), style);
    for path in files {
        let name = path.display().to_string();
        match read(path, keep_values) {
            Ok((kind, content)) => report.file(&name, kind, &content)?,
            Err(error) => report.unreadable(&name, &error)?,
        }
        if let Some(shown) = &mut shown {
            shown.add(length(path), 1);
        }
    }
    report.finish()
}

fn read(path: &Path, keep_values: bool) -> Result<(FileKind, Content), FileError> {
    if !fs::metadata(path)?.is_file() {
        return Err(FileError::NotAFile);
    }
    let bytes = fs::read(path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let kind = FileKind::of(&name, &bytes).ok_or(FileError::Unknown)?;
    Ok((kind, Content::read(kind, &bytes, keep_values)))
}
