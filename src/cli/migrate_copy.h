/* One object of another PKCS#11 module, copied into a partition, or not, and why. */
#ifndef QH_CLI_MIGRATE_COPY_H
#define QH_CLI_MIGRATE_COPY_H

#include "cli/keyinfo.h"
#include "cli/source.h"
#include "cli/transfer.h"

enum migrate_fate {
    MIGRATE_COPIED, /* with @dry_run: it would be */
    MIGRATE_THERE,  /* the partition has it already */
    MIGRATE_LEFT,   /* it cannot be had, or the cluster keeps nothing of that kind */
    MIGRATE_FAILED,
};

struct migrate_item {
    CK_OBJECT_CLASS object_class;
    CK_KEY_TYPE key_type;
    char label[KEYINFO_TEXT_ROOM]; /* safe to print */
    char id[KEYINFO_TEXT_ROOM];    /* hexadecimal */
    enum migrate_fate fate;
    bool wrapped; /* a key that never was in clear here */
    char why[SOURCE_WHY_ROOM];
};

struct migration {
    struct cli *cli;
    struct quadhsm_token *token;
    struct source source;
    struct transfer *transfer; /* NULL with @dry_run */
    bool dry_run, extractable;
    char no_wrapping[SOURCE_WHY_ROOM]; /* why the source cannot wrap; "" if it can */
    /* Objects of the partition that stand for one of the source already. */
    uint8_t (*claimed)[QUADHSM_OBJECT_ID_SIZE];
    size_t claimed_count;
};

/* Returns an exit status that is not EXIT_DONE only if going on makes no sense: the cluster cannot
 * be reached, no memory. It has said so then. */
int migrate_copy(struct migration *migration, CK_OBJECT_HANDLE object,
                 struct migrate_item *ret_item);

#endif
