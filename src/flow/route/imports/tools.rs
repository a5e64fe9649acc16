//! Lists and tables of tools as JSON: node scripts, function configurations, OpenAI and MCP tool lists, JSON lines.

use serde_json::{Map, Value};

use super::{Entries, text, texts};
use crate::base::error::{Error, Result};
use crate::model::{NodeSpec, ToolKind};

/// Names under which a list may lie.
const LISTS: [&str; 4] = ["tools", "functions", "nodes", "node_types"];

/// Reads what `value` holds; `None` if that is neither a list nor a table of tools.
pub(super) fn read(value: &Value, kind: ToolKind) -> Option<Entries> {
    let inner = LISTS.iter().find_map(|name| value.get(*name)).unwrap_or(value);
    match inner {
        Value::Array(entries) => Some(entries.iter().map(|entry| one(None, entry, kind)).collect()),
        Value::Object(table) if !table.is_empty() && table.values().any(Value::is_object) => {
            Some(table.iter().map(|(name, entry)| one(Some(name), entry, kind)).collect())
        }
        _ => None,
    }
}

fn one(name: Option<&str>, entry: &Value, kind: ToolKind) -> Result<NodeSpec> {
    let shown = || name.map_or_else(|| entry.to_string().chars().take(60).collect(), str::to_owned);
    let no_tool = || Error::invalid("node", format!("{} is no tool: an object with a name and a description", shown()));
    let outer = entry.as_object().ok_or_else(no_tool)?;
    // OpenAI's chat format wraps the function; its newer one and MCP do not.
    let fields = outer.get("function").and_then(Value::as_object).unwrap_or(outer);
    let named = text(fields, &["name", "id", "node_type"]);
    let name = name.map_or(named, str::to_owned);
    let script = fields.contains_key("script");
    let given = text(fields, &["kind"]);
    let kind = match given.as_str() {
        "" if script => ToolKind::Script,
        "" => kind,
        given => ToolKind::parse(given)?,
    };
    Ok(NodeSpec {
        kind,
        description: text(fields, &["description", "summary", "doc"]),
        language: text(fields, &["language"]),
        code: text(fields, &["script", "code", "source"]),
        arguments: schema(fields),
        returns: text(fields, &["return_type", "returns", "output", "outputSchema"]),
        test_cases: texts(fields, &["test_cases", "tests"]),
        dependencies: texts(fields, &["dependencies", "requires"]),
        utterances: texts(fields, &["utterances", "examples"]),
        tags: texts(fields, &["tags"]),
        permissions: texts(fields, &["permissions"]),
        folder: text(fields, &["folder", "path"]),
        name,
        ..NodeSpec::default()
    })
}

/// The schema of the arguments. A plain table of arguments is made one.
fn schema(fields: &Map<String, Value>) -> String {
    let found =
        ["parameters", "inputSchema", "input_schema", "arguments", "args"].iter().find_map(|name| fields.get(*name));
    match found {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(table)) if is_plain(table) => {
            let property = |(name, about): (&String, &Value)| {
                let about = match about {
                    Value::String(text) => serde_json::json!({"description": text}),
                    other => other.clone(),
                };
                (name.clone(), about)
            };
            let properties: Map<String, Value> = table.iter().map(property).collect();
            serde_json::json!({"type": "object", "properties": properties}).to_string()
        }
        Some(other) => other.to_string(),
    }
}

/// Whether a table names arguments instead of being a schema of them.
fn is_plain(table: &Map<String, Value>) -> bool {
    let schema_words = ["type", "properties", "$ref", "$schema", "anyOf", "oneOf", "allOf"];
    !table.is_empty() && !schema_words.iter().any(|word| table.contains_key(*word))
}
