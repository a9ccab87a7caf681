//! One series of the model: a list of buffers, written and read slot by slot (SPEC section 1).
//!
//! Times are computed in 128 bits, so that no range, however absurd, needs a thought.

const SLOTS: usize = 512;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buffer {
    pub(crate) start: i64,
    /// NaN is missing.
    pub(crate) values: Vec<f64>,
}

/// What a read found: one value per step.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) from: i64,
    pub(crate) to: i64,
    pub(crate) values: Vec<f64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Chain {
    pub(crate) frequency: i64,
    /// Oldest first.
    pub(crate) buffers: Vec<Buffer>,
}

impl Buffer {
    /// The slot of a time, rounded towards zero for times before the first.
    fn slot(&self, time: i128, frequency: i64) -> i128 {
        (time - i128::from(self.start)) / i128::from(frequency)
    }

    pub(crate) fn first_write(&self, frequency: i64) -> i64 {
        self.start + frequency / 2
    }

    pub(crate) fn end(&self, frequency: i64) -> i64 {
        self.first_write(frequency) + self.values.len() as i64 * frequency
    }

    fn set(&mut self, slot: usize, value: f64) {
        while self.values.len() <= slot {
            self.values.push(f64::NAN);
        }
        self.values[slot] = value;
    }
}

impl Chain {
    pub(crate) fn new(frequency: i64) -> Self {
        Self { frequency, buffers: Vec::new() }
    }

    /// Which buffer a time belongs to, and the slot in it, if there is one.
    pub(crate) fn place(&self, time: i64) -> Option<(usize, usize)> {
        let index = self.buffers.iter().rposition(|buffer| buffer.start <= time)?;
        let slot = self.buffers[index].slot(time.into(), self.frequency) as usize;
        (slot < SLOTS).then_some((index, slot))
    }

    /// Writes a sample; `false` if it is late and before `oldest`.
    pub(crate) fn write(&mut self, time: i64, value: f64, oldest: i64) -> bool {
        let late = self.buffers.last().is_some_and(|newest| time < newest.start);
        if late && time < oldest {
            return false;
        }
        if let Some((index, slot)) = self.place(time) {
            self.buffers[index].set(slot, value);
        } else if !late {
            self.buffers.push(Buffer { start: time - self.frequency / 2, values: vec![value] });
        } else {
            self.write_into_gap(time, value);
        }
        true
    }

    /// No buffer covers this time: the one behind the gap grows towards it, or gets a neighbour on its grid.
    fn write_into_gap(&mut self, time: i64, value: f64) {
        let behind = self.buffers.iter().position(|buffer| buffer.start > time).expect("the sample is late");
        let mut start = self.buffers[behind].start;
        let mut steps = 0;
        while start > time {
            start -= self.frequency;
            steps += 1;
        }
        if self.buffers[behind].values.len() + steps <= SLOTS {
            let buffer = &mut self.buffers[behind];
            for _ in 0..steps {
                buffer.values.insert(0, f64::NAN);
            }
            buffer.start = start;
            buffer.values[0] = value;
        } else {
            self.buffers.insert(behind, Buffer { start, values: vec![value] });
        }
    }

    /// Frees what ends before `to`; returns how many buffers.
    pub(crate) fn free_before(&mut self, to: i64) -> usize {
        let count = self.buffers.len();
        self.buffers.retain(|buffer| buffer.end(self.frequency) >= to);
        count - self.buffers.len()
    }

    /// How many slots a buffer stands for: 512, but only until the next one begins.
    fn slots_covered(&self, index: usize) -> i128 {
        let start = i128::from(self.buffers[index].start);
        let next = self.buffers.get(index + 1).map(|next| i128::from(next.start));
        let begins_before_next =
            |slot: &usize| next.is_none_or(|next| start + *slot as i128 * i128::from(self.frequency) < next);
        (0..SLOTS).take_while(begins_before_next).count() as i128
    }

    /// Reads `[from, to)` as the reference does, one time after the other; `None` without any data.
    pub(crate) fn read(&self, from: i64, to: i64) -> Option<Read> {
        let oldest = self.buffers.first()?.first_write(self.frequency);
        Some(self.read_on(from.max(oldest), to))
    }

    /// Reads those of the times `from, from + frequency, … < to` that are not before the oldest buffer, whatever
    /// the time of the first sample; `None` without any data.
    pub(crate) fn read_on_grid(&self, from: i64, to: i64) -> Option<Read> {
        let oldest = i128::from(self.buffers.first()?.start);
        let missing = (oldest - i128::from(from)).max(0);
        let frequency = i128::from(self.frequency);
        let begin = i128::from(from) + (missing + frequency - 1) / frequency * frequency;
        Some(self.read_on(begin.try_into().expect("the oldest buffer is not at the end of time"), to))
    }

    /// Reads from a time on that is not before the oldest buffer.
    fn read_on(&self, from: i64, to: i64) -> Read {
        let begun = |buffer: &Buffer| buffer.first_write(self.frequency) <= from;
        let mut index = self.buffers.iter().rposition(begun).unwrap_or(0);
        let mut covered = self.slots_covered(index);
        let mut time = i128::from(from);
        let mut values = Vec::new();
        while time < i128::from(to) {
            // The next buffer, and there the slot of this time.
            while self.buffers[index].slot(time, self.frequency) >= covered && index + 1 < self.buffers.len()
            {
                index += 1;
                covered = self.slots_covered(index);
            }
            let buffer = &self.buffers[index];
            let slot = buffer.slot(time, self.frequency);
            if slot >= covered {
                break;
            }
            if time < i128::from(buffer.start) {
                values.push(f64::NAN);
            } else if slot < buffer.values.len() as i128 {
                values.push(buffer.values[slot as usize]);
            } else {
                match self.buffers.get(index + 1) {
                    Some(next) if to > next.start => values.push(f64::NAN),
                    _ => break,
                }
            }
            time += i128::from(self.frequency);
        }
        let to = i64::try_from(time).expect("a read stops behind the last slot");
        Read { from, to, values }
    }
}
