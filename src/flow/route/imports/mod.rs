//! Reading node types from files that others wrote: what the file is decides the reader, what is wrong with one entry is told
//! of that entry, and nothing in a file is ever run.

use serde_json::{Map, Value};

use crate::base::error::{Error, Result};
use crate::engine::parse::functions;
use crate::model::{NodeSpec, ToolKind};

mod openapi;
mod tools;

/// What came out of a file: nodes, and the entries that are none.
pub type Entries = Vec<Result<NodeSpec>>;

/// Formats that a caller may name; without one it is found out.
const FORMATS: [&str; 3] = ["mcp", "openapi", "json"];

/// Reads a file. `format` is `mcp` for the tools of an MCP server, `openapi`, `json`, or empty.
///
/// # Errors
/// Invalid if it is none of the formats that are known, naming them.
pub fn read(format: &str, file_name: &str, content: &[u8]) -> Result<Entries> {
    if !format.is_empty() && !FORMATS.contains(&format) {
        return Err(Error::invalid("format", format!("format {format:.40?} is not one of {}", FORMATS.join(", "))));
    }
    let text = std::str::from_utf8(content)
        .map_err(|cause| Error::invalid("content", format!("{file_name} is no UTF-8 text: {cause}")))?;
    let extension = file_name.rsplit_once('.').map_or("", |(_, extension)| extension);
    if format.is_empty() && matches!(extension, "py" | "rs") {
        return Ok(from_source(file_name, extension, text));
    }
    let value = match serde_json::from_str::<Value>(text) {
        Ok(value) => value,
        // JSON is YAML too, but whoever writes JSON wants to hear of JSON's mistakes.
        Err(_) if matches!(extension, "yaml" | "yml") => {
            serde_saphyr::from_str(text).map_err(|cause| unknown(file_name, &cause.to_string()))?
        }
        Err(cause) => lines(text).ok_or_else(|| unknown(file_name, &cause.to_string()))?,
    };
    if format == "openapi" || value.get("openapi").is_some() || value.get("swagger").is_some() {
        return openapi::read(&value).ok_or_else(|| unknown(file_name, "it has no paths"));
    }
    let kind = if format == "mcp" { ToolKind::McpTool } else { ToolKind::Function };
    tools::read(&value, kind).ok_or_else(|| unknown(file_name, "it holds no list of tools and no table of scripts"))
}

fn unknown(file_name: &str, why: &str) -> Error {
    Error::invalid(
        "content",
        format!(
            "{file_name} is not understood: {why}. Known are node_scripts.json, function configurations, OpenAI and MCP tool \
             lists, OpenAPI (JSON or YAML), JSON lines, and Python or Rust source"
        ),
    )
}

/// JSON lines as one list.
fn lines(text: &str) -> Option<Value> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let values: Option<Vec<Value>> = lines.map(|line| serde_json::from_str(line).ok()).collect();
    values.filter(|values| !values.is_empty()).map(Value::Array)
}

fn from_source(file_name: &str, extension: &str, text: &str) -> Entries {
    let found = functions::public_functions(extension, text);
    let node = |function: functions::Function| {
        let mut properties = Map::new();
        for (name, about) in &function.arguments {
            let about =
                if about.is_empty() { Value::Object(Map::new()) } else { serde_json::json!({"description": about}) };
            properties.insert(name.clone(), about);
        }
        let arguments = serde_json::json!({"type": "object", "properties": properties}).to_string();
        let description = if function.doc.is_empty() { function.name.clone() } else { function.doc };
        Ok(NodeSpec {
            description,
            arguments,
            name: function.name,
            returns: function.returns,
            code: function.code,
            language: if extension == "py" { "python".to_owned() } else { "rust".to_owned() },
            metadata: [("file".to_owned(), file_name.to_owned())].into(),
            ..NodeSpec::default()
        })
    };
    found.into_iter().map(node).collect()
}

/// A text field under the first of these names that there is.
fn text(fields: &Map<String, Value>, names: &[&str]) -> String {
    let found = names.iter().find_map(|name| fields.get(*name));
    match found {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

/// A list of texts under the first of these names that there is; one text alone is a list of one.
fn texts(fields: &Map<String, Value>, names: &[&str]) -> Vec<String> {
    let plain = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    match names.iter().find_map(|name| fields.get(*name)) {
        Some(Value::Array(values)) => values.iter().map(plain).collect(),
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(table)) if table.is_empty() => Vec::new(),
        Some(other) => vec![plain(other)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(format: &str, file: &str, content: &str) -> Vec<String> {
        let read = read(format, file, content.as_bytes()).unwrap();
        read.into_iter().map(|entry| entry.map_or_else(|error| format!("! {error}"), |spec| spec.name)).collect()
    }

    fn one(format: &str, file: &str, content: &str) -> NodeSpec {
        read(format, file, content.as_bytes()).unwrap().remove(0).unwrap()
    }

    #[test]
    fn scripts_by_name() {
        let file = r#"{"write_text": {"language": "python", "description": "Writes a text", "script": "print(1)"},
                       "broken": 7}"#;
        let found = read("", "node_scripts.json", file.as_bytes()).unwrap();
        assert_eq!(found.len(), 2);
        let script = found.iter().flatten().next().unwrap();
        assert_eq!(
            (script.name.as_str(), script.kind, script.code.as_str()),
            ("write_text", ToolKind::Script, "print(1)")
        );
        assert!(found.iter().any(|entry| entry.as_ref().is_err_and(|error| error.message().contains("broken"))));
    }

    #[test]
    fn functions_of_a_configuration() {
        let spec = one(
            "",
            "functions.json",
            r#"[{"name": "add", "description": "Adds", "arguments": {"type": "object", "properties": {"a": {}}},
                 "return_type": "int", "test_cases": [{"in": [1, 2], "out": 3}], "code": "a+b", "dependencies": ["math"],
                 "language": "python", "utterances": ["what is one plus one"]}]"#,
        );
        assert_eq!((spec.name.as_str(), spec.returns.as_str(), spec.kind), ("add", "int", ToolKind::Function));
        assert_eq!((spec.dependencies.as_slice(), spec.test_cases.len()), (&["math".to_owned()][..], 1));
        assert!(spec.arguments.contains("properties") && spec.utterances.len() == 1);
    }

    #[test]
    fn tools_of_openai_and_mcp() {
        let openai = r#"{"tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}]}"#;
        assert_eq!(one("", "t.json", openai).arguments, r#"{"type":"object"}"#);
        let mcp = r#"{"tools": [{"name": "g", "description": "d", "inputSchema": {"type": "object"}}]}"#;
        let spec = one("mcp", "server", mcp);
        assert_eq!((spec.kind, spec.arguments.as_str()), (ToolKind::McpTool, r#"{"type":"object"}"#));
    }

    #[test]
    fn operations_of_an_openapi_file() {
        let file = r#"{"openapi": "3.0.0", "info": {"title": "Pets"}, "paths": {"/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "description": "Which pet", "schema": {"type": "string"}}],
            "get": {"operationId": "getPet", "summary": "Shows a pet", "tags": ["pets"]},
            "delete": {"summary": "Removes a pet"}}}}"#;
        assert_eq!(names("", "api.json", file), ["getPet", "delete /pets/{id}"]);
        let spec = one("", "api.json", file);
        assert!(spec.arguments.contains("Which pet") && spec.kind == ToolKind::ApiCall && spec.tags == ["pets"]);
    }

    #[test]
    fn an_operation_says_which_of_its_arguments_have_to_be_given() {
        let file = r#"{"openapi": "3.0.0", "paths": {"/pets/{id}": {
            "parameters": [{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
                           {"name": "trace", "in": "header", "required": true, "schema": {"type": "string"}}],
            "put": {"parameters": [{"name": "trace", "in": "header"}, {"name": "dry", "in": "query"}],
                    "requestBody": {"required": true, "content": {"application/json": {"schema": {"type": "object"}}}}}}}}"#;
        let arguments: Value = serde_json::from_str(&one("", "api.json", file).arguments).unwrap();
        assert_eq!(arguments["required"], serde_json::json!(["id", "body"]), "{arguments}");
        assert_eq!(arguments["properties"].as_object().unwrap().len(), 4);
    }

    #[test]
    fn references_within_an_openapi_file_are_resolved() {
        let file = r##"{"openapi": "3.0.0", "paths": {"/pets": {"post": {
            "parameters": [{"$ref": "#/components/parameters/trace"}],
            "requestBody": {"$ref": "#/components/requestBodies/pet"}}}},
            "components": {
                "parameters": {"trace": {"name": "trace", "in": "query", "schema": {"type": "integer"}}},
                "requestBodies": {"pet": {"required": true, "content": {"application/json": {"schema": {"$ref": "#/components/schemas/a~1pet"}}}}},
                "schemas": {"a/pet": {"type": "object", "properties": {
                    "name": {"type": "string"}, "mother": {"$ref": "#/components/schemas/a~1pet"}, "vet": {"$ref": "vets.json#/vet"}}}}}}"##;
        let arguments: Value = serde_json::from_str(&one("", "api.json", file).arguments).unwrap();
        assert_eq!(arguments["properties"]["trace"], serde_json::json!({"type": "integer"}));
        assert_eq!(arguments["required"], serde_json::json!(["body"]));
        let pet = &arguments["properties"]["body"]["properties"];
        assert_eq!(pet["name"], serde_json::json!({"type": "string"}));
        assert_eq!(pet["mother"], serde_json::json!({}), "what holds itself stands for anything");
        assert_eq!(pet["vet"], serde_json::json!({"$ref": "vets.json#/vet"}), "other files are not asked");
    }

    #[test]
    fn an_openapi_file_may_be_yaml() {
        let file = "openapi: 3.0.0\ninfo:\n  title: Pets\npaths:\n  /pets:\n    get:\n      operationId: listPets\n      \
                    summary: Lists all pets\n      parameters:\n        - {name: limit, in: query, schema: {type: integer}}\n";
        assert_eq!(names("", "api.yaml", file), ["listPets"]);
        assert!(one("openapi", "api.yml", file).arguments.contains("integer"));
        let levels: String =
            (1..40).map(|level| format!("a{level}: &a{level} [{}]\n", format!("*a{},", level - 1).repeat(9))).collect();
        let bomb = read("", "bomb.yaml", format!("a0: &a0 x\n{levels}").as_bytes()).unwrap_err();
        assert!(bomb.message().contains("bomb.yaml"), "{bomb}");
    }

    #[test]
    fn public_functions_of_source() {
        let python = "import os\n\ndef add(a: int, b: int = 2) -> int:\n    \"\"\"Adds two numbers.\"\"\"\n    return a + b\n\ndef _hidden():\n    pass\n";
        let spec = one("", "m.py", python);
        assert_eq!(names("", "m.py", python), ["add"]);
        assert_eq!((spec.description.as_str(), spec.returns.as_str()), ("Adds two numbers.", "int"));
        assert!(spec.arguments.contains("\"a\"") && spec.code.contains("return a + b"));
        let rust = "/// Doubles a number.\n/// Never overflows.\npub fn double(x: u32) -> u64 {\n    2 * u64::from(x)\n}\n\nfn hidden() {}\n";
        let spec = one("", "m.rs", rust);
        assert_eq!((spec.name.as_str(), spec.description.as_str()), ("double", "Doubles a number.\nNever overflows."));
    }

    #[test]
    fn lines_and_nonsense() {
        let lines = "{\"id\": \"a\", \"description\": \"x\", \"utterances\": [\"y\"]}\n{\"id\": \"b\", \"description\": \"x\"}\n";
        assert_eq!(names("", "routes.jsonl", lines), ["a", "b"]);
        for (format, file, content) in
            [("", "x.json", "nonsense"), ("", "x.json", "3"), ("yaml", "x", "{}"), ("openapi", "x", "{}")]
        {
            assert!(read(format, file, content.as_bytes()).is_err(), "{content}");
        }
        assert!(read("", "x", &[0xff, 0xfe]).is_err());
    }
}
