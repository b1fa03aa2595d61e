/* From whatever version a database has to ours: schema/NNNN_what.sql, each in one transaction of its own, the
 * number kept in user_version. Two processes that open a new database at once take turns. */
#ifndef LLMIND_STORE_MIGRATE_H
#define LLMIND_STORE_MIGRATE_H

#include "store/connection.h"

struct store_migration {
    const char *name, *sql;
};
extern const struct store_migration store_migrations[]; /* [store_schema_version], made by embed.cmake */
extern const int store_schema_version;

/* Looks at a database before anything is written to it: is it ours, whole, and not newer than we are? A new,
 * empty file is. Errors: ERROR_INVALID, ERROR_UNSUPPORTED, ERROR_IO. */
int store_examine(struct store_connection *connection, struct error *error);
int store_migrate(struct store_connection *connection, struct error *error);

#endif
