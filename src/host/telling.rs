//! Standard error, written from a thread of its own.
//!
//! Lives here: what is told and not yet written, and how long it is waited for. Does not: what is told.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Whoever reads takes what was told within this time, or is taken for one who does not read.
const READ_WITHIN: Duration = Duration::from_secs(3);

/// Writes what it is told.
pub(super) struct Teller {
    texts: Mutex<Sender<String>>,
    unwritten: Arc<Unwritten>,
    is_in_vain: AtomicBool,
}

/// How many texts are not written yet.
#[derive(Default)]
struct Unwritten {
    count: Mutex<usize>,
    fell: Condvar,
}

impl Teller {
    /// Starts the thread.
    pub(super) fn start() -> Self {
        Self::onto(std::io::stderr())
    }

    fn onto(out: impl Write + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        let unwritten = Arc::<Unwritten>::default();
        let counted = unwritten.clone();
        std::thread::spawn(move || write_all(&receiver, out, &counted));
        Self { texts: Mutex::new(sender), unwritten, is_in_vain: AtomicBool::new(false) }
    }

    /// Takes a text to be written.
    pub(super) fn tell(&self, text: &str) {
        let texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        self.unwritten.change(|count| count + 1);
        if texts.send(text.to_owned()).is_err() {
            self.unwritten.change(|count| count - 1);
        }
    }

    /// Waits until all is written. Whoever was waited for in vain is not waited for again until they have read everything.
    pub(super) fn wait(&self) {
        self.is_in_vain.store(!self.unwritten.is_nothing_within(self.patience()), Ordering::Relaxed);
    }

    fn patience(&self) -> Duration {
        if self.is_in_vain.load(Ordering::Relaxed) { Duration::ZERO } else { READ_WITHIN }
    }
}

impl Unwritten {
    fn change(&self, by: impl Fn(usize) -> usize) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        *count = by(*count);
        self.fell.notify_all();
    }

    fn is_nothing_within(&self, within: Duration) -> bool {
        let count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.fell.wait_timeout_while(count, within, |count| *count > 0);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

fn write_all(texts: &Receiver<String>, mut out: impl Write, unwritten: &Unwritten) {
    for text in texts {
        out.write_all(text.as_bytes()).ok();
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

    #[test]
    fn what_was_told_is_written_in_its_order_before_the_wait_ends() {
        let seen = Arc::<Mutex<Vec<u8>>>::default();
        let teller = Teller::onto(Pipe(seen.clone(), None));
        (0..100).for_each(|number| teller.tell(&format!("{number} ")));
        teller.wait();
        let wanted: String = (0..100).map(|number| format!("{number} ")).collect();
        assert_eq!(String::from_utf8(seen.lock().unwrap().clone()).unwrap(), wanted);
    }

    #[test]
    fn whoever_does_not_read_is_waited_for_once() {
        let (kept, never) = channel();
        let teller = Teller::onto(Pipe(Arc::default(), Some(never)));
        teller.tell("nobody reads this");
        teller.wait();
        assert!(teller.is_in_vain.load(Ordering::Relaxed) && teller.patience().is_zero());
        teller.tell("nor this");
        teller.wait();
        drop(kept);
    }
}
