/* A private key from PKCS#8 that somebody else wrote: checked as if its numbers came one by one,
 * and written again, so that nothing of the wrapper stays. */
#include "crypto/material.h"

QH_RESULT key_import_pkcs8(CK_KEY_TYPE type, struct bytes pkcs8, struct secret **ret_private,
                           struct key_public *ret_public)
{
    struct material material;
    enum qh_err err = material_parse_private(type, pkcs8, &material);

    if (err != QH_OK) {
        return err;
    }
    if (type == CKK_RSA) {
        return key_import_rsa_private(&material.rsa, ret_private, ret_public);
    }
    return key_import_ec_private(type, material.curve->names[0], material.value, ret_private,
                                 ret_public);
}
