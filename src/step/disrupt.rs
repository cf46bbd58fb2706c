//! `disrupt`: a fault under probes: steady before → inject → observe → recovered.
//!
//! Lives here: the syntax and the course of a disruption, and its verdict. Does not: watching it (`watching`), the
//! guards and the victim (`fault`), the beat (`probe`), what samples mean (`judge`).

use super::Expect;
use super::Template;
use super::chosen::Chosen;
use super::guarding::guarded;
use super::laps::Laps;
use super::leased::Leased;
use super::look::Look;
use super::member::Member;
use super::probing;
use super::redeploying;
use super::request::with_request;
use super::stage::Stage;
use super::standing::{Given, Standing};
use super::stopwatch::Clocks;
use super::watching::{Observed, Watcher, Watching, micros, recovery};
use crate::fault::{Blow, Fault, Injected, Reach, victim};
use crate::judge::clock::{self, Ruling};
use crate::outcome::{Event, Failure};
use crate::source::{At, Place, Problem, Span, did_you_mean};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// The watch must show that it is alive within a time between these: the server is asked to end it after half of that,
/// in whole seconds.
const SILENT_AT_LEAST: Duration = Duration::from_secs(2);
const SILENT_AT_MOST: Duration = Duration::from_secs(10);
/// Nothing has come of a fault.
const UNSEEN: &str = "fault.unseen";
/// How much longer than the deadline of a recovery the lease lasts that keeps two harnesses apart: it must hold until the
/// fault is dealt with, and the old image back.
const LEASE_BEYOND: Duration = Duration::from_secs(240);

with_request! {
    /// A read, repeated on the beat of the target file.
    pub(crate) struct ProbeSyntax {
        /// What each answer must be; a success if absent.
        expect: Option<Expect>,
    }
}

/// When the platform counts as recovered.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub(crate) struct Recovered {
    /// Which clocks must have stopped. `registry` waits for the pods that it lists, as `ready` does.
    when: BTreeSet<Clock>,
    /// How long each of them must hold without a break before the deadline. Scaled by the target's pace; at least three beats.
    stable_for: Span,
    /// The deadline, from the injection. Scaled by the target's pace.
    within: Span,
}

/// The clocks of a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Clock {
    /// Kubernetes has as many Ready pods as before.
    Ready,
    /// Every probe is served again.
    Served,
    /// The registry lists live nodes only.
    Registry,
}

/// A fault under probes.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Disrupt {
    /// What is broken.
    fault: Fault<Template>,
    /// The time that the victim is given to end, in whole seconds; `0s` for none at all, and if absent what its
    /// manifest says. Not scaled.
    grace: Option<Span>,
    /// The image that `set_image` rolls out; the `next_image` of the pod group if absent.
    image: Option<Template>,
    /// Who watches, by name. A request is served if it is answered as expected within 2 s, however long that takes.
    probes: BTreeMap<At<String>, ProbeSyntax>,
    /// When the platform counts as recovered.
    recovered: Recovered,
    /// The longest outage that each probe may see, inclusive. Scaled by the target's pace.
    #[serde(default)]
    budget: BTreeMap<At<String>, Span>,
    /// How many requests of each probe may fail, inclusive. If absent: none where all pods are replaced one after the
    /// other and the probe has no `budget`, any number otherwise.
    #[serde(default)]
    lost: BTreeMap<At<String>, usize>,
}

impl Disrupt {
    pub(crate) fn label(&self) -> String {
        format!("disrupt {}", self.fault.key())
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        look.uses.faults.insert(self.fault.key());
        look.template(self.fault.member());
        if let Some(grace) = self.grace.filter(|grace| grace.0.subsec_nanos() > 0) {
            let text = format!("wanted a grace of whole seconds, found {:?}", grace.0);
            look.problem(Problem::new(at, text).hint("Kubernetes counts in seconds: `grace: 1s`"));
        }
        if self.probes.is_empty() || self.recovered.when.is_empty() {
            look.problem(
                Problem::new(at, "a disruption that nobody watches")
                    .hint("name `probes` and `recovered.when`"),
            );
        }
        if !self.recovered.when.is_empty() && !self.recovered.when.contains(&Clock::Served) {
            let text = "a recovery without `served` ends before a probe is judged";
            look.problem(Problem::new(at, text).hint("add `served` to `recovered.when`"));
        }
        for probe in self.probes.values() {
            probe.request().look(look, at);
            probe.expect.iter().for_each(|expect| expect.look(look, at));
            if let Some(op) = probe.request().op {
                look.reading_operation(op);
            }
        }
        self.look_options(look, at);
        let named = self.budget.keys().chain(self.lost.keys());
        for name in named.filter(|name| !self.probes.contains_key(name)) {
            let hint = did_you_mean(name, self.probes.keys().map(|it| it.value.as_str()));
            look.problem(
                Problem::new(name.at, format!("there is no probe `{}`", name.value)).maybe_hint(hint),
            );
        }
    }

    /// Options that this fault does not have.
    fn look_options(&self, look: &mut Look<'_>, at: Place) {
        let traits = self.fault.traits();
        let key = self.fault.key();
        if self.grace.is_some() && !traits.takes_grace {
            look.problem(Problem::new(at, format!("`{key}` takes no `grace`")));
        }
        match &self.image {
            Some(image) if traits.changes_image => look.template(image),
            Some(image) => look.problem(Problem::new(image.at, format!("`{key}` takes no `image`"))),
            None => {}
        }
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let mut laps = Laps::begin();
        let traits = self.fault.traits();
        let member = Member::of(self.fault.member(), self.fault.key(), stage)?;
        let kube =
            stage.scene.kube().await.map_err(|why| vec![stage.doubt("kubernetes.unusable", &why)])?.clone();
        let image = redeploying::image(&traits, self.image.as_ref(), &member, stage)?;
        let within = self.within(stage);
        let standing = Standing::settled(&kube, &member, within, stage).await?;
        let victims = victim::choose(&standing.pods, &traits, stage.scene.seed, &stage.case);
        let (standing, image) = (&standing, image.as_deref());
        let chosen = Chosen { kube: &kube, member: &member, victims: &victims, standing, image };
        guarded(&chosen, traits, stage).await?;
        laps.end("guards");
        let mut watching = self.watching(&chosen, stage)?;
        watching.await_steady(stage).await?;
        if self.recovered.when.contains(&Clock::Registry) {
            watching.look_before(stage).await?;
        }
        laps.end("steady");
        let lease = Leased::take(&chosen, within + LEASE_BEYOND, stage).await?;
        laps.end("lease");
        let mut failures =
            self.broken_and_watched(&chosen, watching, laps, stage).await.err().unwrap_or_default();
        // An image is put back when the case ends; until then, and by the ledger after it, the lease is held.
        if !traits.changes_image {
            failures.extend(lease.give_back(stage).await.err().unwrap_or_default());
        }
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    fn watching(&self, chosen: &Chosen<'_>, stage: &Stage<'_>) -> Result<Watching, Vec<Failure>> {
        let traits = self.fault.traits();
        let target = stage.scene.target;
        let Chosen { kube, member, victims, standing, .. } = chosen;
        let mut probes = vec![];
        for (name, syntax) in &self.probes {
            let expect = syntax.expect.as_ref().map(|expect| expect.rendered(stage)).transpose()?;
            let asked = (syntax.request().prepared(stage)?, expect.unwrap_or_default());
            let probe = probing::started(&name.value, asked, stage)?;
            let budget = self.budget.get(name).map(|budget| target.paced(budget.0));
            probes.push(Watcher { name: name.value.clone(), probe, budget, may_lose: self.may_lose(name) });
        }
        let namespace = member.group.namespace.clone();
        let within = self.within(stage);
        Ok(Watching {
            probes,
            pods: kube.watch_pods(&namespace, &member.selector, silent_after(within)),
            kube: (*kube).clone(),
            namespace,
            selector: member.selector.clone(),
            present: standing.pods.len(),
            victims: victims.to_vec(),
            rollout: chosen.deployment().filter(|_| traits.reach == Reach::Member).map(str::to_owned),
            traits,
            service: member.name.clone(),
            registered: BTreeSet::new(),
            stable_for: self.stable_for(stage),
            within,
            beat: target.beat(),
        })
    }

    /// How many requests of a probe may fail: as many as is written; where nothing is, none if the fault is one that
    /// nobody should notice, and any number otherwise.
    fn may_lose(&self, probe: &At<String>) -> Option<usize> {
        let is_unseen = self.fault.traits().reach == Reach::Member && !self.budget.contains_key(probe);
        self.lost.get(probe).copied().or(is_unseen.then_some(0))
    }

    /// Breaks it, and watches until every clock has stopped or the deadline has passed.
    async fn broken_and_watched(
        &self,
        chosen: &Chosen<'_>,
        mut watching: Watching,
        mut laps: Laps,
        stage: &mut Stage<'_>,
    ) -> Result<(), Vec<Failure>> {
        chosen.standing.stays(chosen.kube, chosen.member, stage).await?;
        guarded(chosen, self.fault.traits(), stage).await?;
        let victim = chosen.named(self.fault.traits().reach);
        let now = (stage.scene.now)().to_string();
        let at = self.injected(chosen, &victim, &now, stage).await?;
        laps.end("injection");
        let mut seen = watching.until_recovered(at, &self.clocks(), stage).await;
        laps.end("recovery");
        let observed = watching.stop(at, seen.judged_until).await;
        laps.end("last answers");
        seen.served = served_since(&observed);
        let failures = self.failures(chosen, &seen, &observed, &now, stage).await;
        // What was not seen may still come.
        let was_seen = !failures.iter().any(|failure| failure.kind == UNSEEN);
        if was_seen && !seen.is_late(&self.clocks()) {
            *stage.scene.unrecovered.borrow_mut() = None;
        }
        let mut told = recovery(&stage.case, self.fault.key(), victim, &seen, &observed);
        told.phases = laps.so_far();
        // A deletion is shown at once; a crash or a rollout only when something has become of it.
        if self.fault.traits().takes_grace {
            told.ready_error_us = seen.noticed.map(micros);
        }
        (stage.scene.events)(Event::Recovered(told));
        if failures.is_empty() { Ok(()) } else { Err(failures) }
    }

    /// What keeps the case from passing. What somebody else has changed meanwhile, or a fault of which nothing was seen,
    /// leaves nothing to be said of the platform.
    async fn failures(
        &self,
        chosen: &Chosen<'_>,
        seen: &Clocks,
        observed: &[Observed],
        now: &str,
        stage: &Stage<'_>,
    ) -> Vec<Failure> {
        let traits = self.fault.traits();
        let restart = traits.leaves.map(|_| now);
        let given = Given { image: chosen.container().zip(chosen.image), restart };
        let namespace = &chosen.member.group.namespace;
        let overtaken = chosen.standing.overtaken(chosen.kube, namespace, &given, stage).await;
        if !overtaken.is_empty() {
            return overtaken;
        }
        if seen.is_unseen && !(traits.reach == Reach::Member && chosen.is_rolling_out().await) {
            let within = self.within(stage);
            let stood = chosen.named(Reach::OnePod);
            let text = format!("nothing has come of it: {within:.0?} later {stood} stood as it did before");
            let limits = limits(observed);
            return limits
                .iter()
                .map(|ruling| stage.ruled(ruling))
                .chain([stage.doubt(UNSEEN, &text)])
                .collect();
        }
        self.judged(seen, observed, stage)
    }

    /// Breaks it. The instant is the earliest at which it may have happened.
    async fn injected(
        &self,
        chosen: &Chosen<'_>,
        victim: &str,
        now: &str,
        stage: &Stage<'_>,
    ) -> Result<Instant, Vec<Failure>> {
        let blow = Blow {
            victims: chosen.victims,
            deployment: chosen.meant(),
            grace_seconds: self.grace.map(|grace| u32::try_from(grace.0.as_secs()).unwrap_or(u32::MAX)),
            crash_with: &chosen.member.group.crash_with,
            container: chosen.container(),
            image: chosen.image,
            now,
        };
        redeploying::remember(self.fault.key(), chosen, stage)?;
        if let Some(leaves) = self.fault.traits().leaves {
            redeploying::declare(leaves, chosen, stage);
        }
        let unrecovered = &stage.scene.unrecovered;
        // Before it is done: an answer that never came may stand for a fault that was injected all the same.
        *unrecovered.borrow_mut() = Some(format!("{} {victim}", self.fault.key()));
        match self.fault.inject(chosen.kube, &blow).await {
            Ok(Injected::At(at)) => Ok(at),
            Ok(Injected::Missed(why)) => {
                *unrecovered.borrow_mut() = None;
                Err(vec![stage.doubt("fault.missed", &why)])
            }
            Err(error) => Err(vec![stage.doubt("kubernetes.error", &error.to_string())]),
        }
    }

    /// What keeps the case from passing: the clocks that were waited for, and the budgets.
    fn judged(&self, seen: &Clocks, observed: &[Observed], stage: &Stage<'_>) -> Vec<Failure> {
        let within = self.within(stage);
        let stable_for = self.stable_for(stage);
        let mut rulings = vec![];
        for wanted in self.clocks() {
            match wanted {
                Clock::Ready => {
                    rulings.extend(seen.pods.as_ref().and_then(|pods| clock::ready(pods, within)))
                }
                Clock::Registry => {
                    rulings.extend(seen.nodes.as_ref().and_then(|nodes| clock::registry(nodes, within)));
                }
                Clock::Served => rulings.extend(observed.iter().filter_map(|one| {
                    clock::served(&one.name, &one.recovery, one.until, stable_for, within)
                })),
            }
        }
        let recovered = observed.iter().filter(|one| one.recovery.served_since.is_some());
        rulings.extend(recovered.filter_map(|one| clock::relapsed(&one.name, &one.observation)));
        rulings.extend(limits(observed));
        rulings.iter().map(|ruling| stage.ruled(ruling)).collect()
    }

    /// The clocks that must have stopped. A rollout is not over before its pods are Ready, whatever else is waited for: old
    /// pods serve on where it gets stuck.
    fn clocks(&self) -> BTreeSet<Clock> {
        let is_rollout = self.fault.traits().reach == Reach::Member;
        self.recovered.when.iter().copied().chain(is_rollout.then_some(Clock::Ready)).collect()
    }

    fn within(&self, stage: &Stage<'_>) -> Duration {
        stage.scene.target.paced(self.recovered.within.0)
    }

    fn stable_for(&self, stage: &Stage<'_>) -> Duration {
        let target = stage.scene.target;
        target.paced(self.recovered.stable_for.0).max(target.beat() * 3)
    }
}

/// What users saw beyond what they may.
fn limits(observed: &[Observed]) -> Vec<Ruling> {
    let budgets = observed.iter().filter_map(|one| clock::budget(&one.name, &one.observation, one.budget?));
    let lost = observed.iter().filter_map(|one| clock::lost(&one.name, &one.observation, one.may_lose?));
    budgets.chain(lost).collect()
}

/// Since when every probe was served for good, counted from the injection.
fn served_since(observed: &[Observed]) -> Option<Duration> {
    let all: Option<Vec<Duration>> = observed.iter().map(Observed::served_since).collect();
    all?.into_iter().max()
}

/// How long the watch of pods may say nothing: half of the deadline, so that silence is noticed before it.
fn silent_after(within: Duration) -> Duration {
    (within / 2).clamp(SILENT_AT_LEAST, SILENT_AT_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::FAULTS;
    use crate::source::{Problems, read, tree};

    #[test]
    fn a_watch_may_be_silent_for_half_of_the_deadline() {
        for (within, expected) in [(1, 2), (6, 3), (12, 6), (120, 10)] {
            let found = silent_after(Duration::from_secs(within));
            assert_eq!(found, Duration::from_secs(expected), "{within} s");
        }
    }

    #[test]
    fn each_fault_is_read_by_its_key_and_stands_in_the_schema() {
        let schema = schemars::schema_for!(Fault<Template>).to_value();
        let choices = schema["oneOf"].as_array().unwrap();
        assert_eq!(choices.len(), FAULTS.len());
        for ((key, about), choice) in FAULTS.iter().zip(choices) {
            let node = tree(&format!("{{ {key}: $(pod) }}")).unwrap();
            let fault: Fault<Template> = read(&node, &Problems::default()).unwrap();
            assert_eq!(fault.key(), *key);
            assert_eq!(fault.member().uses().into_iter().collect::<Vec<_>>(), ["pod"]);
            assert_eq!(choice["required"], serde_json::json!([key]));
            assert_eq!(choice["description"], *about);
        }
    }
}
