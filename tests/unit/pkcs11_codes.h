/* Which codes each function of PKCS#11 may answer with: v3.0, the list at the end of each section
 * of chapter 5. Without those that say that the device, the memory or the library failed: where
 * nothing fails, none of these is right. */
#ifndef QH_TESTS_UNIT_PKCS11_CODES_H
#define QH_TESTS_UNIT_PKCS11_CODES_H

#include <stdbool.h>

#include "base/cryptoki.h"

/* Functions with the same list. */
enum codes {
    CODES_GENERAL,  /* C_GetInfo, C_GetSlotList ... */
    CODES_SLOT,     /* C_GetTokenInfo, C_GetMechanismInfo ... */
    CODES_EVENT,    /* C_WaitForSlotEvent */
    CODES_PIN,      /* C_InitToken, C_InitPIN, C_SetPIN */
    CODES_SESSION,  /* C_OpenSession, C_CloseSession, C_GetSessionInfo ... */
    CODES_STATE,    /* C_GetOperationState, C_SetOperationState */
    CODES_LOGIN,    /* C_Login, C_LoginUser, C_Logout */
    CODES_MAKE,     /* C_CreateObject, C_CopyObject, C_GenerateKey, C_GenerateKeyPair */
    CODES_OBJECT,   /* C_DestroyObject, C_GetObjectSize, C_SetAttributeValue */
    CODES_READ,     /* C_GetAttributeValue */
    CODES_FIND,     /* C_FindObjectsInit, C_FindObjects, C_FindObjectsFinal */
    CODES_BEGIN,    /* C_EncryptInit and its like */
    CODES_ENCRYPT,  /* C_Encrypt, C_EncryptUpdate, C_EncryptFinal, C_EncryptMessage */
    CODES_DECRYPT,  /* C_Decrypt ... */
    CODES_DIGEST,   /* C_Digest ..., C_DigestKey */
    CODES_SIGN,     /* C_Sign ..., C_SignRecover, C_SignMessage */
    CODES_VERIFY,   /* C_Verify ..., C_VerifyRecover, C_VerifyMessage */
    CODES_DUAL,     /* C_DigestEncryptUpdate ... */
    CODES_WRAP,     /* C_WrapKey */
    CODES_UNWRAP,   /* C_UnwrapKey */
    CODES_DERIVE,   /* C_DeriveKey */
    CODES_RANDOM,   /* C_GenerateRandom, C_SeedRandom */
    CODES_PARALLEL, /* C_GetFunctionStatus, C_CancelFunction */
    CODES_COUNT
};

bool codes_allow(enum codes function, CK_RV rv);

#endif
