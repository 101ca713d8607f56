//! Failed sign-ins: each one delays the next, by role and address, and by address alone.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// Failures that a person may have in [`WINDOW`] with one role, and an address with all roles.
const OF_ROLE: u32 = 5;
const OF_ADDRESS: u32 = 20;
const WINDOW: Duration = Duration::from_mins(15);
/// Entries that are kept; whoever fills the table with addresses cannot fill memory.
const MOST: usize = 50_000;

#[derive(Default)]
pub(crate) struct Throttle {
    roles: Mutex<HashMap<(IpAddr, String), Failures>>,
    addresses: Mutex<HashMap<IpAddr, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    first: Instant,
}

impl Throttle {
    /// Seconds until another attempt is allowed, if it is not now.
    pub(crate) fn wait(&self, address: IpAddr, role: &str) -> Option<u64> {
        let now = Instant::now();
        let role = left(&self.roles, &(address, role.to_owned()), OF_ROLE, now);
        let address = left(&self.addresses, &address, OF_ADDRESS, now);
        role.max(address).map(|left| left.as_secs() + 1)
    }

    /// Counts an attempt as failed. It is counted before the password is tried, so that many at a time gain nothing.
    pub(crate) fn count(&self, address: IpAddr, role: &str) {
        let now = Instant::now();
        count(&self.roles, (address, role.to_owned()), now);
        count(&self.addresses, address, now);
    }

    /// Takes a count back: the password was right.
    pub(crate) fn forgive(&self, address: IpAddr, role: &str) {
        if let Ok(mut roles) = self.roles.lock() {
            roles.remove(&(address, role.to_owned()));
        }
        if let Ok(mut addresses) = self.addresses.lock()
            && let Some(failures) = addresses.get_mut(&address)
        {
            failures.count = failures.count.saturating_sub(1);
        }
    }
}

fn left<K: Hash + Eq>(table: &Mutex<HashMap<K, Failures>>, key: &K, most: u32, now: Instant) -> Option<Duration> {
    let table = table.lock().ok()?;
    let failures = table.get(key).filter(|failures| failures.count >= most)?;
    (failures.first + WINDOW).checked_duration_since(now)
}

fn count<K: Hash + Eq>(table: &Mutex<HashMap<K, Failures>>, key: K, now: Instant) {
    let Ok(mut table) = table.lock() else { return };
    if table.len() >= MOST {
        table.retain(|_, failures| failures.first + WINDOW > now);
    }
    if table.len() >= MOST {
        return;
    }
    let failures = table.entry(key).or_insert(Failures { count: 0, first: now });
    if failures.first + WINDOW <= now {
        *failures = Failures { count: 0, first: now };
    }
    failures.count += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sixth_attempt_waits_and_others_do_not() {
        let throttle = Throttle::default();
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..OF_ROLE {
            assert_eq!(throttle.wait(here, "asha"), None);
            throttle.count(here, "asha");
        }
        assert!(throttle.wait(here, "asha").is_some_and(|seconds| seconds > 800));
        assert_eq!(throttle.wait(here, "bela"), None);
        assert_eq!(throttle.wait(there, "asha"), None);
        throttle.forgive(here, "asha");
        assert_eq!(throttle.wait(here, "asha"), None);
    }
}
