//! How a call fails: one code (the numbers of `base/error.h`) and one line a user can act on.

pub const INVALID: i32 = -1;
pub const UNSUPPORTED: i32 = -3;
pub const LIMIT: i32 = -6;
pub const BUSY: i32 = -7;
pub const INTERNAL: i32 = -9;

#[derive(Debug)]
pub struct Failure {
    pub code: i32,
    pub message: String,
}

pub type Outcome<T> = Result<T, Failure>;

impl Failure {
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Failure {
            code,
            message: message.into(),
        }
    }

    pub fn invalid(message: impl Into<String>) -> Self {
        Failure::new(INVALID, message)
    }

    pub fn limit(message: impl Into<String>) -> Self {
        Failure::new(LIMIT, message)
    }
}

/// A message from somewhere else, made fit for one line of a terminal.
pub fn one_line(text: &str) -> String {
    const LONGEST: usize = 400;
    let mut line = String::new();
    for word in text
        .split(|c: char| c.is_whitespace() || c.is_control())
        .filter(|word| !word.is_empty())
    {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.len() > LONGEST {
            let cut = (0..=LONGEST)
                .rev()
                .find(|&i| line.is_char_boundary(i))
                .unwrap_or(0);
            line.truncate(cut);
            line.push_str("...");
            break;
        }
    }
    line
}
