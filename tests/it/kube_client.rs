//! muster's own Kubernetes client against the fake cluster.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on panics")]

use crate::cluster::{Stage, guarded};
use muster::client::kube::{
    Claim, Deletion, Eviction, Hold, Kube, KubeError, Meant, Place, PodFact, PodWatch, Redeployment, Seen,
    Sight, Victim,
};
use muster::fake::cluster::{Budget, Defects};
use serde_json::json;
use std::time::Duration;

/// A call to a fake on the same machine takes a hundredth of this.
const CALL_WITHIN: Duration = Duration::from_secs(10);

async fn connected(stage: &Stage) -> Kube {
    let place = Place::Url(format!("http://{}", stage.cluster.address));
    Kube::connect(&place, CALL_WITHIN).await.unwrap()
}

async fn pod_of(kube: &Kube, service: &str) -> PodFact {
    let pods = guarded(kube.pods("default", &format!("name=micro-{service}"))).await.unwrap();
    pods.into_iter().find(|pod| !pod.deletion_requested).expect("the service has a pod")
}

fn victim(pod: &PodFact) -> Victim {
    Victim { namespace: pod.namespace.clone(), name: pod.name.clone(), uid: pod.uid.clone(), restarts: None }
}

fn now() -> jiff::Timestamp {
    "2020-11-20T10:00:00.123456Z".parse().unwrap()
}

#[tokio::test]
async fn a_cluster_is_known_by_its_uid_and_its_pods_by_their_facts() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    assert_eq!(guarded(kube.cluster_uid()).await.unwrap(), stage.cluster.uid_of_kube_system);
    assert_eq!(guarded(kube.namespace("default")).await.unwrap().labels["owner"], "micro");
    let pod = pod_of(&kube, "store").await;
    assert_eq!(pod.owner.as_ref().unwrap().to_string(), "Deployment micro-store");
    assert_eq!(pod.image.as_deref(), Some("ghcr.io/m3o/platform:test"));
    assert_eq!((pod.phase.as_str(), pod.is_present()), ("Running", true));
    assert_eq!(pod.labels["micro"], "runtime");
    assert!(pod.node.is_some_and(|node| node.starts_with("node-")));
    assert!(pod.created_at.starts_with("2020-11-20T10:00:0"), "{}", pod.created_at);
}

#[tokio::test]
async fn a_kubeconfig_is_used_by_its_named_context_only() {
    let stage = Stage::set().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config");
    let config = json!({
        "kind": "Config", "apiVersion": "v1", "current-context": "other",
        "clusters": [{ "name": "fake", "cluster": { "server": format!("http://{}", stage.cluster.address) } }],
        "contexts": [{ "name": "fake", "context": { "cluster": "fake", "user": "nobody" } }],
        "users": [{ "name": "nobody", "user": {} }],
    });
    serde_json::to_writer(std::fs::File::create(&path).unwrap(), &config).unwrap();
    let place = |context: &str| Place::File { kubeconfig: path.clone(), context: context.into() };
    let kube = Kube::connect(&place("fake"), CALL_WITHIN).await.unwrap();
    assert_eq!(guarded(kube.cluster_uid()).await.unwrap(), stage.cluster.uid_of_kube_system);
    for wrong in [place("other"), Place::File { kubeconfig: "/nowhere".into(), context: "fake".into() }] {
        let error = Kube::connect(&wrong, CALL_WITHIN).await.err().unwrap();
        assert!(matches!(error, KubeError::Unusable { .. }), "{error}");
    }
}

#[tokio::test]
async fn the_kinds_of_failure_are_told_apart() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let refused = guarded(kube.namespace("nowhere")).await.unwrap_err();
    assert_eq!(refused.code(), Some(404), "{refused}");
    assert_eq!(
        refused.to_string(),
        "read namespace nowhere: refused with 404 NotFound: namespaces \"nowhere\" not found"
    );
    drop(stage);
    guarded(async {
        while !matches!(kube.cluster_uid().await, Err(KubeError::Unreachable { .. })) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = Place::Url(format!("http://{}", listener.local_addr().unwrap()));
    let kube = Kube::connect(&mute, Duration::from_millis(50)).await.unwrap();
    let late = guarded(kube.cluster_uid()).await.unwrap_err();
    assert!(matches!(late, KubeError::TimedOut { .. }), "{late}");
}

#[tokio::test]
async fn a_deployment_is_redeployed_and_its_successor_never() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let name = "micro-auth";
    let before = guarded(kube.deployment("default", name)).await.unwrap();
    let meant = |uid| Meant { namespace: "default", name, uid };
    for conflict in [
        guarded(kube.restart_deployment(meant("another"), "now")).await.unwrap(),
        guarded(kube.set_image(meant("another"), "micro", "micro:next")).await.unwrap(),
    ] {
        let why = "Deployment.apps \"micro-auth\" is invalid: metadata.uid: Invalid value: \"another\": field is immutable";
        assert_eq!(conflict, Redeployment::Conflict(why.into()));
    }
    assert_eq!(guarded(kube.deployment("default", name)).await.unwrap(), before);
    let done = guarded(kube.restart_deployment(meant(&before.uid), "now")).await.unwrap();
    assert_eq!(done, Redeployment::Begun);
    let after = guarded(kube.deployment("default", name)).await.unwrap();
    assert_eq!((after.restarted_at.as_deref(), after.uid), (Some("now"), before.uid));
}

#[tokio::test]
async fn a_pod_is_deleted_once_and_its_successor_never() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let pod = pod_of(&kube, "auth").await;
    let stranger = Victim { uid: "another".into(), ..victim(&pod) };
    let conflict = guarded(kube.delete_pod(&stranger, None)).await.unwrap();
    assert!(matches!(conflict, Deletion::Conflict(_)), "{conflict:?}");
    assert_eq!(guarded(kube.delete_pod(&victim(&pod), Some(0))).await.unwrap(), Deletion::Deleted);
    assert_eq!(guarded(kube.delete_pod(&victim(&pod), Some(0))).await.unwrap(), Deletion::Gone);
    assert_eq!(guarded(kube.evict_pod(&victim(&pod), None)).await.unwrap(), Eviction::Gone);
}

#[tokio::test]
async fn an_eviction_tells_a_budget_from_a_conflict() {
    let budget = Budget {
        namespace: "default".into(),
        name: "store".into(),
        labels: vec![("name".into(), "micro-store".into())],
        min_available: 1,
    };
    let stage = Stage::with(|settings| settings.budgets = vec![budget]).await;
    let kube = connected(&stage).await;
    let (store, auth) = (pod_of(&kube, "store").await, pod_of(&kube, "auth").await);
    match guarded(kube.evict_pod(&victim(&store), None)).await.unwrap() {
        Eviction::RefusedByBudget(why) => {
            assert!(why.contains("The disruption budget store needs 1 healthy pods and has 1"), "{why}");
        }
        other => panic!("{other:?}"),
    }
    let stranger = Victim { uid: "another".into(), ..victim(&auth) };
    assert!(matches!(guarded(kube.evict_pod(&stranger, None)).await.unwrap(), Eviction::Conflict(_)));
    assert_eq!(guarded(kube.evict_pod(&victim(&auth), Some(1))).await.unwrap(), Eviction::Evicted);
    let budgets = guarded(kube.budgets("default")).await.unwrap();
    assert_eq!((budgets[0].disruptions_allowed, budgets[0].healthy, budgets[0].needed), (0, 1, 1));
    assert!(budgets[0].covers(&store.labels) && !budgets[0].covers(&auth.labels));
}

async fn next(watch: &mut PodWatch) -> Seen {
    guarded(watch.next()).await.expect("the watch goes on")
}

#[tokio::test]
async fn a_watch_dates_the_going_and_the_coming_back() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let old = pod_of(&kube, "store").await;
    let mut watch = kube.watch_pods("default", "name=micro-store", CALL_WITHIN);
    let first = next(&mut watch).await;
    assert!(matches!(&first.sight, Sight::Listed(pods) if *pods == [old.clone()]), "{first:?}");
    guarded(kube.delete_pod(&victim(&old), None)).await.unwrap();
    let (mut leaving_at, mut ready_at, mut gone_at) = (None, None, None);
    while ready_at.is_none() || gone_at.is_none() {
        let Seen { at, sight } = next(&mut watch).await;
        match sight {
            Sight::Changed(pod) if pod.uid == old.uid && pod.deletion_requested => {
                assert!(!pod.is_present());
                leaving_at.get_or_insert(at);
            }
            Sight::Changed(pod) if pod.is_present() => drop(ready_at.get_or_insert(at)),
            Sight::Gone(pod) => {
                assert_eq!(pod.uid, old.uid);
                gone_at.get_or_insert(at);
            }
            Sight::Changed(_) | Sight::Alive => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(first.at <= leaving_at.unwrap() && leaving_at < ready_at && leaving_at < gone_at);
}

#[tokio::test]
async fn a_watch_that_hears_nothing_says_so_and_one_that_hears_bookmarks_is_alive() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let mut watch = kube.watch_pods("default", "", Duration::from_millis(900));
    assert!(matches!(next(&mut watch).await.sight, Sight::Listed(_)));
    assert!(matches!(next(&mut watch).await.sight, Sight::Alive));
    stage.cluster.set_defects(Defects { silent_watches: true, ..Defects::default() });
    let silent = guarded(async {
        loop {
            match next(&mut watch).await {
                Seen { at, sight: Sight::Silent { since } } => return at - since,
                Seen { sight: Sight::Alive, .. } => {}
                other => panic!("{other:?}"),
            }
        }
    })
    .await;
    assert!(silent >= Duration::from_millis(900));
    assert!(matches!(next(&mut watch).await.sight, Sight::Listed(_)));
}

#[tokio::test]
async fn a_watch_that_breaks_says_so() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let mut watch = kube.watch_pods("default", "", CALL_WITHIN);
    assert!(matches!(next(&mut watch).await.sight, Sight::Listed(_)));
    drop(stage);
    loop {
        match next(&mut watch).await.sight {
            Sight::Broken { since: Some(_), why: KubeError::Unreachable { .. } } => return,
            Sight::Alive => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_lease_keeps_a_second_harness_out_until_it_is_given_back() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let before = stage.cluster.dump();
    let claim = |holder: &str| kube.claim("default", "muster", holder, Duration::from_secs(60));
    let (mut one, mut two) = (claim("one"), claim("two"));
    assert_eq!(guarded(one.acquire(now())).await.unwrap(), Hold::Mine);
    assert_eq!(holder(guarded(two.acquire(now())).await.unwrap()), "one");
    assert_eq!(holder(guarded(two.renew(now())).await.unwrap()), "one");
    guarded(two.release()).await.unwrap();
    assert_eq!(guarded(one.renew(now())).await.unwrap(), Hold::Mine);
    guarded(one.release()).await.unwrap();
    assert_eq!(stage.cluster.dump(), before);
    assert_eq!(guarded(one.renew(now())).await.unwrap(), Hold::Other { holder: String::new(), since: None });
    assert_eq!(guarded(two.acquire(now())).await.unwrap(), Hold::Mine);
}

#[tokio::test]
async fn a_lease_whose_holder_died_is_taken_over_and_the_dead_one_does_not_take_it_back() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let claim = |holder: &str| kube.claim("default", "muster", holder, Duration::from_secs(1));
    let (mut dead, mut heir) = (claim("dead"), claim("heir"));
    assert_eq!(guarded(dead.acquire(now())).await.unwrap(), Hold::Mine);
    guarded(until_mine(&mut heir)).await;
    assert_eq!(holder(guarded(dead.renew(now())).await.unwrap()), "heir");
}

#[tokio::test]
async fn a_lease_is_known_to_be_a_dead_holders_only_if_no_difference_of_clocks_can_account_for_its_age() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let claim = |holder: &str| kube.claim("default", "muster", holder, Duration::from_secs(60));
    let (mut dead, mut heir) = (claim("dead"), claim("heir"));
    for (minutes_ago, expected) in [(9, "dead"), (20, "mine")] {
        let then = now() - jiff::SignedDuration::from_mins(minutes_ago);
        assert_eq!(guarded(dead.acquire(then)).await.unwrap(), Hold::Mine);
        let held = guarded(heir.acquire(now())).await.unwrap();
        assert_eq!(holder(held), expected, "{minutes_ago} minutes ago");
    }
}

#[tokio::test]
async fn a_lease_that_marks_what_is_not_put_back_is_not_taken_over_however_old_it_is() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let claim = |holder: &str| kube.claim("default", "muster", holder, Duration::from_secs(1));
    let (mut dead, mut heir) = (claim("dead"), claim("heir"));
    let then = now() - jiff::SignedDuration::from_hours(24);
    assert_eq!(guarded(dead.acquire_if_free(then)).await.unwrap(), Hold::Mine);
    let Hold::Other { holder, since } = guarded(heir.acquire_if_free(now())).await.unwrap() else {
        panic!("a dead run's lease was taken over");
    };
    assert_eq!((holder.as_str(), since.map(|at| at.as_second())), ("dead", Some(then.as_second())));
    assert_eq!(guarded(dead.acquire_if_free(now())).await.unwrap(), Hold::Mine);
    guarded(dead.release()).await.unwrap();
    assert_eq!(guarded(heir.acquire_if_free(now())).await.unwrap(), Hold::Mine);
}

/// Whose a lease is.
fn holder(hold: Hold) -> String {
    match hold {
        Hold::Mine => "mine".into(),
        Hold::Other { holder, .. } => holder,
    }
}

async fn until_mine(claim: &mut Claim) {
    while claim.acquire(now()).await.unwrap() != Hold::Mine {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_annotation_is_set_read_and_removed() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let key = "muster.example/freeze";
    let read = async || guarded(kube.namespace("micro")).await.unwrap().annotations.get(key).cloned();
    assert_eq!(read().await, None);
    guarded(kube.annotate("micro", key, Some("on"))).await.unwrap();
    assert_eq!(read().await.as_deref(), Some("on"));
    guarded(kube.annotate("micro", key, None)).await.unwrap();
    assert_eq!(read().await, None);
}

#[tokio::test]
async fn logs_and_objects_of_any_kind_can_be_read() {
    let stage = Stage::set().await;
    let kube = connected(&stage).await;
    let pod = pod_of(&kube, "store").await;
    stage.cluster.write_log(&pod.uid, "a code was sent");
    let log = guarded(kube.log("default", &pod.name, 1)).await.unwrap();
    assert!(log.ends_with("a code was sent\n") && log.lines().count() == 1, "{log}");
    let deployment = kube.get_object("apps/v1", "Deployment", Some("default"), "micro-store");
    assert_eq!(guarded(deployment).await.unwrap().unwrap()["spec"]["replicas"], 1);
    let missing = kube.get_object("v1", "Pod", None, "nobody");
    assert_eq!(guarded(missing).await.unwrap(), None);
    let namespaces = guarded(kube.list_objects("v1", "Namespace", None, "owner=micro")).await.unwrap();
    assert_eq!(namespaces.len(), 2);
    let pods = guarded(kube.list_objects("v1", "Pod", None, "micro=runtime")).await.unwrap();
    assert_eq!(pods.len(), 3);
    let unknown = guarded(kube.get_object("v1", "Unicorn", None, "x")).await.unwrap_err();
    assert!(matches!(unknown, KubeError::Unreadable { .. }), "{unknown}");
}
