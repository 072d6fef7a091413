/* `quadhsm key import`: a key from a file of this machine. */
#ifndef QH_CLI_KEYIMPORT_H
#define QH_CLI_KEYIMPORT_H

#include "cli/cli.h"

extern const struct option_spec keyimport_options[];
int keyimport_run(struct cli *cli);

#endif
