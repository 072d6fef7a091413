/* What stands between OpenSSL and a socket: bytes that were read and not decrypted yet, bytes
 * that were encrypted and not written yet, as one BIO. OpenSSL's own memory BIO
 * would copy both once more and cannot be read while it is written. */
#ifndef QH_GLUE_PIPE_H
#define QH_GLUE_PIPE_H

#include <openssl/bio.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* A batch of records, and a peer that asks for key updates and never reads the answers. */
#define PIPE_OUT_SIZE_MAX (512u << 10)

struct pipe_out {
    uint8_t *base;
    size_t start; /* bytes before it are written */
    size_t size;  /* bytes after @start that are not */
    size_t room;
};

struct pipe {
    struct bytes input; /* not owned */
    struct pipe_out out;
    struct pipe_out flight; /* being written by the loop: must not move */
};

/* One for all pipes. Errors: QH_ENOMEM. Owns: BIO_meth_free(). */
QH_RESULT pipe_method_new(BIO_METHOD **ret_method);

/* Errors: QH_ENOMEM. Owns: the BIO goes to SSL_set_bio(); it points to @pipe. */
QH_RESULT pipe_bio_new(const BIO_METHOD *method, struct pipe *pipe, BIO **ret_bio);

void pipe_close(struct pipe *pipe);

/* The first @size bytes of @out are written. */
void pipe_out_drop(struct pipe_out *out, size_t size);

/* Make what waits in out the flight; the flight must be empty. */
void pipe_launch(struct pipe *pipe);

#endif
