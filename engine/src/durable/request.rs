//! `-cleanup-checkpoints` beside a running daemon: a file beside the log asks for a round, another one answers.
//!
//! The request holds a word of the asking process; the daemon takes the file away, makes the round, and answers with that word and
//! what became of it.

use std::io;
use std::path::Path;

use crate::platform::{Archiving, remove_if_there, write_atomically};

/// The file that asks.
pub const CLEANUP_WANTED: &str = "cleanup-wanted";
/// The file that answers.
pub const CLEANUP_ANSWER: &str = "cleanup-answer";
/// Behind the word in an answer, if all went well.
pub const ALL_DONE: &str = "ok";
/// Longest request or answer.
const BYTES_MAX: u64 = 64 * 1024;

/// Takes a request, if there is one: its word.
///
/// # Errors
/// Those of the disk.
pub async fn take(platform: &impl Archiving, directory: &Path) -> io::Result<Option<String>> {
    let path = directory.join(CLEANUP_WANTED);
    let bytes = match platform.read_file(&path, BYTES_MAX).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    remove_if_there(platform, &path).await?;
    Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
}

/// Answers it; `failure` says what went wrong.
///
/// # Errors
/// Those of the disk.
pub async fn answer(
    platform: &impl Archiving,
    directory: &Path,
    word: &str,
    failure: Option<&str>,
) -> io::Result<()> {
    let text = format!("{word}\n{}\n", failure.unwrap_or(ALL_DONE));
    write_atomically(platform, directory, CLEANUP_ANSWER, text.into_bytes()).await
}

/// What an answer says to this word; none if it is for another one, or not whole.
///
/// # Errors
/// What went wrong in the round.
#[must_use]
pub fn read_answer(text: &str, word: &str) -> Option<Result<(), String>> {
    let (to, said) = text.split_once('\n')?;
    let said = said.strip_suffix('\n')?;
    (to == word).then(|| if said == ALL_DONE { Ok(()) } else { Err(said.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_for_one_word() {
        assert_eq!(read_answer("7\nok\n", "7"), Some(Ok(())));
        assert_eq!(read_answer("7\nno room\n", "7"), Some(Err("no room".to_owned())));
        assert_eq!(read_answer("7\nok\n", "8"), None);
        assert_eq!(read_answer("7\nok", "7"), None);
        assert_eq!(read_answer("", ""), None);
    }
}
