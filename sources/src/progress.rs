//! How far a partition has come: what was read, what of it is done, and where to go on after a restart.
//!
//! Changes of open transactions are read but not done, while later messages may be done already. So besides the offset to resume at (the first that is not done) a
//! partition knows the ranges beyond it that are done and must not be done again.

use std::collections::BTreeMap;

/// Offsets of one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The first offset that is not done; `None` before anything was read.
    resume: Option<i64>,
    next: i64,
    /// Ranges of done offsets beyond `resume`: start to end (exclusive), apart from each other.
    done: BTreeMap<i64, i64>,
}

/// What reading an offset means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    New,
    /// It was done before a restart.
    Done,
    /// It comes before what was read already: this is not the partition it was.
    Back,
}

impl Progress {
    pub(crate) fn resumed(resume: i64, done: &[(i64, i64)]) -> Progress {
        let mut progress = Progress {
            resume: Some(resume),
            next: resume,
            done: BTreeMap::new(),
        };
        for (start, end) in done {
            progress.insert(*start, *end);
        }
        progress
    }

    /// The offset to resume at; `None` before anything was read.
    pub(crate) fn resume(&self) -> Option<i64> {
        self.resume
    }

    /// The next offset to read.
    pub(crate) fn next(&self) -> Option<i64> {
        self.resume.map(|_| self.next)
    }

    /// Whether all that was read is done.
    pub(crate) fn is_even(&self) -> bool {
        self.resume.is_none_or(|resume| resume == self.next)
    }

    pub(crate) fn done_ranges(&self) -> Vec<(i64, i64)> {
        self.done
            .iter()
            .map(|(start, end)| (*start, *end))
            .collect()
    }

    /// The message at `offset` was read. Offsets between are not there (compaction, control records) and so are done.
    pub(crate) fn read(&mut self, offset: i64) -> Read {
        if self.resume.is_none() {
            self.resume = Some(offset);
            self.next = offset;
        }
        if offset < self.next {
            return Read::Back;
        }
        if offset > self.next {
            self.insert(self.next, offset);
        }
        self.next = offset + 1;
        let before = self.done.range(..=offset).next_back();
        let is_done = before.is_some_and(|(_, end)| *end > offset)
            || self.resume.is_some_and(|resume| offset < resume);
        if is_done { Read::Done } else { Read::New }
    }

    /// The message at `offset` is done.
    pub(crate) fn done(&mut self, offset: i64) {
        if self.resume == Some(offset) && self.done.is_empty() {
            self.resume = Some(offset + 1);
        } else {
            self.insert(offset, offset + 1);
        }
    }

    fn insert(&mut self, mut start: i64, mut end: i64) {
        if let Some((before, before_end)) = self.done.range(..=start).next_back()
            && *before_end >= start
        {
            start = *before;
            end = end.max(*before_end);
        }
        while let Some((within, within_end)) = self.done.range(start..=end).next() {
            let within = *within;
            end = end.max(*within_end);
            self.done.remove(&within);
        }
        match self.resume {
            Some(resume) if start <= resume => self.resume = Some(resume.max(end)),
            _ => {
                self.done.insert(start, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn gaps_are_done() {
        let mut progress = Progress::default();
        assert_eq!(progress.read(5), Read::New);
        progress.done(5);
        assert_eq!(progress.read(9), Read::New);
        assert_eq!(progress.resume(), Some(9));
        assert_eq!(progress.read(8), Read::Back);
    }

    proptest! {
        /// Whatever is done in whatever order: the position says exactly what is not done, and a resumed partition reads exactly that.
        #[test]
        fn equals_a_set(order in Just((0i64..40).collect::<Vec<_>>()).prop_shuffle(), count in 0usize..40, missing in prop::collection::btree_set(0i64..40, 0..8)) {
            let mut progress = Progress::default();
            for offset in (0..40).filter(|offset| !missing.contains(offset)) {
                prop_assert_eq!(progress.read(offset), Read::New);
            }
            let mut done: BTreeSet<i64> = BTreeSet::new();
            for offset in order.iter().take(count).filter(|offset| !missing.contains(offset)) {
                progress.done(*offset);
                done.insert(*offset);
            }
            let open: Vec<i64> = (0..40).filter(|offset| !missing.contains(offset) && !done.contains(offset)).collect();
            let Some(resume) = progress.resume() else { return Ok(()) };
            let mut resumed = Progress::resumed(resume, &progress.done_ranges());
            let mut read_again = Vec::new();
            for offset in (resume..40).filter(|offset| !missing.contains(offset)) {
                if resumed.read(offset) == Read::New {
                    read_again.push(offset);
                }
            }
            prop_assert_eq!(read_again, open);
        }
    }
}
