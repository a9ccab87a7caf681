//! Every stage does its work on the load's bytes, and the limit reads what is there.

use super::*;

const SITE: SiteOptions = SiteOptions { hosts: 3, threads: 4, thread_metrics: 5, node_metrics: 6 };

#[test]
fn every_stage_passes_the_lines_it_is_about() {
    let mut stages = Stages::new(&SITE, 4, 1_700_000_000);
    assert_eq!(stages.lines_per_interval(), 3 * 26);
    for stage in Stage::ALL {
        let intervals = match stage {
            Stage::Key | Stage::LookUpNew | Stage::WholeNew => 1,
            Stage::Whole => 3,
            _ => 4,
        };
        let pass = stages.pass(stage);
        assert_eq!(pass.lines, intervals * 78, "{stage:?}");
        assert!(pass.ns_per_line() > 0.0, "{stage:?}");
    }
}

#[test]
fn the_limit_reads_every_value_and_time() {
    let site = Site::new(&SITE);
    let mut body = Body::new(&site, 2, |_| String::new());
    body.patch(7, 3, 1_987_654_320);
    let mut expected = limit::Sums::default();
    for line in std::str::from_utf8(body.bytes()).unwrap().lines() {
        let (value, time) = line.rsplit_once('=').unwrap().1.split_once(' ').unwrap();
        expected.lines += 1;
        expected.values += value.parse::<f64>().unwrap();
        expected.times += time.parse::<u64>().unwrap();
    }
    assert_eq!(limit::limit(body.bytes()), expected);
    assert_eq!(expected.times, 26 * 1_987_654_320);
}
