/* `quadhsm key export --wrapped`: a key leaves, wrapped by another, where that is allowed. */
#ifndef QH_CLI_KEYEXPORT_H
#define QH_CLI_KEYEXPORT_H

#include "cli/cli.h"

extern const struct option_spec keyexport_options[];
int keyexport_run(struct cli *cli);

#endif
