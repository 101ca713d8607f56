//! The place of a customer in a sample: a number from 0 to 100 that anyone can compute from the id and a salt.

use bigdecimal::BigDecimal;
use bigdecimal::num_bigint::BigInt;
use sha2::{Digest, Sha256};

use crate::value::Number;

/// The longest salt, in characters.
pub const MAX_SALT: usize = 255;

/// The places of customers under one salt.
#[derive(Clone)]
pub struct Places(Sha256);

impl Places {
    /// Those of a salt.
    #[must_use]
    pub fn new(salt: &str) -> Self {
        Self(Sha256::new().chain_update(salt).chain_update([0]))
    }

    /// The first eight bytes of SHA-256 over the salt, a zero byte and the id, read as an unsigned big-endian number.
    #[must_use]
    pub fn hash(&self, customer: &str) -> u64 {
        let digest = self.0.clone().chain_update(customer).finalize();
        digest.iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }

    /// The hash as a share of all hashes, in percent, exactly.
    #[must_use]
    pub fn percent(&self, customer: &str) -> BigDecimal {
        // h × 100 / 2^64 = h × 100 × 5^64 / 10^64
        BigDecimal::new(BigInt::from(self.hash(customer)) * 100 * BigInt::from(5).pow(64), 64).normalized()
    }
}

/// The least hash whose place is not below some percent, which may be that of no customer: 2^64.
#[must_use]
pub fn least_hash(percent: &Number) -> u128 {
    // The least whole h with h × 100 × 10^scale >= digits × 2^64.
    let (digits, scale) = percent.value().normalized().into_bigint_and_exponent();
    let power = |exponent: i64| BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0));
    let (wanted, unit) = (digits * BigInt::from(1_u128 << 64) * power(-scale), BigInt::from(100) * power(scale));
    u128::try_from((wanted + &unit - 1) / unit).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect("a number")
    }

    #[test]
    fn places_are_those_of_the_contract() {
        // printf 'spring\0c1' | sha256sum
        let hash = Places::new("spring").hash("c1");
        let expected = Sha256::digest(b"spring\0c1");
        assert_eq!(hash.to_be_bytes(), expected[..8]);
        let exact: BigDecimal = BigDecimal::from(hash) * 100 / BigDecimal::from(1_u128 << 64);
        assert_eq!(Places::new("spring").percent("c1"), exact.normalized());
    }

    #[test]
    fn bounds_are_exact() {
        assert_eq!(least_hash(&number("0")), 0);
        assert_eq!(least_hash(&number("100")), 1 << 64);
        assert_eq!(least_hash(&number("50")), 1 << 63);
        assert_eq!(least_hash(&number("5e1")), 1 << 63);
        assert_eq!(least_hash(&number("50.000000000000000000000000000001")), (1 << 63) + 1);
        assert_eq!(least_hash(&number("1e-5000")), 1);
        for (percent, hash) in [("10", 3u64), ("33.3", 77), ("99.99", u64::MAX)] {
            let least = least_hash(&number(percent));
            let place = |hash: u128| BigDecimal::from(hash) * 100 / BigDecimal::from(1_u128 << 64);
            assert!(place(least) >= *number(percent).value() && place(least - 1) < *number(percent).value(), "{hash}");
        }
    }
}
