/* Join tokens: what an operator carries from a cluster to a node that is to join it. It names the
 * cluster and its authority, so that the node knows whom to trust, and has a secret that
 * both sides prove to know.
 *
 * The text is "qhjoin1." and, in base64url without padding, little-endian: cluster, fingerprint of
 * the authority's certificate, token id, secret, u8 flags (1: witness), u8 address count, each
 * address as u16 port, u8 host size, host; then 8 bytes BLAKE2b-256 of "qhjoin1." and all that.
 * A text that parses is the only one of its token. Pure. Thread: any. */
#ifndef QH_HSM_JOIN_TOKEN_H
#define QH_HSM_JOIN_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/limits.h"
#include "base/secret.h"

#define JOIN_TOKEN_PREFIX "qhjoin1."
#define JOIN_TOKEN_ID_SIZE 16u
#define JOIN_TOKEN_SECRET_SIZE 32u
#define JOIN_TOKEN_PROOF_SIZE 32u
#define JOIN_TOKEN_ADDRESSES_MAX 8u
#define JOIN_TOKEN_HOST_LENGTH_MAX 255u
#define JOIN_TOKEN_CHECKSUM_SIZE 8u
#define JOIN_TOKEN_TEXT_LENGTH_MAX 2902u /* characters */

struct join_token {
    uint8_t cluster[16];
    uint8_t fingerprint[FINGERPRINT_SIZE];
    uint8_t id[JOIN_TOKEN_ID_SIZE];
    struct secret *secret;
    bool witness;
    unsigned address_count;
    struct {
        char host[JOIN_TOKEN_HOST_LENGTH_MAX + 1]; /* letters, digits, '.', '-', '_', ':', '%' */
        uint16_t port;                             /* not 0 */
    } addresses[JOIN_TOKEN_ADDRESSES_MAX];
};

/* The text with a terminating zero, in secret memory.
 * Errors: QH_EINVAL (no or too many addresses, a host or port that is none, size of the secret),
 *         QH_ENOMEM, QH_ESYSTEM. Owns: secret_free(). */
QH_RESULT join_token_make(const struct join_token *token, struct secret **ret_text);

/* Errors: QH_EMALFORMED (no token, or mistyped), QH_EVERSION (a later "qhjoin"), QH_ENOMEM,
 *         QH_ESYSTEM. Owns: join_token_close(). */
QH_RESULT join_token_parse(const char *text, struct join_token *ret_token);
void join_token_close(struct join_token *token); /* one that is zero all over is allowed */

/* Proves to know @secret on this TLS connection, and on which side of it. @side: "joiner",
 * "member". */
void join_token_proof(const struct secret *secret, const uint8_t exporter[32], const char *side,
                      uint8_t ret_proof[JOIN_TOKEN_PROOF_SIZE]);

#endif
