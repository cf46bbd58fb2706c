//! Names, connections, certificates and clocks of a target's addresses.

use super::Finding;
use crate::client::{Reached, Unreached, reach};
use crate::host;
use crate::judge::skew;
use crate::target::{TargetFile, as_url};
use jiff::SignedDuration;
use std::time::Duration;

/// The longest wait for each part of a look at an address.
const WITHIN: Duration = Duration::from_secs(10);
/// A certificate that ends sooner than this is told.
pub(super) const CERTIFICATE_DAYS: i64 = 14;
const DAY_S: i64 = 86_400;

/// One finding for each address, and one for the clock of the API.
pub(super) async fn examined(file: &TargetFile) -> Vec<Finding> {
    let mut findings = vec![];
    let proxy = file.proxy.as_ref().map(|at| as_url(at));
    let places = [
        ("api", Some(file.api.value.clone()), false),
        ("proxy", proxy, true),
        ("admin", file.admin.as_ref().map(|at| at.value.clone()), false),
    ];
    let networks = file.networks();
    for (key, address, speaks_http2) in places {
        let Some(address) = address else { continue };
        match reach(&address, speaks_http2, &networks, WITHIN).await {
            Ok(reached) => findings.extend(of_reached(key, &address, &reached, host::now().as_second())),
            Err(error) => {
                findings.push(Finding::bad(key, format!("{address}: {error}"), advice(key, &error)))
            }
        }
    }
    findings
}

fn advice(key: &str, error: &Unreached) -> String {
    match error {
        Unreached::Certificate(_) => {
            "have the certificate mended, or let this machine trust its issuer (SSL_CERT_FILE)".to_owned()
        }
        _ => format!("look at `{key}` in the target file, and whether this machine may go there"),
    }
}

/// What the server showed of itself; the clock only of the API, which tells the time in each answer.
fn of_reached(key: &str, address: &str, reached: &Reached, now_s: i64) -> Vec<Finding> {
    let mut findings = vec![match reached.certificate_ends_s.map(|end| days_left(end, now_s)) {
        None => Finding::good(key, format!("{address} answers")),
        Some(days) if days >= CERTIFICATE_DAYS => {
            Finding::good(key, format!("{address} answers; its certificate is good for {days} days"))
        }
        Some(days) => Finding::bad(
            key,
            format!("the certificate of {address} ends in {days} days"),
            "have it renewed: from then on nothing can be tested",
        ),
    }];
    if let Some(theirs) = reached.clock_s.filter(|_| key == "api") {
        findings.push(clock(theirs - now_s));
    }
    findings
}

/// Whole days until a moment; below 0 once it is past.
pub(super) fn days_left(end_s: i64, now_s: i64) -> i64 {
    (end_s - now_s).div_euclid(DAY_S)
}

fn clock(ahead_s: i64) -> Finding {
    let seen = match ahead_s {
        0 => "the platform's clock shows the same time as ours".to_owned(),
        1.. => format!("the platform's clock is {ahead_s} s ahead of ours"),
        _ => format!("the platform's clock is {} s behind ours", -ahead_s),
    };
    match SignedDuration::from_secs(ahead_s).abs() <= skew::TOLERANCE {
        true => Finding::good("clock", seen),
        false => Finding::bad("clock", seen, "set this machine's clock, or the platform's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(certificate_ends_s: Option<i64>, clock_s: Option<i64>) -> String {
        let reached = Reached { addresses: vec![], certificate_ends_s, clock_s };
        of_reached("api", "https://a", &reached, 1_000_000).iter().map(Finding::line).collect()
    }

    #[test]
    fn certificates_are_told_by_the_days_they_have_left() {
        let ends = |days: i64| lines(Some(1_000_000 + days * DAY_S), None);
        assert!(ends(14).starts_with("ok ") && ends(14).contains("is good for 14 days"));
        assert!(ends(13).starts_with("NOT OK ") && ends(13).contains("ends in 13 days"));
        assert!(ends(-1).contains("ends in -1 days"));
    }

    #[test]
    fn clocks_may_be_apart_by_half_a_minute() {
        let apart = |seconds: i64| lines(None, Some(1_000_000 + seconds));
        assert!(
            apart(30)
                .contains("ok      clock                      the platform's clock is 30 s ahead of ours")
        );
        assert!(
            apart(-31)
                .contains("NOT OK  clock                      the platform's clock is 31 s behind ours")
        );
    }
}
