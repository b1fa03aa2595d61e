//! The C ABI of grammars, as `lib.rs` is for the rest. Every function is documented in `include/llmind_text.h`.

use std::ffi::c_char;
use std::sync::Arc;

use crate::failure::{Failure, INTERNAL};
use crate::grammar::{Factory, Grammar, Kind};
use crate::{guarded, quiet_panics, slice, LlmindTokenizer};

/// Opaque to C.
pub struct LlmindGrammarFactory(Arc<Factory>);
/// Opaque to C.
pub struct LlmindGrammar(Grammar);

fn kind(number: u32) -> Result<Kind, Failure> {
    match number {
        1 => Ok(Kind::Json),
        2 => Ok(Kind::Schema),
        3 => Ok(Kind::Regex),
        4 => Ok(Kind::Lark),
        _ => Err(Failure::new(
            INTERNAL,
            format!("grammars of kind {number} do not exist"),
        )),
    }
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_grammar_factory_open(
    tokenizer: *const LlmindTokenizer,
    vocab: u32,
    eos: *const u32,
    n_eos: usize,
    out: *mut *mut LlmindGrammarFactory,
    error: *mut c_char,
    error_capacity: usize,
) -> i32 {
    quiet_panics();
    guarded(error, error_capacity, || {
        *out = std::ptr::null_mut();
        let eos = if eos.is_null() {
            &[]
        } else {
            std::slice::from_raw_parts(eos, n_eos)
        };
        let factory = Factory::open(&(*tokenizer).0, vocab as usize, eos)?;
        *out = Box::into_raw(Box::new(LlmindGrammarFactory(Arc::new(factory))));
        Ok(())
    })
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_grammar_factory_close(factory: *mut LlmindGrammarFactory) {
    if !factory.is_null() {
        drop(Box::from_raw(factory));
    }
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_grammar_open(
    factory: *const LlmindGrammarFactory,
    kind_number: u32,
    text: *const u8,
    length: usize,
    out: *mut *mut LlmindGrammar,
    error: *mut c_char,
    error_capacity: usize,
) -> i32 {
    guarded(error, error_capacity, || {
        *out = std::ptr::null_mut();
        let grammar = Grammar::open(&(*factory).0, kind(kind_number)?, slice(text, length))?;
        *out = Box::into_raw(Box::new(LlmindGrammar(grammar)));
        Ok(())
    })
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_grammar_close(grammar: *mut LlmindGrammar) {
    if !grammar.is_null() {
        drop(Box::from_raw(grammar));
    }
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_grammar_mask(
    grammar: *mut LlmindGrammar,
    mask: *mut u32,
    n_words: usize,
    error: *mut c_char,
    error_capacity: usize,
) -> i32 {
    guarded(error, error_capacity, || {
        (*grammar).0.mask(std::slice::from_raw_parts_mut(mask, n_words))
    })
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_grammar_accept(
    grammar: *mut LlmindGrammar,
    token: u32,
    end: *mut i32,
    error: *mut c_char,
    error_capacity: usize,
) -> i32 {
    guarded(error, error_capacity, || {
        *end = (*grammar).0.accept(token)? as i32;
        Ok(())
    })
}
