/* What PKCS#11 says of public keys and signatures, as OpenSSL wants it. */
#ifndef QH_TESTS_DRILL_P11_PUBLIC_H
#define QH_TESTS_DRILL_P11_PUBLIC_H

#include "tests/drill/p11.h"

/* From the object's attributes; NULL if that cannot be. Owns: EVP_PKEY_free(). */
EVP_PKEY *p11_public_read(struct p11 *p11, enum p11_kind kind, CK_OBJECT_HANDLE handle);

/* r and s side by side as DER; 0 if they are none, or @room is too small. */
size_t p11_public_signature(const uint8_t *raw, size_t size, uint8_t *ret_der, size_t room);

#endif
