//! Counting tokens without knowing whose tokenizer it is.

/// Counts tokens of a text for one model, special tokens left out.
pub trait TokenCounter: Send + Sync {
    /// Tokens in `text`.
    fn count(&self, text: &str) -> usize;

    /// Where the tokens of `text` start, as ascending byte offsets; used to size many ranges of one text by binary
    /// search instead of counting each of them.
    ///
    /// The number of starts inside a range must equal [`TokenCounter::count`] of that range whenever the range begins
    /// and ends between words.
    fn starts(&self, text: &str) -> Vec<u32>;
}

/// The token starts of one text: any range is sized in O(log n).
#[derive(Debug, Clone)]
pub struct TokenMap {
    starts: Vec<u32>,
}

impl TokenMap {
    /// Maps `text` by `counter`.
    pub fn new(counter: &dyn TokenCounter, text: &str) -> Self {
        Self { starts: counter.starts(text) }
    }

    /// Tokens that start in the byte range `start..end`.
    pub fn count(&self, start: usize, end: usize) -> usize {
        let below = |offset: usize| self.starts.partition_point(|&at| (at as usize) < offset);
        below(end).saturating_sub(below(start))
    }

    /// The furthest end of a range that begins at `start` and holds at most `tokens` tokens; `None` if that is the end
    /// of the text. It may lie inside of a character for tokenizers of bytes.
    pub fn reach(&self, start: usize, tokens: usize) -> Option<usize> {
        let first = self.starts.partition_point(|&at| (at as usize) < start);
        self.starts.get(first.checked_add(tokens)?).map(|&at| at as usize)
    }
}
