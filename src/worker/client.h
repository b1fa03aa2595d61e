/* An engine in a process of its own: the same door (engine/engine.h), a socketpair between.
 *
 * worker_open starts `llmind worker` (the running program's own file) and lets it open the engine; what is
 * returned is used like any engine. The parent never opens the model's files. When the child dies, for
 * whatever reason, every running request ends with FINISH_ERROR, and engine_alive and every later call say
 * how it died ("killed by signal 9; the kernel may have been out of memory"). engine_close ends the child:
 * first politely, after 2 s by SIGKILL; it is always reaped. A child whose parent is gone ends by itself.
 *
 * Where it differs from an engine of this process: on_logits, on_event and engine_save_prompt_cache are
 * refused (ERROR_UNSUPPORTED), engine_tokenizer and engine_plan are NULL, and engine_stats is at most 100 ms
 * old.
 */
#ifndef LLMIND_WORKER_CLIENT_H
#define LLMIND_WORKER_CLIENT_H

#include <sys/types.h>

#include "engine/engine.h"

struct memory_process;

/* Errors: those of engine_open, and ERROR_IO when the process cannot be started or dies meanwhile. */
int worker_open(const struct engine_options *options, struct engine **out, struct error *error);
/* The same in two steps, so that somebody else can end what takes long: worker_start returns at once, and
 * until worker_wait has returned 0 only worker_kill, worker_pid and engine_close may be used. After an error
 * of worker_wait the engine is still to be closed. */
int worker_start(const struct engine_options *options, struct engine **out, struct error *error);
int worker_wait(struct engine *engine, struct error *error);
/* engine_check, in a process of its own. */
int worker_check(const struct engine_options *options, struct error *error);

pid_t worker_pid(const struct engine *engine); /* 0 once it has died and was reaped */
/* Ends the process at once, from any thread: as if it had died by itself. */
void worker_kill(struct engine *engine);
/* Memory of the worker's process, as fresh as engine_stats. known is false before it is open. */
void worker_memory(const struct engine *engine, struct memory_process *out);

/* The child's main: all of `llmind worker`. The socket is descriptor 3. Returns an exit code. */
int worker_main(void);

#endif
