/* Which files of a repository a model needs: configuration, tokenizer, chat template, safetensors; the card
 * and the licence that belong to them. Never a pickle (.bin, .pt, .ckpt), which is a program, and never a
 * script. Between the files of src/hub only. */
#ifndef LLMIND_HUB_CHOOSE_H
#define LLMIND_HUB_CHOOSE_H

#include "hub/listing.h"

/* What files are for. */
enum hub_role {
    HUB_ROLE_NONE,    /* not fetched */
    HUB_ROLE_CONFIG,  /* config.json */
    HUB_ROLE_INDEX,   /* model.safetensors.index.json */
    HUB_ROLE_SMALL,   /* what is read beside them; also the card and the licence */
    HUB_ROLE_WEIGHTS, /* *.safetensors at the top of the repository */
};
enum hub_role hub_role_of(const char *name);

/* The largest that a file of a role may be, in bytes: of JSON and text what its readers take. */
uint64_t hub_role_max_bytes(enum hub_role role);

struct hub_choice {
    struct hub_file *files; /* names borrowed from the listing; small ones first, weights last */
    size_t n_files;
    uint64_t total_bytes;
};

/* shards: what the index names; NULL: there is no index, and the weights are model*.safetensors. any_model:
 * also without tokenizer.json. Errors: ERROR_UNSUPPORTED (no weights that could be used, and what there is
 * instead; no config.json; no tokenizer.json), ERROR_INVALID (a shard that is not in the listing),
 * ERROR_LIMIT, ERROR_MEMORY. */
int hub_choose(const struct hub_listing *listing, char *const *shards, size_t n_shards, bool any_model,
               struct hub_choice *out, struct error *error);
void hub_choice_free(struct hub_choice *choice);

#endif
