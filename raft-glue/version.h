/* Pins libraft to the one version that the guard has been proved against. */
#ifndef QH_GLUE_VERSION_H
#define QH_GLUE_VERSION_H

#include "base/err.h"

#define VERSION_ID_LENGTH_MAX 128u /* characters */
#define VERSION_PATH_LENGTH_MAX 4095u

/* A libraft: where it was loaded from, and its ELF build id in hexadecimal,
 * which changes with every build from other source, flags or compiler. */
struct version_library {
    char path[VERSION_PATH_LENGTH_MAX + 1];
    char build_id[VERSION_ID_LENGTH_MAX + 1]; /* empty: it has none */
};

/* Check the library that the process has loaded: it carries the build id that
 * configure recorded. (That struct raft has the layout which the guard relies on is
 * checked when it is compiled.) Logs what differs and what to do; nothing overrides it.
 * Errors: QH_EVERSION. Call at start, before raft_init(). Thread: any. */
QH_RESULT version_check(void);

/* Its two halves. Errors: QH_ENOTFOUND; QH_EVERSION, logged. */
QH_RESULT version_find(struct version_library *ret_library);
QH_RESULT version_compare(const char *expected_build_id, const struct version_library *found);

#endif
