//! The few statements of InfluxQL that clients send before they write.

/// A word of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    text: String,
    /// It stood in quotes: a name, not a keyword.
    is_quoted: bool,
}

/// A statement that is answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Statement {
    CreateDatabase(String),
    /// One is created or altered.
    RetentionPolicy,
    Show(Shown),
}

/// What is to be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Databases,
    RetentionPolicies,
    Measurements(Window),
    /// Of a measurement, or of all.
    TagKeys(Option<String>, Window),
    FieldKeys(Option<String>, Window),
}

/// Which of the rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Window {
    limit: Option<usize>,
    offset: usize,
}

impl Window {
    pub(super) fn of<T>(self, rows: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        rows.skip(self.offset).take(self.limit.unwrap_or(usize::MAX))
    }
}

/// The words of each statement. What is not a word is one of a single character.
pub(super) fn split(text: &str) -> Vec<Vec<Word>> {
    let mut statements = vec![Vec::new()];
    let mut rest = text.chars().peekable();
    while let Some(next) = rest.next() {
        let (mut text, mut is_quoted) = (String::new(), false);
        match next {
            ';' => {
                statements.push(Vec::new());
                continue;
            }
            _ if next.is_whitespace() => continue,
            '"' | '\'' => {
                is_quoted = true;
                while let Some(inside) = rest.next().filter(|&inside| inside != next) {
                    text.push(if inside == '\\' { rest.next().unwrap_or(inside) } else { inside });
                }
            }
            _ => {
                text.push(next);
                let is_word = |letter: &char| letter.is_alphanumeric() || matches!(letter, '_' | '-' | '.');
                while is_word(&next)
                    && let Some(more) = rest.next_if(is_word)
                {
                    text.push(more);
                }
            }
        }
        if let Some(statement) = statements.last_mut() {
            statement.push(Word { text, is_quoted });
        }
    }
    statements.retain(|statement| !statement.is_empty());
    statements
}

impl Statement {
    /// Reads a statement.
    ///
    /// # Errors
    /// What is not understood, and what to do instead.
    pub(super) fn of(words: &[Word]) -> Result<Self, String> {
        let mut words = Words(words);
        if words.keywords(&["CREATE", "DATABASE"]) {
            // What may stand behind it is about retention.
            return words.name().map(Self::CreateDatabase);
        }
        if words.keywords(&["CREATE", "RETENTION", "POLICY"])
            || words.keywords(&["ALTER", "RETENTION", "POLICY"])
        {
            return Ok(Self::RetentionPolicy);
        }
        if words.keywords(&["SHOW", "DATABASES"]) {
            return words.end(Shown::Databases);
        }
        if words.keywords(&["SHOW", "RETENTION", "POLICIES"]) {
            words.on_database()?;
            return words.end(Shown::RetentionPolicies);
        }
        if words.keywords(&["SHOW", "MEASUREMENTS"]) {
            words.on_database()?;
            let window = words.window()?;
            return words.end(Shown::Measurements(window));
        }
        let shows_tags = words.keywords(&["SHOW", "TAG", "KEYS"]);
        if shows_tags || words.keywords(&["SHOW", "FIELD", "KEYS"]) {
            words.on_database()?;
            let from = if words.keywords(&["FROM"]) { Some(words.name()?) } else { None };
            let window = words.window()?;
            return words.end(if shows_tags {
                Shown::TagKeys(from, window)
            } else {
                Shown::FieldKeys(from, window)
            });
        }
        Err(words.not_understood())
    }
}

/// The words that are left.
struct Words<'a>(&'a [Word]);

impl Words<'_> {
    /// Takes these words, if they are next.
    fn keywords(&mut self, keywords: &[&str]) -> bool {
        let is_next = self.0.len() >= keywords.len()
            && keywords
                .iter()
                .zip(self.0)
                .all(|(keyword, word)| !word.is_quoted && word.text.eq_ignore_ascii_case(keyword));
        if is_next {
            self.0 = &self.0[keywords.len()..];
        }
        is_next
    }

    fn name(&mut self) -> Result<String, String> {
        let (name, rest) =
            self.0.split_first().ok_or("error parsing query: a name is expected at the end")?;
        self.0 = rest;
        Ok(name.text.clone())
    }

    /// `ON <database>`: all have the same.
    fn on_database(&mut self) -> Result<(), String> {
        if self.keywords(&["ON"]) {
            self.name()?;
        }
        Ok(())
    }

    fn window(&mut self) -> Result<Window, String> {
        let mut window = Window::default();
        if self.keywords(&["LIMIT"]) {
            window.limit = Some(self.number()?);
        }
        if self.keywords(&["OFFSET"]) {
            window.offset = self.number()?;
        }
        Ok(window)
    }

    fn number(&mut self) -> Result<usize, String> {
        let name = self.name()?;
        name.parse().map_err(|_| format!("error parsing query: a number is expected instead of {name:?}"))
    }

    fn end(&self, shown: Shown) -> Result<Statement, String> {
        if self.0.is_empty() { Ok(Statement::Show(shown)) } else { Err(self.not_understood()) }
    }

    fn not_understood(&self) -> String {
        let word = self.0.first().map_or("", |word| &word.text);
        let word: String = word.chars().take(64).collect();
        format!(
            "InfluxQL is answered as far as clients need it before they write (CREATE DATABASE, SHOW DATABASES, RETENTION POLICIES, \
             MEASUREMENTS, TAG KEYS, FIELD KEYS), not {word:?}: read with /api/query, or with PromQL at /api/v1/query"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(text: &str) -> Vec<Result<Statement, String>> {
        split(text).iter().map(|words| Statement::of(words)).collect()
    }

    #[test]
    fn statements_are_read_however_they_are_written() {
        let create = |name: &str| Ok(Statement::CreateDatabase(name.to_owned()));
        let window = |limit, offset| Window { limit, offset };
        for (text, expected) in [
            ("CREATE DATABASE fritz", create("fritz")),
            ("create database \"fritz\"", create("fritz")),
            ("CREATE DATABASE \"my \\\"db\\\"; x\";", create("my \"db\"; x")),
            ("CREATE DATABASE fritz-2.test", create("fritz-2.test")),
            ("CREATE DATABASE \"a\" WITH DURATION 3d REPLICATION 1 NAME \"x\"", create("a")),
            (
                "CREATE RETENTION POLICY \"x\" ON \"a\" DURATION 30d REPLICATION 1 DEFAULT",
                Ok(Statement::RetentionPolicy),
            ),
            ("  SHOW   DATABASES ", Ok(Statement::Show(Shown::Databases))),
            ("SHOW RETENTION POLICIES on \"db\"", Ok(Statement::Show(Shown::RetentionPolicies))),
            ("SHOW MEASUREMENTS LIMIT 1", Ok(Statement::Show(Shown::Measurements(window(Some(1), 0))))),
            (
                "show measurements on a limit 5 offset 2",
                Ok(Statement::Show(Shown::Measurements(window(Some(5), 2)))),
            ),
            (
                "SHOW TAG KEYS FROM \"cpu_load\"",
                Ok(Statement::Show(Shown::TagKeys(Some("cpu_load".into()), window(None, 0)))),
            ),
            ("SHOW FIELD KEYS", Ok(Statement::Show(Shown::FieldKeys(None, window(None, 0))))),
        ] {
            assert_eq!(statements(text), [expected], "{text}");
        }
        assert_eq!(statements("CREATE DATABASE a; SHOW DATABASES;;").len(), 2);
        assert_eq!(statements(" ; "), []);
    }

    #[test]
    fn what_is_not_answered_says_so() {
        for text in [
            "SELECT mean(\"value\") FROM \"cpu_load\" WHERE time > now() - 1h GROUP BY \"hostname\"",
            "DROP DATABASE a",
            "SHOW MEASUREMENTS WITH MEASUREMENT =~ /cpu.*/",
            "SHOW DATABASES NOW",
            "SHOW MEASUREMENTS LIMIT many",
            "CREATE DATABASE",
            "\"CREATE\" DATABASE a",
            "'open",
            "\\",
        ] {
            let read = statements(text);
            assert!(read.len() == 1 && read[0].is_err(), "{text}: {read:?}");
        }
    }
}
