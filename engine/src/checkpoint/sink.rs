//! How a checkpoint writes a snapshot, whichever format the file has.

/// What a file of the reference keeps of a value, which is an `f32`: all NaNs are one, and a double beyond the largest
/// `f32` becomes that, with its sign, so that a sample does not come back as a missing one.
#[must_use]
pub fn kept(value: f64) -> f32 {
    let rounded = value as f32;
    if rounded.is_nan() {
        f32::NAN
    } else if rounded.is_infinite() && value.is_finite() {
        f32::MAX.copysign(rounded)
    } else {
        rounded
    }
}

/// Takes the levels of a host depth first and appends them to a buffer.
///
/// A level's own series come before its children. What holds nothing is left out: a series without values, a level
/// without series. What could not be read back is not written: all methods panic on names, times, frequencies and
/// depths beyond [`crate::limits`], which are checked where samples enter the store.
pub trait SnapshotSink: Sized {
    /// Begins a snapshot of the given span, in seconds, with the host's level open.
    fn begin(from: i64, to: i64) -> Self;

    /// Writes a series of the level that is open: seconds per value, time of the first value in seconds, and the
    /// values, oldest first, NaN where one is missing.
    ///
    /// # Panics
    /// If the level already has a child, or beyond the limits.
    fn series(&mut self, metric: &str, frequency: i64, start: i64, values: impl IntoIterator<Item = f64>);

    /// Opens a child of the level that is open.
    ///
    /// # Panics
    /// Beyond the limits.
    fn open_level(&mut self, name: &str);

    /// Closes the child that was opened last.
    ///
    /// # Panics
    /// If none is open.
    fn close_level(&mut self);

    /// Ends the snapshot; the bytes of the file and the number of series in it. Without any there is no need of a file.
    ///
    /// # Panics
    /// If a child is still open.
    fn finish(self) -> (Vec<u8>, u64);
}
