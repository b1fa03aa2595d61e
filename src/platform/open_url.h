/* Showing a web page to whoever sits at this machine. */
#ifndef LLMIND_PLATFORM_OPEN_URL_H
#define LLMIND_PLATFORM_OPEN_URL_H

#include "base/error.h"

/* Has the desktop show a URL in the user's browser: starts xdg-open (Linux) or open (macOS), without a shell,
 * and does not wait for it. url: a well-formed one of our own making. Any thread. ERROR_IO: it cannot be
 * started. failed: called from another thread, with a sentence, when it ends without having shown anything;
 * never when nothing went wrong. */
int open_url(const char *url, void (*failed)(const char *reason), struct error *error);

#endif
