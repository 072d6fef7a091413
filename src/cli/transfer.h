/* Keys on their way into a partition: wrapped here under the public half of an RSA pair that the
 * cluster has made for this one transfer, and unwrapped there. The private half is a session object
 * that cannot leave the cluster and is gone with the transfer; so inside TLS nothing travels but
 * wrapped bytes. */
#ifndef QH_CLI_TRANSFER_H
#define QH_CLI_TRANSFER_H

#include "base/bytes.h"
#include "base/secret.h"
#include "cli/attrlist.h"
#include "cli/cli.h"

struct transfer;

/* As co. Asks the cluster for the pair: some hundred milliseconds. Returns an exit status.
 * Owns: transfer_end(), before the token is closed. */
int transfer_begin(struct cli *cli, struct quadhsm_token *token, struct transfer **ret_transfer);
void transfer_end(struct transfer *transfer); /* NULL is allowed */

/* @plain is a key's material (crypto/key.h). Returns a code of quadhsm.h.
 * Owns: quadhsm_object_free(*ret_object). */
int transfer_key(struct transfer *transfer, const struct secret *plain,
                 const struct attrlist *attributes, struct quadhsm_object **ret_object);
/* The same for what somebody else has wrapped for the transfer's public key: an AES key by OAEP
 * with
 * @hash, and behind it the key by that AES key. */
int transfer_wrapped(struct transfer *transfer, struct bytes wrapped, uint64_t hash,
                     const struct attrlist *attributes, struct quadhsm_object **ret_object);
/* Big-endian. */
struct bytes transfer_modulus(const struct transfer *transfer);
struct bytes transfer_exponent(const struct transfer *transfer);

/* RSA_AES_KEY_WRAP with this hash for OAEP and its mask, and an AES key of 256 bits. */
struct quadhsm_mechanism transfer_mechanism(uint64_t hash);

#endif
