//! The JSON Schema of suites, flows, operations and target files, for editors.

use super::parse::{KnownSyntax, SuiteSyntax};
use crate::step::{FlowSyntax, FormSyntax, Operation, kind_schemas};
use crate::target::TargetFile;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

/// The schema of one kind of file: `suite`, `flow`, `operations`, `target` or `known-failures`; `None` for another word.
pub fn schema(kind: &str) -> Option<Value> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let root = match kind {
        "suite" => root::<SuiteSyntax>(&mut generator),
        "flow" => root::<FlowSyntax>(&mut generator),
        "target" => root::<TargetFile>(&mut generator),
        "known-failures" => root::<Vec<KnownSyntax>>(&mut generator),
        "operations" => operations(&mut generator),
        _ => return None,
    };
    let step = matches!(kind, "suite" | "flow").then(|| step(&mut generator));
    let mut value = root.to_value();
    let mut definitions = generator.take_definitions(true);
    if let Some(step) = step {
        definitions.insert("Step".into(), step);
        point_to_step(&mut value);
        definitions.values_mut().for_each(point_to_step);
    }
    value["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    value["$defs"] = Value::Object(definitions);
    close(&mut value);
    Some(value)
}

fn root<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    T::json_schema(generator)
}

fn operations(generator: &mut SchemaGenerator) -> Schema {
    let operation = generator.subschema_for::<Operation>();
    let forms = generator.subschema_for::<Vec<FormSyntax>>();
    schemars::json_schema!({
        "type": "object",
        "properties": { "refused": forms },
        "patternProperties": { "\\.": operation },
        "additionalProperties": false
    })
}

/// A step has exactly one kind key, and may have a name.
fn step(generator: &mut SchemaGenerator) -> Value {
    let kinds = kind_schemas(generator).into_iter().map(|(key, schema)| {
        json!({
            "type": "object",
            "properties": { "name": { "type": "string" }, "when": { "type": "string" }, key: schema.to_value() },
            "required": [key],
            "additionalProperties": false
        })
    });
    json!({ "oneOf": kinds.collect::<Vec<_>>() })
}

/// `steps` are read later, as whole nodes: the schema says what they are all the same.
fn point_to_step(value: &mut Value) {
    if let Some(items) = value.pointer_mut("/properties/steps/items") {
        *items = json!({ "$ref": "#/$defs/Step" });
    }
}

/// Unknown keys are errors in our files, and so they are in the schema.
fn close(value: &mut Value) {
    if let Value::Object(map) = value {
        let is_object = map.get("type") == Some(&json!("object")) && map.contains_key("properties");
        if is_object && !map.contains_key("additionalProperties") && !map.contains_key("patternProperties") {
            map.insert("additionalProperties".into(), json!(false));
        }
        map.values_mut().for_each(close);
    } else if let Value::Array(list) = value {
        list.iter_mut().for_each(close);
    }
}
