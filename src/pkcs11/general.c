/* C_Initialize, C_Finalize, C_GetInfo, C_GetFunctionStatus, C_CancelFunction. */
#include "pkcs11/general.h"

#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "pkcs11/module.h"

CK_VERSION general_version(void)
{
    char *end = NULL;
    unsigned long major = strtoul(PACKAGE_VERSION, &end, 10);
    unsigned long minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
    CK_VERSION version = {(CK_BYTE)major, (CK_BYTE)minor};

    return version;
}

/* An application that brings its own mutexes gets the system's all the same: its threads are the
 * system's, for which they are always right. */
static CKR_RESULT check_args(const CK_C_INITIALIZE_ARGS *args, bool *ret_may_make_threads)
{
    bool all = args->CreateMutex != NULL && args->DestroyMutex != NULL && args->LockMutex != NULL &&
               args->UnlockMutex != NULL;
    bool none = args->CreateMutex == NULL && args->DestroyMutex == NULL &&
                args->LockMutex == NULL && args->UnlockMutex == NULL;

    if (!all && !none) {
        return CKR_ARGUMENTS_BAD;
    }
    /* The standard's pReserved, by NSS's name. */
    if (args->LibraryParameters != NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    *ret_may_make_threads = (args->flags & CKF_LIBRARY_CANT_CREATE_OS_THREADS) == 0;
    return CKR_OK;
}

MODULE_API CK_RV C_Initialize(CK_VOID_PTR init_args)
{
    bool may_make_threads = true;
    CK_RV rv = CKR_OK;

    if (init_args != NULL) {
        rv = check_args(init_args, &may_make_threads);
    }
    return rv == CKR_OK ? module_start(may_make_threads) : rv;
}

MODULE_API CK_RV C_Finalize(CK_VOID_PTR reserved)
{
    return reserved == NULL ? module_stop() : CKR_ARGUMENTS_BAD;
}

MODULE_API CK_RV C_GetInfo(CK_INFO_PTR info)
{
    CK_INFO filled = {.flags = 0};
    CK_RV rv = module_enter();

    if (rv != CKR_OK) {
        return rv;
    }
    module_leave();
    if (info == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    filled.cryptokiVersion.major = CRYPTOKI_VERSION_MAJOR;
    filled.cryptokiVersion.minor = CRYPTOKI_VERSION_MINOR;
    module_pad(filled.manufacturerID, sizeof filled.manufacturerID, MODULE_MANUFACTURER);
    module_pad(filled.libraryDescription, sizeof filled.libraryDescription,
               "Quadhsm PKCS#11 module");
    filled.libraryVersion = general_version();
    module_tell(info, &filled, sizeof filled, CKR_OK);
    return CKR_OK;
}

/* Both are of a time when functions could run in parallel with the application. They "simply
 * return" this, says the standard, and there are programs that ask before they have a session. */

MODULE_API CK_RV C_GetFunctionStatus(CK_SESSION_HANDLE handle)
{
    CK_RV rv = module_enter();

    (void)handle;
    if (rv != CKR_OK) {
        return rv;
    }
    module_leave();
    return CKR_FUNCTION_NOT_PARALLEL;
}

MODULE_API CK_RV C_CancelFunction(CK_SESSION_HANDLE handle)
{
    return C_GetFunctionStatus(handle);
}
