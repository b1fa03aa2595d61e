#include "base/version.h"

#include <stddef.h>

#include "version_generated.h"

const char *version_number(void)
{
    return LLMIND_VERSION;
}

const char *version_commit(void)
{
    return LLMIND_COMMIT[0] ? LLMIND_COMMIT : NULL;
}
