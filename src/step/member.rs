//! A member of a pod group: whom a fault hits, and how its pods are selected.
//!
//! Lives here: from what a suite writes to the group of the target file, and the selector of a member's pods. Does not:
//! listing pods (`client::kube`), or choosing one (`fault::victim`).

use super::stage::Stage;
use super::{Names, Template};
use crate::outcome::Failure;
use crate::target::Group;
use serde_json::Value;

/// A member of a pod group.
pub(crate) struct Member {
    /// The group's name in the target file.
    pub(crate) group_name: String,
    /// The group.
    pub(crate) group: Group,
    /// The member's name.
    pub(crate) name: String,
    /// The label selector of its pods.
    pub(crate) selector: String,
}

impl Member {
    /// The member that a template names; `fault` is who asks.
    pub(crate) fn of(template: &Template, fault: &str, stage: &Stage<'_>) -> Result<Self, Vec<Failure>> {
        let value = template.render(&stage.names);
        let value = value.map_err(|error| vec![stage.doubt("step.template", &error.to_string())])?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let groups = &stage.scene.target.file.groups;
        let found = text("group").zip(text("name")).and_then(|(group_name, name)| {
            let group = groups.iter().find(|(key, _)| key.value == group_name)?.1.clone();
            Some((group_name, group, name))
        });
        let Some((group_name, group, name)) = found else {
            let text = format!("`{fault}` wants a member of a pod group");
            return Err(vec![stage.doubt("fault.member", &text)]);
        };
        let selector = selector_of(&group, &name).map_err(|why| vec![stage.doubt("step.template", &why)])?;
        Ok(Self { group_name, group, name, selector })
    }
}

/// The label selector of a member's pods: they are among its group's, whatever else has such labels.
///
/// # Errors
/// If the group's `pod_of` cannot be rendered.
pub fn selector_of(group: &Group, member: &str) -> Result<String, String> {
    let own = labels_of(group, member)?;
    let parts = [group.selector.trim(), own.trim()].into_iter().filter(|part| !part.is_empty());
    Ok(parts.collect::<Vec<_>>().join(","))
}

/// What tells a member's pods from the others of its group.
///
/// # Errors
/// If the group's `pod_of` cannot be rendered.
pub fn labels_of(group: &Group, member: &str) -> Result<String, String> {
    let names: Names = [("member".to_owned(), Value::from(member))].into_iter().collect();
    let template = Template::new(&group.pod_of, group.pod_of.at).map_err(|problem| problem.text)?;
    template.render_text(&names).map_err(|error| error.to_string())
}
