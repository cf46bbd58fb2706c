//! `muster explain`.

use super::args::ExplainArguments;
use super::{Ended, Refusal, open};
use crate::fault::FAULTS;
use crate::outcome::Ending;
use crate::source::did_you_mean;
use crate::step::Kind;
use crate::{host, suite};
use serde_json::Value;

/// A target file with comments: every key that there is.
const TARGET: &str = include_str!("../../fixtures/targets/explained.yaml");

/// What may stand in any step.
const LANGUAGE: &str = include_str!("language.txt");

/// Explains what was asked for.
pub(super) fn explain(arguments: &ExplainArguments) -> Ended {
    let text = match (arguments.what.as_str(), &arguments.name) {
        ("step", Some(kind)) => step(kind)?,
        ("step", None) => format!("step kinds: {}\n", Kind::KEYS.join(", ")),
        ("case", Some(id)) => case(arguments, id)?,
        ("case", None) => return Err(Refusal::new("which case?\nhint: `muster list` shows all cases")),
        ("fault", Some(name)) => fault(name)?,
        ("fault", None) => FAULTS.iter().map(|(name, about)| format!("{name}: {about}\n")).collect(),
        ("target", _) => TARGET.to_owned(),
        ("language", _) => LANGUAGE.to_owned(),
        (other, _) => {
            let text = format!(
                "nothing to explain about `{other}`\nhint: step KIND, case ID, fault NAME, target, language"
            );
            return Err(Refusal::new(text));
        }
    };
    host::print(&text);
    Ok(Ending::Passed)
}

fn fault(name: &str) -> Result<String, Refusal> {
    let found = FAULTS.iter().find(|(key, _)| *key == name);
    found.map(|(key, about)| format!("{key}: {about}\n")).ok_or_else(|| {
        Refusal::new(format!(
            "there is no fault `{name}`\nhint: {}",
            FAULTS.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", ")
        ))
    })
}

/// A step kind's keys, from its JSON Schema.
fn step(kind: &str) -> Result<String, Refusal> {
    if !Kind::KEYS.contains(&kind) {
        let near = did_you_mean(kind, Kind::KEYS.iter().copied());
        let hint = near.unwrap_or_else(|| format!("kinds are {}", Kind::KEYS.join(", ")));
        return Err(Refusal::new(format!("there is no step kind `{kind}`\nhint: {hint}")));
    }
    let schema = suite::schema("suite").unwrap_or_default();
    let steps = schema.pointer("/$defs/Step/oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    let found = steps
        .iter()
        .find_map(|step| step.pointer(&format!("/properties/{kind}")))
        .cloned()
        .unwrap_or_default();
    let body = resolved(&schema, &found);
    let about = body.get("description").and_then(Value::as_str).unwrap_or_default();
    let mut text = format!("{kind}: {about}\n\n");
    let required: Vec<&str> = body
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    for (key, value) in body.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let about = value
            .get("description")
            .or_else(|| resolved(&schema, value).get("description"))
            .and_then(Value::as_str);
        let mark = if required.contains(&key.as_str()) { " (needed)" } else { "" };
        text.push_str(&format!("  {key}{mark}\n      {}\n", about.unwrap_or_default().replace('\n', " ")));
    }
    Ok(text)
}

fn resolved<'s>(schema: &'s Value, value: &'s Value) -> &'s Value {
    let reference = value.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix('#'));
    reference.and_then(|pointer| schema.pointer(pointer)).unwrap_or(value)
}

fn case(arguments: &ExplainArguments, id: &str) -> Result<String, Refusal> {
    let suites = open::suites(&arguments.suites)?;
    let found = suites.cases.iter().find(|case| case.id.value == id).ok_or_else(|| {
        let near = did_you_mean(id, suites.cases.iter().map(|case| case.id.value.as_str()));
        Refusal::new(format!(
            "there is no case `{id}`\nhint: {}",
            near.unwrap_or("`muster list` shows all cases".into())
        ))
    })?;
    let words = |list: &[crate::source::At<String>]| {
        list.iter().map(|it| it.value.as_str()).collect::<Vec<_>>().join(", ")
    };
    let mut text = format!(
        "{}/{}  {}:{}\n  {}\n",
        found.family, found.id.value, found.source.name, found.id.at.line, found.why.value
    );
    let identities: Vec<String> =
        found.identities.iter().map(|(name, it)| format!("{} is a {}", name.value, it.kind.value)).collect();
    let operations: Vec<&str> = found.uses.operations.iter().map(String::as_str).collect();
    let rows = [
        ("tags", words(&found.tags)),
        ("needs", words(&found.needs)),
        ("identities", identities.join(", ")),
        ("operations", operations.join(", ")),
        ("writes", format!("{:?}", found.uses.write).to_lowercase()),
        ("limit", format!("{:.0?}", found.limit)),
    ];
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        text.push_str(&format!("  {name}: {value}\n"));
    }
    text.push_str("  steps:\n");
    for step in &found.steps {
        text.push_str(&format!("    - {}\n", step.label()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::step::{CONDITIONS, STANDING_NAMES, filter_names};

    #[test]
    fn the_page_on_the_language_names_everything() {
        let told = |word: &str| {
            LANGUAGE
                .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
                .any(|it| it == word)
        };
        let all = CONDITIONS.iter().chain(&STANDING_NAMES).copied().chain(filter_names());
        let missing: Vec<&str> = all.filter(|word| !told(word)).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
