/* What a command that brings objects into a partition has made, and what was there already. */
#ifndef QH_CLI_KEYREPORT_H
#define QH_CLI_KEYREPORT_H

#include "cli/cli.h"

struct keyreport {
    json_t *made, *there; /* with --json */
    struct table table;
    unsigned made_count, there_count;
};

void keyreport_begin(struct keyreport *report, const struct cli *cli);
void keyreport_add(struct keyreport *report, const struct quadhsm_object *object, bool made);
/* Prints and releases. With --json nothing is printed if @status says that it failed. */
void keyreport_end(struct keyreport *report, const struct cli *cli, int status);

#endif
