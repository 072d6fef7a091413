/* Another PKCS#11 module, whose token is read for `quadhsm migrate`. It is opened read-only:
 * nothing in it changes, but for session objects that are gone with the session. What the module
 * says is bounded and copied. Thread: one. */
#ifndef QH_CLI_SOURCE_H
#define QH_CLI_SOURCE_H

#include "base/bytes.h"
#include "base/cryptoki.h"
#include "base/secret.h"
#include "cli/cli.h"

#define SOURCE_OBJECTS_MAX 1000000u
#define SOURCE_NAME_ROOM 33u

struct source {
    void *library;
    CK_FUNCTION_LIST *module;
    bool initialized, open;
    CK_SLOT_ID slot;
    CK_SESSION_HANDLE session;
    char name[SOURCE_NAME_ROOM], model[SOURCE_NAME_ROOM]; /* of the token, safe to print */
    bool login_required;
    CK_OBJECT_HANDLE *objects;
    size_t count;
    /* How keys come out, once source_bring() has been told for whom. */
    CK_OBJECT_HANDLE wrapping, carrier;
    uint8_t *carrier_wrapped;
    size_t carrier_size;
};

/* @label or @slot (a number as text) choose the token; with neither there must be one only. Returns
 * an exit status. Owns: source_close(), whatever was returned. */
int source_open(struct cli *cli, const char *path, const char *label, const char *slot,
                struct source *ret_source);
int source_login(struct cli *cli, struct source *source, const struct secret *pin);
/* Every object that can be seen. */
int source_list(struct cli *cli, struct source *source);
void source_close(struct source *source);

/* An attribute's value. Errors: QH_ENOTFOUND (it has none, or does not tell), QH_ELIMIT (larger
 * than an attribute may be), QH_ESYSTEM, QH_ENOMEM. Owns: secret_free(); NULL if it is empty. */
QH_RESULT source_read(const struct source *source, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                      struct secret **ret_value);
/* @otherwise if it is not told. */
CK_ULONG source_number(const struct source *source, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                       CK_ULONG otherwise);
bool source_flag(const struct source *source, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
                 bool otherwise);

/* ---- keys (source_key.c) ---- */

#define SOURCE_WHY_ROOM 160u

/* @modulus and @exponent of the RSA key that what comes out is wrapped for. Without a way to wrap
 * *ret_why says so, and keys can only be read. */
QH_RESULT source_prepare(struct source *source, struct bytes modulus, struct bytes exponent,
                         char ret_why[SOURCE_WHY_ROOM]);
/* A key wrapped as RSA_AES_KEY_WRAP makes it, with @ret_hash for OAEP. Errors: QH_EUNEXTRACTABLE,
 * QH_ENOTWRAPPABLE, QH_EMECHANISM (there is no way to wrap here), QH_ENOMEM; with *ret_why.
 * Owns: free(ret_wrapped->base). */
QH_RESULT source_wrap(const struct source *source, CK_OBJECT_HANDLE object,
                      struct bytes *ret_wrapped, uint64_t *ret_hash, char ret_why[SOURCE_WHY_ROOM]);
/* A key's material (crypto/key.h), in clear, of what the source lets one read. Errors: QH_EPERM
 * (sensitive), those of crypto/key.h. Owns: secret_free(). */
QH_RESULT source_material(const struct source *source, CK_OBJECT_HANDLE object,
                          CK_OBJECT_CLASS object_class, CK_KEY_TYPE key_type,
                          struct secret **ret_material);

#endif
