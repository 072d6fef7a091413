/* What encryption and decryption of messages share: AES-GCM, each message with an IV of its own,
 * which the application gives or the module makes, and with its tag apart from its ciphertext
 * (PKCS#11 v3.0, 5.9 and 5.11, and 2.12.3 of the mechanisms).
 *
 * The application's bits of an IV are kept, the others made so:
 *   CKG_GENERATE, CKG_GENERATE_RANDOM   random each time; at least MESSAGE_RANDOM_BITS_MIN of them
 *   CKG_GENERATE_COUNTER                counted up from a random start, so that two sessions with
 * the same key and the same fixed bits do not meet CKG_GENERATE_COUNTER_XOR            the first
 * message's, XOR the count of messages (as in TLS 1.3)
 * A forked child goes on counting only from a random start with MESSAGE_RANDOM_BITS_MIN of its own.
 *
 * A message in parts: ciphertext comes out as plaintext goes in. The key is used a few times for
 * all of it: for the key stream, twice as much each time as is needed, which is kept until the
 * message ends and is known to whoever knows plaintext and ciphertext; and in the end for the tag.
 * Plaintext comes out at the end, when the tag was seen to be right. */
#ifndef QH_PKCS11_MESSAGE_CIPHER_H
#define QH_PKCS11_MESSAGE_CIPHER_H

#include "pkcs11/operation.h"

/* Fewer random bits would meet again too soon. */
#define MESSAGE_RANDOM_BITS_MIN 64u

/* The first parts of a message ask for as much of what they are encrypted with, in bytes. */
#define MESSAGE_STREAM_SIZE_MIN 4096u

struct message;
void message_free(struct message *message); /* NULL is allowed */

/* An application's arguments. */
struct message_call {
    CK_SESSION_HANDLE session;
    enum module_operation kind; /* OPERATION_MESSAGE_ENCRYPT, OPERATION_MESSAGE_DECRYPT */
    const void *parameter;      /* CK_GCM_MESSAGE_PARAMS */
    CK_ULONG parameter_size;
    struct bytes aad, data;
    CK_BYTE *out;
    CK_ULONG *out_size;
};

/* In one piece; the beginning; a part, and the end if @flags says so. */
CK_RV message_all(const struct message_call *call);
CK_RV message_begin(const struct message_call *call);
CK_RV message_next(const struct message_call *call, CK_FLAGS flags);

#endif
