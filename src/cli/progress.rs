//! The progress bar of an ingest, on stderr; silent where stderr is not a terminal.

use std::time::Duration;

use hivemem_client::proto::IngestProgress;
use hivemem_client::proto::ingest_progress::Phase;
use indicatif::{ProgressBar, ProgressStyle};

use super::render;

/// Shows what an ingest is doing: listing with what was found, reading with files and bytes, embedding with chunks and the time left.
pub(super) struct IngestBar {
    bar: ProgressBar,
    phase: Phase,
}

impl IngestBar {
    /// A bar for the source or set `name`.
    pub fn new(name: &str) -> Self {
        let bar = ProgressBar::new_spinner();
        bar.set_prefix(render::cut(name, 40));
        bar.enable_steady_tick(Duration::from_millis(120));
        let mut this = Self { bar, phase: Phase::Unspecified };
        this.enter(Phase::Listing);
        this
    }

    /// Shows one progress message.
    pub fn observe(&mut self, progress: &IngestProgress) {
        if progress.phase() != self.phase && progress.phase() != Phase::Unspecified {
            self.enter(progress.phase());
        }
        match self.phase {
            Phase::Embedding => {
                self.bar.set_length(progress.chunks_to_embed);
                self.bar.set_position(progress.chunks_embedded);
                self.bar.set_message(progress.eta.map(|eta| eta_text(eta.seconds)).unwrap_or_default());
            }
            Phase::Listing => self.bar.set_message(found_text(progress.files_total)),
            _ => {
                self.bar.set_length(progress.files_total);
                self.bar.set_position(progress.files_done);
                self.bar.set_message(reading_text(progress));
            }
        }
    }

    /// Removes the bar.
    pub fn clear(self) {
        self.bar.finish_and_clear();
    }

    fn enter(&mut self, phase: Phase) {
        let template = match phase {
            Phase::Reading => "{prefix}  reading   [{bar:24}] {pos}/{len} files  {msg}",
            Phase::Embedding => "{prefix}  embedding [{bar:24}] {pos}/{len} chunks  {msg}",
            _ => "{prefix}  {spinner} listing  {msg}",
        };
        // A template that does not parse is a bug, and the plain bar is a fair way to show it.
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar.set_style(style.progress_chars("=> "));
        self.phase = phase;
    }
}

fn found_text(found: u64) -> String {
    if found == 0 { String::new() } else { format!("{} found", render::count(found)) }
}

fn reading_text(progress: &IngestProgress) -> String {
    if progress.files_total == 0 {
        return String::new();
    }
    format!("{}, {} chunks", render::bytes(progress.bytes_done), render::count(progress.chunks))
}

fn eta_text(seconds: i64) -> String {
    let seconds = u64::try_from(seconds).unwrap_or(0);
    format!("{}:{:02} left", seconds / 60, seconds % 60)
}

/// A bar over the log for the index `name` that is being built.
pub(super) fn log_bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_prefix(name.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{prefix}  building  [{bar:24}] {pos}/{len} changes  {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// A bar over `total` queries of the set `name`.
pub(super) fn query_bar(name: &str, total: usize) -> ProgressBar {
    let bar = ProgressBar::new(total as u64).with_prefix(render::cut(name, 40));
    if let Ok(style) = ProgressStyle::with_template("{prefix}  queries   [{bar:24}] {pos}/{len}  {eta} left") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_shows_its_own_figures() {
        let mut bar = IngestBar { bar: ProgressBar::hidden(), phase: Phase::Unspecified };
        bar.observe(&IngestProgress { phase: Phase::Listing.into(), files_total: 1_200, ..Default::default() });
        assert_eq!(bar.bar.message(), "1,200 found");
        let reading = IngestProgress {
            phase: Phase::Reading.into(),
            files_total: 10,
            files_done: 4,
            bytes_done: 2_048,
            chunks: 1_500,
            ..Default::default()
        };
        bar.observe(&reading);
        assert_eq!((bar.bar.length(), bar.bar.position()), (Some(10), 4));
        assert_eq!(bar.bar.message(), "2.00 KiB, 1,500 chunks");
        let embedding =
            IngestProgress { phase: Phase::Embedding.into(), chunks_to_embed: 90, chunks_embedded: 30, ..reading };
        bar.observe(&embedding);
        assert_eq!((bar.bar.length(), bar.bar.position()), (Some(90), 30));
        assert_eq!(eta_text(125), "2:05 left");
        assert_eq!(eta_text(-1), "0:00 left");
    }
}
