//! OpenAPI: each operation is a node. References within the document are resolved, so that a schema stands by itself; servers are
//! not asked.

use serde_json::{Map, Value};

use super::{Entries, text, texts};
use crate::model::{NodeSpec, ToolKind};

const METHODS: [&str; 7] = ["get", "put", "post", "delete", "patch", "head", "options"];

/// Values that the references of one operation may grow to. Schemas that hold themselves in many ways would never end.
const RESOLVED_MAX: usize = 2_000;

/// Reads the operations; `None` if there are no paths.
pub(super) fn read(value: &Value) -> Option<Entries> {
    let paths = value.get("paths")?.as_object()?;
    let title = value.pointer("/info/title").and_then(Value::as_str).unwrap_or_default();
    let mut entries = Entries::new();
    for (path, item) in paths {
        let Some(item) = item.as_object() else { continue };
        for method in METHODS {
            let Some(operation) = item.get(method).and_then(Value::as_object) else { continue };
            let mut references = References { document: value, open: Vec::new(), left: RESOLVED_MAX };
            let shared = item.get("parameters").map(|shared| references.resolve(shared));
            let mut operation = operation.clone();
            for part in ["parameters", "requestBody"] {
                operation.entry(part).and_modify(|part| *part = references.resolve(part));
            }
            entries.push(Ok(node(title, path, method, &operation, shared.as_ref())));
        }
    }
    Some(entries)
}

/// Puts what references name in their places.
struct References<'a> {
    document: &'a Value,
    /// What is being resolved: within itself it stands for anything.
    open: Vec<&'a Value>,
    left: usize,
}

impl References<'_> {
    /// A copy of `value` without references into the document. Those to elsewhere stay.
    fn resolve(&mut self, value: &Value) -> Value {
        self.left = self.left.saturating_sub(1);
        match value {
            Value::Array(values) => values.iter().map(|value| self.resolve(value)).collect(),
            Value::Object(fields) => {
                match fields.get("$ref").and_then(Value::as_str).and_then(|path| self.find(path)) {
                    Some(target) if self.left == 0 || self.open.iter().any(|open| std::ptr::eq(*open, target)) => {
                        Value::Object(Map::new())
                    }
                    Some(target) => {
                        self.open.push(target);
                        let resolved = self.resolve(target);
                        self.open.pop();
                        resolved
                    }
                    None => {
                        Value::Object(fields.iter().map(|(name, value)| (name.clone(), self.resolve(value))).collect())
                    }
                }
            }
            plain => plain.clone(),
        }
    }
}

impl<'a> References<'a> {
    /// What a reference such as `#/components/schemas/Pet` names.
    fn find(&self, path: &str) -> Option<&'a Value> {
        self.document.pointer(path.strip_prefix('#')?)
    }
}

fn is_required(what: &Map<String, Value>) -> bool {
    what.get("required").and_then(Value::as_bool).unwrap_or_default()
}

fn node(title: &str, path: &str, method: &str, operation: &Map<String, Value>, shared: Option<&Value>) -> NodeSpec {
    let id = text(operation, &["operationId"]);
    let parts = [text(operation, &["summary"]), text(operation, &["description"])];
    let description: Vec<&str> = parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
    let description = if description.is_empty() { format!("{method} {path}") } else { description.join("\n") };
    let mut properties = Map::new();
    let mut required: Vec<String> = Vec::new();
    let lists = [shared, operation.get("parameters")];
    for parameter in lists.into_iter().flatten().filter_map(Value::as_array).flatten().filter_map(Value::as_object) {
        let name = text(parameter, &["name"]);
        let mut about = parameter.get("schema").and_then(Value::as_object).cloned().unwrap_or_default();
        let described = text(parameter, &["description"]);
        if !described.is_empty() {
            about.insert("description".to_owned(), Value::String(described));
        }
        if name.is_empty() {
            continue;
        }
        // An operation's own parameter stands in the place of a shared one.
        required.retain(|other| *other != name);
        if is_required(parameter) {
            required.push(name.clone());
        }
        properties.insert(name, Value::Object(about));
    }
    let request = operation.get("requestBody");
    if let Some(body) = request.and_then(|request| request.pointer("/content/application~1json/schema")) {
        properties.insert("body".to_owned(), body.clone());
        if request.and_then(Value::as_object).is_some_and(is_required) {
            required.push("body".to_owned());
        }
    }
    let mut arguments = serde_json::json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        arguments["required"] = required.into();
    }
    NodeSpec {
        name: if id.is_empty() { format!("{method} {path}") } else { id },
        description,
        kind: ToolKind::ApiCall,
        arguments: arguments.to_string(),
        tags: texts(operation, &["tags"]),
        folder: title.replace('/', " "),
        metadata: [("method".to_owned(), method.to_owned()), ("path".to_owned(), path.to_owned())].into(),
        ..NodeSpec::default()
    }
}
