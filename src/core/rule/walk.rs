//! Going through the conditions of a rule.

use super::{Condition, Rule};

impl Rule {
    /// Every condition with its place (`$.and[0]`), parents before children, in the order of the rule.
    #[must_use]
    pub fn walk(&self) -> Vec<(String, &Condition)> {
        let mut found = Vec::new();
        collect("$".to_owned(), &self.condition, &mut found);
        found
    }

    /// The cohorts that the rule names, with the place of each name (`$.and[2].cohort`), in the order of the rule.
    #[must_use]
    pub fn cohort_names(&self) -> Vec<(String, &str)> {
        let mut names = Vec::new();
        for (path, condition) in self.walk() {
            if let Condition::Cohort(name) = condition {
                names.push((format!("{path}.cohort"), name.as_str()));
            }
        }
        names
    }

    /// Puts another cohort's name in place of one; says whether the rule named it.
    pub fn rename_cohort(&mut self, old: &str, new: &str) -> bool {
        self.condition.rename(old, new)
    }
}

impl Condition {
    /// The conditions right below this one, each with the way there (`.and[0]`).
    #[must_use]
    pub fn children(&self) -> Vec<(String, &Self)> {
        let listed = |word: &str, list: &'_ [Self]| -> Vec<String> {
            (0..list.len()).map(|place| format!(".{word}[{place}]")).collect()
        };
        match self {
            Self::And(list) => listed("and", list).into_iter().zip(list).collect(),
            Self::Or(list) => listed("or", list).into_iter().zip(list).collect(),
            Self::Not(inner) => vec![(".not".to_owned(), inner)],
            Self::Group(group) => vec![(format!(".{}", group.quantifier.name()), &group.condition)],
            Self::Rank(rank) => rank.of.iter().map(|of| (".of".to_owned(), of.as_ref())).collect(),
            Self::Did(_)
            | Self::DidNot(_)
            | Self::Profile(_)
            | Self::ProfileElement(_)
            | Self::Cohort(_)
            | Self::CustomerIn(_)
            | Self::Sequence(_)
            | Self::Sample(_)
            | Self::Compare(_) => Vec::new(),
        }
    }

    fn children_mut(&mut self) -> Vec<&mut Self> {
        match self {
            Self::And(list) | Self::Or(list) => list.iter_mut().collect(),
            Self::Not(inner) => vec![inner],
            Self::Group(group) => vec![&mut group.condition],
            Self::Rank(rank) => rank.of.iter_mut().map(AsMut::as_mut).collect(),
            Self::Did(_)
            | Self::DidNot(_)
            | Self::Profile(_)
            | Self::ProfileElement(_)
            | Self::Cohort(_)
            | Self::CustomerIn(_)
            | Self::Sequence(_)
            | Self::Sample(_)
            | Self::Compare(_) => Vec::new(),
        }
    }

    fn rename(&mut self, old: &str, new: &str) -> bool {
        if let Self::Cohort(name) = self {
            let named = name == old;
            if named {
                new.clone_into(name);
            }
            return named;
        }
        let mut renamed = false;
        for child in self.children_mut() {
            renamed |= child.rename(old, new);
        }
        renamed
    }
}

fn collect<'a>(path: String, condition: &'a Condition, found: &mut Vec<(String, &'a Condition)>) {
    let children = condition.children();
    let below: Vec<_> = children.into_iter().map(|(way, child)| (format!("{path}{way}"), child)).collect();
    found.push((path, condition));
    for (path, child) in below {
        collect(path, child, found);
    }
}
