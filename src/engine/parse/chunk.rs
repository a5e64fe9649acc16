//! Cutting: from places where a document may be cut to chunks of at most so many tokens.
//!
//! A chunk runs as far as it may and ends at the best place within reach: at the highest level, and within one level
//! at the last place, or, inside of something that has to be cut anyhow, where the parts come out even. Only what has
//! no place to cut at all within reach (a long paragraph, a giant literal) is handed to text-splitter, a window at a
//! time, because its cost grows with the square of the text.

use text_splitter::{ChunkConfig, ChunkSizer, MarkdownSplitter, TextSplitter};

use super::Piece;
use super::layout::{Break, Layout, Namer};
use crate::base::tokens::{TokenCounter, TokenMap};
use crate::model::{Lines, Span};

/// Below this share of a chunk a part is tiny: not worth a chunk of its own if it can be avoided.
const TINY_PERCENT: usize = 15;

/// Most bytes per token of the limit. Prose has 4 to 5, indented code up to 8; a tokenizer may count a whole megabyte
/// without a space as one unknown word, and such a chunk would be of no use.
const BYTES_PER_TOKEN_MAX: usize = 16;

/// How many chunks' worth of text is given to text-splitter at a time.
const WINDOW_CHUNKS: usize = 4;

/// Cuts `text` along `layout` into pieces of at most `tokens_max` tokens (a single character is never cut). Every
/// character that isn't white space is in exactly one piece.
pub fn cut(text: &str, layout: &Layout, tokens_max: usize, map: &TokenMap, counter: &dyn TokenCounter) -> Vec<Piece> {
    let max = tokens_max.max(1);
    let mut cutter = Cutter { text, breaks: &layout.breaks, map, counter, max, spans: Vec::new() };
    cutter.run();
    let mut namer = Namer::new(layout);
    let mut lines = LineCounter { bytes: text.as_bytes(), at: 0, line: 1 };
    let name = |(start, end, tokens): (usize, usize, usize)| {
        let place = namer.place(start..end);
        Piece {
            span: Span { start: start as u64, end: end as u64 },
            lines: Lines { first: lines.line_of(start), last: lines.line_of(end - 1) },
            pages: place.pages,
            tokens: u32::try_from(tokens).unwrap_or(u32::MAX),
            breadcrumb: place.breadcrumb,
            symbols: place.symbols,
            outline: place.outline,
        }
    };
    cutter.spans.into_iter().map(name).collect()
}

/// Counts lines as far as it is asked.
struct LineCounter<'t> {
    bytes: &'t [u8],
    at: usize,
    line: u32,
}

impl LineCounter<'_> {
    /// The line of byte `at`, from 1; offsets must not go down.
    fn line_of(&mut self, at: usize) -> u32 {
        let newlines = self.bytes[self.at..at].iter().filter(|&&byte| byte == b'\n').count();
        self.line = self.line.saturating_add(u32::try_from(newlines).unwrap_or(u32::MAX));
        self.at = at;
        self.line
    }
}

/// Sizes slices of one document for text-splitter by where they lie in it.
struct Sizer<'a> {
    text: &'a str,
    map: &'a TokenMap,
    /// Where the text to be split begins, and the tokens of the head before it that shares its first chunk.
    leaf: usize,
    head_tokens: usize,
}

impl ChunkSizer for Sizer<'_> {
    fn size(&self, chunk: &str) -> usize {
        let start = chunk.as_ptr().addr().wrapping_sub(self.text.as_ptr().addr());
        match start.checked_add(chunk.len()).filter(|&end| end <= self.text.len()) {
            Some(end) => {
                let own = self.map.count(start, end).max(chunk.len().div_ceil(BYTES_PER_TOKEN_MAX));
                if start == self.leaf { own + self.head_tokens } else { own }
            }
            // Not a slice of the document. It always is; but a byte has at most one token, so this can't be too small.
            None => chunk.len(),
        }
    }
}

/// Where text-splitter begins the chunks of `window`, which begins at `offset`.
fn split(window: &str, offset: usize, config: ChunkConfig<Sizer<'_>>, markup: bool) -> Vec<usize> {
    if markup {
        MarkdownSplitter::new(config).chunk_indices(window).map(|(at, _)| offset + at).collect()
    } else {
        TextSplitter::new(config).chunk_indices(window).map(|(at, _)| offset + at).collect()
    }
}

/// Where a chunk ends.
enum End {
    /// At a byte, with the index of the break there.
    Break(usize),
    /// At the end of the text.
    Text,
    /// Nowhere good before this byte: what is before has to be cut finer.
    Beyond(usize),
}

struct Cutter<'a> {
    text: &'a str,
    breaks: &'a [Break],
    map: &'a TokenMap,
    counter: &'a dyn TokenCounter,
    max: usize,
    spans: Vec<(usize, usize, usize)>,
}

impl Cutter<'_> {
    fn run(&mut self) {
        let mut start = 0;
        let mut current = Break::start();
        // The first break behind `start`.
        let mut next = 0;
        while start < self.text.len() {
            start = self.after_blank_lines(start);
            while self.breaks.get(next).is_some_and(|cut| cut.at <= start) {
                current = self.breaks[next];
                next += 1;
            }
            match self.end(start, &current, next) {
                End::Break(at) => {
                    self.emit(start, self.breaks[at].at);
                    start = self.breaks[at].at;
                }
                End::Text => {
                    self.emit(start, self.text.len());
                    start = self.text.len();
                }
                End::Beyond(stop) => start = self.cut_finer(start, stop, next),
            }
        }
    }

    /// The furthest end of a chunk that starts at `start`.
    fn limit(&self, start: usize) -> usize {
        let by_tokens = self.map.reach(start, self.max).unwrap_or(self.text.len());
        let by_bytes = start.saturating_add(self.max.saturating_mul(BYTES_PER_TOKEN_MAX));
        let limit = self.text.floor_char_boundary(by_tokens.min(by_bytes).min(self.text.len()));
        if limit > start { limit } else { self.text.ceil_char_boundary(start + 1) }
    }

    fn end(&self, start: usize, current: &Break, next: usize) -> End {
        let limit = self.limit(start);
        let mut behind = next;
        while let Some(cut) = self.breaks.get(behind).filter(|cut| cut.at <= limit) {
            let ends_here = cut.hard || cut.at >= current.scope_end;
            if ends_here && !self.may_run_across(start, behind, limit) {
                return End::Break(behind);
            }
            behind += 1;
        }
        if limit == self.text.len() {
            return End::Text;
        }
        let least = start + (limit - start) * TINY_PERCENT / 100;
        let good = (next..behind).filter(|&at| self.breaks[at].at >= least);
        let Some(level) = good.clone().map(|at| self.breaks[at].level).min() else {
            // A small part that isn't merely the head of what follows may stand alone.
            let last = (next..behind).next_back();
            let alone = last.filter(|&at| !self.breaks[at].glued && self.breaks[at].level <= current.level);
            let stop = self.breaks.get(behind).map_or(self.text.len(), |cut| cut.at);
            return alone.map_or(End::Beyond(stop), End::Break);
        };
        let best = good.filter(|&at| self.breaks[at].level == level);
        let chosen = if level <= current.level {
            let mut from_behind = best.rev();
            let last = from_behind.next();
            let earlier = from_behind.next().filter(|&at| self.breaks[at].at >= start + (limit - start) / 2);
            let leaves_crumb = last.is_some_and(|at| self.is_rest_tiny(self.breaks[at].at, current, behind, limit));
            if leaves_crumb { earlier.or(last) } else { last }
        } else {
            let target = self.even_target(start, current, behind, limit);
            best.min_by_key(|&at| self.breaks[at].at.abs_diff(target))
        };
        chosen.map_or(End::Beyond(limit), End::Break)
    }

    /// Whether what is left behind `from`, up to where no chunk should run across, is tiny.
    fn is_rest_tiny(&self, from: usize, current: &Break, behind: usize, limit: usize) -> bool {
        let stops = |cut: &&Break| cut.hard || cut.at >= current.scope_end || cut.at > limit + (limit - from);
        let stop = self.breaks[behind..].iter().find(stops).map_or(self.text.len(), |cut| cut.at);
        self.map.count(from, stop) < self.max * TINY_PERCENT / 100
    }

    /// Where to cut something a little longer than a chunk so that the parts are about equal.
    fn even_target(&self, start: usize, current: &Break, behind: usize, limit: usize) -> usize {
        let room = limit - start;
        let far = start + 4 * room;
        let ends = |cut: &&Break| cut.level <= current.level || cut.hard || cut.at >= current.scope_end || cut.at > far;
        let stop = self.breaks[behind..].iter().find(ends).map_or(self.text.len(), |cut| cut.at);
        if stop > far {
            return limit;
        }
        let parts = (stop - start).div_ceil(room).max(1);
        start + (stop - start) / parts
    }

    /// Whether a chunk may run across the break `at` although something ends there: if both what it has so far and the
    /// whole unit that begins there are tiny.
    fn may_run_across(&self, start: usize, at: usize, limit: usize) -> bool {
        let cut = &self.breaks[at];
        let tiny = self.max * TINY_PERCENT / 100;
        if !cut.hard && self.map.count(cut.at, self.text.len()) < tiny {
            // The last line or two of a file (`module.exports = X`) may lean on anything.
            return true;
        }
        if self.map.count(start, cut.at) >= tiny {
            return false;
        }
        let ends = |next: &&Break| next.hard || next.level <= cut.level || next.at > limit;
        let end = self.breaks[at + 1..].iter().find(ends).map_or(self.text.len(), |next| next.at);
        self.map.count(cut.at, end) < tiny
    }

    /// Emits chunks from `start` on up to somewhere before `stop`, where the next break is; where the rest begins, which
    /// is left to be joined with what follows. What is before the last break within reach is a mere head, and stays
    /// with the first chunk of what it is the head of.
    fn cut_finer(&mut self, start: usize, stop: usize, next: usize) -> usize {
        let limit = self.limit(start);
        let last = self.breaks[..next + self.breaks[next..].partition_point(|cut| cut.at < limit)].last();
        let head_end = last.map_or(start, |cut| cut.at.max(start));
        let leaf = head_end + (self.text[head_end..].len() - self.text[head_end..].trim_start().len());
        if leaf >= limit {
            self.emit(start, limit);
            return limit;
        }
        let reach = self.map.reach(leaf, self.max * WINDOW_CHUNKS).unwrap_or(stop);
        let by_bytes = leaf.saturating_add(self.max * WINDOW_CHUNKS * BYTES_PER_TOKEN_MAX);
        let whole = stop.min(self.text.len());
        let window_end = self.text.floor_char_boundary(whole.min(reach).min(by_bytes)).max(limit);
        let head_tokens = self.map.count(start, leaf);
        let sizer = Sizer { text: self.text, map: self.map, leaf, head_tokens };
        let config = ChunkConfig::new(self.max).with_sizer(sizer);
        let starts = split(&self.text[leaf..window_end], leaf, config, last.is_some_and(|cut| cut.markup));
        // The last one may end where the window does, not where the text would have it.
        let keep = if starts.len() > 2 && window_end < whole { starts.len() - 1 } else { starts.len() };
        let mut from = start;
        for &at in starts[..keep].iter().skip(1) {
            self.emit(from, at);
            from = at;
        }
        if from == start {
            from = limit;
            self.emit(start, from);
        }
        from
    }

    /// The start of the first line from `start` on that isn't blank.
    fn after_blank_lines(&self, start: usize) -> usize {
        let rest = &self.text[start..];
        let blank = rest.len() - rest.trim_start().len();
        match rest[..blank].rfind('\n') {
            Some(newline) => start + newline + 1,
            None if start == 0 || self.text.as_bytes()[start - 1] == b'\n' => start,
            None => start + blank,
        }
    }

    /// Adds a chunk without the white space around it, but with the indentation of its first line.
    fn emit(&mut self, start: usize, end: usize) {
        let end = start + self.text[start..end].trim_end().len();
        if start >= end {
            return;
        }
        let start = self.after_blank_lines(start);
        let tokens = self.tokens(start, end);
        let half = start + (end - start) / 2;
        let middle = Some(self.text.floor_char_boundary(half)).filter(|&middle| middle > start);
        let middle = middle.unwrap_or_else(|| self.text.ceil_char_boundary(half.max(start + 1)));
        if tokens > self.max && middle < end {
            // Cut inside of a word, where the map can't tell the size beforehand.
            self.emit(start, middle);
            self.emit(middle, end);
        } else {
            self.spans.push((start, end, tokens));
        }
    }

    /// Tokens of a chunk: by the map if it begins and ends between words, else by counting.
    fn tokens(&self, start: usize, end: usize) -> usize {
        let (before, inside, after) = (&self.text[..start], &self.text[start..end], &self.text[end..]);
        let space = |c: Option<char>| c.is_none_or(|c| c.is_ascii_whitespace());
        let begins = space(before.chars().next_back()) || space(inside.chars().next());
        let stops = space(after.chars().next()) || space(inside.chars().next_back());
        if begins && stops { self.map.count(start, end) } else { self.counter.count(inside) }
    }
}
