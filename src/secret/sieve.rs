//! Where in a text a pattern may begin at all: most of a text is passed over without being looked at letter by letter.
//!
//! Lives here: which short pieces patterns begin with, as bits, and the looks that find them. Does not: the search itself.
//!
//! Every `stride` bytes the `gram` bytes that stand there are looked up. A pattern has at least `gram + stride - 1` bytes, so
//! one of the looks falls wholly within its beginning, and its pieces at all those places are noted.

use std::ops::Range;

/// Bits for each noted piece, at least: few texts look like one by chance.
const BITS_EACH: usize = 32;

/// What patterns begin with.
pub(super) struct Sieve {
    bits: Vec<u64>,
    gram: usize,
    stride: usize,
    longest: usize,
}

impl Sieve {
    /// The sieve of some patterns; an empty one is passed over.
    pub(super) fn of<'p>(patterns: impl Iterator<Item = &'p [u8]> + Clone) -> Self {
        let lengths = || patterns.clone().map(<[u8]>::len).filter(|len| *len > 0);
        let shortest = lengths().min().unwrap_or(1);
        let gram = if shortest >= 12 { 8 } else { shortest.min(4) };
        let stride = shortest - gram + 1;
        let pieces = (lengths().count() * stride * BITS_EACH).next_power_of_two().max(64);
        let mut sieve =
            Self { bits: vec![0; pieces / 64], gram, stride, longest: lengths().max().unwrap_or(0) };
        for pattern in patterns.filter(|pattern| !pattern.is_empty()) {
            for at in 0..stride {
                for bit in sieve.places(&pattern[at..at + gram]) {
                    sieve.bits[bit / 64] |= 1 << (bit % 64);
                }
            }
        }
        sieve
    }

    /// The parts of a text that may hold a pattern, each wide enough to hold it whole; in order, and apart from each other.
    pub(super) fn parts(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let mut parts: Vec<Range<usize>> = vec![];
        for at in (0..(bytes.len() + 1).saturating_sub(self.gram)).step_by(self.stride) {
            if self.may_begin(&bytes[at..at + self.gram]) {
                let from = (at + 1).saturating_sub(self.stride);
                let to = (at + self.longest).min(bytes.len());
                match parts.last_mut() {
                    Some(last) if from <= last.end => last.end = last.end.max(to),
                    _ => parts.push(from..to),
                }
            }
        }
        parts
    }

    fn may_begin(&self, piece: &[u8]) -> bool {
        self.places(piece).into_iter().all(|bit| self.bits[bit / 64] >> (bit % 64) & 1 == 1)
    }

    /// Two bits for each piece, by multiplying (Knuth, The Art of Computer Programming 3, §6.4) with odd numbers.
    fn places(&self, piece: &[u8]) -> [usize; 2] {
        let mut whole = [0; 8];
        whole[..piece.len()].copy_from_slice(piece);
        let number = u64::from_le_bytes(whole);
        let shift = 64 - (self.bits.len() * 64).trailing_zeros();
        let place = |odd: u64| usize::try_from(number.wrapping_mul(odd) >> shift).unwrap_or(0);
        [place(0x9E37_79B9_7F4A_7C15), place(0xC2B2_AE3D_27D4_EB4F)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(parts: &[Range<usize>], from: usize, to: usize) -> bool {
        parts.iter().any(|part| part.start <= from && to <= part.end)
    }

    proptest! {
        #[test]
        fn no_pattern_falls_through_wherever_it_stands(
            patterns in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 6..40), 1..6),
            before in proptest::collection::vec(any::<u8>(), 0..60),
            behind in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let sieve = Sieve::of(patterns.iter().map(Vec::as_slice));
            for pattern in &patterns {
                let text = [before.as_slice(), pattern, &behind].concat();
                let (from, to) = (before.len(), before.len() + pattern.len());
                prop_assert!(holds(&sieve.parts(&text), from, to));
            }
        }
    }

    #[test]
    fn what_holds_nothing_is_passed_over() {
        let patterns: Vec<Vec<u8>> =
            (0..1_000).map(|number| format!("{number:04}-a-secret-of-somebody").into_bytes()).collect();
        let sieve = Sieve::of(patterns.iter().map(Vec::as_slice));
        let text = "a line of a log that holds nothing of that kind; ".repeat(1_000);
        let looked_at: usize = sieve.parts(text.as_bytes()).iter().map(Range::len).sum();
        assert!(looked_at < text.len() / 20, "{looked_at} of {}", text.len());
        assert!(Sieve::of([].into_iter()).parts(b"anything").len() <= 1);
    }
}
