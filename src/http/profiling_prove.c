/* A recommendation is tried: the request is made from the stored run (profile/proof.h), and is a job like any
 * other. */
#include "http/fields.h"
#include "http/profiling.h"
#include "profile/proof.h"

enum { ID_BYTES = 200 };

static void prove(struct http_exchange *exchange, const json_t *body, const json_t *row)
{
    static const char *const known[] = {"recommendation", "blocks", "unload_current"};
    const char *recommendation = NULL;
    int64_t blocks = 0;
    bool unload = false;
    char id[JOBS_ID];
    json_t *request = NULL;
    struct error error = {0};
    if (!http_fields_known(exchange, body, known, sizeof known / sizeof *known) ||
        !http_field_required(exchange, body, "recommendation") ||
        !http_field_string(exchange, body, "recommendation", ID_BYTES, &recommendation) ||
        !http_field_integer(exchange, body, "blocks", REQUEST_MIN_BLOCKS, REQUEST_MAX_REPEATS, &blocks) ||
        !http_field_boolean(exchange, body, "unload_current", &unload))
        return;
    int status = proof_request(row, recommendation, (uint32_t)blocks, &request, &error);
    if (status == ERROR_INVALID || status == ERROR_UNSUPPORTED)
        http_reply_problem(exchange, 400, status == ERROR_INVALID ? "unknown_recommendation" : "not_provable",
                           "recommendation", "%s", error.message);
    else if (status)
        http_reply_error(exchange, &error, NULL);
    if (status)
        return;
    if (unload)
        json_object_set_new(request, "unload_current", json_true());
    if (profiling_start(exchange, request, id))
        profiling_reply_started(exchange, id);
    json_decref(request);
}

void profiling_post_prove(struct http_exchange *exchange)
{
    profiling_with_run(exchange, prove);
}
