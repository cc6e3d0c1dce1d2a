//! Vectors in raw files: little-endian 32-bit floats, one row after the other, and whole numbers
//! of 16 bits beside them.

use std::path::Path;

use anyhow::{Context as _, ensure};

/// Rows of equal length.
#[derive(Debug)]
pub(super) struct Vectors {
    values: Vec<f32>,
    dimension: usize,
}

impl Vectors {
    /// Reads a file.
    pub(super) fn read(path: &Path, dimension: usize) -> anyhow::Result<Self> {
        ensure!(dimension > 0, "a vector has at least one dimension");
        let bytes = read(path)?;
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let values: Vec<f32> = values.collect();
        ensure!(
            !values.is_empty() && values.len().is_multiple_of(dimension),
            "{} holds no rows of {dimension} floats",
            path.display()
        );
        Ok(Self { values, dimension })
    }

    /// How many rows there are.
    pub(super) fn rows(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// One of them.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }
}

/// Whole numbers, one for each row.
pub(super) fn numbers(path: &Path) -> anyhow::Result<Vec<u16>> {
    let bytes = read(path)?;
    Ok(bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect())
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    //! Goal: rows come back as they were written. Method: files written here.
    use super::*;

    #[test]
    fn rows_are_read_and_half_a_row_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.f32");
        let bytes: Vec<u8> =
            [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect();
        #[expect(clippy::disallowed_methods, reason = "a file for a test")]
        std::fs::write(&path, bytes).unwrap();
        let rows = Vectors::read(&path, 2).unwrap();
        assert_eq!((rows.rows(), rows.row(1)), (2, &[3.0, 4.0][..]));
        assert!(Vectors::read(&path, 3).is_err());
    }
}
