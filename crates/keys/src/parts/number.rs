//! Whole numbers of keys, and the little arithmetic that tells whether they belong together.

use crypto_bigint::{BoxedUint, ConcatenatingMul, NonZero, Odd};
use zeroize::Zeroizing;

/// A number of zero or more: big-endian octets without leading zeros, erased on drop.
#[derive(Clone)]
pub(crate) struct Number(Zeroizing<Vec<u8>>);

impl Number {
    /// Reads big-endian octets; leading zeros don't count.
    pub(crate) fn new(octets: &[u8]) -> Self {
        let zeros = octets.iter().take_while(|o| **o == 0).count();
        Self(Zeroizing::new(octets.iter().skip(zeros).copied().collect()))
    }

    /// Big-endian octets without leading zeros.
    pub(crate) fn octets(&self) -> &[u8] {
        &self.0
    }

    /// Big-endian octets with a zero before them where the first bit is set: the form of an `mpint` and of an INTEGER.
    pub(crate) fn signed_octets(&self) -> Zeroizing<Vec<u8>> {
        let zero = self.0.first().is_some_and(|o| *o >= 0x80);
        Zeroizing::new(std::iter::repeat_n(0, usize::from(zero)).chain(self.0.iter().copied()).collect())
    }

    /// As exactly `len` octets; `None` if it needs more.
    pub(crate) fn padded(&self, len: usize) -> Option<Zeroizing<Vec<u8>>> {
        let zeros = len.checked_sub(self.0.len())?;
        Some(Zeroizing::new(std::iter::repeat_n(0, zeros).chain(self.0.iter().copied()).collect()))
    }

    /// Length in bits.
    pub(crate) fn bits(&self) -> u32 {
        let all = u32::try_from(self.0.len()).unwrap_or(u32::MAX).saturating_mul(8);
        all.saturating_sub(self.0.first().map_or(0, |o| o.leading_zeros()))
    }

    /// Whether it is 1, 3, 5, …
    pub(crate) fn is_odd(&self) -> bool {
        self.0.last().is_some_and(|o| o & 1 == 1)
    }

    /// Whether it is 1.
    pub(crate) fn is_one(&self) -> bool {
        self.0.as_slice() == [1]
    }

    /// Whether it is smaller than `other`.
    pub(crate) fn is_below(&self, other: &Self) -> bool {
        (self.0.len(), self.0.as_slice()) < (other.0.len(), other.0.as_slice())
    }

    /// This number less one; zero stays zero.
    pub(crate) fn less_one(&self) -> Self {
        let n = self.wide(self.width());
        Self::from_wide(if self.0.is_empty() { n } else { n.wrapping_sub(BoxedUint::one()) })
    }

    /// The sum.
    pub(crate) fn plus(&self, other: &Self) -> Self {
        let width = self.width().max(other.width()).saturating_add(64);
        Self::from_wide(self.wide(width).wrapping_add(other.wide(width)))
    }

    /// The difference; `None` if `other` is greater.
    pub(crate) fn minus(&self, other: &Self) -> Option<Self> {
        let width = self.width();
        (!self.is_below(other)).then(|| Self::from_wide(self.wide(width).wrapping_sub(other.wide(width))))
    }

    /// A quarter of this number and one, rounded down.
    pub(crate) fn plus_one_quarter(&self) -> Self {
        Self::from_wide(self.plus(&Self::new(&[1])).wide(self.width().saturating_add(64)).shr(2))
    }

    /// The product.
    pub(crate) fn times(&self, other: &Self) -> Self {
        Self::from_wide(self.wide(self.width()).concatenating_mul(other.wide(other.width())))
    }

    /// The rest of the division by `modulus`; `None` for a modulus of zero.
    pub(crate) fn modulo(&self, modulus: &Self) -> Option<Self> {
        let width = self.width().max(modulus.width());
        let divisor = Option::<NonZero<BoxedUint>>::from(NonZero::new(modulus.wide(width)))?;
        Some(Self::from_wide(self.wide(width).rem(&divisor)))
    }

    /// This number to the power of `exponent`, modulo an odd `modulus`; `None` for an even one.
    pub(crate) fn power(&self, exponent: &Self, modulus: &Self) -> Option<Self> {
        let width = modulus.width();
        let base = self.modulo(modulus)?.wide(width);
        let odd = Option::<Odd<BoxedUint>>::from(Odd::new(modulus.wide(width)))?;
        Some(Self::from_wide(base.pow_mod(&exponent.wide(exponent.width()), &odd)))
    }

    /// Whether it is probably prime: Fermat's test to base 2, against damage rather than against a forger, since who
    /// imports a private key means it to work.
    pub(crate) fn looks_prime(&self) -> bool {
        self.is_odd() && self.bits() > 2 && Self::new(&[2]).power(&self.less_one(), self).is_some_and(|n| n.is_one())
    }

    /// Width in bits of the words it fills.
    fn width(&self) -> u32 {
        self.bits().max(1).next_multiple_of(64)
    }

    fn wide(&self, width: u32) -> BoxedUint {
        BoxedUint::from_be_slice_truncated(&self.0, width)
    }

    fn from_wide(n: BoxedUint) -> Self {
        Self::new(&Zeroizing::new(Zeroizing::new(n).to_be_bytes().into_vec()))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        base::same_octets(&self.0, &other.0)
    }
}

impl Eq for Number {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(n: u128) -> Number {
        Number::new(&n.to_be_bytes())
    }

    #[test]
    fn edges() {
        assert_eq!(number(0).octets(), b"");
        assert_eq!((number(0).bits(), number(1).bits(), number(255).bits(), number(256).bits()), (0, 1, 8, 9));
        assert_eq!(number(128).signed_octets().as_slice(), [0, 128]);
        assert_eq!(number(127).signed_octets().as_slice(), [127]);
        assert!(number(0).less_one() == number(0));
        assert!(number(5).modulo(&number(0)).is_none());
        assert!(number(5).power(&number(2), &number(8)).is_none());
        assert!(number(5).power(&number(2), &number(7)) == Some(number(4)));
        assert!(number(65537).looks_prime());
        assert!(!number(65537 * 3).looks_prime());
        assert!(!number(0).looks_prime() && !number(1).looks_prime() && !number(2).looks_prime());
    }

    proptest! {
        #[test]
        fn arithmetic_agrees_with_the_machine(a in any::<u64>(), b in any::<u64>(), m in 1..u64::MAX) {
            let (na, nb, nm) = (number(a.into()), number(b.into()), number(m.into()));
            prop_assert!(na.times(&nb) == number(u128::from(a) * u128::from(b)));
            prop_assert!(na.modulo(&nm) == Some(number((a % m).into())));
            prop_assert_eq!(na.is_below(&nb), a < b);
            prop_assert!(na.plus(&nb) == number(u128::from(a) + u128::from(b)));
            prop_assert!(na.minus(&nb) == a.checked_sub(b).map(|n| number(n.into())));
            prop_assert!(na.plus_one_quarter() == number((u128::from(a) + 1) / 4));
            prop_assert!(na.less_one() == number(a.saturating_sub(1).into()));
        }
    }
}
