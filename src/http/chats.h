/* What chats.c and chats_send.c share. */
#ifndef LLMIND_HTTP_CHATS_H
#define LLMIND_HTTP_CHATS_H

#include "http/exchange.h"

/* POST /api/chats/{id}/messages */
void chats_post_message(struct http_exchange *exchange);

#endif
