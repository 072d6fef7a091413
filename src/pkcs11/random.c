/* C_GenerateRandom, C_SeedRandom. */
#include "base/limits.h"
#include "pkcs11/module.h"

static CKR_RESULT generate(CK_BYTE *out, CK_ULONG size)
{
    int error = QUADHSM_OK;

    if (out == NULL && size > 0) {
        return CKR_ARGUMENTS_BAD;
    }
    for (CK_ULONG at = 0; at < size && error == QUADHSM_OK; at += RANDOM_SIZE_MAX) {
        CK_ULONG part = size - at < RANDOM_SIZE_MAX ? size - at : RANDOM_SIZE_MAX;

        error = quadhsm_random(module_client(), out + at, part);
    }
    return ckr_from_error(error, ABOUT_CALL);
}

MODULE_API CK_RV C_GenerateRandom(CK_SESSION_HANDLE handle, CK_BYTE_PTR out, CK_ULONG size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        rv = generate(out, size);
        module_leave_session(session);
    }
    return rv;
}

/* The cluster's nodes have better sources than what an application brings. */
MODULE_API CK_RV C_SeedRandom(CK_SESSION_HANDLE handle, CK_BYTE_PTR seed, CK_ULONG size)
{
    struct session *session;
    CK_RV rv = module_enter_session(handle, &session);

    if (rv == CKR_OK) {
        module_leave_session(session);
        rv = seed == NULL && size > 0 ? CKR_ARGUMENTS_BAD : CKR_RANDOM_SEED_NOT_SUPPORTED;
    }
    return rv;
}
