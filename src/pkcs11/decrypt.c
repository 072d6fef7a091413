/* C_DecryptInit, C_Decrypt, C_DecryptUpdate, C_DecryptFinal. */
#include "pkcs11/cipher.h"

MODULE_API CK_RV C_DecryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                               CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_DECRYPT, mechanism, key);
}

MODULE_API CK_RV C_Decrypt(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                           CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    return cipher_all(handle, OPERATION_DECRYPT, data, size, out, out_size);
}

MODULE_API CK_RV C_DecryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                                 CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    return cipher_part(handle, OPERATION_DECRYPT, data, size, out, out_size);
}

MODULE_API CK_RV C_DecryptFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    return cipher_end(handle, OPERATION_DECRYPT, out, out_size);
}
