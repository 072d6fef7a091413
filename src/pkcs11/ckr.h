/* The library's errors as PKCS#11 has them: the border that they are translated at, once. */
#ifndef QH_PKCS11_CKR_H
#define QH_PKCS11_CKR_H

#include "base/cryptoki.h"
#include "client/quadhsm.h"

/* The return type of what answers with a CK_RV; ignoring it is a warning. */
#define CKR_RESULT __attribute__((warn_unused_result)) CK_RV

/* What a call was about: the same error has names of its own for each. */
enum ckr_about {
    ABOUT_CALL,   /* nothing special */
    ABOUT_TOKEN,  /* slots and tokens: no node answers means that the device is away */
    ABOUT_NEW,    /* what the template asks for */
    ABOUT_OBJECT, /* the object handle that was given */
    ABOUT_KEY,    /* the key handle that was given */
    ABOUT_WRAPPING_KEY,
    ABOUT_UNWRAPPING_KEY
};

/* No error becomes CKR_SESSION_HANDLE_INVALID: sessions are local, and outlive every node. */
CK_RV ckr_from_error(int error, enum ckr_about about);
/* The name that a code about a key has when the key was this one. */
CK_RV ckr_about(CK_RV rv, enum ckr_about about);

/* Nothing was reached, or nothing is known of the outcome. */
bool ckr_is_network(int error);

#endif
