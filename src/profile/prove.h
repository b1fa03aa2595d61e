/* Measures a proof: one configuration against the baseline, in blocks of A B B A, every block in processes of
 * its own. Knows neither runs nor reports; the verdict is proof.h's.
 *
 * Why a process of its own for every block: where a process's memory comes to lie, and on which cores its
 * threads begin, is the same for all that it does. Two processes can differ by some percent for no other
 * reason, and twenty runs in the same two would take that for a gain with a narrow interval. With fresh ones
 * this luck is part of what scatters, and the two pairs of a block count as one (sweep.h).
 */
#ifndef LLMIND_PROFILE_PROVE_H
#define LLMIND_PROFILE_PROVE_H

#include <jansson.h>

#include "profile/configuration_measure.h"
#include "profile/request.h"
#include "profile/run.h"

/* Without a wish there are 5 blocks, or of a fast model as many as fit into half a minute, at most 20: short
 * runs scatter more, and cost less. How many is decided by the time of the first block alone, never by what
 * was found: who goes on measuring until a difference shows always finds one. */
enum { PROVE_MOST_BLOCKS = 20, PROVE_SECONDS = 30 };

/* request: of kind PROFILE_PROVE; its repeats are the blocks, 0: as above; *blocks: those that were begun.
 * *out: the report's "configurations" (new reference): the baseline's own
 * entry, where what is compared is its very request, and the variant's; also when it was cancelled, with the
 * blocks so far (NULL: none). A variant that cannot be opened, or a run that fails, is an entry with an
 * outcome and a message. Errors: those of opening the baseline; ERROR_INVALID: the configuration is the
 * baseline itself, or not to be had here; ERROR_CANCELLED, ERROR_MEMORY. */
int prove_measure(const struct configuration_world *world, const struct profile_request *request,
                  const struct run_hooks *hooks, uint32_t *blocks, json_t **out, struct error *error);

#endif
