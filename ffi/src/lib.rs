//! The C ABI. Every function is documented in `include/llmind_text.h`; this file turns pointers into slices, catches
//! panics and writes error messages, and knows nothing else.

mod bpe;
mod config;
mod environment;
mod failure;
mod grammar;
mod grammar_abi;
#[cfg(test)]
mod grammar_hostile_tests;
#[cfg(test)]
mod grammar_tests;
mod limits;
mod literals;
mod load;
#[cfg(test)]
mod load_tests;
mod marker;
mod meter;
mod methods;
mod pieces;
mod python;
mod rewrite;
mod schema;
mod template;
mod tokenizer;

use std::ffi::c_char;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Arc;

use failure::{one_line, Failure, Outcome, INTERNAL};
use tokenizer::Tokenizer;

/// Opaque to C.
pub struct LlmindTokenizer(Arc<Tokenizer>);

#[repr(C)]
pub struct LlmindTokenizerInfo {
    struct_size: usize,
    vocab_size: u32,
    bos: i32,
    eos: i32,
    first_space: i32,
    bytes: *const u8,
    offsets: *const u32,
    special: *const u8,
}

const ENCODE_ADD_SPECIAL: u32 = 1;
const ENCODE_RENDERED: u32 = 2;

/// A C (pointer, length) pair; NULL is the empty slice.
///
/// # Safety
/// data must be NULL or point to length readable bytes that outlive 'a.
unsafe fn slice<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if data.is_null() {
        &[]
    } else {
        std::slice::from_raw_parts(data, length)
    }
}

/// Runs one call: a panic becomes LLMIND_TEXT_INTERNAL, a failure its code and message.
///
/// # Safety
/// error must be NULL or point to capacity writable bytes.
unsafe fn guarded(error: *mut c_char, capacity: usize, call: impl FnOnce() -> Outcome<()>) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let why = panic
            .downcast_ref::<&str>()
            .map(|s| s.to_string())
            .or_else(|| panic.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Err(match why.strip_prefix("Onig: ") {
            Some(why) => Failure::limit(format!("a regex of tokenizer.json gave up: {}", one_line(why))),
            None => Failure::new(INTERNAL, format!("the text library gave up: {}", one_line(&why))),
        })
    });
    let Err(failure) = outcome else { return 0 };
    if !error.is_null() && capacity > 0 {
        // A template may put a user's text, marks and all, into what it raises.
        let message = failure.message.replace(marker::MARK, "");
        let mut length = message.len().min(capacity - 1);
        while !message.is_char_boundary(length) {
            length -= 1;
        }
        std::ptr::copy_nonoverlapping(message.as_ptr(), error.cast::<u8>(), length);
        *error.add(length) = 0;
    }
    failure.code
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_tokenizer_open(
    tokenizer_json: *const u8,
    tokenizer_json_length: usize,
    config_json: *const u8,
    config_json_length: usize,
    out: *mut *mut LlmindTokenizer,
    error: *mut c_char,
    error_capacity: usize,
) -> i32 {
    quiet_panics();
    guarded(error, error_capacity, || {
        *out = std::ptr::null_mut();
        let json = slice(tokenizer_json, tokenizer_json_length);
        let config = (!config_json.is_null()).then(|| slice(config_json, config_json_length));
        let tokenizer = template::on_large_stack(|| Tokenizer::open(json, config))??;
        *out = Box::into_raw(Box::new(LlmindTokenizer(Arc::new(tokenizer))));
        Ok(())
    })
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_tokenizer_close(tokenizer: *mut LlmindTokenizer) {
    if !tokenizer.is_null() {
        drop(Box::from_raw(tokenizer));
    }
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_tokenizer_info(
    tokenizer: *const LlmindTokenizer,
    info: *mut LlmindTokenizerInfo,
) -> i32 {
    if (*info).struct_size < std::mem::size_of::<LlmindTokenizerInfo>() {
        return INTERNAL;
    }
    let tokenizer = &(*tokenizer).0;
    let id = |id: Option<u32>| id.and_then(|id| i32::try_from(id).ok()).unwrap_or(-1);
    *info = LlmindTokenizerInfo {
        struct_size: (*info).struct_size,
        vocab_size: tokenizer.vocab_size() as u32,
        bos: id(tokenizer.bos),
        eos: id(tokenizer.eos),
        first_space: tokenizer.pieces.first_space as i32,
        bytes: tokenizer.pieces.bytes.as_ptr(),
        offsets: tokenizer.pieces.offsets.as_ptr(),
        special: tokenizer.special.as_ptr(),
    };
    0
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_tokenizer_encode(
    tokenizer: *const LlmindTokenizer,
    text: *const u8,
    length: usize,
    flags: u32,
    ids: *mut *mut u32,
    count: *mut usize,
    error: *mut c_char,
    error_capacity: usize,
) -> i32 {
    guarded(error, error_capacity, || {
        (*ids, *count) = (std::ptr::null_mut(), 0);
        let tokenizer = &(*tokenizer).0;
        let text = slice(text, length);
        let found = if flags & ENCODE_RENDERED != 0 {
            tokenizer.encode_rendered(text)?
        } else {
            tokenizer.encode(text, flags & ENCODE_ADD_SPECIAL != 0)?
        };
        let found = found.into_boxed_slice();
        *count = found.len();
        *ids = Box::into_raw(found).cast::<u32>();
        Ok(())
    })
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_ids_free(ids: *mut u32, count: usize) {
    if !ids.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(ids, count)));
    }
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_tokenizer_find(
    tokenizer: *const LlmindTokenizer,
    content: *const u8,
    length: usize,
) -> i32 {
    let Ok(content) = std::str::from_utf8(slice(content, length)) else {
        return -1;
    };
    (*tokenizer)
        .0
        .find(content)
        .and_then(|id| i32::try_from(id).ok())
        .unwrap_or(-1)
}

/// A panic is reported through the error buffer; Rust's own message on stderr would be a second, unreadable one.
fn quiet_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| std::panic::set_hook(Box::new(|_| {})));
}

/// Opaque to C.
pub struct LlmindTemplate(template::Template);

#[repr(C)]
pub struct LlmindTemplateInput {
    struct_size: usize,
    messages: *const u8,
    messages_length: usize,
    tools: *const u8,
    tools_length: usize,
    extra: *const u8,
    extra_length: usize,
    add_generation_prompt: u8,
    continue_final_message: u8,
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_template_open(
    tokenizer: *const LlmindTokenizer,
    jinja: *const u8,
    jinja_length: usize,
    template_json: *const u8,
    template_json_length: usize,
    out: *mut *mut LlmindTemplate,
    error: *mut c_char,
    error_capacity: usize,
) -> i32 {
    guarded(error, error_capacity, || {
        *out = std::ptr::null_mut();
        let jinja = (!jinja.is_null()).then(|| slice(jinja, jinja_length));
        let json = (!template_json.is_null()).then(|| slice(template_json, template_json_length));
        if let Some(template) = template::Template::open((*tokenizer).0.clone(), jinja, json)? {
            *out = Box::into_raw(Box::new(LlmindTemplate(template)));
        }
        Ok(())
    })
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_template_close(template: *mut LlmindTemplate) {
    if !template.is_null() {
        drop(Box::from_raw(template));
    }
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_template_render(
    template: *const LlmindTemplate,
    input: *const LlmindTemplateInput,
    text: *mut *mut u8,
    length: *mut usize,
    error: *mut c_char,
    error_capacity: usize,
) -> i32 {
    guarded(error, error_capacity, || {
        (*text, *length) = (std::ptr::null_mut(), 0);
        let input = &*input;
        if input.struct_size < std::mem::size_of::<LlmindTemplateInput>() {
            return Err(Failure::new(
                INTERNAL,
                "the text library and its caller do not fit together",
            ));
        }
        let optional = |data: *const u8, length| (!data.is_null()).then(|| slice(data, length));
        let rendered = (*template).0.render(&template::Input {
            messages: slice(input.messages, input.messages_length),
            tools: optional(input.tools, input.tools_length),
            extra: optional(input.extra, input.extra_length),
            add_generation_prompt: input.add_generation_prompt != 0,
            continue_final_message: input.continue_final_message != 0,
        })?;
        let rendered = rendered.into_bytes().into_boxed_slice();
        *length = rendered.len();
        *text = Box::into_raw(rendered).cast::<u8>();
        Ok(())
    })
}

/// # Safety
/// As llmind_text.h says.
#[no_mangle]
pub unsafe extern "C" fn llmind_text_free(text: *mut u8, length: usize) {
    if !text.is_null() {
        drop(Box::from_raw(std::ptr::slice_from_raw_parts_mut(text, length)));
    }
}
