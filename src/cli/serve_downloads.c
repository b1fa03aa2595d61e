#include "cli/serve_downloads.h"

#include "profile/worth.h"
#include "service/downloads.h"

static int judge(void *context, const char *config_path, const char *model, bool forced,
                 char judgement[DOWNLOADS_JUDGEMENT], struct error *error)
{
    _Static_assert((int)DOWNLOADS_JUDGEMENT == (int)WORTH_NOTE, "one is written into the other");
    (void)context;
    return worth_fetching(config_path, model, forced, "{\"force\": true}", judgement, error);
}

int serve_downloads_open(struct services *services, struct error *error)
{
    return downloads_open(&(struct downloads_options){.judge = judge}, &services->downloads, error);
}
