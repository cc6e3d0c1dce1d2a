//! The tile of assignment in plain Rust: one vector and one centroid.

assign_function! { vectors: 1, centroids: 1 }

#[inline]
fn tile(vectors: [&[f32]; 1], centroids: [&[f32]; 1]) -> [[f32; 1]; 1] {
    [super::block::<1, { crate::table::DOT }>(vectors[0], centroids)]
}
