//! Requests that name paths: side by side as long as their paths do not touch, else in their order.

use std::collections::VecDeque;

use engine::VPath;

use crate::carriers::sftp::wire::{Attrs, OpenFlags};

/// A request that names one or two paths.
#[derive(Debug)]
pub(super) struct PathTask {
    pub(super) id: u32,
    pub(super) path: VPath,
    pub(super) verb: PathVerb,
}

#[derive(Debug)]
pub(super) enum PathVerb {
    Open(OpenFlags),
    Stat,
    SetStat(Attrs),
    Opendir,
    Remove,
    Mkdir,
    Rmdir,
    Rename { to: VPath, overwrite: bool },
    Space,
}

impl PathTask {
    fn touches(&self, other: &VPath) -> bool {
        let to = if let PathVerb::Rename { to, .. } = &self.verb { Some(to) } else { None };
        touch(&self.path, other) || to.is_some_and(|to| touch(to, other))
    }

    /// Whether it opens a handle.
    pub(super) fn opens(&self) -> bool {
        matches!(self.verb, PathVerb::Open(_) | PathVerb::Opendir)
    }
}

/// Whether one is the other or lies below it.
fn touch(a: &VPath, b: &VPath) -> bool {
    a.below(b).is_some() || b.below(a).is_some()
}

/// Requests waiting and paths in use.
#[derive(Default)]
pub(super) struct Paths {
    waiting: VecDeque<PathTask>,
    running: Vec<(u64, VPath)>,
    next_job: u64,
}

impl Paths {
    pub(super) fn push(&mut self, task: PathTask) {
        self.waiting.push_back(task);
    }

    /// The first waiting request and the number of its job, if it may run beside `jobs_max` others and the handles that
    /// are `closing`. Nothing overtakes it.
    pub(super) fn pop<'a>(
        &mut self,
        jobs_max: usize,
        mut closing: impl Iterator<Item = &'a VPath>,
    ) -> Option<(u64, PathTask)> {
        let task = self.waiting.front()?;
        if self.running.len() >= jobs_max
            || self.running.iter().any(|(_, path)| task.touches(path))
            || closing.any(|path| task.touches(path))
        {
            return None;
        }
        let task = self.waiting.pop_front()?;
        let job = self.next_job;
        self.next_job = job.wrapping_add(1);
        self.running.push((job, task.path.clone()));
        if let PathVerb::Rename { to, .. } = &task.verb {
            self.running.push((job, to.clone()));
        }
        Some((job, task))
    }

    pub(super) fn done(&mut self, job: u64) {
        self.running.retain(|(running, _)| *running != job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: u32, path: &str, verb: PathVerb) -> PathTask {
        PathTask { id, path: VPath::parse(path.as_bytes(), &VPath::root()).unwrap(), verb }
    }

    fn started(paths: &mut Paths, closing: &[VPath]) -> Vec<u32> {
        std::iter::from_fn(|| paths.pop(3, closing.iter()).map(|(_, task)| task.id)).collect()
    }

    #[test]
    fn requests_whose_paths_touch_keep_their_order() {
        let mut paths = Paths::default();
        let to = VPath::parse(b"/a/z", &VPath::root()).unwrap();
        paths.push(task(1, "/a/x", PathVerb::Stat));
        paths.push(task(2, "/a/y", PathVerb::Rename { to, overwrite: false }));
        paths.push(task(3, "/a/z", PathVerb::Stat));
        paths.push(task(4, "/b", PathVerb::Stat));
        assert_eq!(started(&mut paths, &[]), [1, 2]);
        paths.done(0);
        assert_eq!(started(&mut paths, &[]), [0u32; 0]);
        paths.done(1);
        assert_eq!(started(&mut paths, &[]), [3, 4]);
        paths.push(task(5, "/", PathVerb::Opendir));
        assert_eq!(started(&mut paths, &[]), [0u32; 0], "/a/z and /b lie below /");
    }

    #[test]
    fn a_file_being_closed_is_waited_for() {
        let mut paths = Paths::default();
        paths.push(task(1, "/in", PathVerb::Opendir));
        let closing = [VPath::parse(b"/in/f", &VPath::root()).unwrap()];
        assert_eq!(started(&mut paths, &closing), [0u32; 0]);
        assert_eq!(started(&mut paths, &[]), [1]);
    }

    #[test]
    fn the_number_of_jobs_is_bounded() {
        let mut paths = Paths::default();
        (0..9).for_each(|n| paths.push(task(n, &format!("/{n}"), PathVerb::Stat)));
        assert_eq!(started(&mut paths, &[]), [0, 1, 2]);
    }
}
