//! Marks in a text that somebody typed, where a control token could begin; tokenizer.rs says what for.

use std::borrow::Cow;
use std::collections::BTreeSet;

use tokenizers::AddedToken;

use crate::literals::Literals;

pub const MARK: char = '\u{FDD1}';

/// Whose text is marked. Templates look for "</think>" and the like in the assistant's own words, so there only tokens
/// that the file calls special count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Everybody,
    Assistant,
}

pub struct Marker {
    /// Characters other than letters, digits and white space that begin a control token: marked wherever they stand.
    starts: BTreeSet<char>,
    /// Control tokens that begin with a letter, a digit or white space: marked where they stand whole, or cut off by the
    /// end of the text.
    words: Literals,
    special: Literals,
    contents: Vec<String>,
}

impl Marker {
    pub fn new(control: Vec<&AddedToken>) -> Self {
        let first = |token: &AddedToken| token.content.chars().next().unwrap_or(' ');
        let wordy = |token: &&&AddedToken| first(token).is_alphanumeric() || first(token).is_whitespace();
        Marker {
            starts: control
                .iter()
                .filter(|token| !wordy(token))
                .map(|token| first(token))
                .collect(),
            words: Literals::new(
                control
                    .iter()
                    .filter(wordy)
                    .map(|token| (token.content.as_str(), 0)),
            ),
            special: Literals::new(
                control
                    .iter()
                    .filter(|token| token.special)
                    .map(|token| (token.content.as_str(), 0)),
            ),
            contents: control.iter().map(|token| token.content.clone()).collect(),
        }
    }

    /// Marks what could become a control token.
    pub fn mark<'a>(&self, text: &'a str, scope: Scope) -> Cow<'a, str> {
        let everybody = scope == Scope::Everybody;
        let mut marked = String::new();
        let mut copied = 0;
        let ends = [text.len(), text.trim_end().len()];
        let mut found = vec![];
        let mut begins = |literals: &Literals, at: usize| {
            literals.at(text.as_bytes(), at, &mut found);
            !found.is_empty()
                || ends
                    .iter()
                    .any(|&end| at < end && literals.is_prefix(&text.as_bytes()[at..end]))
        };
        for (at, c) in text.char_indices() {
            let after = at + c.len_utf8();
            if c == MARK {
                marked.push_str(&text[copied..at]);
                marked.push('\u{FFFD}');
                copied = after;
                continue;
            }
            let cut = if everybody {
                self.starts.contains(&c) || begins(&self.words, at)
            } else {
                begins(&self.special, at)
            };
            if cut {
                marked.push_str(&text[copied..after]);
                marked.push(MARK);
                copied = after;
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        marked.push_str(&text[copied..]);
        Cow::Owned(marked)
    }

    /// A short word that a template may put between "<|" and "|>" (a role, a name). It is cut in two if it is a part of a
    /// control token, or is not a plain word at all and could be the rest of one.
    pub fn mark_word<'a>(&self, word: &'a str) -> Cow<'a, str> {
        let marked = self.mark(word, Scope::Everybody);
        let plain = word
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
        let part = !plain || self.contents.iter().any(|content| content.contains(word));
        let mut rest = marked.chars();
        match rest.next() {
            Some(first) if part => Cow::Owned(format!("{first}{MARK}{}", rest.as_str())),
            _ => marked,
        }
    }
}

/// The text without marks, and where they stood in it.
pub fn take_marks(text: &str) -> (Cow<'_, str>, Vec<usize>) {
    if !text.contains(MARK) {
        return (Cow::Borrowed(text), vec![]);
    }
    let mut clean = String::with_capacity(text.len());
    let mut cuts = vec![];
    for part in text.split(MARK) {
        clean.push_str(part);
        cuts.push(clean.len());
    }
    cuts.pop(); // the end of the text
    cuts.dedup();
    (Cow::Owned(clean), cuts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_out() {
        let (text, cuts) = take_marks("a\u{FDD1}b\u{FDD1}\u{FDD1}c\u{FDD1}");
        assert_eq!((text.as_ref(), cuts), ("abc", vec![1, 2, 3]));
    }
}
