//! How snapshots are divided among files.

use super::*;
use crate::durable::cleanup::ExpiredFile;

fn host(name: &str, bytes: &[u64]) -> ExpiredHost {
    let files = (0..).zip(bytes).map(|(from, &bytes)| ExpiredFile { name: format!("{from}.bin"), bytes });
    ExpiredHost { host: name.into(), directory: name.into(), files: files.collect(), is_last: true }
}

#[test]
fn a_file_takes_of_each_host_what_can_be_held_oldest_first() {
    let max = limits::ARCHIVE_HOST_BYTES_MAX;
    let mut hosts = vec![host("a", &[max / 2, max / 2, 1, max + 1, 1]), host("b", &[1, 1])];
    let mut batches = Vec::new();
    while let Some(batch) = next_batch(&mut hosts) {
        let names = |host: &ExpiredHost| {
            let files: Vec<_> =
                host.files.iter().map(|file| file.name.trim_end_matches(".bin").to_owned()).collect();
            format!("{}: {}", host.host, files.join(" "))
        };
        assert!(batch.iter().all(|host| !host.is_last), "directories are not the archive's");
        batches.push(batch.iter().map(names).collect::<Vec<_>>());
    }
    assert_eq!(batches, [vec!["a: 0 1", "b: 0 1"], vec!["a: 2"], vec!["a: 3"], vec!["a: 4"]]);
}
