/* An application's use of a PKCS#11 module, any module: keys, signatures, and OpenSSL's own
 * opinion of them. It knows nothing of Quadhsm.
 *
 * Thread: a module is opened and closed by one; a session belongs to one at a time. */
#ifndef QH_TESTS_DRILL_P11_H
#define QH_TESTS_DRILL_P11_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cryptoki.h"

#define P11_ID_SIZE 16u
#define P11_SIGNATURE_SIZE_MAX 512u
#define P11_MESSAGE_SIZE 32u

enum p11_kind { P11_RSA, P11_EC };

struct p11 {
    void *shared;
    CK_FUNCTION_LIST_PTR functions;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* keeps the login */
};

struct p11_key {
    enum p11_kind kind;
    CK_OBJECT_HANDLE private_key;
    EVP_PKEY *public_key; /* made from the attributes */
};

/* Load @module, find the token with @label (NULL: the first), log in as its user. What fails is
 * told on standard error. */
bool p11_open(struct p11 *p11, const char *module, const char *label, const char *pin);
void p11_close(struct p11 *p11);
CK_RV p11_session(struct p11 *p11, CK_SESSION_HANDLE *ret_session);

/* A token key pair; RSA-2048 or P-256. */
CK_RV p11_generate(struct p11 *p11, CK_SESSION_HANDLE session, enum p11_kind kind,
                   const uint8_t id[P11_ID_SIZE], const char *label, CK_OBJECT_HANDLE *ret_public,
                   CK_OBJECT_HANDLE *ret_private);
/* The pair with @label, made if there is none. Told on standard error if it fails. */
bool p11_take_key(struct p11 *p11, enum p11_kind kind, const char *label, struct p11_key *ret_key);
void p11_key_close(struct p11_key *key);

CK_RV p11_sign(struct p11 *p11, CK_SESSION_HANDLE session, const struct p11_key *key,
               const uint8_t message[P11_MESSAGE_SIZE], uint8_t *ret_signature, size_t *ret_size);
/* By OpenSSL alone. */
bool p11_verify(const struct p11_key *key, const uint8_t message[P11_MESSAGE_SIZE],
                const uint8_t *signature, size_t size);

/* How many objects of @object_class have @id. */
CK_RV p11_count(struct p11 *p11, CK_OBJECT_CLASS object_class, const uint8_t id[P11_ID_SIZE],
                unsigned *ret_count);

/* "CKR_DEVICE_ERROR", or the number. @room for the number. */
const char *p11_error(CK_RV rv, char room[24]);

#endif
