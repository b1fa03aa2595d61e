/* Reports under tests/data/reports: full, quick, compare, remote, failed, healthy, and hostile (which fits
 * the schema and is made to break whoever shows it). */
#ifndef LLMIND_TESTS_REPORT_FIXTURE_H
#define LLMIND_TESTS_REPORT_FIXTURE_H

#include <jansson.h>
#include <stdio.h>

static const char *const REPORT_FIXTURES[] = {"full", "quick", "compare", "remote", "failed", "hostile"};
enum { N_REPORT_FIXTURES = sizeof REPORT_FIXTURES / sizeof *REPORT_FIXTURES };

static inline json_t *report_fixture(const char *name)
{
    char path[512];
    json_error_t error;
    snprintf(path, sizeof path, "%s/tests/data/reports/%s.json", LLMIND_SOURCE_DIR, name);
    json_t *report = json_load_file(path, 0, &error);
    if (!report)
        fprintf(stderr, "%s: %s\n", path, error.text);
    return report;
}

#endif
