//! Which files of a repository change together, by its last commits.
//!
//! Two files are partners as far as the commits that touch one touch the other, too: the Jaccard index of their commits,
//! each counted the less the older it is. Merges repeat what their branches said, and commits that touch many files
//! (renames, formatting) say nothing of any two, so neither counts.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use gix::ObjectId;
use gix::bstr::BStr;
use gix::diff::tree::{Recorder, State, Visit, visit};
use gix::objs::TreeRefIter;
use gix::revision::walk::Sorting;
use gix::traverse::commit::simple::CommitTimeOrder;

use super::super::{Partner, Partners};
use crate::base::limits::GIT_HISTORY_COMMITS_MAX;

/// A commit of more files than this says nothing of any two of them: 30 files are 435 pairs.
const FILES_MAX: usize = 30;
/// Partners kept of a file.
const PARTNERS_MAX: usize = 8;
/// Commits that two files have to share: one may be an accident.
const SHARED_MIN: u32 = 2;
/// Least weight of partners.
const WEIGHT_MIN: f32 = 0.1;
/// After so many commits one counts half.
const HALF_LIFE_COMMITS: f32 = 500.0;
/// Longest time for reading commits; what was read until then counts, and the rest is read the next time.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Cache for objects while commits are compared: they share most trees with their neighbours.
const OBJECT_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Repositories whose histories are remembered; a million touched files are some 4 MB.
const REPOSITORIES_MAX: usize = 64;

/// The histories of repositories of this machine and of clones, by the folder that they are in. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histories {
    held: Arc<Mutex<HashMap<PathBuf, Arc<Mutex<Memory>>>>>,
}

impl Histories {
    /// The partners of all files at `tip`, by path from the repository's root.
    pub(super) fn partners(&self, repository: &gix::Repository, tip: ObjectId) -> Arc<Partners> {
        let memory = {
            let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let folder = repository.common_dir().to_owned();
            if held.len() >= REPOSITORIES_MAX && !held.contains_key(&folder) {
                held.clear();
            }
            Arc::clone(held.entry(folder).or_default())
        };
        let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
        memory.partners(repository, tip)
    }

    /// The same of the files below a folder of the checkout at `holder`, by path from there; `None` if it has no history.
    pub(crate) fn of_checkout(&self, holder: &Path, folder: &Path) -> Option<Partners> {
        let repository = super::clone::open(holder).ok()?;
        let tip = repository.head_id().ok()?.detach();
        let inner = folder.strip_prefix(holder).ok()?.to_str()?;
        Some(self.partners(&repository, tip).below(inner))
    }
}

/// What commits of one repository touched, kept so that a new commit costs only itself.
#[derive(Debug, Default)]
struct Memory {
    commits: HashMap<ObjectId, Vec<u32>>,
    paths: Vec<String>,
    numbers: HashMap<String, u32>,
    /// The newest commit, and what was made of it.
    last: Option<(ObjectId, Arc<Partners>)>,
}

impl Memory {
    /// The partners of all files at `tip`, by path from the repository's root. What can't be read is left out: the history
    /// of a shallow clone ends somewhere.
    fn partners(&mut self, repository: &gix::Repository, tip: ObjectId) -> Arc<Partners> {
        if let Some((id, partners)) = &self.last
            && *id == tip
        {
            return Arc::clone(partners);
        }
        let (commits, whole) = self.read(repository, tip);
        let touched: Vec<&[u32]> = commits.iter().filter_map(|id| Some(self.commits.get(id)?.as_slice())).collect();
        let pairs = weigh(&touched);
        let partners = Arc::new(self.named(&pairs, &files_at(repository, tip)));
        if whole {
            self.last = Some((tip, Arc::clone(&partners)));
        }
        partners
    }

    /// The last commits, newest first, each read into the memory; and whether there was time for all.
    fn read(&mut self, repository: &gix::Repository, tip: ObjectId) -> (Vec<ObjectId>, bool) {
        let began = Instant::now();
        let mut repository = repository.clone();
        repository.object_cache_size(OBJECT_CACHE_BYTES);
        let sorting = Sorting::ByCommitTime(CommitTimeOrder::NewestFirst);
        let Ok(walk) = repository.rev_walk([tip]).sorting(sorting).all() else { return (Vec::new(), true) };
        let (mut order, mut state) = (Vec::new(), State::default());
        let mut known = HashMap::new();
        for info in walk.take(GIT_HISTORY_COMMITS_MAX as usize).map_while(Result::ok) {
            let id = info.id;
            let touched = match self.commits.remove(&id) {
                Some(touched) => touched,
                None if began.elapsed() > TIME_MAX => {
                    self.commits.extend(known);
                    return (order, false);
                }
                // Merges and first commits.
                None => match info.parent_ids.as_slice() {
                    [parent] => self.numbered(touched(&repository, *parent, id, &mut state).unwrap_or_default()),
                    _ => Vec::new(),
                },
            };
            known.insert(id, touched);
            order.push(id);
        }
        // Commits that are no part of this history any more go.
        self.commits = known;
        (order, true)
    }

    fn numbered(&mut self, paths: Vec<String>) -> Vec<u32> {
        let number = |path: String| {
            *self.numbers.entry(path).or_insert_with_key(|path| {
                self.paths.push(path.clone());
                (self.paths.len() - 1) as u32
            })
        };
        paths.into_iter().map(number).collect()
    }

    /// The nearest partners among the files that there are.
    fn named(&self, pairs: &BTreeMap<u32, Vec<Pair>>, files: &HashSet<String>) -> Partners {
        let path = |number: u32| self.paths.get(number as usize).filter(|path| files.contains(*path));
        let of =
            |pair: &Pair| Some(Partner { path: path(pair.other)?.clone(), weight: pair.weight, commits: pair.shared });
        let mut partners = Partners::default();
        for (number, pairs) in pairs {
            let Some(path) = path(*number) else { continue };
            let mut own: Vec<Partner> = pairs.iter().filter_map(of).collect();
            own.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.path.cmp(&b.path)));
            own.truncate(PARTNERS_MAX);
            partners.by_path.insert(path.clone(), own);
        }
        partners
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Pair {
    other: u32,
    weight: f32,
    shared: u32,
}

/// The partners of each file, from what the commits touched, newest first.
fn weigh(commits: &[&[u32]]) -> BTreeMap<u32, Vec<Pair>> {
    let mut alone: HashMap<u32, f32> = HashMap::new();
    let mut together: HashMap<(u32, u32), (f32, u32)> = HashMap::new();
    for (age, files) in commits.iter().enumerate() {
        let weight = 0.5_f32.powf(age as f32 / HALF_LIFE_COMMITS);
        for (place, file) in files.iter().enumerate() {
            *alone.entry(*file).or_default() += weight;
            for other in &files[place + 1..] {
                let pair = together.entry((*file.min(other), *file.max(other))).or_default();
                *pair = (pair.0 + weight, pair.1 + 1);
            }
        }
    }
    let mut pairs: BTreeMap<u32, Vec<Pair>> = BTreeMap::new();
    for ((a, b), (both, shared)) in together {
        let either = alone.get(&a).copied().unwrap_or_default() + alone.get(&b).copied().unwrap_or_default() - both;
        let weight = (both / either.max(f32::MIN_POSITIVE)).min(1.0);
        if shared >= SHARED_MIN && weight >= WEIGHT_MIN {
            pairs.entry(a).or_default().push(Pair { other: b, weight, shared });
            pairs.entry(b).or_default().push(Pair { other: a, weight, shared });
        }
    }
    pairs
}

/// The files that differ between a commit and its only parent; none if there are too many.
fn touched(repository: &gix::Repository, parent: ObjectId, id: ObjectId, state: &mut State) -> Option<Vec<String>> {
    let tree = |id: ObjectId| repository.find_commit(id).ok()?.tree().ok();
    let (before, after) = (tree(parent)?, tree(id)?);
    let kind = repository.object_hash();
    let mut changes = Changes { recorder: Recorder::default(), files: Vec::new() };
    let (lhs, rhs) = (TreeRefIter::from_bytes(&before.data, kind), TreeRefIter::from_bytes(&after.data, kind));
    // It ends early where the limit is passed; what failed has no files.
    let whole = gix::diff::tree(lhs, rhs, state, &repository.objects, &mut changes).is_ok();
    whole.then_some(changes.files)
}

/// The paths of all files of a commit.
fn files_at(repository: &gix::Repository, tip: ObjectId) -> HashSet<String> {
    let entries = repository
        .find_commit(tip)
        .and_then(|commit| commit.tree())
        .and_then(|tree| tree.traverse().breadthfirst.files());
    let files = entries.unwrap_or_default().into_iter().filter(|entry| entry.mode.is_no_tree());
    files.map(|entry| entry.filepath.to_string()).collect()
}

/// Collects changed files with their paths, up to the limit.
struct Changes {
    recorder: Recorder,
    files: Vec<String>,
}

impl Visit for Changes {
    fn pop_front_tracked_path_and_set_current(&mut self) {
        self.recorder.pop_front_tracked_path_and_set_current();
    }

    fn push_back_tracked_path_component(&mut self, component: &BStr) {
        self.recorder.push_back_tracked_path_component(component);
    }

    fn push_path_component(&mut self, component: &BStr) {
        self.recorder.push_path_component(component);
    }

    fn pop_path_component(&mut self) {
        self.recorder.pop_path_component();
    }

    fn visit(&mut self, change: visit::Change) -> visit::Action {
        if change.entry_mode().is_no_tree() {
            if self.files.len() == FILES_MAX {
                return std::ops::ControlFlow::Break(());
            }
            self.files.push(self.recorder.path().to_string());
        }
        std::ops::ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partners_share_commits_and_newer_ones_count_more() {
        let commits: Vec<&[u32]> = vec![&[1, 2], &[1, 2, 3], &[1, 2], &[3, 4], &[4], &[1, 5]];
        let pairs = weigh(&commits);
        let one = pairs[&1].iter().find(|pair| pair.other == 2).unwrap();
        assert_eq!(one.shared, 3);
        assert!((one.weight - 0.75).abs() < 0.01, "three of four commits: {one:?}");
        assert!(!pairs.contains_key(&5), "once may be an accident");
        assert!(!pairs.contains_key(&4));
        let old: Vec<&[u32]> = [&[1_u32, 2][..], &[1, 2]]
            .into_iter()
            .chain(vec![&[9][..]; 900])
            .chain([&[1][..], &[2], &[1], &[2]])
            .collect();
        let recent = weigh(&old)[&1][0].weight;
        assert!(recent > 0.5, "what drifted apart long ago counts less than what stands together now: {recent}");
    }
}
