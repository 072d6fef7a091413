/* Keys as the command asks for them: from "rsa:2048" to a mechanism and templates, and what a key
 * of a type may be used for. No network. Thread: one. */
#ifndef QH_CLI_KEYPLAN_H
#define QH_CLI_KEYPLAN_H

#include "base/err.h"
#include "cli/attrlist.h"

#define KEYPLAN_ID_SIZE_MAX 64u

/* What to ask for. The attributes point into the struct, or to what was given: it is not moved. */
struct keyplan {
    struct quadhsm_mechanism mechanism;
    bool pair;
    bool slow;               /* it takes a while */
    struct attrlist first;   /* of a secret key, or of a public one */
    struct attrlist private; /* of a pair */
    uint8_t id[KEYPLAN_ID_SIZE_MAX];
    size_t id_size;
};

/* @type: rsa:2048, ec:P-256, ed25519, x25519, aes:256, hmac:256 ... @id_hex NULL: a random one.
 * Errors: QH_EINVAL; *ret_problem says what to write. Borrows @label. */
QH_RESULT keyplan_generate(const char *type, const char *label, const char *id_hex,
                           bool extractable, struct keyplan *ret_plan, const char **ret_problem);

/* 1 to KEYPLAN_ID_SIZE_MAX bytes in hexadecimal. Errors: QH_EINVAL, with *ret_problem. */
QH_RESULT keyplan_id(const char *id_hex, uint8_t ret_id[KEYPLAN_ID_SIZE_MAX], size_t *ret_size,
                     const char **ret_problem);
/* Eight random bytes. */
void keyplan_random_id(uint8_t ret_id[KEYPLAN_ID_SIZE_MAX], size_t *ret_size);

/* What an object of this class and CKK_* does, each use said either way. @sign_only: an RSA pair
 * that does not encrypt. */
void keyplan_add_uses(struct attrlist *list, uint64_t object_class, uint64_t key_type,
                      bool sign_only);
/* CKA_TOKEN, and for what is no public key that it is private, sensitive, extractable or not. */
void keyplan_add_protection(struct attrlist *list, uint64_t object_class, bool extractable);

/* "P-256", from CKA_EC_PARAMS in any form; NULL if it is none that we have. */
const char *keyplan_curve_name(struct bytes ec_params);

#endif
