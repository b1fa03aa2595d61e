/* Lists of "what;q=0.5" and of entity tags. A coding that is named twice has the weight of its last mention.
 */
#include "http/negotiate.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* Weights are twice the thousandths that can be said, so that there is room for one less than the least. */
enum { UNSAID = -1, LAST = 1, Q_ONE = 2000 };

static const char blanks[] = " \t";

/* ---- codings ---- */

/* "0.5" up to `end` as 1000; UNSAID when it is not a weight (RFC 9110, 12.4.2). */
static int read_weight(const char *text, const char *end)
{
    if (text == end || (*text != '0' && *text != '1'))
        return UNSAID;
    int weight = *text == '1' ? Q_ONE : 0;
    if (++text == end)
        return weight;
    if (*text++ != '.' || end - text > 3)
        return UNSAID;
    for (int unit = Q_ONE / 10; text < end; text++, unit /= 10) {
        if (*text < '0' || *text > '9')
            return UNSAID;
        weight += (*text - '0') * unit;
    }
    return weight <= Q_ONE ? weight : UNSAID;
}

static const char *trim(const char *text, const char *end)
{
    while (end > text && strchr(blanks, end[-1]))
        end--;
    return end;
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return strlen(word) == length && strncasecmp(text, word, length) == 0;
}

/* Where the weight of this name belongs; NULL: a coding that nobody here speaks. */
static int *place_of(const char *name, size_t length, int weights[CODINGS], int *others)
{
    if (is_word(name, length, "br"))
        return &weights[CODING_BROTLI];
    if (is_word(name, length, "gzip") || is_word(name, length, "x-gzip"))
        return &weights[CODING_GZIP];
    if (is_word(name, length, "identity"))
        return &weights[CODING_IDENTITY];
    return is_word(name, length, "*") ? others : NULL;
}

/* One member of the list, without its comma. */
static void read_coding(const char *text, const char *end, int weights[CODINGS], int *others)
{
    const char *semicolon = memchr(text, ';', (size_t)(end - text));
    const char *name_end = trim(text, semicolon ? semicolon : end);
    int *place = place_of(text, (size_t)(name_end - text), weights, others);
    int weight = Q_ONE;
    if (semicolon) {
        const char *parameter = semicolon + 1 + strspn(semicolon + 1, blanks);
        end = trim(parameter, end);
        bool is_q = end - parameter >= 2 && strncasecmp(parameter, "q=", 2) == 0;
        weight = is_q ? read_weight(parameter + 2, end) : UNSAID;
    }
    if (place && weight != UNSAID)
        *place = weight;
}

enum http_coding negotiate_coding(const char *accept_encoding, const bool available[CODINGS])
{
    int weights[CODINGS] = {UNSAID, UNSAID, UNSAID}, others = UNSAID;
    for (const char *p = accept_encoding ? accept_encoding : ""; *p; p += *p == ',') {
        p += strspn(p, blanks);
        const char *end = p + strcspn(p, ",");
        read_coding(p, end, weights, &others);
        p = end;
    }
    for (size_t i = 0; i < CODINGS; i++)
        if (weights[i] == UNSAID)
            weights[i] = others;
    /* needs no mention: it is taken after all that were asked for, unless it was ruled out */
    if (weights[CODING_IDENTITY] == UNSAID)
        weights[CODING_IDENTITY] = LAST;
    enum http_coding best = CODINGS;
    int most = 0;
    for (size_t i = 0; i < CODINGS; i++)
        if ((available[i] || i == CODING_IDENTITY) && weights[i] > most) {
            best = (enum http_coding)i;
            most = weights[i];
        }
    return best;
}

/* ---- entity tags ---- */

bool negotiate_has_tag(const char *if_none_match, const char *tag)
{
    const char *p = if_none_match ? if_none_match : "";
    size_t length = strlen(tag);
    p += strspn(p, blanks);
    if (*p == '*')
        return p[1 + strspn(p + 1, blanks)] == '\0';
    while (*p) {
        p += strspn(p, " \t,");
        if (strncmp(p, "W/", 2) == 0)
            p += 2;
        const char *end = *p == '"' ? strchr(p + 1, '"') : NULL;
        if (!end)
            return false;
        end++;
        if ((size_t)(end - p) == length && memcmp(p, tag, length) == 0)
            return true;
        p = end;
    }
    return false;
}

/* ---- kinds of content ---- */

bool negotiate_takes_html(const char *accept)
{
    static const char *const kinds[] = {"text/html", "application/xhtml+xml", "text/*", "*/*"};
    bool takes = !accept || !*accept;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !takes; i++)
        takes = strcasestr(accept, kinds[i]) != NULL;
    return takes;
}
