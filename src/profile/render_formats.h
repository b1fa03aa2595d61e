/* The formats of render.h, one file each; only render.c calls them. Each appends to out, whose `failed` says
 * that memory was short. Errors: ERROR_MEMORY, ERROR_INTERNAL (cairo). */
#ifndef LLMIND_PROFILE_RENDER_FORMATS_H
#define LLMIND_PROFILE_RENDER_FORMATS_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/error.h"
#include "profile/render_view.h"

enum { RENDER_COLUMNS = 100 }; /* of a terminal */

void render_text(const struct view *view, bool color, struct buffer *out);
void render_markdown(const struct view *view, struct buffer *out);
void render_csv(const json_t *report, struct buffer *out);
int render_html(const struct view *view, const json_t *report, struct buffer *out, struct error *error);
int render_pdf(const struct view *view, const json_t *report, struct buffer *out, struct error *error);

#endif
