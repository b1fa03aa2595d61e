//! Structured output: what a model may say next, so that its answer is a text of a given language.
//!
//! The `llguidance` crate does the work. It sees a language (JSON schema, regular expression, Lark grammar) as an Earley
//! grammar over lexemes, and the vocabulary as a trie of bytes; walking both together gives one bit per token. The trie
//! is made of the bytes that `pieces.rs` found, so no tokenizer is parsed a second time.
//!
//! **Fails closed.** A schema may only use what is enforced; anything else ends with an error that names it
//! (`schema.rs`). A token whose bytes cannot be trusted (a hole, a special token that the grammar does not name, a row of
//! padding) is never allowed, and the end is allowed exactly where the grammar accepts.
//!
//! **Bounds.** The crate counts its work while it compiles and while it computes a mask, and gives up at the limits set
//! below. What it does not count (building a schema's tree, intersecting its parts) runs against the clock, on a thread
//! of its own: the caller leaves after `PATIENCE`, and at most `MAX_COMPILING` such threads exist (others wait as long
//! for a seat).

use std::fmt::Display;
use std::sync::{mpsc, Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::earley::SlicedBiasComputer;
use llguidance::toktrie::{
    ApproximateTokEnv, InferenceCapabilities, SimpleVob, TokEnv, TokRxInfo, TokTrie, INVALID_TOKEN,
};
use llguidance::{Matcher, ParserFactory};

use crate::failure::{one_line, Failure, Outcome, BUSY, INTERNAL, INVALID, LIMIT, UNSUPPORTED};
use crate::schema;
use crate::tokenizer::Tokenizer;

pub const MAX_GRAMMAR: usize = 256 << 10;
/// The trie holds 1024 levels; longer tokens (runs of spaces, mostly) are simply not used under a grammar.
const LONGEST_TOKEN: usize = 1000;
const PATIENCE: Duration = Duration::from_millis(1500);
const MAX_COMPILING: usize = 2;
/// Recursive descent over schemas and grammars: chains of $ref may be as long as the text allows.
const STACK: usize = 256 << 20;

fn limits() -> ParserLimits {
    ParserLimits {
        initial_lexer_fuel: 2_000_000, // about 50,000 a millisecond
        step_lexer_fuel: 200_000,      // about 14,000 a millisecond
        step_max_items: 50_000,        // about 20,000 a millisecond
        max_lexer_states: 30_000,      // about 2 KB each
        max_grammar_size: 200_000,
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Json,
    Schema,
    Regex,
    Lark,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Json | Kind::Schema => "the JSON schema",
            Kind::Regex => "the regular expression",
            Kind::Lark => "the grammar",
        }
    }
}

/// Whether a text may be over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    No = 0,
    Allowed = 1,
    /// Nothing but blanks could follow.
    Reached = 2,
}

// ---- the vocabulary ------------------------------------------------------------------------------------------------

/// Shared by all grammars of one model.
pub struct Factory {
    inner: ParserFactory,
    vocab: usize,
}

/// The bytes of every token as llguidance wants them: special tokens begin with a byte that is in no text.
fn words(tokenizer: &Tokenizer, vocab: usize, eos: &[u32]) -> Vec<Vec<u8>> {
    let offsets = &tokenizer.pieces.offsets;
    let word = |id: usize| {
        let Some(range) = offsets.get(id..id + 2) else {
            return vec![];
        };
        let bytes = &tokenizer.pieces.bytes[range[0] as usize..range[1] as usize];
        let usable = !bytes.is_empty() && bytes.len() <= LONGEST_TOKEN;
        if usable && (tokenizer.special[id] != 0 || eos.contains(&(id as u32))) {
            [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes].concat()
        } else if usable && bytes[0] != TokTrie::SPECIAL_TOKEN_MARKER {
            bytes.to_vec()
        } else {
            vec![]
        }
    };
    (0..vocab).map(word).collect()
}

impl Factory {
    /// vocab: rows of the model's output; eos: what ends its answers.
    pub fn open(tokenizer: &Tokenizer, vocab: usize, eos: &[u32]) -> Outcome<Self> {
        let eos: Vec<u32> = eos.iter().copied().filter(|&id| (id as usize) < vocab).collect();
        // A model that has none ends where nothing can follow, or at its length.
        let first = eos.first().copied().unwrap_or(INVALID_TOKEN);
        let words = words(tokenizer, vocab, &eos);
        let mut trie = TokTrie::from(&TokRxInfo::new(vocab as u32, first), &words);
        drop(words);
        if eos.len() > 1 {
            trie = trie.with_eos_tokens(&eos);
        }
        let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let slices = SlicedBiasComputer::json_slices();
        let mut inner = ParserFactory::new(&env, InferenceCapabilities::default(), &slices)
            .map_err(|e| Failure::new(INTERNAL, format!("grammars: {}", one_line(&e.to_string()))))?;
        inner.quiet();
        *inner.limits_mut() = limits();
        Ok(Factory { inner, vocab })
    }
}

// ---- compiling -----------------------------------------------------------------------------------------------------

static COMPILING: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());

/// A seat for one compilation, left when its thread ends, however long after its caller.
struct Seat;

impl Seat {
    /// Most compilations take milliseconds, so a seat is soon free.
    fn take() -> Outcome<Seat> {
        let (taken, freed) = &COMPILING;
        let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = freed.wait_timeout_while(taken, PATIENCE, |taken| *taken >= MAX_COMPILING);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *taken >= MAX_COMPILING {
            return Err(Failure::new(
                BUSY,
                "other grammars are still being compiled: try again in a moment",
            ));
        }
        *taken += 1;
        Ok(Seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (taken, freed) = &COMPILING;
        *taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        freed.notify_one();
    }
}

/// Runs f on a thread with a large stack and waits for it, but not for ever. The result comes with the thread's end, so
/// that thread sanitizers, which see nothing of Rust's channels, see the order.
fn with_patience<T: Send + 'static>(f: impl FnOnce() -> Outcome<T> + Send + 'static) -> Outcome<Option<T>> {
    let seat = Seat::take()?;
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || {
        let _seat = seat;
        let result = f();
        let _ = sender.send(()); // the receiver may be gone
        result
    });
    let thread = thread.map_err(|e| Failure::limit(format!("no thread could be started: {e}")))?;
    if receiver.recv_timeout(PATIENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
        return Ok(None);
    }
    match thread.join() {
        Ok(result) => result.map(Some),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn language(kind: Kind, text: &[u8]) -> Outcome<TopLevelGrammar> {
    let text =
        std::str::from_utf8(text).map_err(|_| Failure::invalid(format!("{} is not UTF-8", kind.name())))?;
    match kind {
        Kind::Json => schema::read("{\"type\":\"object\"}").map(TopLevelGrammar::from_json_schema),
        Kind::Schema => schema::read(text).map(TopLevelGrammar::from_json_schema),
        Kind::Regex => {
            let backslashes = text.len() - text.trim_end_matches('\\').len();
            if text.is_empty() || backslashes % 2 == 1 {
                let what = if text.is_empty() {
                    "is empty"
                } else {
                    "ends with a single backslash"
                };
                return Err(Failure::invalid(format!("the regular expression {what}")));
            }
            Ok(TopLevelGrammar::from_regex(text))
        }
        Kind::Lark => Ok(TopLevelGrammar::from_lark(text.to_string())),
    }
}

/// What llguidance says, as one of our failures. The words only choose the code: whatever they are, it is refused.
fn refused(kind: Kind, why: &dyn Display) -> Failure {
    let message = why.to_string();
    let message = match message.split("\n<").next().unwrap_or_default() {
        "NoExtensionBias" => "no text that this model could write fits it",
        message if message.starts_with("panic: ") => "llguidance cannot cope with it (not supported)",
        message => message,
    };
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    let code = if has(&["not supported", "nimplemented", "Unknown format"]) {
        UNSUPPORTED
    } else if has(&[
        "too large",
        "too big",
        "limit",
        "fuel",
        "exceeded",
        "too complex",
        "too many",
        "max is",
    ]) {
        LIMIT
    } else {
        INVALID
    };
    Failure::new(
        code,
        format!("{} cannot be used: {}", kind.name(), one_line(message)),
    )
}

// ---- one answer ----------------------------------------------------------------------------------------------------

pub struct Grammar {
    matcher: Matcher,
    kind: Kind,
    vocab: usize,
    factory: Arc<Factory>,
    /// The first mask, computed while compiling: a grammar that this model cannot speak is refused then.
    first: Option<SimpleVob>,
}

impl Grammar {
    pub fn open(factory: &Arc<Factory>, kind: Kind, text: &[u8]) -> Outcome<Self> {
        if text.len() > MAX_GRAMMAR {
            return Err(Failure::limit(format!(
                "{} has {} bytes; at most {MAX_GRAMMAR} are read",
                kind.name(),
                text.len()
            )));
        }
        let (factory, text) = (factory.clone(), text.to_vec());
        with_patience(move || Grammar::compile(factory, kind, &text))?.ok_or_else(|| {
            Failure::limit(format!(
                "{} takes too long to compile: make it simpler",
                kind.name()
            ))
        })
    }

    fn compile(factory: Arc<Factory>, kind: Kind, text: &[u8]) -> Outcome<Self> {
        let parser = factory.inner.create_parser(language(kind, text)?);
        let parser = parser.map_err(|e| refused(kind, &e))?;
        let mut matcher = Matcher::new(Ok(parser));
        matcher.consume_tokens(&[]).map_err(|e| refused(kind, &e))?; // looks whether it has ended
        if matcher.is_stopped() {
            return Err(Failure::invalid(format!(
                "{} cannot be used: nothing but the empty text fits it",
                kind.name()
            )));
        }
        let first = matcher.compute_mask().map_err(|e| refused(kind, &e))?;
        Ok(Grammar {
            matcher,
            kind,
            vocab: factory.vocab,
            factory,
            first: Some(first),
        })
    }

    /// Bit id % 32 of word id / 32 is set when token id may come next, an end token included.
    pub fn mask(&mut self, mask: &mut [u32]) -> Outcome<()> {
        if mask.len() != self.vocab.div_ceil(32) {
            return Err(Failure::new(INTERNAL, "a mask of the wrong size"));
        }
        let set = match self.first.take() {
            Some(set) => set,
            None => self.matcher.compute_mask().map_err(|e| refused(self.kind, &e))?,
        };
        for (to, from) in mask.iter_mut().zip(set.as_slice()) {
            *to = *from;
        }
        if let (Some(last), rest @ 1..) = (mask.last_mut(), self.vocab % 32) {
            *last &= (1 << rest) - 1;
        }
        Ok(())
    }

    /// Goes on by a token that the last mask allowed and that is not an end.
    pub fn accept(&mut self, token: u32) -> Outcome<End> {
        self.first = None;
        self.matcher
            .consume_token(token)
            .map_err(|e| refused(self.kind, &e))?;
        if self.matcher.is_stopped() {
            return Ok(End::Reached);
        }
        if !self.matcher.is_accepting().map_err(|e| refused(self.kind, &e))? {
            return Ok(End::No);
        }
        // Every JSON value but a number says itself where it ends.
        let trie = self.factory.inner.tok_env().tok_trie();
        let in_number = trie.token(token).last().is_none_or(u8::is_ascii_digit);
        let is_json = matches!(self.kind, Kind::Json | Kind::Schema);
        Ok(if is_json && !in_number {
            End::Reached
        } else {
            End::Allowed
        })
    }
}
