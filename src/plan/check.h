/* What a plan must satisfy before a backend may trust it. */
#ifndef LLMIND_PLAN_CHECK_H
#define LLMIND_PLAN_CHECK_H

#include "base/arena.h"
#include "base/error.h"
#include "plan/plan.h"

/* 0, or ERROR_INTERNAL naming the first operation that is wrong. Uses the arena for a byte per slot. */
int plan_check(const struct plan *plan, struct arena *arena, struct error *error);

#endif
