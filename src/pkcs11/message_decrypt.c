/* C_MessageDecryptInit, C_DecryptMessage, C_DecryptMessageBegin, C_DecryptMessageNext,
 * C_MessageDecryptFinal. */
#include "pkcs11/message_cipher.h"

MODULE_API CK_RV C_MessageDecryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                                      CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_MESSAGE_DECRYPT, mechanism, key);
}

MODULE_API CK_RV C_DecryptMessage(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                  CK_ULONG parameter_size, CK_BYTE_PTR aad, CK_ULONG aad_size,
                                  CK_BYTE_PTR ciphertext, CK_ULONG ciphertext_size,
                                  CK_BYTE_PTR plaintext, CK_ULONG_PTR plaintext_size)
{
    return message_all(&(struct message_call){.session = handle,
                                              .kind = OPERATION_MESSAGE_DECRYPT,
                                              .parameter = parameter,
                                              .parameter_size = parameter_size,
                                              .aad = {aad, aad_size},
                                              .data = {ciphertext, ciphertext_size},
                                              .out = plaintext,
                                              .out_size = plaintext_size});
}

MODULE_API CK_RV C_DecryptMessageBegin(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                       CK_ULONG parameter_size, CK_BYTE_PTR aad, CK_ULONG aad_size)
{
    return message_begin(&(struct message_call){.session = handle,
                                                .kind = OPERATION_MESSAGE_DECRYPT,
                                                .parameter = parameter,
                                                .parameter_size = parameter_size,
                                                .aad = {aad, aad_size}});
}

MODULE_API CK_RV C_DecryptMessageNext(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                      CK_ULONG parameter_size, CK_BYTE_PTR ciphertext,
                                      CK_ULONG ciphertext_size, CK_BYTE_PTR plaintext,
                                      CK_ULONG_PTR plaintext_size, CK_FLAGS flags)
{
    const struct message_call call = {.session = handle,
                                      .kind = OPERATION_MESSAGE_DECRYPT,
                                      .parameter = parameter,
                                      .parameter_size = parameter_size,
                                      .data = {ciphertext, ciphertext_size},
                                      .out = plaintext,
                                      .out_size = plaintext_size};

    return message_next(&call, flags);
}

MODULE_API CK_RV C_MessageDecryptFinal(CK_SESSION_HANDLE handle)
{
    return operation_end(handle, OPERATION_MESSAGE_DECRYPT);
}
