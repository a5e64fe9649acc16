//! Recurring jobs: five-field calendar expressions such as `*/15 8-18 * * 1-5`.

use std::collections::BTreeSet;

/// The minutes, hours, days, months and weekdays on which a job starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CronSchedule {
    minutes: BTreeSet<u8>,
    hours: BTreeSet<u8>,
    days: BTreeSet<u8>,
    months: BTreeSet<u8>,
    weekdays: BTreeSet<u8>,
}

/// What is wrong with an expression.
#[derive(Debug, PartialEq, Eq)]
pub enum CronError {
    FieldCount(usize),
    BadNumber(String),
    OutOfRange { value: u8, low: u8, high: u8 },
}

/// Reads one expression.
pub fn parse_cron(expression: &str) -> Result<CronSchedule, CronError> {
    let fields: Vec<&str> = expression.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else { return Err(CronError::FieldCount(fields.len())) };
    Ok(CronSchedule {
        minutes: parse_field(minute, 0, 59)?,
        hours: parse_field(hour, 0, 23)?,
        days: parse_field(day, 1, 31)?,
        months: parse_field(month, 1, 12)?,
        weekdays: parse_field(weekday, 0, 6)?,
    })
}

/// A field is a list of values, ranges and steps.
fn parse_field(field: &str, low: u8, high: u8) -> Result<BTreeSet<u8>, CronError> {
    let number = |text: &str| text.parse::<u8>().map_err(|_| CronError::BadNumber(text.to_owned()));
    let mut values = BTreeSet::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, number(step)?.max(1)),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None => (number(range)?, number(range)?),
        };
        if from < low || to > high {
            return Err(CronError::OutOfRange { value: if from < low { from } else { to }, low, high });
        }
        values.extend((from..=to).step_by(usize::from(step)));
    }
    Ok(values)
}

impl CronSchedule {
    /// Whether a job starts in this minute.
    pub fn matches(&self, minute: u8, hour: u8, day: u8, month: u8, weekday: u8) -> bool {
        self.minutes.contains(&minute)
            && self.hours.contains(&hour)
            && self.days.contains(&day)
            && self.months.contains(&month)
            && self.weekdays.contains(&weekday)
    }
}
