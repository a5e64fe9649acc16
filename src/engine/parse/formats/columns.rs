//! What the values of one column or field have in common: types, ranges, examples.

use super::clipped;

/// Distinct values that are kept; a column with no more of them is an enumeration.
const EXAMPLES_MAX: usize = 8;

/// Examples that are shown of a column with more distinct values.
const EXAMPLES_SHOWN: usize = 3;

/// Longest example.
const EXAMPLE_BYTES_MAX: usize = 60;

/// Gathers values one by one.
#[derive(Debug, Default)]
pub(super) struct Values {
    empty: u64,
    truths: u64,
    integers: u64,
    numbers: u64,
    dates: u64,
    texts: u64,
    range: Option<(f64, f64)>,
    dates_range: Option<(String, String)>,
    examples: Vec<String>,
    more_examples: bool,
}

impl Values {
    /// A value without a type, as tables have them.
    pub(super) fn add(&mut self, cell: &str) {
        let cell = cell.trim();
        if cell.is_empty() || ["null", "NULL", "NA", "N/A", "NaN", "nan", "None"].contains(&cell) {
            self.empty += 1;
        } else if let Ok(number) = cell.parse::<f64>().map(|number| (number, cell.parse::<i64>().is_ok())) {
            self.add_number(number.0, number.1);
        } else if ["true", "false", "True", "False", "TRUE", "FALSE"].contains(&cell) {
            self.add_truth();
        } else {
            self.add_text(cell);
        }
    }

    /// Nothing.
    pub(super) fn add_empty(&mut self) {
        self.empty += 1;
    }

    /// True or false.
    pub(super) fn add_truth(&mut self) {
        self.truths += 1;
    }

    /// A number.
    pub(super) fn add_number(&mut self, number: f64, integer: bool) {
        if integer {
            self.integers += 1;
        } else {
            self.numbers += 1;
        }
        let (low, high) = self.range.get_or_insert((number, number));
        (*low, *high) = (low.min(number), high.max(number));
    }

    /// A text, which may be a date.
    pub(super) fn add_text(&mut self, text: &str) {
        if is_date(text) {
            self.dates += 1;
            let day = &text[..10];
            let (first, last) = self.dates_range.get_or_insert_with(|| (day.to_owned(), day.to_owned()));
            if day < first.as_str() {
                day.clone_into(first);
            }
            if day > last.as_str() {
                day.clone_into(last);
            }
            return;
        }
        self.texts += 1;
        if self.more_examples && self.examples.len() == EXAMPLES_MAX {
            return;
        }
        let example = clipped(text, EXAMPLE_BYTES_MAX);
        if !self.examples.contains(&example) {
            if self.examples.len() < EXAMPLES_MAX {
                self.examples.push(example);
            } else {
                self.more_examples = true;
            }
        }
    }

    /// How many values there are, empty ones too.
    pub(super) fn count(&self) -> u64 {
        self.empty + self.truths + self.integers + self.numbers + self.dates + self.texts
    }

    /// Whether all values are names rather than data, as in the first row of a table.
    pub(super) fn is_only_text(&self) -> bool {
        self.texts > 0 && self.texts == self.count()
    }

    /// The types, then what is known of the values.
    pub(super) fn describe(&self) -> String {
        let mut types: Vec<&str> = Vec::new();
        for (name, count) in [
            ("true or false", self.truths),
            ("integer", if self.numbers == 0 { self.integers } else { 0 }),
            ("number", self.numbers),
            ("date", self.dates),
            ("text", self.texts),
        ] {
            if count > 0 {
                types.push(name);
            }
        }
        let mut parts = vec![if types.is_empty() { "empty".to_owned() } else { types.join(" or ") }];
        if let Some((low, high)) = self.range {
            parts.push(if low < high { format!("{low} to {high}") } else { format!("{low}") });
        }
        if let Some((first, last)) = &self.dates_range {
            parts.push(if first < last { format!("{first} to {last}") } else { first.clone() });
        }
        if self.empty > 0 && !types.is_empty() {
            parts.push(format!("{} empty", self.empty));
        }
        // A few values that come again are all there are; that each comes once only says that there are few rows.
        let repeated = self.texts > 2 * self.examples.len() as u64;
        if !self.examples.is_empty() {
            parts.push(match self.more_examples || !repeated {
                true => format!("e.g. {}", self.examples[..self.examples.len().min(EXAMPLES_SHOWN)].join("; ")),
                false => format!("one of {}", self.examples.join("; ")),
            });
        }
        parts.join(", ")
    }
}

/// Whether a text begins as a date of ISO 8601 does.
fn is_date(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
    bytes.len() >= 10
        && bytes.len() <= 35
        && bytes.is_ascii()
        && digits(0..4)
        && bytes[4] == b'-'
        && digits(5..7)
        && bytes[7] == b'-'
        && digits(8..10)
        && bytes.get(10).is_none_or(|next| matches!(next, b'T' | b' '))
}
