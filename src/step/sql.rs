//! `sql`: one statement to a database, its expectations, what to capture. It only reads, unless it says `write: true`.
//!
//! Lives here: asking, changing, and judging. Does not: what puts a change back (`writing`). Values never become part
//! of the query: they are bound to it, and the server reads them.

use super::Data;
use super::expect::{self, Captures, constant, range};
use super::look::Look;
use super::poll::{EVERY, SHORTEST_BEAT};
use super::stage::Stage;
use super::writing::{self, PutBack};
use crate::client::postgres::{NoRows, Rows};
use crate::judge::{NOT_SHOWN, RowsExpectation};
use crate::outcome::{Evidence, Failure};
use crate::source::{At, Place, Problem, Span};
use serde::Deserialize;
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::Duration;
use tokio::time::Instant;

/// One question to a database, its expectations, what to capture. It only reads, unless it says `write: true`.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
pub struct Sql {
    /// The database, as the target file names it.
    on: At<String>,
    /// One query. Values stand in it as `$1`, `$2`, …, and never as `$(…)`. Its rows become a list of maps from column to
    /// value: numbers, truth values, json and lists are what they are, `bytea` is base64, and `numeric`, moments, `uuid`
    /// and enums are text. Cast other types: `x::text`.
    query: At<String>,
    /// The values, in their order: the server reads each as the type that it wants there.
    #[serde(default)]
    values: Vec<Data>,
    /// Whether the query changes something: then it is committed, and `undo` says how that is put back. The target must
    /// permit `write: shared`. Its rows are those of `returning`.
    #[serde(default)]
    write: bool,
    /// With `write`: the statement that puts the change back. It must do nothing if nothing was changed.
    undo: Option<PutBack>,
    /// What the rows must be.
    expect: Option<ExpectRows>,
    /// What the rows must become: the question is asked again and again.
    until: Option<ExpectRows>,
    /// The beat of `until`; 500 ms if absent. Scaled by the target's pace.
    every: Option<Span>,
    /// The longest time for the query, which the server keeps to as well (connecting may take `answer_within`); with
    /// `until` the deadline. The target's
    /// `answer_within` if absent. Scaled by the target's pace.
    within: Option<Span>,
    /// What is taken from the rows: name to JSON path, such as `$[0].count`.
    #[serde(default)]
    capture: Captures,
}

/// What rows must be. They are a list of maps: column name to value.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
pub(super) struct ExpectRows {
    /// How many: a number, or `at_least` and `at_most`.
    rows: Option<Data>,
    /// JSON paths (RFC 9535) to conditions, as in `call`. The first row is `$[0]`.
    #[serde(default)]
    body: expect::Body,
    /// The longest time from the question to the last row, inclusive. Scaled by the target's pace.
    latency: Option<Span>,
}

fn count(value: &Value) -> Result<RangeInclusive<u64>, String> {
    range("rows", value)
}

impl ExpectRows {
    fn look(&self, look: &mut Look<'_>, at: Place) {
        if self.rows.is_none() && self.body.is_empty() && self.latency.is_none() {
            look.problem(
                Problem::new(at, "an expectation that no rows can fail").hint("name what must hold"),
            );
        }
        if let Some(rows) = &self.rows {
            look.data(rows);
            constant(rows, count, look);
        }
        expect::look_body(&self.body, look);
    }

    fn rendered(&self, stage: &Stage<'_>) -> Result<RowsExpectation, Vec<Failure>> {
        let rows = self.rows.as_ref().map(|it| stage.parsed(it, count)).transpose()?;
        let body = expect::rendered_body(&self.body, stage)?;
        let latency = self.latency.map(|most| stage.scene.target.paced(most.0));
        Ok(RowsExpectation { rows, body, latency })
    }
}

impl Sql {
    pub(crate) fn label(&self) -> String {
        format!("sql on {}", self.on.value)
    }

    pub(crate) fn look(&self, look: &mut Look<'_>, at: Place) {
        look.uses.databases.insert(self.on.value.clone());
        writing::look_statement(&self.query, look);
        writing::look(&self.on.value, self.write, self.undo.as_ref(), at, look);
        self.values.iter().for_each(|value| look.data(value));
        self.look_times(look, at);
        self.expect.iter().chain(&self.until).for_each(|it| it.look(look, at));
        expect::look_captures(&self.capture, look);
    }

    fn look_times(&self, look: &mut Look<'_>, at: Place) {
        if self.write && self.until.is_some() {
            look.problem(
                Problem::new(at, "`until` with `write: true`: what writes is not sent again and again")
                    .hint("write `expect`, and ask for what must become true in a step of its own"),
            );
        }
        match (&self.expect, &self.until) {
            (Some(_), Some(_)) => look.problem(
                Problem::new(at, "both `expect` and `until`").hint("`until` asks again, `expect` asks once"),
            ),
            (_, None) if self.every.is_some() => {
                look.problem(Problem::new(at, "`every` stands with `until`"));
            }
            (None, Some(_)) if self.within.is_none() => {
                look.problem(Problem::new(at, "`until` wants a deadline").hint("add `within`"));
            }
            _ => {}
        }
        for (name, span) in [("every", self.every), ("within", self.within)] {
            if span.is_some_and(|span| span.0.is_zero()) {
                look.problem(Problem::new(at, format!("`{name}` wants a time above 0")));
            }
        }
    }

    pub(crate) async fn run(&self, stage: &mut Stage<'_>) -> Result<(), Vec<Failure>> {
        let values: Result<Vec<Value>, _> = self.values.iter().map(|value| stage.rendered(value)).collect();
        let values = values?;
        if let Some(undo) = self.undo.as_ref().filter(|_| self.write) {
            writing::announce(&self.on.value, undo, stage).await?;
        }
        let wanted = self.expect.as_ref().or(self.until.as_ref());
        let wanted = wanted.map(|it| it.rendered(stage)).transpose()?.unwrap_or_default();
        let rows = match self.until {
            Some(_) => self.until(&values, &wanted, stage).await?,
            None => {
                let rows = self.ask(&values, stage).await?;
                stage.clocks_go_together(wanted.compares_instants())?;
                let broken = wanted.broken_by(&rows.json, rows.took, stage.scene.mask);
                if !broken.is_empty() {
                    return Err(stage.failures(broken, self.shown(stage, Some(&rows))));
                }
                rows
            }
        };
        expect::capture_or_show(&self.capture, Ok(&rows.json), stage, |stage| self.shown(stage, Some(&rows)))
    }

    /// Asks once. What is captured as a secret is one before anything of the rows can be shown.
    async fn ask(&self, values: &[Value], stage: &Stage<'_>) -> Result<Rows, Vec<Failure>> {
        let target = stage.scene.target;
        let named = target.databases.get(&self.on.value);
        let database = named.ok_or_else(|| {
            let text = format!("the target file names no database `{}`", self.on.value);
            vec![stage.doubt("sql.database", &text)]
        })?;
        let within = self.within.map_or(target.answer_within(), |within| target.paced(within.0));
        let asked = match self.write {
            false => database.ask(&self.query, values, within).await,
            true => database.change(&self.query, values, within).await,
        };
        let rows = asked.map_err(|why| vec![self.unanswered(&why, stage)])?;
        expect::learn_secrets(&self.capture, &rows.json, stage);
        Ok(rows)
    }

    fn unanswered(&self, why: &NoRows, stage: &Stage<'_>) -> Failure {
        let is_unknown = self.write && matches!(why, NoRows::Lost(_) | NoRows::Timeout(_));
        let rest = if is_unknown { "\nwhether it was carried out is not known, so it is undone" } else { "" };
        let mut failure = stage.doubt(why.kind(), &format!("{why}{rest}"));
        failure.evidence = self.shown(stage, None);
        failure
    }

    async fn until(
        &self,
        values: &[Value],
        wanted: &RowsExpectation,
        stage: &Stage<'_>,
    ) -> Result<Rows, Vec<Failure>> {
        let target = stage.scene.target;
        let every = target.paced(self.every.map_or(EVERY, |every| every.0)).max(SHORTEST_BEAT);
        let within = target.paced(self.within.map_or(Duration::ZERO, |within| within.0));
        let started = Instant::now();
        loop {
            let rows = self.ask(values, stage).await?;
            stage.clocks_go_together(wanted.compares_instants())?;
            let broken = wanted.broken_by(&rows.json, rows.took, stage.scene.mask);
            let took = started.elapsed();
            if broken.is_empty() && took <= within {
                return Ok(rows);
            }
            if broken.is_empty() {
                let text = format!("met only after {took:.1?}, and not within {within:.1?}");
                return Err(vec![self.unmet(&text, &rows, stage)]);
            }
            if started.elapsed() + every > within {
                let last = broken.into_iter().map(|it| it.message).collect::<Vec<_>>().join("; ");
                let text = format!("not met within {within:.1?}: {last}");
                return Err(vec![self.unmet(&text, &rows, stage)]);
            }
            tokio::time::sleep(every).await;
        }
    }

    fn unmet(&self, text: &str, rows: &Rows, stage: &Stage<'_>) -> Failure {
        let mut failure = stage.fail("sql.unmet", text);
        failure.evidence = self.shown(stage, Some(rows));
        failure
    }

    fn shown(&self, stage: &Stage<'_>, rows: Option<&Rows>) -> Vec<Evidence> {
        let mut evidence = vec![stage.evidence("query", self.query.trim())];
        if let Some(rows) = rows {
            let many = rows.json.as_array().map_or(0, Vec::len);
            let shown = match expect::lacks_a_secret(&self.capture, &rows.json, stage) {
                true => format!("({NOT_SHOWN})"),
                false => rows.json.to_string(),
            };
            let text = format!("{many} rows after {:.1?}\n{shown}", rows.took);
            evidence.push(stage.evidence("rows", &text));
        }
        evidence
    }
}
