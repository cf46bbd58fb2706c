//! Mailboxes that are no operation: whether mail can be read, and whether there are pods whose log can be.

use super::{Finding, quoted};
use crate::client::kube::{Kube, KubeError};
use crate::client::mail::MailError;
use crate::target::{LoggingPods, Target, Way};

/// A finding for each of them.
pub(super) async fn examined(target: &Target) -> Vec<Finding> {
    let mut findings = vec![];
    for (name, mailbox) in &target.file.mailbox {
        let what = format!("mailbox {}", name.value);
        match mailbox.way() {
            Some(Way::Mail(_)) => findings.extend(of_mail(&what, &name.value, target).await),
            Some(Way::Pods(pods)) => findings.push(of_pods(&what, pods, target).await),
            Some(Way::Operation(_) | Way::Log(..)) | None => {}
        }
    }
    findings
}

async fn of_mail(what: &str, name: &str, target: &Target) -> Option<Finding> {
    let error = match target.mail.get(name)?.look(target.answer_within()).await {
        Ok(()) => return Some(Finding::good(what, "mails can be read")),
        Err(error) => error,
    };
    let advice = match &error {
        MailError::Login(_) => "look at `user` and `secret` of this mailbox",
        MailError::Certificate(_) => "name the certificate's issuer with `ca: FILE`, or mend the certificate",
        MailError::Unreachable(_) => "look at the address of this mailbox, and at `tls`",
        MailError::Unreadable(_) | MailError::Address(_) => {
            "look at this mailbox in the target file: its address, its `folder`"
        }
    };
    Some(Finding::bad(what, error.to_string(), advice))
}

async fn of_pods(what: &str, place: &LoggingPods, target: &Target) -> Finding {
    let advice = format!("kubectl -n {} logs -l {}", place.namespace, quoted(&place.selector));
    let Some(cluster) = target.kubernetes() else {
        return Finding::bad(what, "the target file names no `kubernetes`", "add it");
    };
    let read = async {
        let kube = cluster.connect(target.answer_within()).await?;
        cluster.compare(&kube).await?;
        lines(&kube, place).await.map_err(|error| error.to_string())
    };
    match read.await {
        Ok((0, _)) => Finding::bad(what, format!("no pod fits `{}`", place.selector), advice),
        Ok((pods, 0)) => Finding::bad(what, format!("{pods} pods fit, and none has written a line"), advice),
        Ok((pods, _)) => Finding::good(what, format!("the log of {pods} pods can be read")),
        Err(why) => Finding::bad(what, why, advice),
    }
}

/// How many pods there are, and how many lines they have written, of the last ten of each.
async fn lines(kube: &Kube, place: &LoggingPods) -> Result<(usize, usize), KubeError> {
    let pods = kube.pods(&place.namespace, &place.selector).await?;
    let mut lines = 0;
    for pod in &pods {
        lines += kube.timed_log(pod, place.container.as_deref(), 10).await?.len();
    }
    Ok((pods.len(), lines))
}
