//! The databases: whether they can be reached and asked, how long the certificates hold, and what the user may do there.

use super::Finding;
use super::network::{CERTIFICATE_DAYS, days_left};
use crate::client::postgres::{Postgres, Rows};
use crate::host;
use crate::target::{Target, WritePermit};
use serde_json::Value;
use std::collections::BTreeSet;
use std::time::Duration;

/// The longest wait for each part of a question.
const WITHIN: Duration = Duration::from_secs(10);
/// Who asks, and in how many tables it may change something. That the session only reads is seen to by whoever asks.
const WHO: &str = "select current_user::text as who, current_database()::text as place, \
    (select rolsuper from pg_roles where rolname = current_user) as may_everything, \
    (select count(distinct table_schema || '.' || table_name) from information_schema.table_privileges \
     where grantee = current_user and privilege_type in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')) as may_change";

/// Findings on each database that the target file names; `changed` are those that suites change.
pub(super) async fn examined(target: &Target, changed: &BTreeSet<&String>) -> Vec<Finding> {
    let now_s = host::now().as_second();
    let mut findings = vec![];
    for (name, database) in &target.databases {
        let is_changed = changed.contains(name) && target.file.permits.write == WritePermit::Shared;
        findings.extend(of_database(&format!("database {name}"), database, is_changed, now_s).await);
    }
    findings
}

async fn of_database(what: &str, database: &Postgres, is_changed: bool, now_s: i64) -> Vec<Finding> {
    let mut findings: Vec<Finding> =
        certificate(what, "ours for it", database.own_certificate_ends_s(), now_s).into_iter().collect();
    match database.ask(WHO, &[], WITHIN).await {
        Ok(rows) => {
            findings.extend(certificate(what, "its certificate", rows.certificate_ends_s, now_s));
            findings.push(rights(what, &rows, is_changed));
        }
        Err(why) => {
            findings.push(Finding::of_error(what, &why, "look at this database in the target file"));
        }
    }
    findings
}

/// A certificate that ends soon, whoever's it is.
fn certificate(what: &str, whose: &str, ends_s: Option<i64>, now_s: i64) -> Option<Finding> {
    let days = days_left(ends_s?, now_s);
    let seen = format!("{whose} ends in {days} days");
    (days < CERTIFICATE_DAYS)
        .then(|| Finding::bad(what, seen, "have it renewed: from then on it cannot be asked"))
}

/// What the user may do: more than suites need is more than is needed.
fn rights(what: &str, rows: &Rows, is_changed: bool) -> Finding {
    let row = &rows.json[0];
    let text = |column: &str| row[column].as_str().unwrap_or_default().to_owned();
    let tables = row["may_change"].as_u64().unwrap_or_default();
    let (who, place) = (text("who"), text("place"));
    if row["may_everything"] == Value::Bool(true) {
        let advice = "name a user that may do no more than steps do: read, and change what they say";
        return Finding::bad(what, format!("{who} may do everything in {place}"), advice);
    }
    let held = if rows.certificate_ends_s.is_some() { ", over TLS" } else { ", without TLS" };
    let changes = format!("{who} may change {tables} tables of {place}");
    match (is_changed, tables) {
        (false, 0) => Finding::good(what, format!("{who} may read {place}{held}")),
        (false, _) => {
            Finding::bad(what, changes, "steps only read; name a user that may do no more than that")
        }
        (true, 0) => Finding::bad(what, changes, "suites change this database: GRANT that to the user"),
        (true, _) => Finding::good(what, format!("{changes}{held}, as suites do")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn told_of(may_everything: bool, may_change: u64, is_changed: bool) -> String {
        let row = json!({ "who": "reader", "place": "platform", "may_everything": may_everything, "may_change": may_change });
        let rows = Rows { json: json!([row]), took: Duration::ZERO, certificate_ends_s: None };
        rights("database main", &rows, is_changed).line()
    }

    fn told(may_everything: bool, may_change: u64) -> String {
        told_of(may_everything, may_change, false)
    }

    #[test]
    fn a_database_that_suites_change_wants_a_user_that_may() {
        let told = |may_change| told_of(false, may_change, true);
        assert!(told(3).starts_with(
            "ok      database main              reader may change 3 tables of platform, without TLS, as suites do\n"
        ));
        assert!(told(0).starts_with("NOT OK  database main              reader may change 0 tables"));
        assert!(told_of(true, 3, true).starts_with("NOT OK"));
    }

    #[test]
    fn a_user_that_may_do_more_than_read_is_told() {
        assert_eq!(
            told(false, 0),
            "ok      database main              reader may read platform, without TLS\n"
        );
        assert!(
            told(false, 3)
                .starts_with("NOT OK  database main              reader may change 3 tables of platform\n")
        );
        assert!(told(true, 0).contains("reader may do everything in platform\n"));
    }

    #[test]
    fn a_certificate_is_told_two_weeks_before_its_end() {
        let told = |days: i64| certificate("database main", "its certificate", Some(days * 86_400), 0);
        assert!(told(14).is_none() && certificate("database main", "its certificate", None, 0).is_none());
        let line = told(13).unwrap().line();
        assert!(
            line.starts_with("NOT OK  database main              its certificate ends in 13 days\n"),
            "{line}"
        );
    }
}
