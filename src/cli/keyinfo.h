/* Objects as the command shows them: from attributes to words. No network. Thread: one. */
#ifndef QH_CLI_KEYINFO_H
#define QH_CLI_KEYINFO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/quadhsm.h"

#define KEYINFO_TEXT_ROOM 160u

struct keyinfo {
    char handle[2 * QUADHSM_OBJECT_ID_SIZE + 1]; /* the object's own id, in hex */
    char id[KEYINFO_TEXT_ROOM];                  /* CKA_ID, in hex */
    char label[KEYINFO_TEXT_ROOM];               /* made safe to print */
    char type[48];                               /* "RSA private", "AES" */
    char size[24];                               /* "2048", "P-256"; "" where there is none */
    char usage[KEYINFO_TEXT_ROOM];               /* "sign,decrypt" */
    bool extractable, sensitive, is_private;
};
void keyinfo_of(const struct quadhsm_object *object, struct keyinfo *ret_info);
json_t *keyinfo_json(const struct keyinfo *info);

/* Does the object have this label, CKA_ID (hex) or id (hex)? */
bool keyinfo_matches(const struct quadhsm_object *object, const struct keyinfo *info,
                     const char *name);

#endif
