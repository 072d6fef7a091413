/* C_MessageEncryptInit, C_EncryptMessage, C_EncryptMessageBegin, C_EncryptMessageNext,
 * C_MessageEncryptFinal. */
#include "pkcs11/message_cipher.h"

MODULE_API CK_RV C_MessageEncryptInit(CK_SESSION_HANDLE handle, CK_MECHANISM_PTR mechanism,
                                      CK_OBJECT_HANDLE key)
{
    return operation_begin(handle, OPERATION_MESSAGE_ENCRYPT, mechanism, key);
}

MODULE_API CK_RV C_EncryptMessage(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                  CK_ULONG parameter_size, CK_BYTE_PTR aad, CK_ULONG aad_size,
                                  CK_BYTE_PTR plaintext, CK_ULONG plaintext_size,
                                  CK_BYTE_PTR ciphertext, CK_ULONG_PTR ciphertext_size)
{
    return message_all(&(struct message_call){.session = handle,
                                              .kind = OPERATION_MESSAGE_ENCRYPT,
                                              .parameter = parameter,
                                              .parameter_size = parameter_size,
                                              .aad = {aad, aad_size},
                                              .data = {plaintext, plaintext_size},
                                              .out = ciphertext,
                                              .out_size = ciphertext_size});
}

MODULE_API CK_RV C_EncryptMessageBegin(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                       CK_ULONG parameter_size, CK_BYTE_PTR aad, CK_ULONG aad_size)
{
    return message_begin(&(struct message_call){.session = handle,
                                                .kind = OPERATION_MESSAGE_ENCRYPT,
                                                .parameter = parameter,
                                                .parameter_size = parameter_size,
                                                .aad = {aad, aad_size}});
}

MODULE_API CK_RV C_EncryptMessageNext(CK_SESSION_HANDLE handle, CK_VOID_PTR parameter,
                                      CK_ULONG parameter_size, CK_BYTE_PTR plaintext,
                                      CK_ULONG plaintext_size, CK_BYTE_PTR ciphertext,
                                      CK_ULONG_PTR ciphertext_size, CK_FLAGS flags)
{
    const struct message_call call = {.session = handle,
                                      .kind = OPERATION_MESSAGE_ENCRYPT,
                                      .parameter = parameter,
                                      .parameter_size = parameter_size,
                                      .data = {plaintext, plaintext_size},
                                      .out = ciphertext,
                                      .out_size = ciphertext_size};

    return message_next(&call, flags);
}

MODULE_API CK_RV C_MessageEncryptFinal(CK_SESSION_HANDLE handle)
{
    return operation_end(handle, OPERATION_MESSAGE_ENCRYPT);
}
