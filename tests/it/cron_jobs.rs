//! CronJobs of the fake cluster, asked for over real HTTP.

use crate::cluster::{Stage, guarded};
use muster::client::kube::{Kube, Place};
use muster::fake::cluster::CronJob;
use serde_json::{Value, json};
use std::time::Duration;

/// The jobs of a cluster whose clock began at 10:30.
async fn jobs(change: impl FnOnce(&mut CronJob)) -> Vec<Value> {
    let mut job = CronJob {
        namespace: "default".into(),
        name: "backup".into(),
        image: "backup:1".into(),
        every_hours: 2,
        ..CronJob::default()
    };
    change(&mut job);
    let stage = Stage::with(|settings| {
        settings.started_at = "2020-11-20T10:30:00Z".parse().unwrap();
        settings.cron_jobs = vec![job];
    });
    let stage = stage.await;
    let place = Place::Url(format!("http://{}", stage.cluster.address));
    let kube = guarded(Kube::connect(&place, Duration::from_secs(30))).await.unwrap();
    let told = guarded(kube.get_path("/apis/batch/v1/namespaces/default/cronjobs")).await.unwrap();
    let (status, body) = (told.status, told.body);
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_job_last_ran_at_the_full_hour_and_succeeded_soon_after() {
    let jobs = jobs(|_| ()).await;
    assert_eq!(jobs.len(), 1);
    assert_eq!(jobs[0]["spec"]["schedule"], "0 */2 * * *");
    assert_eq!(jobs[0]["spec"]["suspend"], false);
    let wanted =
        json!({ "lastScheduleTime": "2020-11-20T10:00:00Z", "lastSuccessfulTime": "2020-11-20T10:00:40Z" });
    assert_eq!(jobs[0]["status"], wanted);
}

#[tokio::test]
async fn a_job_that_fails_goes_on_and_one_that_is_suspended_stays() {
    let failing = jobs(|job| job.fails = true).await;
    let wanted =
        json!({ "lastScheduleTime": "2020-11-20T10:00:00Z", "lastSuccessfulTime": "2020-11-20T04:00:40Z" });
    assert_eq!(failing[0]["status"], wanted);
    let suspended = jobs(|job| job.is_suspended = true).await;
    let wanted =
        json!({ "lastScheduleTime": "2020-11-20T04:00:00Z", "lastSuccessfulTime": "2020-11-20T04:00:40Z" });
    assert_eq!(suspended[0]["status"], wanted);
}
