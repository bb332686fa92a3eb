//! The schema of all JSON that the programs print and read.

use jsonschema::Validator;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

const SCHEMA: &str = include_str!("../../docs/reference/json.schema.json");

/// Expects a value to match a definition of the schema.
#[track_caller]
pub fn expect(definition: &str, value: &Value) {
    static VALIDATORS: OnceLock<Mutex<HashMap<String, Validator>>> = OnceLock::new();
    let mut validators = VALIDATORS.get_or_init(Mutex::default).lock().unwrap();
    let validator = validators.entry(definition.to_owned()).or_insert_with(|| {
        let mut schema: Value = serde_json::from_str(SCHEMA).unwrap();
        schema["$ref"] = format!("#/$defs/{definition}").into();
        jsonschema::validator_for(&schema).unwrap()
    });
    let errors: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    drop(validators);
    assert!(errors.is_empty(), "{value} is no {definition}: {errors:?}");
}
