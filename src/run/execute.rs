//! Running a plan: many cases at once, then those that are given the same, then those that run alone, then those that
//! break something.

use super::sign_in::{Accounts, RUN_CASE, renew_operator, sign_in_operator};
use super::stall::{OF_A_CASE, excused, watched};
use super::stop::{Level, Stop};
use super::{Lane, PATIENCE, Plan, Planned, Unrun, put_back};
use crate::outcome::{CaseEnd, Ending, Event, Failure, RunEnd, RunStart, Verdict};
use crate::secret::Masked;
use crate::step::{Scene, Stage};
use futures_util::{FutureExt, StreamExt, TryFutureExt};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tokio::time::Instant;

/// The failure of a case in which no step has asked the target anything: it proves nothing.
pub const ASKED_NOTHING: &str = "case.asked-nothing";

/// How a plan is run.
pub struct Settings {
    /// How many cases run beside each other; at least 1.
    pub jobs: usize,
    /// The longest the run may take.
    pub timeout: Option<Duration>,
    /// Whether the first failure stops the run.
    pub fail_fast: bool,
    /// How long the target was waited for in vain, if so: nothing is run then.
    pub waited_in_vain: Option<Duration>,
    /// Hears when to stop.
    pub stop: Stop,
    /// The version of muster, for the record.
    pub version: String,
}

/// Why nothing more is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Halt {
    FirstFailure,
    Timeout,
    NoTarget(Duration),
}

struct Running<'a> {
    scene: &'a Scene<'a>,
    accounts: &'a Accounts,
    settings: &'a Settings,
    started: Instant,
    halted: Cell<Option<Halt>>,
    has_panicked: Cell<bool>,
    start: RunStart,
}

/// Runs a plan and tells every event. What it changed is put back before it returns, unless it is told to leave.
pub async fn execute(plan: &Plan<'_>, scene: &Scene<'_>, accounts: &Accounts, settings: &Settings) {
    let running = Running {
        scene,
        accounts,
        settings,
        started: Instant::now(),
        halted: Cell::new(settings.waited_in_vain.map(Halt::NoTarget)),
        has_panicked: Cell::new(false),
        start: start(plan, scene, settings),
    };
    (scene.events)(Event::RunStarted(Box::new(running.start.clone())));
    if running.is_going_on() && plan.cases.iter().any(|planned| planned.unrun.is_none()) {
        running.unless_stopped(sign_in_operator(scene)).await;
    }
    let (shared, rest) = plan.cases.split_at(plan.cases.partition_point(|it| it.lane == Lane::Shared));
    let (given, alone) = rest.split_at(rest.partition_point(|it| it.lane == Lane::Given));
    running.together(shared, &[]).await;
    for group in given.chunk_by(|one, other| one.given() == other.given()) {
        running.given(group).await;
    }
    for planned in alone {
        running.case(planned, &[]).await;
    }
    running.put_back(RUN_CASE).await;
    (scene.events)(Event::RunEnded(running.end()));
}

/// What is known of a run before anything is sent.
fn start(plan: &Plan<'_>, scene: &Scene<'_>, settings: &Settings) -> RunStart {
    RunStart {
        run: scene.run.into(),
        seed: scene.seed,
        target: scene.target.name().into(),
        muster: settings.version.clone(),
        started: (scene.now)().to_string(),
        cases: plan.cases.iter().map(Planned::described).collect(),
        known_failures: plan.known_failures.clone(),
        disruptive_left_out: plan.disruptive_left_out,
    }
}

impl Running<'_> {
    fn end(&self) -> RunEnd {
        let mut endings = BTreeSet::new();
        if self.has_panicked.get() {
            endings.insert(Ending::Panicked);
        }
        endings.extend(self.settings.stop.signal().map(Ending::of_signal));
        let stopped_by = match self.halted.get() {
            Some(Halt::Timeout) => Some(Masked::fixed("the run's time was up")),
            Some(Halt::FirstFailure) => Some(Masked::fixed("a case failed, and --fail-fast was given")),
            Some(Halt::NoTarget(within)) => {
                let why = format!("target.down: the target's API did not answer within {within:?}");
                Some(self.scene.mask.mask(&why))
            }
            None if self.settings.stop.level() > Level::GoOn => Some(Masked::fixed("a signal")),
            None => None,
        };
        RunEnd { took_us: micros(self.started.elapsed()), endings, stopped_by }
    }

    /// Whether anything more may be started.
    fn is_going_on(&self) -> bool {
        let is_over = self.settings.timeout.is_some_and(|most| self.started.elapsed() >= most);
        if is_over && self.halted.get().is_none() {
            self.halted.set(Some(Halt::Timeout));
        }
        self.settings.stop.level() == Level::GoOn && self.halted.get().is_none()
    }

    /// Runs cases beside each other. What they lack is why none of them can be run.
    async fn together(&self, cases: &[Planned<'_>], lacks: &[Failure]) {
        futures_util::stream::iter(cases)
            .map(|planned| self.case(planned, lacks))
            .buffer_unordered(self.settings.jobs.max(1))
            .collect::<()>()
            .await;
    }

    /// Runs the flow that these cases are given, then the cases, and puts back what the flow changed.
    async fn given(&self, cases: &[Planned<'_>]) {
        let runs = cases.iter().find(|planned| planned.unrun.is_none()).filter(|_| self.is_going_on());
        let Some((first, flow)) = runs.and_then(|first| Some((first, first.case.given.as_ref()?))) else {
            return self.together(cases, &[]).await;
        };
        let own = format!("(given {})", flow.value);
        let limit = cases.iter().map(|planned| planned.case.limit).max().unwrap_or_default();
        self.unless_stopped(renew_operator(self.scene, limit)).await;
        let mut stage = Stage::new(self.scene, &own, &first.case.source.name);
        stage.enter_given(flow);
        let run = stage.run_flow(&flow.value, serde_json::Map::new()).map_ok(drop);
        let made = self.bounded(limit, run).await;
        let made = self.judged(made, &mut stage, |stage| stage.enter_given(flow));
        self.together(cases, &made.failures).await;
        self.put_back(&own).await;
        self.scene.keys.release(&own);
    }

    async fn case(&self, planned: &Planned<'_>, lacks: &[Failure]) {
        if !self.is_going_on() {
            return;
        }
        (self.scene.events)(Event::CaseStarted { case: planned.name.clone() });
        let started = Instant::now();
        let mut stage = Stage::new(self.scene, &planned.name, &planned.case.source.name);
        let ended = match &planned.unrun {
            Some(unrun) => Ended::unrun(unrun, planned, &stage),
            None if !lacks.is_empty() => Ended::of(lacks.to_vec()),
            None => {
                let done = self.bounded(planned.case.limit, self.acts(planned, &mut stage)).await;
                self.judged(done, &mut stage, |stage| stage.enter_case(planned.case.place()))
            }
        };
        self.put_back(&planned.name).await;
        self.scene.keys.release(&planned.name);
        let Some(ended) = ended.told() else { return };
        let end = CaseEnd {
            case: planned.name.clone(),
            verdict: ended.verdict,
            took_us: micros(started.elapsed()),
            failures: ended.failures,
            skipped: ended.skipped,
            retried: std::mem::take(&mut stage.retried),
        };
        self.stop_at_a_failure(&end);
        (self.scene.events)(Event::CaseEnded(Box::new(end)));
    }

    /// The first failure that is not known stops the run, if that is wanted.
    fn stop_at_a_failure(&self, end: &CaseEnd) {
        let is_first = self.settings.fail_fast && self.halted.get().is_none();
        if is_first && end.verdict == Verdict::Fail && self.start.forgives(end).is_none() {
            self.halted.set(Some(Halt::FirstFailure));
        }
    }

    /// Does what comes before any case, until its end, the run's, or the first signal: it has no verdict that is worth waiting for.
    async fn unless_stopped(&self, work: impl Future<Output = ()>) {
        let left =
            self.settings.timeout.map_or(Duration::MAX, |most| most.saturating_sub(self.started.elapsed()));
        tokio::select! {
            biased;
            () = self.settings.stop.until(Level::Undo) => {}
            _ = tokio::time::timeout(left, work) => {}
        }
    }

    /// Does something until its end, its limit, the run's, or a signal.
    async fn bounded(&self, limit: Duration, work: impl Future<Output = Acted>) -> Done {
        let left = self.settings.timeout.map_or(limit, |most| most.saturating_sub(self.started.elapsed()));
        let work = AssertUnwindSafe(work).catch_unwind();
        let (done, stood_still) = tokio::select! {
            biased;
            () = self.settings.stop.until(Level::DropSteps) => return Done::GivenUp,
            done = watched(OF_A_CASE, tokio::time::timeout(limit.min(left), work)) => done,
        };
        match done {
            Ok(Ok(Err(failures))) if stood_still => Done::Whole(Err(excused(failures, self.scene.mask))),
            Ok(Ok(acted)) => Done::Whole(acted),
            Ok(Err(_)) => Done::Panicked,
            Err(_) if left < limit => Done::OutOfTime,
            Err(_) => Done::TooLong(limit),
        }
    }

    /// What is said of it; what it could not judge itself belongs to where `enter` leads.
    fn judged(&self, done: Done, stage: &mut Stage<'_>, enter: impl Fn(&mut Stage<'_>)) -> Ended {
        match done {
            Done::Whole(Ok(())) => Ended::passed(),
            Done::Whole(Err(failures)) => Ended::of(failures),
            Done::GivenUp => Ended::given_up(),
            Done::OutOfTime => {
                self.halted.set(Some(Halt::Timeout));
                Ended::given_up()
            }
            Done::Panicked => {
                self.has_panicked.set(true);
                enter(stage);
                Ended::of(vec![stage.doubt("muster.panic", "muster itself panicked in this case")])
            }
            Done::TooLong(limit) => {
                enter(stage);
                let text = format!("the case took longer than its limit of {limit:.0?}");
                Ended::of(vec![stage.doubt("case.limit", &text)])
            }
        }
    }

    async fn acts(&self, planned: &Planned<'_>, stage: &mut Stage<'_>) -> Acted {
        if let Some((variable, value)) = &planned.member {
            stage.names.insert(variable.clone(), value.clone());
        }
        self.renew(planned, stage).await?;
        for (name, identity) in &planned.case.identities {
            self.accounts.add(stage, name, identity).await?;
        }
        stage.take_asked();
        for step in &planned.case.steps {
            self.renew(planned, stage).await?;
            step.perform(stage).await?;
        }
        if stage.take_asked() == 0 {
            stage.enter_case(planned.case.place());
            return Err(vec![stage.doubt(ASKED_NOTHING, "no step has asked the target anything")]);
        }
        Ok(())
    }

    /// Whoever's token would not outlive the case is signed in anew before a step uses it.
    async fn renew(&self, planned: &Planned<'_>, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let enough = planned.case.limit;
        renew_operator(self.scene, enough).await;
        stage.take_operator();
        for (name, identity) in &planned.case.identities {
            self.accounts.renew(stage, name, identity, enough).await?;
        }
        Ok(())
    }

    /// Puts everything back that a case changed, and tells what stays.
    async fn put_back(&self, case: &str) {
        let changes = self.scene.journal.open_of(case);
        // In a box: most cases have nothing to put back, and every case would be as large as this.
        for leftover in
            Box::pin(put_back(self.scene, &changes, &self.settings.stop, (PATIENCE, &RefCell::default())))
                .await
        {
            (self.scene.events)(Event::Leftover {
                case: case.into(),
                what: self.scene.mask.mask(&leftover.change.to_string()),
                why: self.scene.mask.mask(&leftover.why),
            });
        }
    }
}

/// What steps come to.
type Acted = Result<(), Vec<Failure>>;

/// How steps came to their end.
enum Done {
    /// All were run, or one did not pass.
    Whole(Acted),
    /// Muster itself panicked.
    Panicked,
    /// The run's time was up.
    OutOfTime,
    /// They had a limit of their own.
    TooLong(Duration),
    /// A signal said so.
    GivenUp,
}

/// How a case ended.
struct Ended {
    verdict: Verdict,
    failures: Vec<Failure>,
    skipped: Option<Masked>,
    /// Whether it was run to its end; otherwise it is *not run*.
    is_whole: bool,
}

impl Ended {
    fn passed() -> Self {
        Self { verdict: Verdict::Pass, failures: vec![], skipped: None, is_whole: true }
    }

    fn of(failures: Vec<Failure>) -> Self {
        let verdict = Verdict::of(failures.iter().map(|failure| failure.verdict));
        Self { verdict, failures, skipped: None, is_whole: true }
    }

    fn given_up() -> Self {
        Self { verdict: Verdict::Inconclusive, failures: vec![], skipped: None, is_whole: false }
    }

    fn unrun(unrun: &Unrun, planned: &Planned<'_>, stage: &Stage<'_>) -> Self {
        match unrun {
            Unrun::Declared(why) => Self {
                verdict: Verdict::Skip,
                failures: vec![],
                skipped: Some(stage.scene.mask.mask(why)),
                is_whole: true,
            },
            Unrun::Undeclared(why) => {
                let mut failure = stage.doubt("need.undeclared", why);
                failure.step = planned.case.id.value.clone();
                Self::of(vec![failure])
            }
        }
    }

    fn told(self) -> Option<Self> {
        self.is_whole.then_some(self)
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
