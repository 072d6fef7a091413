/* Keys as the command shows and asks for them: from attributes to words, and from "rsa:2048" to
 * a mechanism and templates. No network. Thread: one. */
#ifndef QH_CLI_KEYINFO_H
#define QH_CLI_KEYINFO_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
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

#define KEYINFO_TEMPLATE_MAX 16u
#define KEYINFO_ID_SIZE_MAX 64u

/* What to ask for. The attributes point into the struct, or to what was given. */
struct keyinfo_plan {
    struct quadhsm_mechanism mechanism;
    bool pair;
    bool slow;                                             /* it takes a while */
    struct quadhsm_attribute secret[KEYINFO_TEMPLATE_MAX]; /* or public key */
    size_t secret_count;
    struct quadhsm_attribute private_key[KEYINFO_TEMPLATE_MAX];
    size_t private_count;
    uint8_t bits[8];
    uint8_t length[8];
    uint8_t id[KEYINFO_ID_SIZE_MAX];
    size_t id_size;
};

/* @type: rsa:2048, ec:P-256, ec:P-384, ed25519, aes:256, hmac:256. @id_hex NULL: a random one.
 * Errors: QH_EINVAL; *ret_problem says what to write. Borrows @label. */
QH_RESULT keyinfo_plan(const char *type, const char *label, const char *id_hex, bool extractable,
                       struct keyinfo_plan *ret_plan, const char **ret_problem);

#endif
