//! The process door: arguments, environment, standard streams, the wall clock, chance, signals.
//!
//! Lives here: everything that muster asks of its process. Does not: files (`files`) or the wire (`client`).
#![expect(clippy::disallowed_methods, reason = "this is the door through which they enter")]

mod telling;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// The arguments, the program's name first.
pub fn arguments() -> Vec<std::ffi::OsString> {
    std::env::args_os().collect()
}

/// The value of an environment variable, if it is set and is UTF-8.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The wall clock. Its differences are never taken.
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// The wall clock as it was when this was started, and what has passed since by the monotonic clock: whoever sets the clock
/// meanwhile moves nothing. Time in which the whole machine sleeps does not pass.
pub struct Clock {
    began: jiff::Timestamp,
    since: Instant,
}

impl Clock {
    /// Reads the wall clock, for the last time.
    pub fn start() -> Self {
        Self { began: now(), since: Instant::now() }
    }

    /// What it shows now.
    pub fn now(&self) -> jiff::Timestamp {
        self.began + self.since.elapsed()
    }
}

/// A number that nobody can foresee.
pub fn random_seed() -> u64 {
    rand::random()
}

/// Writes to standard output, after everything that was told, and waits until it is written. Whoever listens to signals waits for
/// a reader who takes nothing for a minute at most, or, once there was one, for three seconds; everybody else as long as it
/// takes, for a signal ends them. What is not written is remembered (`lost_output`).
pub fn print(text: &str) {
    end_telling();
    let printer = PRINTER.get_or_init(|| telling::Teller::onto(std::io::stdout()));
    printer.tell(text);
    printer.wait(|| match SIGNALS_HEARD.get().map(|heard| heard.load(Ordering::Relaxed)) {
        None => Duration::MAX,
        Some(0) => READ_WITHIN_AT_REST,
        Some(_) => READ_WITHIN,
    });
}

/// Why something that was printed could not be written, such as on a full disk; `None` if all of it was, or whoever read it has
/// gone away.
pub fn lost_output() -> Option<String> {
    PRINTER.get()?.lost()
}

/// Writes to standard error, from a thread of its own: whoever opened a pipe there and does not read it keeps nobody waiting. A
/// reader that has gone away is no error.
pub fn tell(text: &str) {
    TELLER.get_or_init(|| telling::Teller::onto(std::io::stderr())).tell(text);
}

/// The same, and waits until it is written: what is drawn around it must not overtake it.
pub fn tell_at_once(text: &str) {
    tell(text);
    end_telling();
}

/// Waits until everything that was told is written, or nobody seems to read it.
pub fn end_telling() {
    TELLER.get().into_iter().for_each(|teller| teller.wait(|| READ_WITHIN));
}

/// Whoever reads takes something within this time, or is taken for one who does not read.
const READ_WITHIN: Duration = Duration::from_secs(3);
/// The same for who reads what was printed, in a pager say, as long as nobody wants an end.
const READ_WITHIN_AT_REST: Duration = Duration::from_secs(60);

static TELLER: OnceLock<telling::Teller> = OnceLock::new();
static PRINTER: OnceLock<telling::Teller> = OnceLock::new();

/// Whether someone watches standard error.
pub fn is_watched() -> bool {
    std::io::stderr().is_terminal() && variable("CI").is_none()
}

/// Whether standard output wants colours: `NO_COLOR`, then `CLICOLOR_FORCE`, then whether it is a terminal.
pub fn wants_colors() -> bool {
    colors(&variable, std::io::stdout().is_terminal())
}

/// The rules of no-color.org and bixense.com/clicolors: a variable counts if it is not empty.
fn colors(variable: &dyn Fn(&str) -> Option<String>, is_terminal: bool) -> bool {
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    let is_capable = is_terminal && variable("TERM").as_deref() != Some("dumb");
    !is_set("NO_COLOR")
        && (is_set("CLICOLOR_FORCE") && variable("CLICOLOR_FORCE").as_deref() != Some("0") || is_capable)
}

/// Where state is kept unless something else is asked for: the XDG rule, and `.muster` here where there is no home.
pub fn state_folder() -> PathBuf {
    state_folder_of(&variable)
}

/// A relative `XDG_STATE_HOME` is ignored, as the XDG specification asks.
fn state_folder_of(variable: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    let base = absolute("XDG_STATE_HOME").or_else(home);
    base.map_or_else(|| PathBuf::from(".muster"), |base| base.join("muster"))
}

/// Asks whoever sits at the terminal, on standard error, and gives the line they typed without its ends; `None` if nobody
/// sits there.
pub fn ask(question: &str) -> Option<String> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return None;
    }
    tell(question);
    end_telling();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}

/// Lets panics pass without their text: it may hold a value. Where it happened is told.
pub fn quiet_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string).unwrap_or_default();
        tell(&format!("muster panicked at {at}: this is a defect of muster\n"));
        end_telling();
    }));
}

/// Signals that tell muster to stop, each step up in the words of the caller.
pub struct Signals<L> {
    levels: watch::Receiver<L>,
    first: watch::Receiver<Option<u8>>,
}

impl<L: Copy> Signals<L> {
    /// How urgently it was told to stop, now and later.
    pub fn levels(&self) -> watch::Receiver<L> {
        self.levels.clone()
    }

    /// The number of the first signal, now and later; it is there before the first step up.
    pub fn first(&self) -> watch::Receiver<Option<u8>> {
        self.first.clone()
    }
}

/// SIGXFSZ, on Linux and macOS.
const FILE_SIZE_EXCEEDED: i32 = 25;

/// How many signals were heard, once somebody listens.
static SIGNALS_HEARD: OnceLock<AtomicU64> = OnceLock::new();

/// From now on a file that would become larger than this process may write (`ulimit -f`) is told by an error, instead of ending the
/// process.
///
/// # Errors
/// If the system refuses.
///
/// # Panics
/// If not even six more files may be open.
pub fn hear_of_full_files() -> std::io::Result<()> {
    let runtime = runtime_of_signals()?;
    let _entered = runtime.enter();
    // Whoever has listened once is not ended by it any more.
    signal(SignalKind::from_raw(FILE_SIZE_EXCEEDED)).map(drop)
}

fn runtime_of_signals() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_io().build()
}

/// Listens to SIGINT, SIGTERM and SIGHUP from when this returns, whatever the caller does. `calm` holds until the first; each signal
/// takes the next of `steps`, whose text is told; further ones repeat the last. Signals within the same instant may count as one.
///
/// # Errors
/// If the system refuses.
pub fn signals<L: Copy + Send + Sync + 'static>(
    calm: L,
    steps: [(L, &'static str); 3],
) -> std::io::Result<Signals<L>> {
    let runtime = runtime_of_signals()?;
    let entered = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    drop(entered);
    let heard = SIGNALS_HEARD.get_or_init(AtomicU64::default);
    let (tell_level, levels) = watch::channel(calm);
    let (tell_first, first) = watch::channel(None);
    let listening = async move {
        for count in 0_usize.. {
            let number = tokio::select! {
                _ = interrupt.recv() => 2,
                _ = terminate.recv() => 15,
                _ = hang_up.recv() => 1,
            };
            let (level, said) = steps[count.min(steps.len() - 1)];
            tell(said);
            heard.fetch_add(1, Ordering::Relaxed);
            tell_first.send_if_modified(|first| first.replace(first.unwrap_or(number)).is_none());
            tell_level.send_replace(level);
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(move || runtime.block_on(listening))?;
    Ok(Signals { levels, first })
}

/// How often a watchdog looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often a runtime that turns shows it.
const TURN_EVERY: Duration = Duration::from_millis(200);

/// A watchdog; it watches until it is dropped.
pub struct Watchdog {
    _turns: Arc<AtomicU64>,
}

/// Tells `said` and ends the process with `code` if the runtime in which this is called has not turned for `within`: a step
/// that never yields would otherwise keep the process for good, and deaf to signals. Time in which the whole process was
/// stopped does not count; time in which nobody drives the runtime does.
pub fn end_if_stuck(within: Duration, code: u8, said: &'static str) -> Watchdog {
    let turns = Arc::new(AtomicU64::new(0));
    let (seen, turning) = (Arc::downgrade(&turns), Arc::downgrade(&turns));
    tokio::spawn(async move {
        while let Some(turns) = turning.upgrade() {
            turns.fetch_add(1, Ordering::Relaxed);
            drop(turns);
            tokio::time::sleep(TURN_EVERY).await;
        }
    });
    std::thread::spawn(move || {
        let mut still = Still::default();
        while let Some(turns) = seen.upgrade() {
            if still.looks(turns.load(Ordering::Relaxed)) >= within {
                tell(said);
                end_telling();
                leave(code);
            }
            drop(turns);
            std::thread::sleep(LOOK_EVERY);
        }
    });
    Watchdog { _turns: turns }
}

#[expect(
    clippy::exit,
    reason = "an engine that is stuck cannot end in its own way, and SIGQUIT wants no tidying up"
)]
fn leave(code: u8) -> ! {
    std::process::exit(code.into())
}

/// For how many looks in a row a count has stood still.
#[derive(Default)]
struct Still {
    last: Option<u64>,
    looks: u32,
}

impl Still {
    /// Looks once more. How long it has stood still by now, counted in looks: whoever is stopped does not look.
    fn looks(&mut self, count: u64) -> Duration {
        self.looks = if self.last == Some(count) { self.looks + 1 } else { 0 };
        self.last = Some(count);
        LOOK_EVERY * self.looks
    }
}

/// Ends the process at once when it gets SIGQUIT, as a Go program does: also as the first process of a container, which
/// the system spares what it does not listen to. Must be called within a runtime.
///
/// # Errors
/// If the system refuses.
pub fn quit_at_once() -> std::io::Result<()> {
    let mut quit = signal(SignalKind::quit())?;
    tokio::spawn(async move {
        if quit.recv().await.is_some() {
            leave(2);
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        move |name| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    #[test]
    fn colours_are_for_terminals_unless_the_environment_says_otherwise() {
        assert!(colors(&given(&[]), true));
        assert!(!colors(&given(&[]), false));
        assert!(!colors(&given(&[("TERM", "dumb")]), true));
        assert!(!colors(&given(&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")]), true));
        assert!(colors(&given(&[("NO_COLOR", "")]), true));
        assert!(colors(&given(&[("CLICOLOR_FORCE", "1")]), false));
        assert!(!colors(&given(&[("CLICOLOR_FORCE", "0")]), false));
    }

    #[test]
    fn state_goes_where_the_xdg_rule_says() {
        let of = |pairs| state_folder_of(&given(pairs)).display().to_string();
        assert_eq!(of(&[("XDG_STATE_HOME", "/var/state"), ("HOME", "/home/ann")]), "/var/state/muster");
        assert_eq!(
            of(&[("XDG_STATE_HOME", "state"), ("HOME", "/home/ann")]),
            "/home/ann/.local/state/muster"
        );
        assert_eq!(of(&[("XDG_STATE_HOME", "")]), ".muster");
    }

    #[test]
    fn an_engine_is_stuck_only_if_look_after_look_it_has_not_turned() {
        let mut still = Still::default();
        let looks: Vec<u64> =
            [1, 1, 1, 2, 2, 3].into_iter().map(|count| still.looks(count).as_secs()).collect();
        assert_eq!(looks, [0, 1, 2, 0, 1, 0]);
    }

    #[test]
    fn a_clock_that_was_started_is_not_moved_by_whoever_sets_the_other() {
        let clock = Clock { began: jiff::Timestamp::UNIX_EPOCH, since: Instant::now() };
        let (first, second) = (clock.now(), clock.now());
        assert!(jiff::Timestamp::UNIX_EPOCH <= first && first <= second);
        assert!(second < now() - jiff::SignedDuration::from_hours(24), "it asks the wall clock");
    }

    #[test]
    fn seeds_differ() {
        let seeds: std::collections::BTreeSet<u64> = (0..8).map(|_| random_seed()).collect();
        assert!(seeds.len() > 1);
    }
}
