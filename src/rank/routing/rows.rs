//! Many vectors of one length, scanned whole.
//!
//! Ten thousand routes are few enough to be compared one by one with every goal, which finds the nearest for certain and
//! needs no index to be built. Values are kept as bytes with one scale a row, a quarter of the memory of `f32`: of unit vectors
//! a dot product is off by some 0.001. Many queries are compared as one matrix product.

use ndarray::{Array2, ArrayView2};

/// Rows that are widened at a time for a matrix product: they stay in the cache of a core.
const BLOCK: usize = 128;

/// Rows of vectors.
#[derive(Debug, Clone, Default)]
pub struct Rows {
    dimension: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
}

impl Rows {
    /// No rows yet.
    pub fn new(dimension: usize) -> Self {
        Self { dimension, ..Self::default() }
    }

    /// None yet, with room for so many.
    pub fn with_capacity(dimension: usize, rows: usize) -> Self {
        Self { dimension, values: Vec::with_capacity(rows * dimension), scales: Vec::with_capacity(rows) }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.scales.is_empty()
    }

    /// Length of a row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Appends a row; what it has beyond the dimension is dropped, what it lacks is 0.
    pub fn push(&mut self, vector: &[f32]) {
        let scale = scale(vector);
        let given = vector.iter().copied().chain(std::iter::repeat(0.0));
        self.values.extend(given.take(self.dimension).map(|value| narrow(value, scale)));
        self.scales.push(scale);
    }

    /// Puts another vector in the place of a row.
    pub fn set(&mut self, row: usize, vector: &[f32]) {
        let (start, scale) = (row * self.dimension, scale(vector));
        for (place, value) in self.values[start..start + self.dimension].iter_mut().zip(vector) {
            *place = narrow(*value, scale);
        }
        self.scales[row] = scale;
    }

    /// A row as it is kept.
    fn row(&self, row: usize) -> &[i8] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }

    /// The values of a row.
    pub fn values(&self, row: usize) -> impl Iterator<Item = f32> + '_ {
        let scale = self.scales[row];
        self.row(row).iter().map(move |value| f32::from(*value) * scale)
    }

    /// A row.
    pub fn get(&self, row: usize) -> Vec<f32> {
        self.values(row).collect()
    }

    /// The dot product of a row and `query`.
    pub fn dot(&self, row: usize, query: &[f32]) -> f32 {
        dot(self.row(row), query) * self.scales[row]
    }

    /// The dot products of all rows with each of `queries`.
    pub fn dots(&self, queries: &[&[f32]]) -> Vec<Vec<f32>> {
        let dimension = self.dimension;
        if dimension == 0 {
            return vec![Vec::new(); queries.len()];
        }
        if let [query] = queries {
            return vec![(0..self.len()).map(|row| self.dot(row, query)).collect()];
        }
        let asked = Array2::from_shape_fn((dimension, queries.len()), |(at, query)| {
            queries[query].get(at).copied().unwrap_or_default()
        });
        let mut found: Vec<Vec<f32>> = queries.iter().map(|_| Vec::with_capacity(self.len())).collect();
        let mut wide = Vec::with_capacity(BLOCK * dimension);
        for (values, scales) in self.values.chunks(BLOCK * dimension).zip(self.scales.chunks(BLOCK)) {
            wide.clear();
            wide.extend(values.iter().map(|value| f32::from(*value)));
            let Ok(block) = ArrayView2::from_shape((scales.len(), dimension), &wide) else { continue };
            let product = block.dot(&asked);
            for (query, found) in found.iter_mut().enumerate() {
                found.extend(product.column(query).iter().zip(scales).map(|(value, scale)| value * scale));
            }
        }
        found
    }
}

/// What a byte's step is worth in a row that holds these values.
fn scale(vector: &[f32]) -> f32 {
    vector.iter().fold(0.0_f32, |top, value| top.max(value.abs())) / f32::from(i8::MAX)
}

/// Rounded to nearest; vectors hold no NaN.
fn narrow(value: f32, scale: f32) -> i8 {
    if scale > 0.0 { (value / scale).round() as i8 } else { 0 }
}

/// Sixteen sums side by side, which the compiler keeps in vector registers.
fn dot(row: &[i8], query: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 16];
    let (rows, row_rest) = row.as_chunks::<16>();
    let (queries, query_rest) = query.as_chunks::<16>();
    for (row, query) in rows.iter().zip(queries) {
        for lane in 0..16 {
            sums[lane] += f32::from(row[lane]) * query[lane];
        }
    }
    let rest: f32 = row_rest.iter().zip(query_rest).map(|(row, query)| f32::from(*row) * query).sum();
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
            // Half a step of a byte for each value of the query.
            let slack: f32 = query.iter().map(|value| value.abs()).sum::<f32>() / 250.0 + 1e-4;
            let alone = rows.dots(&[&query]);
            let together = rows.dots(&[&query, &query, &query]);
            for (row, vector) in vectors.iter().enumerate() {
                let exact: f32 = vector.iter().zip(&query).map(|(a, b)| a * b).sum();
                for found in [alone[0][row], together[0][row], together[2][row]] {
                    prop_assert!((found - exact).abs() <= slack, "{found} is not {exact}");
                }
            }
        }
    }

    #[test]
    fn a_row_can_be_exchanged() {
        let mut rows = Rows::new(2);
        rows.push(&[1.0, 0.0]);
        rows.push(&[0.0, 1.0]);
        rows.set(0, &[0.5, 0.5]);
        let near = |row: usize, wanted: [f32; 2]| rows.get(row).iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(rows.len() == 2 && near(0, [0.5, 0.5]) && near(1, [0.0, 1.0]), "{rows:?}");
    }
}
