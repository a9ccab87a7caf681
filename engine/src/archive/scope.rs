//! How the archive names the level of a row (SPEC section 6).

/// Prefixes of level names before a number, and the scope they stand for.
const PREFIXES: [(&str, &str); 6] = [
    ("socket", "socket"),
    ("memoryDomain", "memoryDomain"),
    ("core", "core"),
    ("hwthread", "hwthread"),
    ("cpu", "hwthread"),
    ("accelerator", "accelerator"),
];

/// What the columns `scope` and `scope_id` say of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scope<'a> {
    /// Which kind of level.
    pub scope: &'a str,
    /// Which of them; empty where the name does not tell.
    pub id: &'a str,
}

impl<'a> Scope<'a> {
    /// The scope of the level that these names below the host lead to: the last of them decides. None: the host itself.
    #[must_use]
    pub fn of(path: &[&'a str]) -> Self {
        let Some(name) = path.last() else { return Self { scope: "node", id: "" } };
        let split = PREFIXES.iter().find_map(|(prefix, scope)| {
            let id = name.strip_prefix(prefix)?;
            id.starts_with(|first: char| first.is_ascii_digit()).then_some(Self { scope, id })
        });
        split.unwrap_or(Self { scope: name, id: "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_name_decides() {
        for (path, scope, id) in [
            (&[][..], "node", ""),
            (&["socket0"], "socket", "0"),
            (&["memoryDomain7"], "memoryDomain", "7"),
            (&["core11"], "core", "11"),
            (&["hwthread127"], "hwthread", "127"),
            (&["cpu3"], "hwthread", "3"),
            (&["accelerator00000000:49:00.0"], "accelerator", "00000000:49:00.0"),
            (&["accelerator"], "accelerator", ""),
            (&["socketA"], "socketA", ""),
            (&["cpuset"], "cpuset", ""),
            (&["core\u{663}"], "core\u{663}", ""),
            (&["disk1"], "disk1", ""),
            (&["socket1", "memctrl1"], "memctrl1", ""),
            (&["socket1", "core4"], "core", "4"),
            (&[""], "", ""),
        ] {
            assert_eq!(Scope::of(path), Scope { scope, id }, "{path:?}");
        }
    }
}
