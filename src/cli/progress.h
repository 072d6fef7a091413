/* A line on stderr while the command waits: on a terminal one that updates and vanishes, else one
 * line for each thing that is being done. Nothing with --json. Thread: begun and ended by one. */
#ifndef QH_CLI_PROGRESS_H
#define QH_CLI_PROGRESS_H

#include "cli/output.h"

#define PROGRESS_TEXT_ROOM 200u

struct progress;

/* NULL if there is nothing to show or no memory for it: the others take that.
 * @quick: what takes less than half a second is shown on no terminal, and never where
 * stderr is none. Owns: progress_end(). */
struct progress *progress_begin(const struct output *output, bool quick, const char *text);
/* It goes on with something else. */
void progress_set(struct progress *progress, const char *text);
void progress_end(struct progress *progress);

#endif
