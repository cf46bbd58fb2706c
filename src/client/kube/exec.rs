//! A command inside a container, over a WebSocket.
//!
//! Lives here: running one and reading its end. Does not: which command, or why (`fault`).

use super::{Kube, KubeError, Victim};
use ::kube::Error;
use ::kube::ResourceExt;
use ::kube::api::AttachParams;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use tokio::time::timeout;

/// What became of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Execution {
    /// It ended well, or was torn off with the container that it ran in.
    Done,
    /// It could not be run, or ended badly (the server's sentence).
    Failed(String),
    /// The very pod that is meant is not there: nothing was done.
    Gone,
}

impl Kube {
    /// Runs a command in a container of a pod, in its default one if none is named, if the pod still is the one that is
    /// meant: that is asked right before, for the API takes no precondition here.
    ///
    /// # Errors
    /// As every call: see [`KubeError`]; after a time-out it may have been done.
    pub async fn execute(
        &self,
        victim: &Victim,
        container: Option<&str>,
        command: &[String],
    ) -> Result<Execution, KubeError> {
        let what = format!("run {} in pod {}/{}", command.join(" "), victim.namespace, victim.name);
        let pods = self.pods_in(&victim.namespace);
        let found = self.call(&what, pods.get_opt(&victim.name)).await?;
        if found.and_then(|pod| pod.uid()).as_deref() != Some(victim.uid.as_str()) {
            return Ok(Execution::Gone);
        }
        let silent = AttachParams::default().stdin(false).stdout(false).stderr(true);
        let parameters = AttachParams { container: container.map(str::to_owned), ..silent };
        let call = pods.exec(&victim.name, command.iter().cloned(), &parameters);
        let mut process = match timeout(self.call_within, call).await {
            Ok(Ok(process)) => process,
            Ok(Err(Error::Api(status))) if status.code == 404 => return Ok(Execution::Gone),
            Ok(Err(error)) => return Err(self.told(&what, error)),
            Err(_) => return Err(KubeError::TimedOut { what, limit: self.call_within }),
        };
        let Some(status) = process.take_status() else { return Ok(Execution::Done) };
        match timeout(self.call_within, status).await {
            Ok(status) => Ok(read_end(status)),
            Err(_) => Err(KubeError::TimedOut { what, limit: self.call_within }),
        }
    }
}

/// No status: the connection ended with the container, which is what was wanted.
fn read_end(status: Option<Status>) -> Execution {
    const KILLED: &str = "137";
    let Some(status) = status.filter(|status| status.status.as_deref() == Some("Failure")) else {
        return Execution::Done;
    };
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    let mut codes = causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode"));
    // The command was killed with the process that it had ended.
    if codes.any(|cause| cause.message.as_deref() == Some(KILLED)) {
        return Execution::Done;
    }
    Execution::Failed(status.message.unwrap_or_else(|| "the cluster does not say why".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_command_that_went_with_its_container_did_what_it_should() {
        let failed = |code: &str| {
            json!({
                "status": "Failure", "message": format!("command terminated with exit code {code}"),
                "details": { "causes": [{ "reason": "ExitCode", "message": code }] },
            })
        };
        let said = Execution::Failed("command terminated with exit code 1".into());
        for (status, expected) in [
            (None, Execution::Done),
            (Some(json!({ "status": "Success" })), Execution::Done),
            (Some(failed("137")), Execution::Done),
            (Some(failed("1")), said),
            (
                Some(json!({ "status": "Failure", "message": "not found" })),
                Execution::Failed("not found".into()),
            ),
        ] {
            let status = status.map(|it| serde_json::from_value(it).unwrap());
            assert_eq!(read_end(status), expected);
        }
    }
}
