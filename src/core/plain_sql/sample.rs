//! `sample` as SQL.

use super::{Context, quote};
use crate::rule::Sample;

/// The place of a customer, in percent.
pub(super) fn place(sample: &Sample, customer: &str, cx: &Context) -> String {
    format!("{}.cohort_sample_place({customer}, {})", cx.schema, quote::text(&sample.salt))
}

/// The conditions for a customer to be in.
pub(super) fn in_range(sample: &Sample, customer: &str, cx: &Context) -> Vec<String> {
    let place = place(sample, customer, cx);
    vec![format!("{place} >= {}", quote::number(&sample.from)), format!("{place} < {}", quote::number(&sample.to))]
}
