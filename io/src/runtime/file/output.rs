//! Whole files read, and files written piece by piece, for the archive: through the page cache, on the blocking thread.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::blocking::{created, run};

/// A file being written from its begin to its end.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    /// Kept open to the end: an error of writing back that nobody has seen is then one of its sync.
    file: File,
}

impl OutputFile {
    /// Makes a file without content, or empties an existing one.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn create(path: &Path) -> io::Result<Self> {
        let file = run("create", path, created).await?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Writes all of it behind what was written before.
    ///
    /// # Errors
    /// Those of the file system; the file is closed then.
    pub async fn append(self, bytes: Vec<u8>) -> io::Result<Self> {
        let Self { path, mut file } = self;
        let file = run("write to", &path, move |_| file.write_all(&bytes).map(|()| file)).await?;
        Ok(Self { path, file })
    }

    /// Makes everything written durable, but for the file's name, and closes the file.
    ///
    /// # Errors
    /// Those of the file system.
    pub async fn sync(self) -> io::Result<()> {
        let Self { path, file } = self;
        run("sync", &path, move |_| file.sync_all()).await
    }
}

/// The content of a file.
///
/// # Errors
/// Those of the file system; [`io::ErrorKind::FileTooLarge`] if it has more bytes than `bytes_max`.
pub async fn read_file(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    run("read", path, move |path| {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        if bytes > bytes_max {
            let text = format!("its {bytes} bytes are more than {bytes_max}: move it away");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
        }
        // It may grow meanwhile.
        let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        file.take(bytes_max).read_to_end(&mut content)?;
        Ok(content)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::testing::on_core;

    #[test]
    fn pieces_come_one_after_the_other_and_too_much_is_not_read() {
        on_core(async || {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("file");
            let mut file = OutputFile::create(&path).await.unwrap();
            for piece in [&b"one, "[..], b"", b"two"] {
                file = file.append(piece.to_vec()).await.unwrap();
            }
            file.sync().await.unwrap();
            assert_eq!(read_file(&path, 8).await.unwrap(), b"one, two");
            let refused = read_file(&path, 7).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::FileTooLarge);
            assert!(refused.to_string().contains("8 bytes"), "{refused}");
        });
    }

    #[test]
    fn a_panic_aside_is_an_error_and_the_thread_lives_on() {
        on_core(async || {
            assert!(super::super::run_aside(|| panic!("on purpose")).await.is_err());
            assert_eq!(super::super::run_aside(|| 7).await.unwrap(), 7);
        });
    }
}
