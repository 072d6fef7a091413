/* A private key from PKCS#8 that somebody else wrote: checked as if its numbers came one by one,
 * and written again, so that nothing of the wrapper stays. */
#include "crypto/der.h"
#include "crypto/material.h"

#define PADDING_MAX 7u /* bytes */

/* SoftHSM 2.6 fills a private key up to a multiple of eight bytes with zeroes before it wraps it
 * with CKM_AES_KEY_WRAP_PAD, which pads, too. */
static struct bytes without_padding(struct bytes pkcs8)
{
    struct bytes_reader reader;
    uint8_t bits = 0;

    bytes_reader_init(&reader, pkcs8.base, pkcs8.size);
    (void)der_read(&reader, DER_SEQUENCE);
    if (reader.failed || reader.left > PADDING_MAX) {
        return pkcs8;
    }
    for (size_t i = 0; i < reader.left; i++) {
        bits |= reader.next[i];
    }
    return bits == 0 ? (struct bytes){pkcs8.base, pkcs8.size - reader.left} : pkcs8;
}

QH_RESULT key_import_pkcs8(CK_KEY_TYPE type, struct bytes pkcs8, struct secret **ret_private,
                           struct key_public *ret_public)
{
    struct material material;
    enum qh_err err = material_parse_private(type, without_padding(pkcs8), &material);

    if (err != QH_OK) {
        return err;
    }
    if (type == CKK_RSA) {
        return key_import_rsa_private(&material.rsa, ret_private, ret_public);
    }
    return key_import_ec_private(type, material.curve->names[0], material.value, ret_private,
                                 ret_public);
}
