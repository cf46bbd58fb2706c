//! status: whether all is well, for everybody to see.
//!
//! Lives here: Status.Call. Does not: the health of a single service (`debug`).

use super::{config, reachable};
use crate::fake::defect::Defect;
use crate::fake::platform::wire::{Refusal, Reply, Request, message};
use crate::fake::platform::{MICRO, State};
use serde_json::json;
use std::collections::BTreeMap;

const USUAL: &str = "api,auth,broker,config,debug,network,proxy,registry,runtime,store";

pub(super) fn answer(state: &mut State, _request: &Request) -> Reply {
    let listed = config::text_at(state, "micro.status.services").unwrap_or_else(|| USUAL.to_owned());
    let mut health = BTreeMap::new();
    let mut all_well = !state.has(Defect::StatusLies);
    for service in listed.split(',').map(str::trim) {
        let said = match reachable(state, MICRO, service) {
            Ok(()) => "OK".to_owned(),
            Err(refusal) => {
                all_well = false;
                format!("NOT_HEALTHY {}", refusal.to_json())
            }
        };
        health.insert(service, said);
    }
    let body = json!(health).to_string();
    if all_well {
        message(json!({ "statusCode": 200, "body": body }))
    } else {
        Err(Refusal::micro("status.error", 500, body))
    }
}
