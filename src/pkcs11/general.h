/* C_Initialize and its like, and what they share. */
#ifndef QH_PKCS11_GENERAL_H
#define QH_PKCS11_GENERAL_H

#include "base/cryptoki.h"

/* The product's, as PKCS#11 has versions. */
CK_VERSION general_version(void);

#endif
