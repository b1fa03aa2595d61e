//! A set of byte strings, and which of them begin at a place in a text.
//!
//! A sorted list that is narrowed byte by byte: it takes no more memory than the strings themselves, whoever chose them,
//! and unlike an Aho-Corasick automaton it gives *every* literal that begins at a place, which is needed when the longest
//! one must be passed over.

use std::collections::BTreeMap;

pub struct Literals {
    starts: [bool; 256],
    sorted: Vec<(Box<[u8]>, u32)>,
}

impl Literals {
    /// Of two equal literals the later one counts; empty ones are left out.
    pub fn new<'a>(literals: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let values: BTreeMap<&[u8], u32> = literals
            .into_iter()
            .map(|(literal, value)| (literal.as_bytes(), value))
            .collect();
        let mut set = Literals {
            starts: [false; 256],
            sorted: vec![],
        };
        for (literal, value) in values {
            if let Some(&first) = literal.first() {
                set.starts[usize::from(first)] = true;
                set.sorted.push((literal.into(), value));
            }
        }
        set
    }

    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The literals that stand at text[at..], longest first, as (length, value).
    pub fn at(&self, text: &[u8], at: usize, found: &mut Vec<(usize, u32)>) {
        found.clear();
        if !self.starts[usize::from(text[at])] {
            return;
        }
        let mut left = &self.sorted[..]; // those that begin with text[at..at + i]
        for (i, byte) in text[at..].iter().enumerate() {
            let from = left.partition_point(|(literal, _)| literal.get(i) < Some(byte));
            left = &left[from..];
            left = &left[..left.partition_point(|(literal, _)| literal.get(i) == Some(byte))];
            match left.first() {
                Some((literal, value)) if literal.len() == i + 1 => found.push((i + 1, *value)),
                Some(_) => {}
                None => break,
            }
        }
        found.reverse();
    }

    /// True when text is the beginning of a literal, the whole of one included.
    pub fn is_prefix(&self, text: &[u8]) -> bool {
        let from = self.sorted.partition_point(|(literal, _)| **literal < *text);
        self.sorted
            .get(from)
            .is_some_and(|(literal, _)| literal.starts_with(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_every_literal_longest_first() {
        let set = Literals::new([("<s>", 1), ("<s", 2), ("<", 3), ("[INST]", 4)]);
        let mut found = vec![];
        set.at(b"a<s>", 1, &mut found);
        assert_eq!(found, [(3, 1), (2, 2), (1, 3)]);
        set.at(b"a<s>", 0, &mut found);
        assert!(found.is_empty());
        set.at(b"[INS", 0, &mut found);
        assert!(found.is_empty());
        assert!(set.is_prefix(b"[INS") && set.is_prefix(b"[INST]"));
        assert!(!set.is_prefix(b"[INX") && !set.is_prefix(b"[INST]]"));
    }

    #[test]
    fn shared_beginnings_and_equal_literals() {
        let set = Literals::new([("ab", 1), ("abcd", 2), ("abx", 3), ("ab", 4), ("", 5)]);
        let mut found = vec![];
        set.at(b"abcde", 0, &mut found);
        assert_eq!(found, [(4, 2), (2, 4)]);
        set.at(b"abc", 0, &mut found);
        assert_eq!(found, [(2, 4)]);
        assert!(Literals::new([("", 1)]).is_empty());
    }
}
