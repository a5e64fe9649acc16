//! Chance that can be repeated: a small generator and the texts made with it. No crate for it: two lines of arithmetic.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }

    /// True once in `of` times.
    pub fn once_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }

    /// Another generator, so that tasks side by side don't disturb each other's order.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }
}

/// Filler that the model knows, so that a paragraph is about one chunk.
const FILLER: &[&str] = &[
    "river", "stone", "market", "engine", "letter", "garden", "winter", "copper", "signal", "harbour", "bridge",
    "paper", "silver", "window", "forest", "ladder", "candle", "mirror", "carpet", "bottle", "island", "saddle",
    "button", "hammer", "needle", "pepper", "rocket", "shadow", "timber", "valley", "wagon", "yellow",
];

/// Parts of every word that names a version; consonants only, so that no stemmer and no splitting touches it.
const CONSONANTS: &[u8; 16] = b"bcdfghjklmnpqrtv";

/// Makes words that nothing else contains; each names one version of one document.
#[derive(Default)]
pub struct Words(u64);

impl Words {
    pub fn fresh(&mut self) -> String {
        self.0 += 1;
        let digits = (0..5).rev().map(|place| CONSONANTS[(self.0 >> (4 * place) & 15) as usize] as char);
        format!("zx{}", digits.collect::<String>())
    }
}

/// A text of one to `parts_max` paragraphs, each of which says which version it belongs to and which part of it it is.
pub fn text(chance: &mut Chance, word: &str, parts_max: u64) -> String {
    let parts = 1 + chance.below(parts_max);
    let mut text = String::new();
    for part in 1..=parts {
        text.push_str(&format!("{word} [{word} {part}/{parts}]"));
        for _ in 0..90 {
            text.push(' ');
            text.push_str(chance.pick::<&str>(FILLER));
        }
        text.push_str(".\n\n");
    }
    text
}

/// The marks `[word part/parts]` in a text, in order.
pub fn marks(text: &str) -> Vec<(String, usize, usize)> {
    let inner = |rest: &str| {
        let mark = rest.split_once(']')?.0;
        let (word, place) = mark.split_once(' ')?;
        let (part, parts) = place.split_once('/')?;
        Some((word.to_owned(), part.parse().ok()?, parts.parse().ok()?))
    };
    text.split('[').skip(1).filter_map(inner).collect()
}
