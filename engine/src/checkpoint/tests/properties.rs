//! Random trees come back as they were, within an `f32`, in both formats.

use proptest::prelude::*;

use super::super::testing::{any_level, encode, rows};
use super::super::{Kind, SnapshotHeader, decode_as};

proptest! {
    #[test]
    fn a_tree_comes_back(level in any_level(), from in -1000..4_000_000_000i64, to in -1000..4_000_000_000i64) {
        for kind in [Kind::Binary, Kind::Json] {
            let (bytes, count) = encode(kind, from, to, &level);
            let (header, found) = rows(kind, &bytes);
            prop_assert_eq!(header, Ok(SnapshotHeader { from, to }));
            prop_assert_eq!(found.len() as u64, count);
            prop_assert_eq!(found, level.rows());
            if kind == Kind::Json {
                prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
            }
        }
    }

    #[test]
    fn random_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in [Kind::Binary, Kind::Json] {
            let _ = decode_as(kind, &bytes, &mut |_: super::super::SnapshotSeries<'_>| ());
        }
    }

    #[test]
    fn random_changes_do_no_harm(level in any_level(), changes in prop::collection::vec(any::<(prop::sample::Index, u8)>(), 1..5)) {
        for kind in [Kind::Binary, Kind::Json] {
            let (mut bytes, _) = encode(kind, 1, 2, &level);
            for (index, byte) in &changes {
                let at = index.index(bytes.len());
                bytes[at] = *byte;
            }
            let (result, found) = rows(kind, &bytes);
            prop_assert!(result.is_ok() || found.is_empty());
        }
    }
}
