/* C_EncryptInit, C_Encrypt, C_EncryptUpdate, C_EncryptFinal. */
#include "pkcs11/cipher.h"

MODULE_API CK_RV C_EncryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                               CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_ENCRYPT, mechanism, key);
}

MODULE_API CK_RV C_Encrypt(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                           CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    return cipher_all(handle, OPERATION_ENCRYPT, data, size, out, out_size);
}

MODULE_API CK_RV C_EncryptUpdate(CK_SESSION_HANDLE handle, CK_BYTE_PTR data, CK_ULONG size,
                                 CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    return cipher_part(handle, OPERATION_ENCRYPT, data, size, out, out_size);
}

MODULE_API CK_RV C_EncryptFinal(CK_SESSION_HANDLE handle, CK_BYTE_PTR out, CK_ULONG_PTR out_size)
{
    return cipher_end(handle, OPERATION_ENCRYPT, out, out_size);
}
