//! Numbers of variable length: seven bits a byte, the lowest first, the top bit says that more follow.
//! Differences are folded first so that small ones of either sign are short.

/// Longest `u32`.
pub(super) const U32_BYTES_MAX: usize = 5;
/// Longest `u64`.
pub(super) const U64_BYTES_MAX: usize = 10;

/// 0, -1, 1, -2, … become 0, 1, 2, 3, …; the difference is given modulo 2^32.
#[inline]
pub(super) fn fold_u32(difference: u32) -> u32 {
    (difference << 1) ^ 0_u32.wrapping_sub(difference >> 31)
}

/// The difference that [`fold_u32`] folded.
#[inline]
pub(super) fn unfold_u32(folded: u32) -> u32 {
    (folded >> 1) ^ 0_u32.wrapping_sub(folded & 1)
}

/// As [`fold_u32`], modulo 2^64.
#[inline]
pub(super) fn fold_u64(difference: u64) -> u64 {
    (difference << 1) ^ 0_u64.wrapping_sub(difference >> 63)
}

/// The difference that [`fold_u64`] folded.
#[inline]
pub(super) fn unfold_u64(folded: u64) -> u64 {
    (folded >> 1) ^ 0_u64.wrapping_sub(folded & 1)
}

/// Writes a number at the start of `room` and returns its length; `room` has [`U64_BYTES_MAX`] bytes, or
/// [`U32_BYTES_MAX`] for a number below 2^32.
#[inline]
pub(super) fn put(room: &mut [u8], mut number: u64) -> usize {
    let mut at = 0;
    while number >= 0x80 {
        room[at] = (number & 0x7f) as u8 | 0x80;
        number >>= 7;
        at += 1;
    }
    room[at] = number as u8;
    at + 1
}

/// Takes a number from the start of `rest`; `None` if it is cut off or does not fit 64 bits.
#[inline]
pub(super) fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for (index, &byte) in rest.iter().take(U64_BYTES_MAX).enumerate() {
        let bits = u64::from(byte & 0x7f);
        if index == U64_BYTES_MAX - 1 && bits > 1 {
            return None;
        }
        number |= bits << (7 * index);
        if byte < 0x80 {
            *rest = &rest[index + 1..];
            return Some(number);
        }
    }
    None
}

/// As [`take`], for numbers below 2^32.
#[inline]
pub(super) fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    u32::try_from(take(rest)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        for shift in 0..64 {
            for number in [1_u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut room = [0xaa; U64_BYTES_MAX];
                let length = put(&mut room, number);
                let mut rest = &room[..length];
                assert_eq!((take(&mut rest), rest), (Some(number), &[][..]));
                assert_eq!(take(&mut &room[..length - 1]), None, "cut off");
                assert_eq!(unfold_u64(fold_u64(number)), number);
                assert_eq!(unfold_u32(fold_u32(number as u32)), number as u32);
                assert!(number > u64::from(u32::MAX) || length <= U32_BYTES_MAX);
            }
        }
        for (difference, folded) in [(0_i64, 0), (-1, 1), (1, 2), (-64, 127), (63, 126), (i64::MIN, u64::MAX)]
        {
            assert_eq!(fold_u64(difference as u64), folded);
        }
    }

    #[test]
    fn too_long_numbers_are_refused() {
        assert_eq!(take(&mut &[0xff; 11][..]), None);
        let mut room = [0xff; 10];
        room[9] = 2;
        assert_eq!(take(&mut &room[..]), None, "2^64 and more");
        assert_eq!(take_u32(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
    }
}
