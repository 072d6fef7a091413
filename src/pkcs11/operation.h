/* What a session is doing with a key: begun by C_SignInit and its like, and kept between calls.
 * A call takes the operation out of its session, works on it without a lock, and puts it back if it
 * goes on: after a part, after a question for the size, and after a buffer that was too small.
 * Every other outcome ends it. */
#ifndef QH_PKCS11_OPERATION_H
#define QH_PKCS11_OPERATION_H

#include "base/limits.h"
#include "pkcs11/mechanism.h"
#include "pkcs11/module.h"

/* What a mechanism that needs everything at once may take in parts. */
#define OPERATION_DATA_SIZE_MAX USE_DATA_SIZE_MAX
/* Above this a mechanism that hashes first is hashed here, and the hash is sent alone. */
#define OPERATION_HASH_ABOVE 16384u
#define OPERATION_HASHED_MAX (MECH_DIGEST_SIZE_MAX + 32u) /* with DigestInfo */

struct operation {
    enum module_operation kind;
    struct mechanism mechanism;
    CK_OBJECT_HANDLE key_handle;
    struct objects_value *key; /* NULL for a digest */
    bool in_parts;             /* an update was made */
    uint8_t *data;             /* what was given in parts; wiped */
    size_t size, room;
    bool can_split;                 /* the hash can be sent alone, with @plain */
    struct quadhsm_mechanism plain; /* points into @mechanism */
    struct mech_digest *digest;     /* being made */
    uint8_t hashed[OPERATION_HASHED_MAX];
    size_t hashed_size;                  /* 0: not yet */
    uint8_t chain[MECHANISM_BLOCK_SIZE]; /* last block of ciphertext, the IV, or CTR's counter */
    size_t chain_used;                   /* CTR: so many bytes of its block are used */
    bool chain_spent;                    /* CTR: it has counted to its end */
    CK_MECHANISM_TYPE blocks;            /* for whole blocks; valid if @can_chain */
    bool can_chain;                      /* goes out as it comes in */
    struct message *message;             /* message_cipher.c; NULL: no message yet */
    struct operation *next;              /* on the way out (operation_drop_private()) */
};

/* C_SignInit and its like; a NULL mechanism ends what there is. Errors: CKR_OPERATION_ACTIVE, those
 * of mechanism_open(), access_object() and mechanism_fits(). */
CKR_RESULT operation_begin(CK_SESSION_HANDLE handle, enum module_operation kind,
                           const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key);

/* NULL if there is none. */
struct operation *operation_take(struct session *session, enum module_operation kind);
/* Ends it instead, if another has begun in its place. */
void operation_put(struct session *session, struct operation *operation);
void operation_free(struct operation *operation); /* NULL is allowed */
/* Is this what a call ends with that leaves the operation alive? */
bool operation_goes_on(CK_RV rv, const void *out);
/* Put it back, or free it. */
void operation_finish(struct session *session, struct operation *operation, bool goes_on);
bool operation_is_active(struct session *session, enum module_operation kind);

/* Of messages one follows the other, until the operation ends: take it while a message in parts is
 * (@in_parts) or is not under way. Errors: CKR_OPERATION_NOT_INITIALIZED, CKR_OPERATION_ACTIVE. */
CKR_RESULT operation_take_message(struct session *session, enum module_operation kind,
                                  bool in_parts, struct operation **ret_operation);
/* The message is complete, or has failed: the next may come. */
void operation_end_message(struct operation *operation);
/* The end of all messages. */
CKR_RESULT operation_end(CK_SESSION_HANDLE handle, enum module_operation kind);

/* Under the lock, at a logout: take what is being done with private keys in the slot's sessions.
 * Then, without the lock, free the list. */
struct operation *operation_take_private(const struct slot *slot);
void operation_free_list(struct operation *list);

/* More data, for the end. Errors: CKR_DATA_LEN_RANGE, CKR_HOST_MEMORY, CKR_FUNCTION_FAILED. */
CKR_RESULT operation_append(struct operation *operation, const void *data, size_t size);
/* The same for a signature: hashed as it comes, if it is long and can be. */
CKR_RESULT operation_feed(struct operation *operation, const void *data, size_t size);

/* What a signature is made of: all the data with the mechanism, or its hash with the plain one.
 * @data is NULL after parts. Borrowed from @operation and @data. */
struct operation_input {
    const struct quadhsm_mechanism *params;
    const uint8_t *data;
    size_t size;
};
CKR_RESULT operation_input(struct operation *operation, const void *data, size_t size,
                           struct operation_input *ret_input);

/* Answer a question for the size (@tell), or a buffer smaller than @least. True: answered, with
 * *ret_rv. */
bool operation_answer_size(const void *out, CK_ULONG *out_size, size_t least, size_t tell,
                           CK_RV *ret_rv);

/* With the secret key in the cluster or the public key here: encrypt, decrypt. *ret_size as in
 * quadhsm_encrypt(). Errors: CKR_BUFFER_TOO_SMALL, and those of the call. */
CKR_RESULT operation_use(struct session *session, struct operation *operation,
                         const struct quadhsm_mechanism *params, const void *data, size_t size,
                         void *out, size_t room, size_t *ret_size);

#endif
