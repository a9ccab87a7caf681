//! A password or token of the configuration, which no log line and no error message may show, also within a
//! URL.
//!
//! Read with the sections; taken out again only where a connection is made.

use std::fmt;

/// A text that does not show itself when printed for debugging.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps the text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one place that sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// A URL, or several with commas between them, for messages: `***` stands in place of user and password.
#[must_use]
pub fn without_user(urls: &str) -> String {
    let parts: Vec<&str> = urls.split(',').collect();
    let shown = parts.iter().enumerate().map(|(index, part)| {
        let (scheme, rest) =
            part.split_once("://").map_or(("", *part), |(_, rest)| (&part[..part.len() - rest.len()], rest));
        if let Some((_, host)) = rest.rsplit_once('@') {
            return format!("{scheme}***@{host}");
        }
        // A password may hold a comma, though none should: what is before it is of no use, then, but secret.
        let may_be_secret = parts[index + 1..].iter().any(|next| next.contains('@') && !next.contains("://"));
        if may_be_secret { "***".to_owned() } else { (*part).to_owned() }
    });
    shown.collect::<Vec<String>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_shown_without_users() {
        for (url, expected) in [
            ("nats://u:p4ss@a:1", "nats://***@a:1"),
            ("u:p4ss@a", "***@a"),
            ("nats://p4ss@a:1/x", "nats://***@a:1/x"),
            ("nats://u:p@ss@a,nats://b, tls://u:p4ss@c", "nats://***@a,nats://b, tls://***@c"),
            ("nats://u:p4,ss@a:1", "***,***@a:1"),
            ("https://b.example:8080/x", "https://b.example:8080/x"),
            ("a:1,b:2", "a:1,b:2"),
            ("", ""),
        ] {
            assert_eq!(without_user(url), expected);
        }
    }

    #[test]
    fn does_not_show_itself() {
        let secret = Secret::new("hunter2".to_owned());
        assert!(!format!("{secret:?}").contains("hunter2"));
        assert_eq!(secret.reveal(), "hunter2");
    }
}
