/* A command to a running delay proxy, from the shell. */
#ifndef QH_TESTS_DRILL_DELAY_TELL_H
#define QH_TESTS_DRILL_DELAY_TELL_H

#include <stdbool.h>

/* Send @words (they end with NULL) as one command to the proxy at @path and print the answer, an
 * error to standard error. Returns whether it was "ok". */
bool delay_tell(const char *path, char *const words[]);

#endif
