/* Which program this is. */
#ifndef LLMIND_BASE_VERSION_H
#define LLMIND_BASE_VERSION_H

const char *version_number(void); /* "0.1.0" */
const char *
version_commit(void); /* "3f2a9c1b7d04", with "-dirty" when the tree was changed; NULL when unknown */

#endif
