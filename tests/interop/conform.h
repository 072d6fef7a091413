/* What the parts of qh-conform share: the module and its token, the count of checks, templates, and
 * keys that are both in the token and with OpenSSL. One thread. */
#ifndef QH_TESTS_INTEROP_CONFORM_H
#define QH_TESTS_INTEROP_CONFORM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <openssl/evp.h>

#include "base/cryptoki.h"

#define BUFFER_SIZE 8192u
#define NO_ATTRIBUTE CK_UNAVAILABLE_INFORMATION

struct conform {
    CK_FUNCTION_LIST_3_0 *functions;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session; /* R/W, the user is logged in */
    char *pin, *so_pin;
};
extern struct conform conform;
#define P11 (conform.functions)

/* ---- checks (conform_check.c) ---- */

/* What the checks that follow are about: said before each that fails, and counted as one. */
void about(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool expect_rv(CK_RV rv, CK_RV wanted, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Where the standard leaves a choice of two. */
bool expect_either(CK_RV rv, CK_RV wanted, CK_RV other, const char *what);
bool expect_same(const uint8_t *got, size_t got_size, const uint8_t *wanted, size_t wanted_size,
                 const char *what);
/* Without this nothing can go on. */
void must(bool holds, const char *what);
/* Prints the last line; 0 if nothing failed. */
int checks_finish(void);

/* ---- templates and attributes (conform_check.c) ---- */

struct template
{
    CK_ATTRIBUTE list[32];
    CK_ULONG numbers[32];
    CK_BBOOL flags[32];
    CK_ULONG count;
};
void template_start(struct template *template);
void put_bytes(struct template *template, CK_ATTRIBUTE_TYPE type, void *value, size_t size);
void put_flag(struct template *template, CK_ATTRIBUTE_TYPE type, bool value);
void put_number(struct template *template, CK_ATTRIBUTE_TYPE type, CK_ULONG value);
/* CK_TRUE for each, up to NO_ATTRIBUTE. */
void put_flags(struct template *template, const CK_ATTRIBUTE_TYPE *types);

CK_OBJECT_HANDLE create(struct template *template, const char *what);
void destroy(CK_OBJECT_HANDLE object);
/* The bytes; 0 if it cannot be read, which is a failed check. */
size_t read_bytes(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, uint8_t *out);
/* CK_UNAVAILABLE_INFORMATION if there is none. Flags are 0 and 1. */
CK_ULONG read_number(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
CK_RV set_flag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool value);

/* ---- calls (conform_check.c); C_xInit has been called ---- */

/* Asks for the size, tries with too little room, does it, and sees that it is over. */
size_t one_shot(const char *name, CK_C_Encrypt call, uint8_t *in, size_t in_size, uint8_t *out);
/* In pieces of many sizes. */
size_t many_parts(const char *name, CK_C_EncryptUpdate update, CK_C_EncryptFinal final, uint8_t *in,
                  size_t in_size, uint8_t *out);
/* Of C_SignUpdate, C_DigestUpdate and the like. */
bool feed_parts(const char *name, CK_C_SignUpdate update, uint8_t *in, size_t in_size);
/* The Final of these, with size query and too little room. */
size_t last_part(const char *name, CK_C_SignFinal final, uint8_t *out);

/* ---- keys (conform_keys.c) ---- */

enum kind {
    RSA_2048,
    RSA_3072,
    P_256,
    P_384,
    P_521,
    K_256,
    ED_25519,
    ED_448,
    X_25519,
    X_448,
    KINDS
};

struct pair {
    CK_OBJECT_HANDLE public, private;
    EVP_PKEY *pkey; /* of generated pairs the public key alone */
};
const char *kind_name(enum kind kind);
CK_KEY_TYPE kind_type(enum kind kind);
size_t kind_signature_size(enum kind kind);
/* Session objects, made when first asked for. */
const struct pair *pair_generated(enum kind kind);
const struct pair *pair_imported(enum kind kind);
/* The halves of OpenSSL's key, to be completed. */
void put_private(struct template *template, enum kind kind, EVP_PKEY *pkey);
void put_public(struct template *template, enum kind kind, EVP_PKEY *pkey);
/* What stands in CKA_EC_PARAMS. */
void put_curve(struct template *template, enum kind kind);
/* That is readable and may do everything. */
CK_OBJECT_HANDLE secret_import(CK_KEY_TYPE type, uint8_t *value, size_t size);
void pairs_close(void);

/* ---- OpenSSL's side ---- */

const char *digest_name(CK_MECHANISM_TYPE hash); /* "SHA256"; NULL */
/* The mechanism with the parameter that all parts of this program give it. */
CK_MECHANISM *usual_mechanism(CK_MECHANISM_TYPE type);
/* AES as usual_mechanism() says. -1: refused. */
long aes_crypt(CK_MECHANISM_TYPE type, bool encrypt, const uint8_t *key, size_t key_size,
               const uint8_t *in, size_t in_size, uint8_t *out);
long rsa_crypt(CK_MECHANISM_TYPE type, bool encrypt, EVP_PKEY *pkey, const uint8_t *in,
               size_t in_size, uint8_t *out);

/* ---- exercises: what they exercised of the mechanism; 0 if it is none of theirs ---- */

CK_FLAGS exercise_digest(CK_MECHANISM_TYPE type);
CK_FLAGS exercise_sign(CK_MECHANISM_TYPE type);
CK_FLAGS exercise_mac(CK_MECHANISM_TYPE type, const CK_MECHANISM_INFO *info);
CK_FLAGS exercise_cipher(CK_MECHANISM_TYPE type);
CK_FLAGS exercise_message_cipher(CK_MECHANISM_TYPE type);
CK_FLAGS exercise_wrap(CK_MECHANISM_TYPE type);
CK_FLAGS exercise_derive(CK_MECHANISM_TYPE type);
CK_FLAGS exercise_generate(CK_MECHANISM_TYPE type, const CK_MECHANISM_INFO *info);

/* What exercise_sign() and exercise_mac() share. */
struct signing {
    CK_MECHANISM *mechanism;
    CK_OBJECT_HANDLE sign_key, verify_key;
    uint8_t *data;
    size_t data_size, signature_size;
    bool parts; /* the standard has it in parts */
};
#define SIGNING_FLAGS \
    (CKF_SIGN | CKF_VERIFY | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE)
/* In turn: one-shot, in parts, as a message, as a message in parts; 0 if there is no such way. */
#define SIGN_WAYS 4u
size_t token_sign(const struct signing *signing, unsigned way, uint8_t *out);
/* All ways take it, and refuse what is like it. */
void token_verify(const struct signing *signing, uint8_t *signature);

/* ---- the rules ---- */

void edges_of_mechanisms(void);
void edges_of_wrapping(void);
void edges_of_derivation(void);
/* Ends with the module, and begins with it anew. */
void rules_of_keeping(void);
void rules_of_calls(void);
void rules_of_attributes(void);
void rules_of_history(void);
void rules_of_objects(void);
void rules_of_use(void);
void rules_of_sessions(void);
void rules_of_templates(void);
void rules_of_trust(void);
/* On a token of its own, "spare", with @pin of the SO. */
void rules_of_pins(CK_SLOT_ID slot, char *pin);

#endif
