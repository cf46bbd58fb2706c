//! The files of a folder as trees.
//!
//! Lives here: reading them beside each other, one thread for each core, since nothing takes longer before a run begins. Does
//! not: what the trees mean (`parse`).

use crate::source::{Node, Problem, Source, tree};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A file, and the tree in it or what is wrong with it.
pub(super) struct Parsed<'a> {
    pub(super) source: &'a Source,
    pub(super) tree: Result<Node, Problem>,
}

/// Every file's tree, in the order of the files.
pub(super) fn parsed(sources: &[Source]) -> Vec<Parsed<'_>> {
    let next = AtomicUsize::new(0);
    let read = || {
        let places = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        let mine = places.map_while(|place| Some((place, sources.get(place)?)));
        mine.map(|(place, source)| (place, Parsed { source, tree: tree(&source.text) })).collect::<Vec<_>>()
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(sources.len());
    let mut files = std::thread::scope(|scope| {
        // Where no thread can be had, fewer read.
        let reader = |_| std::thread::Builder::new().spawn_scoped(scope, read).ok();
        let readers: Vec<_> = (1..threads).filter_map(reader).collect();
        let mut files = read();
        for reader in readers {
            files.extend(reader.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        files
    });
    files.sort_by_key(|(place, _)| *place);
    files.into_iter().map(|(_, file)| file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_stay_in_their_order_and_what_is_wrong_with_one_harms_no_other() {
        let text = |number: usize| if number == 7 { "a: [".to_owned() } else { format!("number: {number}") };
        let sources: Vec<_> = (0..200).map(|number| Source::new(number.to_string(), text(number))).collect();
        let files = parsed(&sources);
        let names: Vec<_> = files.iter().map(|file| file.source.name.as_ref()).collect();
        assert_eq!(names, sources.iter().map(|source| source.name.as_ref()).collect::<Vec<&str>>());
        let wrong: Vec<_> =
            files.iter().filter(|file| file.tree.is_err()).map(|file| file.source.name.as_ref()).collect();
        assert_eq!(wrong, ["7"]);
    }
}
