//! Many vectors of one length, scanned whole.
//!
//! Ten thousand routes are few enough to be compared one by one with every goal, which finds the nearest for certain and
//! needs no index to be built. Values keep the upper 16 bits of an `f32` (bfloat16): half the memory to walk through, and an
//! error of a dot product of unit vectors below 0.001.

/// Rows of vectors.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    dimension: usize,
    values: Vec<u16>,
}

impl Rows {
    /// No rows yet.
    pub fn new(dimension: usize) -> Self {
        Self { dimension, values: Vec::new() }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension.max(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Length of a row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Appends a row; what it has beyond the dimension is dropped, what it lacks is 0.
    pub fn push(&mut self, vector: &[f32]) {
        let given = vector.iter().copied().chain(std::iter::repeat(0.0));
        self.values.extend(given.take(self.dimension).map(narrow));
    }

    /// Puts another vector in the place of a row.
    pub fn set(&mut self, row: usize, vector: &[f32]) {
        let start = row * self.dimension;
        for (place, value) in self.values[start..start + self.dimension].iter_mut().zip(vector) {
            *place = narrow(*value);
        }
    }

    /// A row as it is kept.
    fn row(&self, row: usize) -> &[u16] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }

    /// A row.
    pub fn get(&self, row: usize) -> Vec<f32> {
        self.row(row).iter().map(|value| widen(*value)).collect()
    }

    /// The dot product of a row and `query`.
    pub fn dot(&self, row: usize, query: &[f32]) -> f32 {
        dot(self.row(row), query)
    }

    /// The dot products of all rows with `query`.
    pub fn dots(&self, query: &[f32]) -> Vec<f32> {
        if self.dimension == 0 {
            return Vec::new();
        }
        self.values.chunks_exact(self.dimension).map(|row| dot(row, query)).collect()
    }
}

fn narrow(value: f32) -> u16 {
    // Rounded to nearest; vectors hold no NaN.
    (value.to_bits().wrapping_add(0x8000) >> 16) as u16
}

fn widen(value: u16) -> f32 {
    f32::from_bits(u32::from(value) << 16)
}

/// Sixteen sums side by side, which the compiler keeps in vector registers.
fn dot(row: &[u16], query: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (rows, row_rest) = row.as_chunks::<16>();
    let (queries, query_rest) = query.as_chunks::<16>();
    for (row, query) in rows.iter().zip(queries) {
        for lane in 0..16 {
            sums[lane] += widen(row[lane]) * query[lane];
        }
    }
    let rest: f32 = row_rest.iter().zip(query_rest).map(|(row, query)| widen(*row) * query).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn dots_are_near_the_exact_ones(
            vectors in prop::collection::vec(prop::collection::vec(-1.0_f32..1.0, 37), 1..20),
            query in prop::collection::vec(-1.0_f32..1.0, 37),
        ) {
            let mut rows = Rows::new(37);
            vectors.iter().for_each(|vector| rows.push(vector));
            for (found, vector) in rows.dots(&query).iter().zip(&vectors) {
                let exact: f32 = vector.iter().zip(&query).map(|(a, b)| a * b).sum();
                let size: f32 = vector.iter().zip(&query).map(|(a, b)| (a * b).abs()).sum();
                prop_assert!((found - exact).abs() <= 0.005 * size + 1e-6, "{found} is not {exact}");
            }
        }
    }

    #[test]
    fn a_row_can_be_exchanged() {
        let mut rows = Rows::new(2);
        rows.push(&[1.0, 0.0]);
        rows.push(&[0.0, 1.0]);
        rows.set(0, &[0.5, 0.5]);
        assert_eq!((rows.len(), rows.get(0), rows.get(1)), (2, vec![0.5, 0.5], vec![0.0, 1.0]));
    }
}
