/* Keys that come wrapped: a wrapping key of the partition, whose public half others wrap with, and
 * the import of what they made. */
#ifndef QH_CLI_KEYWRAPPED_H
#define QH_CLI_KEYWRAPPED_H

#include "base/bytes.h"
#include "cli/cli.h"

/* `quadhsm key wrapping-key`. */
extern const struct option_spec keywrapped_options[];
int keywrapped_run(struct cli *cli);
/* `quadhsm key import --wrapped`. */
int keywrapped_import(struct cli *cli);

/* --oaep-hash. Returns an exit status. */
int keywrapped_hash(struct cli *cli, uint64_t *ret_hash);

/* The new file of --out, which nothing overwrites, gets these bytes or does not stay. */
int keywrapped_write(struct cli *cli, struct bytes content, unsigned mode);

#endif
