//! The customers of one chunk: from and to bitmaps, and combined.

use cohort_core::internals::Mask;
use divan::{Bencher, black_box};
use roaring::RoaringBitmap;

fn main() {
    divan::main();
}

/// Every `step`-th customer of the chunk.
fn every(step: usize) -> RoaringBitmap {
    (0..65_536).step_by(step).collect()
}

#[divan::bench(args = [2, 100, 10_000])]
fn from_bitmap(bencher: Bencher<'_, '_>, step: usize) {
    let bitmap = every(step);
    bencher.bench(|| Mask::of(black_box(&bitmap)));
}

#[divan::bench(args = [2, 100, 10_000])]
fn to_bitmap(bencher: Bencher<'_, '_>, step: usize) {
    let mask = Mask::of(&every(step));
    bencher.bench(|| black_box(&mask).to_bitmap());
}

#[divan::bench]
fn intersect(bencher: Bencher<'_, '_>) {
    let (mut mask, other) = (Mask::of(&every(2)), Mask::of(&every(3)));
    bencher.bench_local(|| black_box(&mut mask).intersect(black_box(&other)));
}

#[divan::bench]
fn union(bencher: Bencher<'_, '_>) {
    let (mut mask, other) = (Mask::of(&every(2)), Mask::of(&every(3)));
    bencher.bench_local(|| black_box(&mut mask).union(black_box(&other)));
}

#[divan::bench]
fn count(bencher: Bencher<'_, '_>) {
    let mask = Mask::of(&every(3));
    bencher.bench(|| black_box(&mask).count());
}
