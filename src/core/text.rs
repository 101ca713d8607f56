//! Text as rules compare it, and the nearest valid name for a hint.

/// Maps each code point by Unicode's simple lower-case mapping, without context or locale.
///
/// `char::to_lowercase` is the full mapping, which differs in one code point only: U+0130 becomes two characters
/// there, of which the first is the simple mapping (Unicode Character Database, `UnicodeData.txt` field 13).
#[must_use]
pub fn simple_lower(text: &str) -> String {
    text.chars().map(|character| character.to_lowercase().next().unwrap_or(character)).collect()
}

/// The candidate closest to `wrong` by edit distance, when one is close enough to be worth a question.
#[must_use]
pub fn nearest<'a>(wrong: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Only short names can be near a known name, and the distance costs the product of both lengths.
    const LONGEST: usize = 128;
    if wrong.is_empty() || wrong.len() > LONGEST {
        return None;
    }
    let wrong = wrong.to_lowercase();
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LONGEST)
        .map(|candidate| (edit_distance(&wrong, &candidate.to_lowercase()), candidate))
        .filter(|&(distance, candidate)| distance <= (candidate.chars().count() / 3).max(1))
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment: insertions, deletions, substitutions and swaps of neighbours each cost one.
fn edit_distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, &from) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, &to) in right.iter().enumerate() {
            let mut cost =
                (above[column] + usize::from(from != to)).min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && from == right[column - 1] && left[row - 1] == to {
                cost = cost.min(before[column - 1] + 1);
            }
            current.push(cost);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_case_is_simple() {
        assert_eq!(simple_lower("ΑΣ İ ẞ Straße ÀÉ"), "ας i ß straße àé".replace('ς', "σ"));
    }

    #[test]
    fn hints_are_near_or_absent() {
        assert_eq!(nearest("gtt", ["gt", "lt", "between"]), Some("gt"));
        assert_eq!(nearest("propetry", ["property", "operator"]), Some("property"));
        assert_eq!(nearest("xyzzy", ["gt", "lt", "between"]), None);
    }
}
