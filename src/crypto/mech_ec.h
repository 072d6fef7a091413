/* The one parser of ECDSA signatures, apart so that it can be tested. */
#ifndef QH_CRYPTO_MECH_EC_H
#define QH_CRYPTO_MECH_EC_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

/* A SEQUENCE of two INTEGERs to r||s, each @half bytes long. Errors: QH_EMALFORMED. */
QH_RESULT mech_ec_from_der(struct bytes der, size_t half, uint8_t *ret_signature);

#endif
