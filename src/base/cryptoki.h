/* The numbers and types of PKCS#11, which mechanisms and attributes are called by in every
 * layer. The header is NSS's, the one of Debian's packages that has version 3.0. */
#ifndef QH_BASE_CRYPTOKI_H
#define QH_BASE_CRYPTOKI_H

#include <pkcs11.h>

/* Missing there: one of version 2.40, two of 3.0. */
#ifndef CKA_NAME_HASH_ALGORITHM
#define CKA_NAME_HASH_ALGORITHM 0x0000008CUL
#endif
#ifndef CKA_UNIQUE_ID
#define CKA_UNIQUE_ID 0x00000004UL
#endif
#ifndef CKR_AEAD_DECRYPT_FAILED
#define CKR_AEAD_DECRYPT_FAILED 0x00000042UL
#endif

#endif
