//! Manual pages and completions know every option of the programs, and no other.

use std::collections::BTreeSet;

use crate::daemon::{BINARY, run};
use crate::{read, root, run_tool, said};

/// The flags that the daemon itself lists.
fn flags() -> BTreeSet<String> {
    let finished = run(&["-help"], &root());
    let flags: BTreeSet<String> = finished
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("  -"))
        .map(|line| line.split_whitespace().next().expect("a name").to_owned())
        .collect();
    assert!(flags.contains("size") && flags.len() > 9, "{flags:?}");
    flags
}

/// The options that begin a paragraph of the section OPTIONS of a manual page.
fn documented(page: &str) -> BTreeSet<String> {
    let text = read(page).replace(r"\-", "-");
    let options = text.split(".SH OPTIONS").nth(1).expect("a section OPTIONS").split("\n.SH").next();
    options
        .expect("a section")
        .lines()
        .filter(|line| line.starts_with(r"\fB-"))
        .flat_map(|line| line.split(", "))
        .map(|option| {
            option.split(r"\f").nth(1).expect("bold").trim_start_matches('B').trim_matches('-').to_owned()
        })
        .collect()
}

#[test]
fn the_manual_page_has_every_flag() {
    assert_eq!(documented("docs/man/cc-metric-store.1"), flags());
}

#[test]
fn the_manual_has_every_key_of_a_site() {
    let page = read("docs/man/cc-metric-store.1").replace(r"\-", "-");
    let refusal = run(&["-size", "x"], &root()).stderr;
    let keys = refusal.split("keys: ").nth(1).and_then(|rest| rest.split(')').next()).expect("it lists them");
    for key in keys.split(", ") {
        assert!(page.contains(&format!("\n.TP\n.B {key}\n")), "the manual page does not have {key}");
    }
}

#[test]
fn the_manual_pages_are_well_formed() {
    for page in ["cc-metric-store", "checkpoint-reader", "checkpoint-export"] {
        let path = root().join(format!("docs/man/{page}.1"));
        let path = path.to_str().expect("UTF-8");
        let output = run_tool("man", &["--warnings", "--local-file", path], "man-db groff-base");
        assert!(output.status.success() && output.stderr.is_empty(), "{}", said(&output));
        assert!(said(&output).contains("NAME"), "{}", said(&output));
    }
}

#[test]
fn completions_have_every_flag() {
    let flags = flags();
    let bash = read("configs/completions/cc-metric-store.bash");
    let listed = bash.split("flags=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a list");
    let in_bash: BTreeSet<String> =
        listed.split(' ').map(|flag| flag.trim_start_matches('-').to_owned()).collect();
    assert_eq!(in_bash, flags, "bash");
    let fish = read("configs/completions/cc-metric-store.fish");
    let words = |text: &str, marker: &str| -> BTreeSet<String> {
        let pieces = text.split(marker).skip(1);
        pieces.map(|rest| rest.split([' ', '[', '\'']).next().expect("a word").to_owned()).collect()
    };
    assert_eq!(words(&fish, " -o "), flags, "fish");
    let zsh = read("configs/completions/_cc-metric-store");
    let in_zsh: BTreeSet<String> = zsh
        .lines()
        .filter(|line| line.trim_start().starts_with('\''))
        .map(|line| line.split('[').next().expect("before the text"))
        .map(|line| line.rsplit([')', '\'']).next().expect("the flag").trim_start_matches('-').to_owned())
        .collect();
    assert_eq!(in_zsh, flags, "zsh");
}

#[test]
fn bash_completes() {
    let script = root().join("configs/completions/cc-metric-store.bash");
    let complete = |words: &str, at: usize| {
        let line = format!(
            "source '{}'; COMP_WORDS=({words}); COMP_CWORD={at}; _cc_metric_store; echo \"${{COMPREPLY[*]}}\"",
            script.display()
        );
        let output = run_tool("bash", &["-c", &line], "bash");
        assert!(output.status.success(), "{}", said(&output));
        said(&output).trim().to_owned()
    };
    assert_eq!(complete("cc-metric-store -lo", 1), "-logdate -loglevel");
    assert_eq!(complete("cc-metric-store --che", 1), "--check-config");
    assert_eq!(complete("cc-metric-store -dev -loglevel w", 3), "warn");
    assert_eq!(complete("cc-metric-store -x", 1), "");
}

#[test]
fn the_pages_of_the_tools_have_every_option() {
    let directory = std::path::Path::new(BINARY).parent().expect("a directory").to_owned();
    for tool in ["checkpoint-reader", "checkpoint-export"] {
        let program = directory.join(tool);
        assert!(program.exists(), "{tool} is not built: cargo build -p tools");
        let help = run_tool(program.to_str().expect("UTF-8"), &["--help"], "");
        let listed: BTreeSet<String> = said(&help)
            .lines()
            .map(str::trim_start)
            .filter(|line| line.starts_with('-'))
            .flat_map(|line| {
                line.split("  ").next().expect("options").split(", ").map(str::to_owned).collect::<Vec<_>>()
            })
            .map(|option| option.split(' ').next().expect("a name").trim_matches('-').to_owned())
            .collect();
        assert!(listed.len() > 2, "{listed:?}");
        assert_eq!(documented(&format!("docs/man/{tool}.1")), listed, "{tool}");
    }
}
