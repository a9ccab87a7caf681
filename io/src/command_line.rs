//! The command line: the flags of the reference, read by the rules of Go's `flag` package (SPEC section 7).
//!
//! The first thing the daemon does; the configuration comes next. Those rules are not those of the usual
//! parsers — one dash or two, `-flag=value` or `-flag value`, booleans only with `=`, the last of several
//! wins, the first word without a dash ends the flags — so they are spelled out here.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

/// Exit code for a command line that cannot be read; the same as Go's.
const EXIT_USAGE: u8 = 2;

/// How much of the log is wanted; each level includes those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What happens.
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Err,
    /// What stops the daemon.
    Crit,
}

/// What the command line asks of a daemon that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine {
    /// `-config`; none: `./config.json`, which may be missing.
    pub config: Option<PathBuf>,
    /// `-loglevel`.
    pub log_level: LogLevel,
    /// `-logdate`: log lines begin with date and time.
    pub log_date: bool,
    /// `-dev`: Swagger UI.
    pub dev: bool,
    /// `-gops`: accepted, without effect.
    pub gops: bool,
    /// `-cleanup-checkpoints`: one round of cleanup, then exit (SPEC section 6).
    pub cleanup_checkpoints: bool,
    /// `-check-config`: print what the configuration comes to, then exit.
    pub check_config: bool,
    /// `-size`: print what a site needs, then exit; the text is for [`crate::sizing`].
    pub size: Option<String>,
    /// What to warn of once the log is there: accepted as the reference accepts it, but odd.
    pub notes: Vec<String>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invocation {
    /// To run.
    Run(CommandLine),
    /// `-version`: print [`version`] and exit with 0.
    Version,
    /// `-h`, `-help`: print [`usage`] and exit with 0.
    Help,
}

/// Why a command line cannot be read. The daemon prints it with [`usage`] and exits with 2.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommandLineError {
    /// A flag nobody knows.
    #[error("flag provided but not defined: -{name}")]
    Unknown {
        /// The flag without dashes.
        name: String,
    },
    /// Dashes without a name, as in `---x` or `-=x`.
    #[error("bad flag syntax: {argument}")]
    Syntax {
        /// The argument.
        argument: String,
    },
    /// `-config`, `-loglevel` or `-size` at the end of the line.
    #[error("flag needs an argument: -{name}")]
    MissingValue {
        /// The flag without dashes.
        name: &'static str,
    },
    /// A switch with something else than true or false.
    #[error("invalid value {value:?} for flag -{name}: expected true or false")]
    NotBoolean {
        /// The flag without dashes.
        name: &'static str,
        /// What follows the equals sign.
        value: String,
    },
}

/// A flag and what it does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flag {
    Config,
    LogLevel,
    LogDate,
    Version,
    Dev,
    Gops,
    CleanupCheckpoints,
    CheckConfig,
    Size,
    Help,
}

/// Name, flag, name of its value (empty: a switch), what it does.
const FLAGS: &[(&str, Flag, &str, &str)] = &[
    ("check-config", Flag::CheckConfig, "", "Check the configuration, print what it comes to, and exit"),
    ("cleanup-checkpoints", Flag::CleanupCheckpoints, "", "Clean up old checkpoints once and exit"),
    ("config", Flag::Config, "PATH", "Configuration file (default \"./config.json\")"),
    ("dev", Flag::Dev, "", "Serve the Swagger UI"),
    ("gops", Flag::Gops, "", "Accepted for compatibility, without effect"),
    ("h", Flag::Help, "", "Show this text and exit"),
    ("help", Flag::Help, "", "Show this text and exit"),
    ("logdate", Flag::LogDate, "", "Begin log lines with date and time"),
    ("loglevel", Flag::LogLevel, "LEVEL", "debug, info, warn, err or crit (default \"warn\")"),
    (
        "size",
        Flag::Size,
        "SITE",
        "Print the memory and disk that a site needs, and exit (\"hosts=200,threads=72\"; see the manual page)",
    ),
    ("version", Flag::Version, "", "Show the version and exit"),
];

impl CommandLine {
    /// Reads the arguments of this process. `Err` is the code to exit with: help, version or the error
    /// has then been printed.
    ///
    /// # Errors
    /// 0 after help and version, 2 after an error.
    pub fn from_env() -> Result<Self, ExitCode> {
        match parse(std::env::args_os().skip(1)) {
            Ok(Invocation::Run(command_line)) => Ok(command_line),
            Ok(Invocation::Version) => {
                print_out(&version());
                Err(ExitCode::SUCCESS)
            }
            Ok(Invocation::Help) => {
                print_err(&usage());
                Err(ExitCode::SUCCESS)
            }
            Err(error) => {
                print_err(&format!("{error}\n{}", usage()));
                Err(ExitCode::from(EXIT_USAGE))
            }
        }
    }
}

/// Reads arguments, without the name of the program.
///
/// # Errors
/// See [`CommandLineError`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Invocation, CommandLineError> {
    let mut line = CommandLine {
        config: None,
        log_level: LogLevel::Warn,
        log_date: false,
        dev: false,
        gops: false,
        cleanup_checkpoints: false,
        check_config: false,
        size: None,
        notes: Vec::new(),
    };
    let mut version_wanted = false;
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let Some((name, value)) = split(&argument)? else {
            // As in Go: "--" is dropped, any other word is already an operand.
            let operand = if argument == "--" { arguments.next() } else { Some(argument) };
            if let Some(operand) = operand {
                line.notes.push(format!("arguments from {operand:?} on are ignored: no flag begins there"));
            }
            break;
        };
        let Some(&(name, flag, value_name, _)) = FLAGS.iter().find(|(known, ..)| *known == name) else {
            return Err(CommandLineError::Unknown { name });
        };
        if !value_name.is_empty() {
            let value = value.or_else(|| arguments.next());
            let value = value.ok_or(CommandLineError::MissingValue { name })?;
            match flag {
                Flag::Config => line.config = Some(PathBuf::from(value)),
                Flag::Size => line.size = Some(value.to_string_lossy().into_owned()),
                _ => line.log_level = log_level(&value, &mut line.notes),
            }
            continue;
        }
        let on = value.map_or(Ok(true), |value| boolean(name, &value))?;
        match flag {
            Flag::Help => return Ok(Invocation::Help),
            Flag::Version => version_wanted = on,
            Flag::LogDate => line.log_date = on,
            Flag::Dev => line.dev = on,
            Flag::Gops => line.gops = on,
            Flag::CleanupCheckpoints => line.cleanup_checkpoints = on,
            Flag::CheckConfig => line.check_config = on,
            Flag::Config | Flag::LogLevel | Flag::Size => unreachable!("flags with a value are done above"),
        }
    }
    Ok(if version_wanted { Invocation::Version } else { Invocation::Run(line) })
}

/// Name and value of `-name`, `--name`, `-name=value`; `None` if the argument is no flag.
fn split(argument: &OsStr) -> Result<Option<(String, Option<OsString>)>, CommandLineError> {
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

    let bytes = argument.as_bytes();
    if bytes.len() < 2 || bytes[0] != b'-' || bytes == b"--" {
        return Ok(None);
    }
    let flag = bytes.strip_prefix(b"--").unwrap_or(&bytes[1..]);
    if flag.starts_with(b"-") || flag.starts_with(b"=") {
        return Err(CommandLineError::Syntax { argument: argument.to_string_lossy().into_owned() });
    }
    let equals = flag.iter().position(|byte| *byte == b'=');
    let (name, value) = equals.map_or((flag, None), |at| (&flag[..at], Some(&flag[at + 1..])));
    let name = String::from_utf8_lossy(name).into_owned();
    // A path need not be UTF-8.
    Ok(Some((name, value.map(|value| OsString::from_vec(value.to_vec())))))
}

/// The spellings Go takes for a boolean.
fn boolean(name: &'static str, value: &OsStr) -> Result<bool, CommandLineError> {
    match value.to_str() {
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => Ok(true),
        Some("0" | "f" | "F" | "false" | "FALSE" | "False") => Ok(false),
        _ => Err(CommandLineError::NotBoolean { name, value: value.to_string_lossy().into_owned() }),
    }
}

/// The level of this name. The reference starts with an unknown one and then logs everything, so that a
/// slip in a service file does not stop a site; the same here.
fn log_level(value: &OsStr, notes: &mut Vec<String>) -> LogLevel {
    match value.to_str() {
        Some("debug") => LogLevel::Debug,
        Some("info") => LogLevel::Info,
        Some("warn") => LogLevel::Warn,
        Some("err" | "fatal") => LogLevel::Err,
        Some("crit") => LogLevel::Crit,
        _ => {
            notes
                .push(format!("-loglevel {value:?} is not one of debug, info, warn, err, crit: using debug"));
            LogLevel::Debug
        }
    }
}

/// The text of `-help`.
#[must_use]
pub fn usage() -> String {
    let mut text = String::from("Usage of cc-metric-store:\n");
    for (name, _, value_name, does) in FLAGS {
        let space = if value_name.is_empty() { "" } else { " " };
        writeln!(text, "  -{name}{space}{value_name}\n    \t{does}")
            .expect("writing to a String cannot fail");
    }
    text
}

/// The text of `-version`.
#[must_use]
pub fn version() -> String {
    format!(
        "cc-metric-store\nVersion:\t{}\nRust:\t\t{} or later\nTarget:\t\t{}-{}\n",
        env!("CARGO_PKG_VERSION"),
        env!("CARGO_PKG_RUST_VERSION"),
        std::env::consts::ARCH,
        std::env::consts::OS
    )
}

// `print!` panics on a closed pipe, as behind `| head`.
pub(crate) fn print_out(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stdout(), text.as_bytes());
}

fn print_err(text: &str) {
    let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Invocation, CommandLineError> {
        parse(arguments.iter().map(OsString::from))
    }

    fn run(arguments: &[&str]) -> CommandLine {
        match read(arguments) {
            Ok(Invocation::Run(line)) => line,
            other => panic!("{arguments:?}: {other:?}"),
        }
    }

    #[test]
    fn without_flags_the_defaults_hold() {
        let line = run(&[]);
        assert_eq!((line.config, line.log_level), (None, LogLevel::Warn));
        assert!(!line.log_date && !line.dev && !line.gops && !line.cleanup_checkpoints);
        assert!(line.notes.is_empty());
    }

    #[test]
    fn every_form_of_a_value_is_read() {
        for arguments in [
            &["-config", "/etc/cc.json"][..],
            &["--config", "/etc/cc.json"],
            &["-config=/etc/cc.json"],
            &["--config=/etc/cc.json"],
            &["-config", "first", "-config", "/etc/cc.json"],
            &["-dev", "-config", "/etc/cc.json"],
        ] {
            assert_eq!(run(arguments).config, Some(PathBuf::from("/etc/cc.json")), "{arguments:?}");
        }
        assert_eq!(run(&["-size=hosts=2,threads=3"]).size.as_deref(), Some("hosts=2,threads=3"));
        assert_eq!(run(&["-config=a=b"]).config, Some(PathBuf::from("a=b")));
        assert_eq!(run(&["-config", "-dev"]).config, Some(PathBuf::from("-dev")), "as Go reads it");
    }

    #[test]
    fn a_path_need_not_be_utf8() {
        use std::os::unix::ffi::OsStringExt as _;
        let argument = OsString::from_vec(b"-config=/tmp/\xff.json".to_vec());
        let Ok(Invocation::Run(line)) = parse([argument]) else { panic!("it is a valid path") };
        assert_eq!(line.config, Some(PathBuf::from(OsString::from_vec(b"/tmp/\xff.json".to_vec()))));
    }

    #[test]
    fn every_form_of_a_switch_is_read() {
        for (argument, expected) in [
            ("-logdate", true),
            ("--logdate", true),
            ("-logdate=true", true),
            ("-logdate=1", true),
            ("-logdate=T", true),
            ("--logdate=false", false),
            ("-logdate=F", false),
            ("-logdate=0", false),
        ] {
            assert_eq!(run(&[argument]).log_date, expected, "{argument}");
        }
        assert!(!run(&["-logdate", "-logdate=false"]).log_date, "the last one wins");
        let line = run(&["-dev", "-gops", "-cleanup-checkpoints", "-check-config"]);
        assert!(line.dev && line.gops && line.cleanup_checkpoints && line.check_config);
    }

    #[test]
    fn every_level_is_read() {
        for (name, expected) in [
            ("debug", LogLevel::Debug),
            ("info", LogLevel::Info),
            ("warn", LogLevel::Warn),
            ("err", LogLevel::Err),
            ("fatal", LogLevel::Err),
            ("crit", LogLevel::Crit),
        ] {
            let line = run(&["-loglevel", name]);
            assert_eq!(line.log_level, expected, "{name}");
            assert!(line.notes.is_empty(), "{name}");
        }
        let line = run(&["-loglevel=loud"]);
        assert_eq!(line.log_level, LogLevel::Debug);
        assert!(line.notes[0].contains("loud"), "{:?}", line.notes);
    }

    #[test]
    fn version_and_help_come_first() {
        assert_eq!(read(&["-version", "-dev"]), Ok(Invocation::Version));
        assert_eq!(read(&["--version=true"]), Ok(Invocation::Version));
        assert!(matches!(read(&["-version=false"]), Ok(Invocation::Run(_))));
        for help in ["-h", "--h", "-help", "--help"] {
            assert_eq!(read(&[help]), Ok(Invocation::Help), "{help}");
        }
        assert!(version().contains(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn flags_end_where_go_ends_them() {
        for arguments in
            [&["-dev", "start", "-logdate"][..], &["-dev", "--", "start"], &["-dev", "-", "-logdate"]]
        {
            let line = run(arguments);
            assert!(line.dev && !line.log_date, "{arguments:?}");
            assert!(line.notes[0].contains("ignored"), "{arguments:?}: {:?}", line.notes);
        }
        assert!(run(&["-dev", "--"]).notes.is_empty());
    }

    #[test]
    fn errors_name_the_flag() {
        for (arguments, expected) in [
            (&["-confg", "x"][..], "flag provided but not defined: -confg"),
            (&["--foo=bar"], "flag provided but not defined: -foo"),
            (&["-config"], "flag needs an argument: -config"),
            (&["-size"], "flag needs an argument: -size"),
            (&["-dev", "-loglevel"], "flag needs an argument: -loglevel"),
            (&["-dev=yes"], "invalid value \"yes\" for flag -dev"),
            (&["-logdate="], "invalid value \"\" for flag -logdate"),
            (&["---dev"], "bad flag syntax: ---dev"),
            (&["-=x"], "bad flag syntax: -=x"),
        ] {
            let error = read(arguments).expect_err("not a command line").to_string();
            assert!(error.contains(expected), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn the_usage_names_every_flag() {
        let usage = usage();
        for flag in ["config", "loglevel", "logdate", "version", "dev", "gops", "cleanup-checkpoints", "help"]
        {
            assert!(usage.contains(&format!("  -{flag}")), "{flag}: {usage}");
        }
    }
}
