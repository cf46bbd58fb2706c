//! Jobs that run by the clock: when they last did, and when they last succeeded.
//!
//! Lives here: CronJobs as objects, and the passing of their hours. Does not: the pods of a job, of which the fakes have
//! none, nor what a job does.

use super::controller::State;
use super::kind::Kind;
use super::pods::{Act, Due, When};
use super::settings::CronJob;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::time::Duration;

/// How long a job takes, in seconds.
const TAKES_S: i64 = 40;
/// A job that no longer runs, or succeeds, last did so many turns before the cluster began.
const TURNS_WITHOUT: i64 = 3;
const HOUR_S: i64 = 3_600;

/// The moments of a job, in seconds since the Unix epoch.
#[derive(Debug, PartialEq, Eq)]
struct Turn {
    scheduled_s: i64,
    succeeded_s: i64,
    /// When the next of the two will change.
    next_s: i64,
}

/// The last turn as of a moment; a turn begins with each multiple of its hours.
fn turn(now_s: i64, every_hours: u32) -> Turn {
    let period_s = i64::from(every_hours.max(1)) * HOUR_S;
    let scheduled_s = now_s - now_s.rem_euclid(period_s);
    let ends_s = scheduled_s + TAKES_S;
    match ends_s <= now_s {
        true => Turn { scheduled_s, succeeded_s: ends_s, next_s: scheduled_s + period_s },
        false => Turn { scheduled_s, succeeded_s: ends_s - period_s, next_s: ends_s },
    }
}

impl State {
    /// Creates a CronJob, and its namespace if it is new.
    pub(super) fn create_cron_job(&mut self, wanted: &CronJob) {
        self.create_namespace(&wanted.namespace, &[]);
        self.place(object(wanted));
    }

    /// Brings every CronJob to what the clock says, and comes back when that changes.
    pub(super) fn run_cron_jobs(&mut self) {
        let (now_s, started_s) = (self.timestamp().as_second(), self.settings.started_at.as_second());
        let mut next_s: Option<i64> = None;
        for job in self.settings.cron_jobs.clone() {
            let before = started_s - TURNS_WITHOUT * i64::from(job.every_hours) * HOUR_S;
            let (present, past) = (turn(now_s, job.every_hours), turn(before, job.every_hours));
            let scheduled_s = if job.is_suspended { past.scheduled_s } else { present.scheduled_s };
            let succeeded_s =
                if job.is_suspended || job.fails { past.succeeded_s } else { present.succeeded_s };
            self.tell_turn(&job, scheduled_s, succeeded_s);
            next_s = Some(next_s.map_or(present.next_s, |next_s| next_s.min(present.next_s)));
        }
        if let Some(next_s) = next_s {
            let wait = Duration::from_secs(u64::try_from(next_s - now_s).unwrap_or_default().max(1));
            self.due.push(Due {
                when: When::After(wait),
                act: Act::RunJobs,
                place: Default::default(),
                uid: String::new(),
            });
        }
    }

    fn tell_turn(&mut self, job: &CronJob, scheduled_s: i64, succeeded_s: i64) {
        let Some(kept) = self.store.get(Kind::CronJob, &job.namespace, &job.name) else { return };
        let mut told = (*kept).clone();
        told["status"] =
            json!({ "lastScheduleTime": shown(scheduled_s), "lastSuccessfulTime": shown(succeeded_s) });
        self.store.put(Kind::CronJob, told);
    }
}

fn shown(second: i64) -> String {
    let epoch = Timestamp::UNIX_EPOCH;
    epoch.checked_add(SignedDuration::from_secs(second)).unwrap_or(epoch).to_string()
}

fn object(wanted: &CronJob) -> Value {
    let hours = if wanted.every_hours > 1 { format!("*/{}", wanted.every_hours) } else { "*".to_owned() };
    let container = json!({ "name": wanted.name, "image": wanted.image });
    json!({
        "kind": "CronJob", "apiVersion": "batch/v1",
        "metadata": {
            "name": wanted.name, "namespace": wanted.namespace, "generation": 1,
        },
        "spec": {
            "schedule": format!("0 {hours} * * *"), "suspend": wanted.is_suspended, "concurrencyPolicy": "Allow",
            "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1,
            "jobTemplate": { "spec": { "template": { "spec": { "containers": [container], "restartPolicy": "OnFailure" } } } },
        },
        "status": {},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_begins_with_the_hours_and_succeeds_a_little_later() {
        let two = 2 * HOUR_S;
        assert_eq!(
            turn(10 * two + 39, 2),
            Turn { scheduled_s: 10 * two, succeeded_s: 9 * two + 40, next_s: 10 * two + 40 }
        );
        assert_eq!(
            turn(10 * two + 40, 2),
            Turn { scheduled_s: 10 * two, succeeded_s: 10 * two + 40, next_s: 11 * two }
        );
        assert_eq!(turn(11 * two - 1, 2).scheduled_s, 10 * two);
        assert_eq!(turn(5 * HOUR_S + 60, 1).succeeded_s, 5 * HOUR_S + 40);
    }

    #[test]
    fn the_schedule_says_the_hours() {
        let job = |every_hours| CronJob { every_hours, ..CronJob::default() };
        assert_eq!(object(&job(2))["spec"]["schedule"], "0 */2 * * *");
        assert_eq!(object(&job(1))["spec"]["schedule"], "0 * * * *");
    }
}
