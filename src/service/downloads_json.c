/* A download as its clients see it. */
#include <math.h>
#include <stdio.h>

#include "service/downloads_internal.h"
#include "service/figures.h"

static const char *const states[] = {
    [DOWNLOAD_QUEUED] = "queued",       [DOWNLOAD_LISTING] = "listing",     [DOWNLOAD_FETCHING] = "fetching",
    [DOWNLOAD_VERIFYING] = "verifying", [DOWNLOAD_PAUSED] = "paused",       [DOWNLOAD_COMPLETE] = "complete",
    [DOWNLOAD_FAILED] = "failed",       [DOWNLOAD_CANCELLED] = "cancelled",
};

static void put_sizes(struct figures *figures, json_t *o, const struct download *download)
{
    static const char unknown[] = "the hub has not been asked yet";
    if (download->total_bytes) {
        figures_count(figures, o, "done_bytes", download->done_bytes);
        figures_count(figures, o, "total_bytes", download->total_bytes);
    } else {
        figures_null(figures, o, "done_bytes", unknown);
        figures_null(figures, o, "total_bytes", unknown);
    }
    if (download->n_files) {
        bool all = download->state == DOWNLOAD_COMPLETE;
        figures_count(figures, o, "files_done", all ? download->n_files : download->file_index);
        figures_count(figures, o, "files", download->n_files);
    } else {
        figures_null(figures, o, "files_done", unknown);
        figures_null(figures, o, "files", unknown);
    }
}

static const char *note_of(const struct download *download)
{
    if (download->owner->held && !download_is_over(download) && download->state != DOWNLOAD_PAUSED)
        return "a profiling run measures: waiting until it has";
    return download->state != DOWNLOAD_FETCHING && download->state != DOWNLOAD_LISTING ? NULL
           : download->phase == HUB_WAITING ? "another program downloads this file: waiting for it"
           : download->phase == HUB_PAUSING ? "the hub asks to wait, or does not answer: trying again soon"
                                            : NULL;
}

static json_t *error_of(const struct download *download)
{
    return download->state == DOWNLOAD_FAILED
               ? json_pack("{s:s, s:s}", "code", error_code_name(download->error.code), "message",
                           download->error.message)
               : json_null();
}

json_t *download_json(const struct download *download)
{
    struct figures figures = {0};
    char model[HUB_MAX_REPOSITORY + HUB_MAX_REVISION + 3];
    bool fetching = download->state == DOWNLOAD_FETCHING && download->phase == HUB_FETCHING;
    bool busy = fetching || download->state == DOWNLOAD_VERIFYING;
    const char *why = fetching ? "too little has come to tell" : "nothing is being fetched";
    const char *note = note_of(download);
    snprintf(model, sizeof model, "%s%s%s", download->repository, download->revision[0] ? "@" : "",
             download->revision);
    json_t *o = json_object();
    figures_text(&figures, o, "id", download->id, "");
    figures_text(&figures, o, "model", model, "");
    figures_text(&figures, o, "state", states[download->state], "");
    figures_flag(&figures, o, "forced", download->forced);
    figures_flag(&figures, o, "refused", download->refused);
    put_sizes(&figures, o, download);
    figures_number(&figures, o, "bytes_per_second", fetching ? download->bytes_per_second : (double)NAN, why);
    figures_number(&figures, o, "eta_s", fetching ? download->eta_s : (double)NAN, why);
    figures_text(&figures, o, "file", busy ? download->file : NULL, "nothing is being fetched");
    figures_text(&figures, o, "judgement", download->judgement, "its configuration has not been read yet");
    figures_text(&figures, o, "created", download->created, "");
    if (json_object_set_new(o, "note", note ? json_string(note) : json_null()) ||
        json_object_set_new(o, "error", error_of(download)))
        figures.failed = true;
    if (figures.failed) {
        json_decref(o);
        return NULL;
    }
    return o;
}
