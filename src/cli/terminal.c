#include "cli/terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool terminal_is(FILE *stream)
{
    return isatty(fileno(stream)) == 1;
}

bool terminal_has_color(FILE *stream)
{
    const char *no_color = getenv("NO_COLOR"), *kind = getenv("TERM");
    return terminal_is(stream) && !(no_color && *no_color) && !(kind && strcmp(kind, "dumb") == 0);
}

size_t terminal_clean(const char *text, size_t length, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool control = (c < 0x20 && c != '\n' && c != '\t') || c == 0x7F;
        /* U+0080 .. U+009F, the C1 controls, are C2 80 .. C2 9F */
        bool c1 = c == 0xC2 && i + 1 < length && (unsigned char)text[i + 1] < 0xA0;
        if (control || c1) {
            memcpy(out + n, "\xEF\xBF\xBD", 3);
            n += 3;
            i += c1;
        } else
            out[n++] = text[i];
    }
    return n;
}

void terminal_write_text(FILE *stream, const char *text, size_t length)
{
    enum { PIECE = 256 };
    if (!terminal_is(stream)) {
        fwrite(text, 1, length, stream);
        return;
    }
    char clean[3 * PIECE];
    while (length > 0) {
        size_t n = length < PIECE ? length : PIECE;
        if (n < length && (unsigned char)text[n - 1] == 0xC2)
            n--; /* a C1 control must not be cut in two */
        size_t n_clean = terminal_clean(text, n, clean);
        fwrite(clean, 1, n_clean, stream);
        text += n;
        length -= n;
    }
}

void terminal_progress(const char *what, double fraction, double eta_s)
{
    enum { BAR = 24 };
    if (!terminal_is(stderr)) {
        fprintf(stderr, "%s\n", what);
        return;
    }
    fputs("\r\x1b[K", stderr);
    if (!isnan(fraction)) {
        int full = (int)(fraction * BAR + 0.5);
        for (int i = 0; i < BAR; i++)
            fputs(i < full ? "█" : "░", stderr);
        fprintf(stderr, " %3.0f %%  ", 100 * fraction);
    }
    fputs(what, stderr);
    if (eta_s >= 120)
        fprintf(stderr, "  about %.0f min left", eta_s / 60);
    else if (eta_s >= 0)
        fprintf(stderr, "  about %.0f s left", ceil(eta_s));
    fflush(stderr);
}

void terminal_progress_end(void)
{
    if (terminal_is(stderr)) {
        fputs("\r\x1b[K", stderr);
        fflush(stderr);
    }
}
