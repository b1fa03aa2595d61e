/* One loop: find where a call may begin, ask its format about it, and act on the verdict. A format looks at
 * everything held from its marker on and says that more is needed, that it is no call, or that it is one (or
 * several). "No call" hands out the marker as text and looks at what follows again, so a call inside what was
 * mistaken for one is still found.
 */
#include "service/tool_calls.h"

#include <string.h>

#include "service/tool_json.h"

enum verdict { NO_CALL = -1, MORE = 0, A_CALL = 1 };

struct tool_calls_format {
    const char *marker; /* "": a bare object, only where no text is before it */
    /* Looks at held[body..]. `final`: nothing will follow. With A_CALL the calls have been told and *end is
     * where they end. */
    enum verdict (*examine)(struct tool_calls *calls, bool final, size_t *end);
};

static const char control_mark = '\xFF'; /* never a part of UTF-8 */

/* ---- what goes out ---- */

static void tell(struct tool_calls *calls, const char *name, const struct buffer *arguments)
{
    if (calls->where == TOOL_CALLS_DONE)
        return;
    calls->n_calls++;
    calls->where = calls->only_first ? TOOL_CALLS_DONE : TOOL_CALLS_BETWEEN;
    calls->sink(calls->context, name, arguments->data, arguments->length);
}

/* Parses a call and tells it, or only checks it. */
static bool take_call(struct tool_calls *calls, size_t begin, size_t end, bool need_arguments, bool say)
{
    json_t *parsed;
    const char *name;
    struct buffer arguments = {0};
    bool is_call = tool_json_call(calls->tools, calls->held.data + begin, end - begin, need_arguments,
                                  &parsed, &name, &arguments) &&
                   !arguments.failed;
    if (is_call && say)
        tell(calls, name, &arguments);
    json_decref(parsed);
    buffer_free(&arguments);
    return is_call;
}

/* ---- the formats ---- */

/* The value that begins at `first`, scanned on from where it was left. */
static int scan_value(struct tool_calls *calls, size_t first)
{
    if (calls->scan.first != first)
        calls->scan = (struct tool_calls_scan){.first = first, .at = first};
    return tool_json_scan(&calls->scan, calls->held.data, calls->held.length);
}

static size_t skip_space(const struct tool_calls *calls, size_t at)
{
    return tool_json_skip_space(calls->held.data, calls->held.length, at);
}

/* The closing tag at `at`; it may be missing at the very end. */
static enum verdict closing_tag(const struct tool_calls *calls, size_t at, bool final, size_t *end)
{
    static const char tag[] = "</tool_call>";
    at = skip_space(calls, at);
    int found = tool_json_match(calls->held.data, calls->held.length, at, tag);
    if (found < 0)
        return NO_CALL;
    *end = found ? at + sizeof tag - 1 : calls->held.length;
    return found || final ? A_CALL : MORE;
}

static enum verdict examine_coder(struct tool_calls *calls, size_t at, bool final, size_t *end)
{
    char name[128];
    struct buffer arguments = {0};
    size_t used = 0;
    enum verdict verdict = (enum verdict)tool_coder_call(
        calls->tools, calls->held.data + at, calls->held.length - at, name, sizeof name, &arguments, &used);
    if (verdict == A_CALL)
        verdict = closing_tag(calls, at + used, final, end);
    if (verdict == A_CALL)
        tell(calls, name, &arguments);
    buffer_free(&arguments);
    return verdict;
}

static enum verdict examine_hermes(struct tool_calls *calls, bool final, size_t *end)
{
    size_t at = skip_space(calls, calls->body);
    if (at == calls->held.length)
        return MORE;
    if (calls->held.data[at] == '<')
        return examine_coder(calls, at, final, end);
    if (calls->held.data[at] != '{')
        return NO_CALL;
    int closed = scan_value(calls, at);
    if (closed <= 0)
        return (enum verdict)closed;
    enum verdict verdict = closing_tag(calls, calls->scan.at, final, end);
    if (verdict == A_CALL && !take_call(calls, at, calls->scan.at, false, true))
        verdict = NO_CALL;
    return verdict;
}

/* Every element of the array held[first..end) is a call, or none is. */
static bool take_array(struct tool_calls *calls, size_t first, size_t end, bool say)
{
    const char *text = calls->held.data;
    size_t at = tool_json_skip_space(text, end, first + 1);
    if (at >= end || text[at] != '{')
        return false;
    for (;;) {
        struct tool_calls_scan scan = {.first = at, .at = at};
        if (tool_json_scan(&scan, text, end) != 1 || !take_call(calls, at, scan.at, false, say))
            return false;
        at = tool_json_skip_space(text, end, scan.at);
        if (at >= end || text[at] != ',')
            return at + 1 == end; /* the bracket that closes the array */
        at = tool_json_skip_space(text, end, at + 1);
    }
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
}

/* [CALL_ID]id and [ARGS], both of which may be missing: the end of what there is, or 0 when more text is
 * needed. */
static size_t skip_name_marks(const struct tool_calls *calls, size_t at)
{
    static const char *const marks[] = {"[CALL_ID]", "[ARGS]"};
    for (size_t i = 0; i < 2; i++) {
        size_t behind = at < calls->held.length && calls->held.data[at] == control_mark ? at + 1 : at;
        int found = tool_json_match(calls->held.data, calls->held.length, behind, marks[i]);
        if (found == 0)
            return 0;
        if (found < 0)
            continue;
        at = behind + strlen(marks[i]);
        while (i == 0 && at < calls->held.length && is_name_byte(calls->held.data[at]))
            at++;
    }
    return skip_space(calls, at);
}

static enum verdict examine_mistral_name(struct tool_calls *calls, size_t begin, size_t *end)
{
    char name[128];
    size_t at = begin;
    while (at < calls->held.length && is_name_byte(calls->held.data[at]))
        at++;
    if (at == begin || at - begin >= sizeof name)
        return NO_CALL;
    if (at == calls->held.length)
        return MORE;
    memcpy(name, calls->held.data + begin, at - begin);
    name[at - begin] = '\0';
    if (!tool_json_declared(calls->tools, name, NULL))
        return NO_CALL;
    at = skip_name_marks(calls, at);
    if (!at || at == calls->held.length)
        return MORE;
    int closed = calls->held.data[at] == '{' ? scan_value(calls, at) : -1;
    if (closed <= 0)
        return (enum verdict)closed;
    struct buffer arguments = {0};
    buffer_append(&arguments, calls->held.data + at, calls->scan.at - at);
    bool is_call = !arguments.failed && tool_json_is_object(arguments.data, arguments.length);
    if (is_call)
        tell(calls, name, &arguments);
    buffer_free(&arguments);
    *end = calls->scan.at;
    return is_call ? A_CALL : NO_CALL;
}

static enum verdict examine_mistral(struct tool_calls *calls, bool final, size_t *end)
{
    (void) final;
    size_t at = skip_space(calls, calls->body);
    if (at == calls->held.length)
        return MORE;
    char first = calls->held.data[at];
    if (first != '[' && first != '{')
        return examine_mistral_name(calls, at, end);
    int closed = scan_value(calls, at);
    if (closed <= 0)
        return (enum verdict)closed;
    *end = calls->scan.at;
    if (first == '{')
        return take_call(calls, at, *end, false, true) ? A_CALL : NO_CALL;
    if (!take_array(calls, at, *end, false)) /* first all of them are checked, then told */
        return NO_CALL;
    take_array(calls, at, *end, true);
    return A_CALL;
}

/* Whether the object that begins at `at` may be a call, judged by its first key: any other JSON answer is
 * passed on while it streams. */
static bool is_plausible(const struct tool_calls *calls, size_t at)
{
    static const char *const keys[] = {"\"name\"", "\"arguments\"", "\"parameters\"", "\"type\"", "\"id\""};
    at = skip_space(calls, at + 1);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (tool_json_match(calls->held.data, calls->held.length, at, keys[i]) >= 0)
            return true;
    return false;
}

/* Objects with nothing but white space and semicolons between them, up to the end of the text. */
static enum verdict examine_objects(struct tool_calls *calls, bool final, size_t *end)
{
    for (int told = 0; told < 2; told++) { /* first all of them are checked, then told */
        size_t at = skip_space(calls, calls->body);
        size_t n = 0;
        while (at < calls->held.length) {
            if (calls->held.data[at] != '{' || !is_plausible(calls, at))
                return NO_CALL;
            int closed = scan_value(calls, at);
            if (closed <= 0)
                return (enum verdict)closed;
            size_t behind = calls->scan.at;
            if (!take_call(calls, at, behind, true, told))
                return NO_CALL;
            n++;
            at = skip_space(calls, behind);
            if (at < calls->held.length && calls->held.data[at] == ';')
                at = skip_space(calls, at + 1);
        }
        if (!final)
            return MORE;
        if (!n)
            return NO_CALL;
    }
    *end = calls->held.length;
    return A_CALL;
}

static const struct tool_calls_format formats[] = {
    {"<tool_call>", examine_hermes},
    {"[TOOL_CALLS]", examine_mistral},
    {"<|python_tag|>", examine_objects},
};
static const struct tool_calls_format bare_object = {"", examine_objects};
enum { N_FORMATS = sizeof formats / sizeof *formats };

/* ---- the loop ---- */

/* Whether a candidate begins at `at`: 1 with *format and *body, 0 when more text is needed, -1. */
static int begins(const struct tool_calls *calls, size_t at, const struct tool_calls_format **format,
                  size_t *body)
{
    const char *text = calls->held.data;
    size_t length = calls->held.length;
    int best = -1;
    if (calls->n_calls >= TOOL_CALL_MAX)
        return -1;
    if (text[at] == '{' && calls->where == TOOL_CALLS_START) {
        *format = &bare_object;
        *body = at;
        return 1;
    }
    size_t marker = at + (text[at] == control_mark);
    for (size_t i = 0; i < N_FORMATS; i++) {
        int found = tool_json_match(text, length, marker, formats[i].marker);
        if (found > 0) {
            *format = &formats[i];
            *body = marker + strlen(formats[i].marker);
            return 1;
        }
        if (found == 0)
            best = 0;
    }
    return best;
}

/* The length of the control token that a mark at `at` stands before, the mark included; 0: there is none. */
static size_t control_length(const char *text, size_t length, size_t at)
{
    static const char *const others[] = {"[CALL_ID]", "[ARGS]"};
    if (text[at] != control_mark)
        return 0;
    for (size_t i = 0; i < N_FORMATS; i++)
        if (tool_json_match(text, length, at + 1, formats[i].marker) > 0)
            return 1 + strlen(formats[i].marker);
    for (size_t i = 0; i < 2; i++)
        if (tool_json_match(text, length, at + 1, others[i]) > 0)
            return 1 + strlen(others[i]);
    return 0;
}

/* Hands out the first n bytes as text, control tokens left out. */
static void emit(struct tool_calls *calls, size_t n)
{
    const char *text = calls->held.data;
    size_t run = 0;
    for (size_t i = 0; i < n;) {
        size_t control = control_length(text, n, i);
        if (!control) {
            i++;
            continue;
        }
        if (i > run)
            calls->sink(calls->context, NULL, text + run, i - run);
        run = i += control;
    }
    if (n > run)
        calls->sink(calls->context, NULL, text + run, n - run);
    if (n) {
        buffer_drop(&calls->held, n);
        calls->where = TOOL_CALLS_TEXT;
    }
}

/* Hands out what cannot be a call, up to where one begins. False: what is held needs more text, or is empty.
 */
static bool find_candidate(struct tool_calls *calls, bool final)
{
    size_t length = calls->held.length;
    size_t at = calls->where == TOOL_CALLS_TEXT ? 0 : skip_space(calls, 0);
    if (at == length) { /* whose white space this is, what follows will show */
        if (final && calls->where == TOOL_CALLS_START)
            emit(calls, length);
        return false;
    }
    int found;
    while ((found = begins(calls, at, &calls->format, &calls->body)) < 0) {
        calls->where = TOOL_CALLS_TEXT;
        if (++at == length)
            break;
    }
    if (found < 0 || (found == 0 && final)) {
        emit(calls, length);
        return false;
    }
    calls->begin = at;
    if (calls->where == TOOL_CALLS_TEXT) {
        emit(calls, at);
        calls->begin = 0;
        calls->body -= at;
    }
    if (found == 0)
        return false;
    calls->scan = (struct tool_calls_scan){0};
    return true;
}

static void run(struct tool_calls *calls, bool final)
{
    while (calls->held.length && calls->where != TOOL_CALLS_DONE) {
        if (!calls->format && !find_candidate(calls, final))
            return;
        size_t end = 0;
        enum verdict verdict = calls->held.length - calls->begin > TOOL_CALL_MAX_BYTES
                                   ? NO_CALL
                                   : calls->format->examine(calls, final, &end);
        if (verdict == MORE && !final)
            return;
        size_t shown = calls->body > calls->begin ? calls->body : calls->begin + 1;
        calls->format = NULL;
        if (verdict == A_CALL)
            buffer_drop(&calls->held, end);
        else
            emit(calls, shown);
    }
}

void tool_calls_free(struct tool_calls *calls)
{
    buffer_free(&calls->held);
}

void tool_calls_feed(struct tool_calls *calls, const char *text, size_t length, bool control)
{
    if (calls->where == TOOL_CALLS_DONE || !length)
        return;
    size_t before = calls->held.length;
    if (control)
        buffer_append(&calls->held, &control_mark, 1);
    buffer_append(&calls->held, text, length);
    if (calls->held.failed)
        return;
    if (control && control_length(calls->held.data, calls->held.length, before) != length + 1) {
        calls->held.length = before; /* a control token of no format */
        calls->held.data[before] = '\0';
        return;
    }
    run(calls, false);
}

void tool_calls_finish(struct tool_calls *calls)
{
    run(calls, true);
    buffer_clear(&calls->held);
}
