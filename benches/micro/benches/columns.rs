//! Columns of numbers: writing, reading from end to end, and reading single rows.

use cohort_core::internals::PackedColumn;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};

const ROWS: usize = 100_000;

fn main() {
    divan::main();
}

/// Numbers of a width in bits, in no order.
fn numbers(bits: u32) -> Vec<i64> {
    let mut state = 1_u64;
    (0..ROWS)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> (64 - bits)).cast_signed()
        })
        .collect()
}

fn ascending() -> Vec<u32> {
    (0..u32::try_from(ROWS).expect("few rows")).map(|row| row / 3 * 2).collect()
}

#[divan::bench(args = [1, 8, 20, 40])]
fn write_plain(bencher: Bencher<'_, '_>, bits: u32) {
    let values = numbers(bits);
    bencher.counter(ItemsCount::new(ROWS)).bench(|| PackedColumn::plain(black_box(&values)));
}

#[divan::bench(args = [1, 8, 20, 40])]
fn read_plain(bencher: Bencher<'_, '_>, bits: u32) {
    let column = PackedColumn::plain(&numbers(bits));
    bencher.counter(ItemsCount::new(ROWS)).bench(|| black_box(&column).sum());
}

#[divan::bench]
fn write_sorted(bencher: Bencher<'_, '_>) {
    let values = ascending();
    bencher.counter(ItemsCount::new(ROWS)).bench(|| PackedColumn::sorted(black_box(&values)));
}

#[divan::bench]
fn read_sorted(bencher: Bencher<'_, '_>) {
    let column = PackedColumn::sorted(&ascending());
    bencher.counter(ItemsCount::new(ROWS)).bench(|| black_box(&column).sum());
}

#[divan::bench]
fn read_each_thousandth_row(bencher: Bencher<'_, '_>) {
    let column = PackedColumn::plain(&numbers(20));
    let rows: Vec<u32> = (0..100).map(|row| row * 1_000).collect();
    bencher.counter(ItemsCount::new(rows.len())).bench(|| column.pick(black_box(&rows)));
}
