//! Standard error and standard output, each written from a thread of its own.
//!
//! Lives here: what is told and not yet written, how long it is waited for, and why some of it was lost. Does not: what is told.

use std::io::{ErrorKind, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How often whoever waits looks whether they still should.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// So many bytes are written at once: each shows that somebody reads.
const PIECE_BYTES: usize = 4 << 10;

/// Writes what it is told.
pub(super) struct Teller {
    pieces: Mutex<Sender<Vec<u8>>>,
    unwritten: Arc<Unwritten>,
    is_in_vain: AtomicBool,
}

/// How many pieces are not written yet, and why one could not be.
#[derive(Default)]
struct Unwritten {
    count: Mutex<usize>,
    fell: Condvar,
    trouble: OnceLock<std::io::Error>,
}

impl Teller {
    /// Starts the thread.
    pub(super) fn onto(out: impl Write + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        let unwritten = Arc::<Unwritten>::default();
        let counted = unwritten.clone();
        std::thread::spawn(move || write_all(&receiver, out, &counted));
        Self { pieces: Mutex::new(sender), unwritten, is_in_vain: AtomicBool::new(false) }
    }

    /// Takes a text to be written.
    pub(super) fn tell(&self, text: &str) {
        let pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in text.as_bytes().chunks(PIECE_BYTES) {
            self.unwritten.change(|count| count + 1);
            if pieces.send(piece.to_owned()).is_err() {
                self.unwritten.change(|count| count - 1);
            }
        }
    }

    /// Waits until all is written. Whoever takes nothing for as long as `patience` says, at any moment, does not read: they are not
    /// waited for again until they have read everything.
    pub(super) fn wait(&self, patience: impl Fn() -> Duration) {
        let is_in_vain = self.is_in_vain.load(Ordering::Relaxed);
        let patience = || if is_in_vain { Duration::ZERO } else { patience() };
        self.is_in_vain.store(!self.unwritten.falls_to_nothing(patience), Ordering::Relaxed);
    }

    /// Why not all was written that was waited for; `None` if it was, or if whoever read has gone away.
    pub(super) fn lost(&self) -> Option<String> {
        let in_vain = || self.is_in_vain.load(Ordering::Relaxed).then(|| "nobody reads it".to_owned());
        self.unwritten.trouble.get().map(ToString::to_string).or_else(in_vain)
    }
}

impl Unwritten {
    fn change(&self, by: impl Fn(usize) -> usize) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = by(*count);
        self.fell.notify_all();
    }

    /// Whether nothing is left in the end; not if for so long it did not become less.
    fn falls_to_nothing(&self, patience: impl Fn() -> Duration) -> bool {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut least, mut since) = (*count, Instant::now());
        while *count > 0 && since.elapsed() < patience() {
            count = self.fell.wait_timeout(count, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
            if *count < least {
                (least, since) = (*count, Instant::now());
            }
        }
        *count == 0
    }
}

fn write_all(pieces: &Receiver<Vec<u8>>, mut out: impl Write, unwritten: &Unwritten) {
    for piece in pieces {
        let written = out.write_all(&piece).and_then(|()| out.flush());
        if let Some(why) = written.err().filter(|why| why.kind() != ErrorKind::BrokenPipe) {
            unwritten.trouble.get_or_init(|| why);
        }
        unwritten.change(|count| count - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever reads this is late, or never comes.
    struct Pipe(Arc<Mutex<Vec<u8>>>, Option<Receiver<()>>);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.iter().for_each(|never| never.recv().unwrap_or_default());
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    const LONG: fn() -> Duration = || Duration::from_secs(600);

    #[test]
    fn what_was_told_is_written_in_its_order_before_the_wait_ends() {
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let teller = Teller::onto(Pipe(seen.clone(), None));
        let text = |number: usize| format!("{number} ").repeat(number * 50);
        (0..100).for_each(|number| teller.tell(&text(number)));
        teller.wait(LONG);
        let wanted: String = (0..100).map(text).collect();
        assert_eq!(String::from_utf8(seen.lock().unwrap().clone()).unwrap(), wanted);
        assert_eq!(teller.lost(), None);
    }

    #[test]
    fn whoever_does_not_read_is_waited_for_once_and_what_they_do_not_take_is_lost() {
        let (kept, never) = channel();
        let teller = Teller::onto(Pipe(Arc::default(), Some(never)));
        teller.tell("nobody reads this");
        teller.wait(|| Duration::from_millis(1));
        assert_eq!(teller.lost().as_deref(), Some("nobody reads it"));
        teller.tell("nor this");
        teller.wait(LONG);
        assert_eq!(teller.lost().as_deref(), Some("nobody reads it"));
        drop(kept);
        let unwritten = &teller.unwritten;
        assert!(unwritten.falls_to_nothing(LONG), "it is written once somebody reads");
        teller.wait(LONG);
        assert_eq!(teller.lost(), None);
    }

    #[test]
    fn whoever_reads_slowly_is_waited_for_as_long_as_they_read() {
        let (reads, late) = channel();
        let teller = Teller::onto(Pipe(Arc::default(), Some(late)));
        teller.tell(&"x".repeat(5 * PIECE_BYTES));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..5 {
                    std::thread::sleep(LOOK_EVERY);
                    reads.send(()).unwrap();
                }
            });
            teller.wait(LONG);
        });
        assert_eq!(teller.lost(), None);
    }

    /// A disk that is full, and a reader that has gone away.
    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_cannot_be_written_is_lost_unless_whoever_read_has_gone_away() {
        for (kind, lost) in
            [(ErrorKind::StorageFull, Some("no storage space")), (ErrorKind::BrokenPipe, None)]
        {
            let teller = Teller::onto(Refusing(kind));
            teller.tell("text");
            teller.wait(LONG);
            assert_eq!(teller.lost().as_deref(), lost);
        }
    }
}
