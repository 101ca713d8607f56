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
        rename(&mut self.condition, old, new)
    }
}

fn collect<'a>(path: String, condition: &'a Condition, found: &mut Vec<(String, &'a Condition)>) {
    let (word, children) = match condition {
        Condition::And(all) => ("and", all.as_slice()),
        Condition::Or(any) => ("or", any.as_slice()),
        Condition::Not(inner) => {
            let below = format!("{path}.not");
            found.push((path, condition));
            collect(below, inner, found);
            return;
        }
        _ => ("", [].as_slice()),
    };
    let prefix = format!("{path}.{word}");
    found.push((path, condition));
    for (index, child) in children.iter().enumerate() {
        collect(format!("{prefix}[{index}]"), child, found);
    }
}

fn rename(condition: &mut Condition, old: &str, new: &str) -> bool {
    match condition {
        Condition::And(list) | Condition::Or(list) => {
            let mut renamed = false;
            for child in list {
                renamed |= rename(child, old, new);
            }
            renamed
        }
        Condition::Not(inner) => rename(inner, old, new),
        Condition::Cohort(name) if name == old => {
            new.clone_into(name);
            true
        }
        _ => false,
    }
}
