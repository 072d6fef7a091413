/* Keys on their way into a partition. See transfer.h. */
#include "cli/transfer.h"

#include <stdlib.h>

#include "base/cryptoki.h"
#include "cli/progress.h"
#include "crypto/mech.h"

#define PAIR_BITS 3072u
#define AES_BITS 256u

struct transfer {
    struct quadhsm_token *token;
    struct quadhsm_object *public, *private;
    struct key *key; /* the public half */
};

static uint64_t mgf_of(uint64_t hash)
{
    switch (hash) {
    case CKM_SHA_1:
        return CKG_MGF1_SHA1;
    case CKM_SHA224:
        return CKG_MGF1_SHA224;
    case CKM_SHA384:
        return CKG_MGF1_SHA384;
    case CKM_SHA512:
        return CKG_MGF1_SHA512;
    default:
        return CKG_MGF1_SHA256;
    }
}

struct quadhsm_mechanism transfer_mechanism(uint64_t hash)
{
    return (struct quadhsm_mechanism){
        .type = CKM_RSA_AES_KEY_WRAP, .hash = hash, .mgf = mgf_of(hash), .key_bits = AES_BITS};
}

static int make_pair(struct transfer *transfer)
{
    static const uint8_t exponent[] = {0x01, 0x00, 0x01};
    const struct quadhsm_mechanism mechanism = {.type = CKM_RSA_PKCS_KEY_PAIR_GEN};
    struct attrlist public = {.count = 0};
    struct attrlist private = {.count = 0};

    attrlist_add_flag(&public, CKA_TOKEN, false);
    attrlist_add_number(&public, CKA_MODULUS_BITS, PAIR_BITS);
    attrlist_add(&public, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
    attrlist_add_flag(&public, CKA_VERIFY, false);
    attrlist_add_flag(&public, CKA_ENCRYPT, false);
    attrlist_add_flag(&public, CKA_WRAP, true);
    attrlist_add_flag(&private, CKA_TOKEN, false);
    attrlist_add_flag(&private, CKA_PRIVATE, true);
    attrlist_add_flag(&private, CKA_SENSITIVE, true);
    attrlist_add_flag(&private, CKA_EXTRACTABLE, false);
    attrlist_add_flag(&private, CKA_SIGN, false);
    attrlist_add_flag(&private, CKA_DECRYPT, false);
    attrlist_add_flag(&private, CKA_UNWRAP, true);
    return quadhsm_generate_pair(transfer->token, &mechanism, public.list, public.count,
                                 private.list, private.count, &transfer->public,
                                 &transfer->private);
}

static QH_RESULT open_public(struct transfer *transfer)
{
    struct key_public public = {.block = NULL};
    enum qh_err err =
        key_import_rsa_public(transfer_modulus(transfer), transfer_exponent(transfer), &public);

    if (err == QH_OK) {
        err = key_open(CKO_PUBLIC_KEY, CKK_RSA, public.spki, &transfer->key);
    }
    free(public.block);
    return err;
}

int transfer_begin(struct cli *cli, struct quadhsm_token *token, struct transfer **ret_transfer)
{
    struct transfer *transfer = calloc(1, sizeof(*transfer));
    struct progress *progress;
    int err = QUADHSM_ENOMEM;

    if (transfer != NULL) {
        transfer->token = token;
        progress = progress_begin(&cli->output, true, "the cluster makes a pair for the transfer");
        err = make_pair(transfer);
        progress_end(progress);
    }
    if (err == QUADHSM_OK) {
        err = (int)open_public(transfer);
    }
    if (err != QUADHSM_OK) {
        transfer_end(transfer);
        return cli_fail(cli, err, "making a pair of keys for the transfer");
    }
    *ret_transfer = transfer;
    return EXIT_DONE;
}

void transfer_end(struct transfer *transfer)
{
    if (transfer != NULL) {
        key_free(transfer->key);
        quadhsm_object_free(transfer->public);
        quadhsm_object_free(transfer->private);
        free(transfer);
    }
}

struct bytes transfer_modulus(const struct transfer *transfer)
{
    return attrlist_bytes_of(transfer->public, CKA_MODULUS);
}

struct bytes transfer_exponent(const struct transfer *transfer)
{
    return attrlist_bytes_of(transfer->public, CKA_PUBLIC_EXPONENT);
}

int transfer_wrapped(struct transfer *transfer, struct bytes wrapped, uint64_t hash,
                     const struct attrlist *attributes, struct quadhsm_object **ret_object)
{
    const struct quadhsm_mechanism mechanism = transfer_mechanism(hash);

    return quadhsm_unwrap(transfer->token, transfer->private, &mechanism, wrapped.base,
                          wrapped.size, attributes->list, attributes->count, ret_object);
}

int transfer_key(struct transfer *transfer, const struct secret *plain,
                 const struct attrlist *attributes, struct quadhsm_object **ret_object)
{
    const struct mech_params params = {.type = CKM_RSA_AES_KEY_WRAP,
                                       .hash = CKM_SHA256,
                                       .mgf = CKG_MGF1_SHA256,
                                       .key_bits = AES_BITS};
    struct bytes bytes = {secret_view(plain), secret_size(plain)};
    size_t room = mech_wrapped_size(transfer->key, &params, bytes.size);
    uint8_t *wrapped = room > 0 ? malloc(room) : NULL;
    size_t size = 0;
    int err = QUADHSM_ENOMEM;

    if (wrapped != NULL) {
        err = (int)mech_wrap(transfer->key, &params, bytes, wrapped, room, &size);
    }
    if (err == QUADHSM_OK) {
        err = transfer_wrapped(transfer, (struct bytes){wrapped, size}, CKM_SHA256, attributes,
                               ret_object);
    }
    free(wrapped);
    return err;
}
