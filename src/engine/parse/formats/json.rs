//! JSON and JSON Lines: small values are their own text; of large ones and of long lists the fields with their types and
//! some values are.
//!
//! The fields are gathered while the text is read: memory does not grow with it.

use std::cell::Cell;
use std::fmt;

use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::columns::Values;
use super::notebook::fenced;
use super::{Extracted, Format, clipped, counted};
use crate::base::limits::{DATA_BYTES_MAX, TABLE_COLUMNS_MAX, TABLE_ROWS_SAMPLED, TABLE_ROWS_WHOLE_MAX};
use crate::engine::parse::Skip;

/// Deepest field that is described.
const DEPTH_MAX: usize = 8;

/// Longest value of a sample, and longest name of a field.
const VALUE_BYTES_MAX: usize = 800;
/// See [`VALUE_BYTES_MAX`].
const NAME_BYTES_MAX: usize = 80;

/// Objects with more keys than this are taken for maps, whose keys are data.
const KEYS_MAX: usize = 64;

/// Reads one; `None`: the text says it all.
pub(super) fn read(text: &str, format: Format) -> Result<Option<Extracted>, Skip> {
    if format == Format::JsonLines { read_lines(text) } else { read_value(text) }
}

fn read_value(text: &str) -> Result<Option<Extracted>, Skip> {
    let small = text.len() as u64 <= DATA_BYTES_MAX;
    let root = gather(text);
    let Ok(root) = root else {
        // Comments and trailing commas are common in settings, which are small.
        return if small { Ok(None) } else { Err(Skip::Damaged(Format::Json)) };
    };
    let rows = root.items.as_ref().filter(|_| root.lists == 1).map(|items| items.count());
    let is_table = rows.is_some_and(|rows| rows > TABLE_ROWS_WHOLE_MAX as u64)
        && root.items.as_ref().is_some_and(|items| items.objects + items.lists > 0);
    if small && !is_table {
        return Ok(None);
    }
    let (opening, prefix) = match rows {
        Some(rows) => (format!("List of {} values.", counted(rows as usize)), root.items.as_deref()),
        None => ("One value.".to_owned(), Some(&root)),
    };
    let mut extracted = describe(&opening, prefix.unwrap_or(&root));
    if let Some(rows) = rows {
        extracted.note("rows", rows);
        push_sample(&mut extracted, &first_items(text), rows as usize);
    }
    Ok(Some(extracted))
}

fn read_lines(text: &str) -> Result<Option<Extracted>, Skip> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    if lines.len() <= TABLE_ROWS_WHOLE_MAX && text.len() as u64 <= DATA_BYTES_MAX {
        return Ok(None);
    }
    let budget = Cell::new(TABLE_COLUMNS_MAX);
    let mut root = Shape::default();
    let mut broken = 0_usize;
    for line in &lines {
        let mut json = serde_json::Deserializer::from_str(line);
        let seed = Gather { shape: &mut root, depth: 0, budget: &budget };
        if seed.deserialize(&mut json).and_then(|()| json.end()).is_err() {
            broken += 1;
        }
    }
    if broken * 2 > lines.len() {
        return Err(Skip::Damaged(Format::JsonLines));
    }
    let mut extracted = describe(&format!("{} lines of JSON.", counted(lines.len())), &root);
    extracted.note("rows", lines.len());
    if broken > 0 {
        extracted.note("rows_broken", broken);
    }
    let step = lines.len().div_ceil(TABLE_ROWS_SAMPLED).max(1);
    let shown: Vec<&str> = lines.iter().copied().step_by(step).collect();
    push_sample(&mut extracted, &shown, lines.len());
    Ok(Some(extracted))
}

fn gather(text: &str) -> serde_json::Result<Shape> {
    let mut root = Shape::default();
    let budget = Cell::new(TABLE_COLUMNS_MAX);
    let mut json = serde_json::Deserializer::from_str(text);
    Gather { shape: &mut root, depth: 0, budget: &budget }.deserialize(&mut json)?;
    json.end()?;
    Ok(root)
}

/// The texts of the first items of a list, as far as they are objects or lists.
fn first_items(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let Some(mut rest) = text.trim_start().strip_prefix('[') else { return found };
    while found.len() < TABLE_ROWS_SAMPLED {
        rest = rest.trim_start();
        let mut items = serde_json::Deserializer::from_str(rest).into_iter::<IgnoredAny>();
        if !matches!(items.next(), Some(Ok(_))) {
            break;
        }
        let (item, after) = rest.split_at(items.byte_offset());
        found.push(item);
        let Some(next) = after.trim_start().strip_prefix(',') else { break };
        rest = next;
    }
    found
}

fn describe(opening: &str, shape: &Shape) -> Extracted {
    let mut out = format!("{opening}\n\n## Fields\n\n");
    shape.describe("", shape.count(), &mut out);
    Extracted::markdown(out)
}

fn push_sample(extracted: &mut Extracted, values: &[&str], rows: usize) {
    if values.is_empty() {
        return;
    }
    let lines: Vec<String> = values.iter().map(|value| clipped(value, VALUE_BYTES_MAX)).collect();
    let title = format!("## {} of {} values", counted(lines.len()), counted(rows));
    extracted.text.push_str(&format!("\n{title}\n\n{}", fenced("json", &lines.join("\n"))));
    extracted.note("rows_shown", lines.len());
}

/// What the values at one place have in common.
#[derive(Debug, Default)]
struct Shape {
    scalars: Values,
    lists: u64,
    objects: u64,
    items: Option<Box<Shape>>,
    keys: IndexMap<String, Shape>,
    /// Fields under keys beyond those in `keys`.
    other_keys: u64,
}

impl Shape {
    fn count(&self) -> u64 {
        self.scalars.count() + self.lists + self.objects
    }

    /// Adds a line for each field at and below `path`, `of` being how many values could have it.
    fn describe(&self, path: &str, of: u64, out: &mut String) {
        let mut parts = Vec::new();
        if self.scalars.count() > 0 {
            parts.push(self.scalars.describe());
        }
        if self.lists > 0 {
            let items = self.items.as_ref().map_or(0, |items| items.count());
            parts.push(if self.lists == 1 {
                format!("list of {items}")
            } else {
                format!("lists, {items} items in all")
            });
        }
        if self.objects > 0 && !path.is_empty() {
            let keys = self.keys.len() as u64 + self.other_keys;
            parts.push(if keys > KEYS_MAX as u64 { "map".to_owned() } else { "object".to_owned() });
        }
        if self.count() < of {
            parts.push(format!("in {} of {}", self.count(), of));
        }
        if !(parts.is_empty() || path.is_empty() && self.objects == self.count()) {
            let name = if path.is_empty() { "value" } else { path };
            out.push_str(&format!("- {name}: {}\n", parts.join("; ")));
        }
        if let Some(items) = &self.items {
            items.describe(&format!("{path}[]"), items.count(), out);
        }
        for (key, field) in &self.keys {
            let name = clipped(key, NAME_BYTES_MAX);
            let path = if path.is_empty() { name } else { format!("{path}.{name}") };
            field.describe(&path, self.objects, out);
        }
        if self.other_keys > 0 {
            let place = if path.is_empty() { "*".to_owned() } else { format!("{path}.*") };
            out.push_str(&format!("- {place}: {} more fields\n", counted(self.other_keys as usize)));
        }
    }
}

/// Reads one value into a shape. `budget` is how many more fields may be described.
struct Gather<'a> {
    shape: &'a mut Shape,
    depth: usize,
    budget: &'a Cell<usize>,
}

impl<'de> DeserializeSeed<'de> for Gather<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Gather<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.shape.scalars.add_empty();
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.shape.scalars.add_truth();
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.shape.scalars.add_number(value as f64, true);
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.shape.scalars.add_number(value as f64, true);
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.shape.scalars.add_number(value, false);
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        self.shape.scalars.add_text(value);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.shape.lists += 1;
        if self.depth >= DEPTH_MAX {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        let items = self.shape.items.get_or_insert_default();
        let (depth, budget) = (self.depth + 1, self.budget);
        while seq.next_element_seed(Gather { shape: items, depth, budget })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.shape.objects += 1;
        while let Some(key) = map.next_key::<String>()? {
            let known = self.shape.keys.contains_key(&key);
            let room = self.depth < DEPTH_MAX && self.shape.keys.len() < KEYS_MAX && self.budget.get() > 0;
            if !known && !room {
                self.shape.other_keys += 1;
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if !known {
                self.budget.set(self.budget.get() - 1);
            }
            let shape = self.shape.keys.entry(key).or_default();
            map.next_value_seed(Gather { shape, depth: self.depth + 1, budget: self.budget })?;
        }
        Ok(())
    }
}
