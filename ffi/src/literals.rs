//! A set of byte strings, and which of them begin at a place in a text.
//!
//! A plain byte trie: the sets are small (the added tokens of one tokenizer), and unlike an Aho-Corasick automaton it
//! gives *every* literal that begins at a place, which is needed when the longest one must be passed over.

pub struct Literals {
    starts: [bool; 256],
    nodes: Vec<Node>,
}

#[derive(Default)]
struct Node {
    next: Vec<(u8, u32)>, // sorted by byte
    value: Option<u32>,
}

impl Literals {
    pub fn new<'a>(literals: impl IntoIterator<Item = (&'a str, u32)>) -> Self {
        let mut set = Literals {
            starts: [false; 256],
            nodes: vec![Node::default()],
        };
        for (literal, value) in literals {
            set.insert(literal.as_bytes(), value);
        }
        set
    }

    fn insert(&mut self, literal: &[u8], value: u32) {
        let Some(&first) = literal.first() else { return };
        self.starts[usize::from(first)] = true;
        let mut at = 0usize;
        for &byte in literal {
            at = match self.nodes[at].next.binary_search_by_key(&byte, |edge| edge.0) {
                Ok(i) => self.nodes[at].next[i].1 as usize,
                Err(i) => {
                    let new = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[at].next.insert(i, (byte, new as u32));
                    new
                }
            };
        }
        self.nodes[at].value = Some(value);
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.len() == 1
    }

    fn step(&self, at: usize, byte: u8) -> Option<usize> {
        let next = &self.nodes[at].next;
        next.binary_search_by_key(&byte, |edge| edge.0)
            .ok()
            .map(|i| next[i].1 as usize)
    }

    /// The literals that stand at text[at..], longest first, as (length, value).
    pub fn at(&self, text: &[u8], at: usize, found: &mut Vec<(usize, u32)>) {
        found.clear();
        if !self.starts[usize::from(text[at])] {
            return;
        }
        let mut node = 0;
        for (i, &byte) in text[at..].iter().enumerate() {
            match self.step(node, byte) {
                Some(next) => node = next,
                None => break,
            }
            if let Some(value) = self.nodes[node].value {
                found.push((i + 1, value));
            }
        }
        found.reverse();
    }

    /// True when text is the beginning of a literal, the whole of one included.
    pub fn is_prefix(&self, text: &[u8]) -> bool {
        let mut node = 0;
        for &byte in text {
            match self.step(node, byte) {
                Some(next) => node = next,
                None => return false,
            }
        }
        true
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
        assert!(set.is_prefix(b"[INS") && !set.is_prefix(b"[INX"));
    }
}
