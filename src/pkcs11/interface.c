/* C_GetFunctionList, C_GetInterfaceList, C_GetInterface: the tables of all functions, of
 * version 2.40 and of version 3.0. */
#include <string.h>

#include "pkcs11/module.h"
#include "pkcs11/template.h"

/* The header's own list, in its order. */
#define CK_PKCS11_FUNCTION_INFO(name) name,

static CK_FUNCTION_LIST functions_2_40 = {
    {2, 40},
#define CK_PKCS11_2_0_ONLY 1
#include <pkcs11f.h>
#undef CK_PKCS11_2_0_ONLY
};

static CK_FUNCTION_LIST_3_0 functions_3_0 = {
    {CRYPTOKI_VERSION_MAJOR, CRYPTOKI_VERSION_MINOR},
#define CK_PKCS11_3_0 1
#include <pkcs11f.h>
#undef CK_PKCS11_3_0
};

static CK_CHAR interface_name[] = "PKCS 11";

/* The newest first: it is what is given to who does not say. */
static CK_INTERFACE interfaces[] = {
    {interface_name, &functions_3_0, CKF_INTERFACE_FORK_SAFE},
    {interface_name, &functions_2_40, CKF_INTERFACE_FORK_SAFE},
};
#define INTERFACE_COUNT (sizeof interfaces / sizeof interfaces[0])

/* All three may be called before C_Initialize. */

MODULE_API CK_RV C_GetFunctionList(CK_FUNCTION_LIST_PTR_PTR list)
{
    if (list == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    *list = &functions_2_40;
    return CKR_OK;
}

MODULE_API CK_RV C_GetInterfaceList(CK_INTERFACE_PTR list, CK_ULONG_PTR count)
{
    CK_ULONG room;

    if (count == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    room = template_get_ulong(count);
    template_set_ulong(count, INTERFACE_COUNT);
    if (list == NULL) {
        return CKR_OK;
    }
    if (room < INTERFACE_COUNT) {
        return CKR_BUFFER_TOO_SMALL;
    }
    memcpy((void *)list, interfaces, sizeof interfaces);
    return CKR_OK;
}

/* Both function lists begin with their version. */
static CK_VERSION version_of(const CK_INTERFACE *interface)
{
    CK_VERSION version;

    memcpy(&version, interface->pFunctionList, sizeof version);
    return version;
}

static bool interface_is(const CK_INTERFACE *interface, const CK_UTF8CHAR *name,
                         const CK_VERSION *version, CK_FLAGS flags)
{
    CK_VERSION has = version_of(interface);

    if (name != NULL && strcmp((const char *)name, (const char *)interface->pInterfaceName) != 0) {
        return false;
    }
    if (version != NULL && (version->major != has.major || version->minor != has.minor)) {
        return false;
    }
    return (interface->flags & flags) == flags;
}

MODULE_API CK_RV C_GetInterface(CK_UTF8CHAR_PTR name, CK_VERSION_PTR version,
                                CK_INTERFACE_PTR_PTR interface, CK_FLAGS flags)
{
    if (interface == NULL) {
        return CKR_ARGUMENTS_BAD;
    }
    for (size_t i = 0; i < INTERFACE_COUNT; i++) {
        if (interface_is(&interfaces[i], name, version, flags)) {
            *interface = &interfaces[i];
            return CKR_OK;
        }
    }
    return CKR_FUNCTION_FAILED;
}
