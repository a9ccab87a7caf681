//! `checkpoint-export` as its users see it: files, report, exit code, and that it changes nothing that was there.
#![expect(clippy::unwrap_used, reason = "a test fails where it cannot read")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use engine::checkpoint::file_name::parse;
use engine::checkpoint::{Kind, SnapshotSeries, decode_as};
use engine::reference_log;
use engine::wal::encode::SegmentEncoder;
use engine::wal::segment::SegmentHeader;

const CONFIG: &str =
    r#"{"metrics": {"clock": {"frequency": 10, "aggregation": null}, "mem_bw": {"frequency": 60}}}"#;
const T: i64 = 1_700_000_040;

/// Path below the host and metric → time → value.
type Samples = BTreeMap<String, BTreeMap<i64, f32>>;

/// A data directory: the log in `wal`, checkpoints in `checkpoints`.
struct Site(tempfile::TempDir);

impl Site {
    fn new() -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        fs::create_dir(site.path("wal")).unwrap();
        fs::write(site.path("config.json"), CONFIG).unwrap();
        site
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn segment(&self, id: u64, core: u16, cores: u16, write: impl FnOnce(&mut Segment)) -> PathBuf {
        let header = SegmentHeader { id, core, cores, created_seconds: T };
        let mut segment = Segment {
            bytes: header.encode().to_vec(),
            encoder: SegmentEncoder::new(header),
            names: Vec::new(),
        };
        write(&mut segment);
        segment.seal();
        // As the daemon makes them: longer than what is written.
        segment.bytes.resize(segment.bytes.len() + 4096, 0);
        let path = self.path(&format!("wal/core{core:03}-{id:016x}.log"));
        fs::write(&path, segment.bytes).unwrap();
        path
    }

    fn export(&self, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_checkpoint-export"));
        command.args(["--wal", "wal", "--to", "checkpoints", "--config", "config.json"]);
        command.args(more).current_dir(self.0.path()).output().unwrap()
    }

    /// What the snapshots of a host hold, loaded in their order.
    fn snapshots(&self, host: &str) -> Samples {
        let directory = self.path("checkpoints").join(host);
        let mut names: Vec<_> =
            names_in(&directory).into_iter().filter(|name| parse(name).is_some()).collect();
        names.sort_by_key(|name| parse(name).unwrap().0);
        let mut found = Samples::new();
        for name in names {
            let bytes = fs::read(directory.join(&name)).unwrap();
            let header = decode_as(Kind::Binary, &bytes, &mut |series: SnapshotSeries<'_>| {
                let key = [series.path, &[series.metric]].concat().join(" ");
                for (slot, value) in (0..).zip(series.values).filter(|(_, value)| !value.is_nan()) {
                    found
                        .entry(key.clone())
                        .or_default()
                        .insert(series.start + slot * series.frequency, value);
                }
            });
            let header = header.unwrap();
            assert_eq!(header.from, parse(&name).unwrap().0);
            assert!(header.from <= header.to);
        }
        found
    }
}

/// A segment being written.
struct Segment {
    bytes: Vec<u8>,
    encoder: SegmentEncoder,
    names: Vec<String>,
}

impl Segment {
    /// `series` is cluster, host, levels, metric.
    fn sample(&mut self, series: &str, time: i64, value: f64) {
        let id = self.names.iter().position(|name| name == series).unwrap_or_else(|| {
            let mut path: Vec<&str> = series.split(' ').collect();
            let metric = path.pop().unwrap();
            self.encoder.declare(self.names.len() as u32, &path, metric);
            self.names.push(series.to_owned());
            self.names.len() - 1
        });
        self.encoder.sample(id as u32, time, value);
    }

    fn seal(&mut self) {
        self.bytes.extend_from_slice(self.encoder.seal());
    }
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn samples<const N: usize>(samples: [(&str, &[(i64, f32)]); N]) -> Samples {
    samples.into_iter().map(|(key, samples)| (key.to_owned(), samples.iter().copied().collect())).collect()
}

/// Two hosts, written by a run of two cores and one of one core.
fn usual(site: &Site) -> [PathBuf; 3] {
    [
        site.segment(4, 0, 2, |segment| {
            segment.sample("fritz f0201 clock", T, 0.1);
            segment.sample("fritz f0201 socket0 mem_bw", T, 1.5);
            segment.seal();
            segment.sample("fritz f0201 clock", T + 10, 2.0);
            segment.sample("fritz f0201 clock", T + 10, f64::from(f32::MAX));
        }),
        site.segment(5, 1, 2, |segment| {
            segment.sample("alex a0603 accelerator00000000:49:00.0 clock", T, 7.0);
            // Overwritten in the next segment, which has the smaller core.
            segment.sample("fritz f0201 clock", T + 10, 99.0);
        }),
        site.segment(6, 0, 1, |segment| {
            segment.sample("fritz f0201 clock", T + 10, -3.0);
            // Not every slot, then a run of its own, then a late one.
            segment.sample("fritz f0201 clock", T + 50, 4.0);
            segment.sample("fritz f0201 clock", T + 100_003, 5.0);
            segment.sample("fritz f0201 clock", T + 20, 6.0);
            segment.sample("fritz f0201 socket0 memctrl1 mem_bw", T, -0.0);
            segment.sample("fritz f0201 unknown", T, 1.0);
        }),
    ]
}

fn fritz() -> Samples {
    samples([
        ("clock", &[(T, 0.1), (T + 10, -3.0), (T + 20, 6.0), (T + 50, 4.0), (T + 100_003, 5.0)]),
        ("socket0 mem_bw", &[(T, 1.5)]),
        ("socket0 memctrl1 mem_bw", &[(T, -0.0)]),
    ])
}

fn alex() -> Samples {
    samples([("accelerator00000000:49:00.0 clock", &[(T, 7.0)])])
}

#[test]
fn snapshots_hold_what_the_log_of_any_cores_held() {
    let site = Site::new();
    usual(&site);
    let output = site.export(&[]);
    let (lines, notes) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{notes}");
    assert_eq!(site.snapshots("fritz/f0201"), fritz());
    assert_eq!(site.snapshots("alex/a0603"), alex());
    let lines: Vec<_> = lines.lines().collect();
    assert!(lines[0].starts_with("alex/a0603: 1 series, 1 samples in "), "{lines:?}");
    assert!(lines[1].starts_with("fritz/f0201: 3 series, 7 samples in "), "{lines:?}");
    assert_eq!(lines[2..], ["total: 3 segments, 0 damaged; 2 hosts, 4 series, 8 samples"]);
    assert_eq!(notes, "1 samples were left out: their metrics are not configured\n");
    // Nothing half-written, and as few files as there are runs.
    assert_eq!(names_in(&site.path("checkpoints/fritz/f0201")).len(), 2);
    assert_eq!(names_in(&site.path("checkpoints/alex/a0603")).len(), 1);
}

#[test]
fn a_reference_log_holds_the_same() {
    let site = Site::new();
    usual(&site);
    let output = site.export(&["--as-log"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(names_in(&site.path("checkpoints/fritz/f0201")), ["current.wal"]);
    for (host, expected) in [("fritz/f0201", fritz()), ("alex/a0603", alex())] {
        let bytes = fs::read(site.path("checkpoints").join(host).join("current.wal")).unwrap();
        let (mut found, mut newest) = (Samples::new(), BTreeMap::new());
        let read = reference_log::read(&bytes, &mut |sample: reference_log::LogSample<'_>| {
            let key = [sample.path, &[sample.metric]].concat().join(" ");
            let before = newest.insert(key.clone(), sample.time);
            assert!(before.is_none_or(|before| before < sample.time), "the reference drops late samples");
            found.entry(key).or_default().insert(sample.time, sample.value);
        });
        assert_eq!(read.end, reference_log::End::Clean);
        assert_eq!(found, expected);
    }
    // A second one must not replace what is there by now.
    let path = site.path("checkpoints/fritz/f0201/current.wal");
    fs::write(&path, "the reference has written since").unwrap();
    let output = site.export(&["--as-log"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("fritz/f0201/current.wal exists and was not touched"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "the reference has written since");
}

#[test]
fn names_too_long_for_a_reference_log_are_told() {
    let site = Site::new();
    let level = "x".repeat(300);
    site.segment(1, 0, 1, |segment| {
        segment.sample(&format!("fritz f0201 {level} clock"), T, 1.0);
        segment.sample(&format!("fritz f0201 {level} clock"), T + 10, 2.0);
        segment.sample("fritz f0201 clock", T, 3.0);
    });
    let output = site.export(&["--as-log"]);
    assert_eq!(output.status.code(), Some(1));
    let notes = text(&output.stderr);
    assert!(
        notes.starts_with("error: fritz/f0201: 2 of them were left out: a level's name has 300 bytes"),
        "{notes}"
    );
    let output = site.export(&[]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(site.snapshots("fritz/f0201")[&format!("{level} clock")].len(), 2);
}

#[test]
fn segments_are_read_up_to_where_they_are_damaged() {
    /// Makes a segment of two blocks into a damaged one.
    type Damage = fn(&Path, Vec<u8>);
    let cases: [(Damage, &str, &[&str]); 6] = [
        (|path, bytes| fs::write(path, &bytes[..1060]).unwrap(), "within a block at byte 1024", &["first"]),
        (|path, bytes| fs::write(path, &bytes[..700]).unwrap(), "within a block at byte 512", &[]),
        (
            |path, mut bytes| {
                bytes[600] ^= 1;
                fs::write(path, bytes).unwrap();
            },
            "damaged at byte 512",
            // What stands behind the damaged block is read.
            &["second"],
        ),
        (
            |path, mut bytes| {
                bytes[3] ^= 1;
                fs::write(path, bytes).unwrap();
            },
            "2 whole blocks were found",
            &["first", "second"],
        ),
        (
            |path, mut bytes| {
                bytes[8] = 9;
                fs::write(path, bytes).unwrap();
            },
            "format 9",
            &[],
        ),
        (
            |path, _| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
            "cannot be read",
            &[],
        ),
    ];
    for (index, (damage, says, hosts)) in cases.into_iter().enumerate() {
        let site = Site::new();
        let path = site.segment(1, 0, 1, |segment| {
            // One block at byte 512, one at byte 1024.
            for slot in 0..30 {
                segment.sample("fritz first clock", T + 10 * slot, 1.0);
            }
            segment.seal();
            segment.sample("fritz second clock", T, 1.0);
        });
        site.segment(2, 0, 1, |segment| segment.sample("fritz third clock", T, 1.0));
        let bytes = fs::read(&path).unwrap();
        damage(&path, bytes);
        let output = site.export(&[]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "case {index}: {errors}");
        assert!(
            errors.starts_with("error: wal/core000-0000000000000001.log: ") && errors.contains(says),
            "case {index}: {errors}"
        );
        assert_eq!(names_in(&site.path("checkpoints/fritz")), [hosts, &["third"]].concat(), "case {index}");
        assert!(text(&output.stdout).contains("total: 2 segments, 1 damaged"), "case {index}");
    }
}

#[test]
fn files_that_are_there_stay_and_come_first() {
    let site = Site::new();
    usual(&site);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    let directory = site.path("checkpoints/fritz/f0201");
    fs::create_dir_all(&directory).unwrap();
    let names =
        [format!("{T}.bin"), format!("{}.json", now + 5), "99999999999999.bin".into(), "current.wal".into()];
    names.iter().for_each(|name| fs::write(directory.join(name), name).unwrap());
    let output = site.export(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    names.iter().for_each(|name| assert_eq!(&fs::read_to_string(directory.join(name)).unwrap(), name));
    for name in [format!("{}.bin", now + 6), format!("{}.bin", now + 7)] {
        assert!(fs::remove_file(directory.join(&name)).is_ok(), "{name} is not there");
    }
    assert_eq!(names_in(&directory).len(), names.len());
}

#[test]
fn the_log_is_not_changed() {
    let site = Site::new();
    let mut files = usual(&site).to_vec();
    let mut bytes = fs::read(&files[2]).unwrap();
    bytes.truncate(560);
    fs::write(&files[2], bytes).unwrap();
    for (name, bytes) in
        [("lock", vec![]), ("core000-0000000000000003.free", vec![0; 1024]), ("notes.txt", vec![1])]
    {
        files.push(site.path("wal").join(name));
        fs::write(files.last().unwrap(), bytes).unwrap();
    }
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for path in &files {
        File::options().write(true).open(path).unwrap().set_modified(long_ago).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
    }
    fs::set_permissions(site.path("wal"), fs::Permissions::from_mode(0o555)).unwrap();
    let before: Vec<_> = files.iter().map(|path| fs::read(path).unwrap()).collect();

    assert_eq!(site.export(&[]).status.code(), Some(1));
    assert_eq!(site.export(&["--as-log"]).status.code(), Some(1));

    fs::set_permissions(site.path("wal"), fs::Permissions::from_mode(0o755)).unwrap();
    for (path, before) in files.iter().zip(before) {
        assert_eq!(fs::read(path).unwrap(), before, "{}", path.display());
        assert_eq!(fs::metadata(path).unwrap().modified().unwrap(), long_ago, "{}", path.display());
    }
    assert_eq!(names_in(&site.path("wal")).len(), files.len());
}

/// Exports and expects that nothing is written.
fn refused(site: &Site, arguments: &[&str], says: &str) {
    let output = Command::new(env!("CARGO_BIN_EXE_checkpoint-export"))
        .args(arguments)
        .current_dir(site.0.path())
        .output()
        .unwrap();
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains(says), "{errors}");
    assert_eq!(names_in(site.0.path()), ["config.json", "wal"]);
    assert_eq!(names_in(&site.path("wal")).len(), 4);
}

#[test]
fn what_cannot_be_right_is_refused() {
    let site = Site::new();
    usual(&site);
    let lock = File::create(site.path("wal/lock")).unwrap();
    refused(&site, &["--wal", "wal", "--to", "wal/checkpoints"], "lies in the other");
    refused(&site, &["--wal", "wal", "--to", "."], "lies in the other");
    refused(&site, &["--wal", "nowhere", "--to", "checkpoints"], "metric-store.wal.directory");
    refused(&site, &["--wal", "wal", "--to", "checkpoints", "--config", "nowhere"], "--config");
    refused(&site, &["--wal", "wal", "--to", "checkpoints", "--retention", "2d"], "48h");
    refused(&site, &["--wal", "wal"], "--to");
    // The lock as a running daemon holds it.
    lock.try_lock().unwrap();
    refused(&site, &["--wal", "wal", "--to", "checkpoints"], "the daemon is running on this log");
    drop(lock);
    assert_eq!(site.export(&[]).status.code(), Some(0));
}

#[test]
fn an_empty_log_makes_no_files() {
    let site = Site::new();
    // A segment that was never begun, and one that was begun and not used.
    fs::write(site.path("wal/core000-0000000000000001.log"), vec![0; 4096]).unwrap();
    site.segment(2, 0, 1, |_| {});
    let output = site.export(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "total: 2 segments, 0 damaged; 0 hosts, 0 series, 0 samples\n");
    assert_eq!(names_in(site.0.path()), ["config.json", "wal"]);
}

#[test]
fn frees_and_the_retention_are_kept_to() {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64;
    let site = Site::new();
    site.segment(1, 0, 1, |segment| {
        segment.sample("fritz freed clock", now - 100, 1.0);
        segment.sample("fritz kept clock", now - 7200, 2.0);
        segment.encoder.free(&["fritz", "freed"], now);
        segment.sample("fritz kept clock", now - 60, 3.0);
    });
    let output = site.export(&["--retention", "1h30m"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "1 samples were left out: they are older than the retention\n");
    assert_eq!(names_in(&site.path("checkpoints/fritz")), ["kept"]);
    assert_eq!(site.snapshots("fritz/kept")["clock"].values().copied().collect::<Vec<_>>(), [3.0]);
    fs::remove_dir_all(site.path("checkpoints")).unwrap();
    assert_eq!(site.export(&[]).status.code(), Some(0));
    assert_eq!(site.snapshots("fritz/kept")["clock"].values().copied().collect::<Vec<_>>(), [2.0, 3.0]);
}

#[test]
fn times_at_the_end_of_the_world_cost_their_host_only() {
    const END: i64 = 100_000_000_000;
    let site = Site::new();
    site.segment(1, 0, 1, |segment| {
        segment.sample("fritz late clock", END - 16, 1.0);
        segment.sample("fritz late clock", END - 1, 2.0);
        segment.sample("fritz early clock", -END + 1000, 3.0);
        segment.sample("fritz early clock", -END, 4.0);
        segment.sample("fritz usual clock", T, 5.0);
    });
    let output = site.export(&[]);
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("fritz/late: a sample's time is 100000000004 s"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert_eq!(site.snapshots("fritz/usual")["clock"].len(), 1);
    assert_eq!(site.snapshots("fritz/early")["clock"].len(), 2);
}
