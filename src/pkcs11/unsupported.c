/* The chapters of PKCS#11 that the module does not offer: none of their mechanisms is in its list,
 * and their functions say so. */
#include "pkcs11/module.h"

/* What is asked for does not matter. */
#pragma GCC diagnostic ignored "-Wunused-parameter"

/* ---- a partition is made and emptied by the administrator alone ---- */

MODULE_API CK_RV C_InitToken(CK_SLOT_ID slot_id, CK_UTF8CHAR_PTR pin, CK_ULONG pin_len,
                             CK_UTF8CHAR_PTR label)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

/* ---- signatures with recovery ---- */

MODULE_API CK_RV C_SignRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                                   CK_OBJECT_HANDLE key)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_SignRecover(CK_SESSION_HANDLE session, CK_BYTE_PTR data, CK_ULONG data_len,
                               CK_BYTE_PTR signature, CK_ULONG_PTR ret_signature_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_VerifyRecoverInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                                     CK_OBJECT_HANDLE key)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_VerifyRecover(CK_SESSION_HANDLE session, CK_BYTE_PTR signature,
                                 CK_ULONG signature_len, CK_BYTE_PTR data,
                                 CK_ULONG_PTR ret_data_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

/* ---- two operations in one ---- */

MODULE_API CK_RV C_DigestEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR part,
                                       CK_ULONG part_len, CK_BYTE_PTR encrypted_part,
                                       CK_ULONG_PTR ret_encrypted_part_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_DecryptDigestUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR encrypted_part,
                                       CK_ULONG encrypted_part_len, CK_BYTE_PTR part,
                                       CK_ULONG_PTR ret_part_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_SignEncryptUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR part, CK_ULONG part_len,
                                     CK_BYTE_PTR encrypted_part,
                                     CK_ULONG_PTR ret_encrypted_part_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_DecryptVerifyUpdate(CK_SESSION_HANDLE session, CK_BYTE_PTR encrypted_part,
                                       CK_ULONG encrypted_part_len, CK_BYTE_PTR part,
                                       CK_ULONG_PTR ret_part_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

/* ---- wrapping and derivation ---- */

MODULE_API CK_RV C_WrapKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                           CK_OBJECT_HANDLE wrapping_key, CK_OBJECT_HANDLE key,
                           CK_BYTE_PTR wrapped_key, CK_ULONG_PTR ret_wrapped_key_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_UnwrapKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                             CK_OBJECT_HANDLE unwrapping_key, CK_BYTE_PTR wrapped_key,
                             CK_ULONG wrapped_key_len, CK_ATTRIBUTE_PTR template,
                             CK_ULONG attribute_count, CK_OBJECT_HANDLE_PTR ret_key)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_DeriveKey(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                             CK_OBJECT_HANDLE base_key, CK_ATTRIBUTE_PTR template,
                             CK_ULONG attribute_count, CK_OBJECT_HANDLE_PTR ret_key)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

/* ---- messages ---- */

MODULE_API CK_RV C_MessageEncryptInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                                      CK_OBJECT_HANDLE key)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_EncryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                  CK_ULONG parameter_len, CK_BYTE_PTR associated_data,
                                  CK_ULONG associated_data_len, CK_BYTE_PTR plaintext,
                                  CK_ULONG plaintext_len, CK_BYTE_PTR ciphertext,
                                  CK_ULONG_PTR ret_ciphertext_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_EncryptMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                       CK_ULONG parameter_len, CK_BYTE_PTR associated_data,
                                       CK_ULONG associated_data_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_EncryptMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                      CK_ULONG parameter_len, CK_BYTE_PTR plaintext_part,
                                      CK_ULONG plaintext_part_len, CK_BYTE_PTR ciphertext_part,
                                      CK_ULONG_PTR ret_ciphertext_part_len, CK_FLAGS flags)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_MessageEncryptFinal(CK_SESSION_HANDLE session)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_MessageDecryptInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                                      CK_OBJECT_HANDLE key)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_DecryptMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                  CK_ULONG parameter_len, CK_BYTE_PTR associated_data,
                                  CK_ULONG associated_data_len, CK_BYTE_PTR ciphertext,
                                  CK_ULONG ciphertext_len, CK_BYTE_PTR plaintext,
                                  CK_ULONG_PTR ret_plaintext_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_DecryptMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                       CK_ULONG parameter_len, CK_BYTE_PTR associated_data,
                                       CK_ULONG associated_data_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_DecryptMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                      CK_ULONG parameter_len, CK_BYTE_PTR ciphertext_part,
                                      CK_ULONG ciphertext_part_len, CK_BYTE_PTR plaintext_part,
                                      CK_ULONG_PTR ret_plaintext_part_len, CK_FLAGS flags)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_MessageDecryptFinal(CK_SESSION_HANDLE session)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_MessageSignInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                                   CK_OBJECT_HANDLE key)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_SignMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                               CK_ULONG parameter_len, CK_BYTE_PTR data, CK_ULONG data_len,
                               CK_BYTE_PTR signature, CK_ULONG_PTR ret_signature_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_SignMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                    CK_ULONG parameter_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_SignMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                   CK_ULONG parameter_len, CK_BYTE_PTR data, CK_ULONG data_len,
                                   CK_BYTE_PTR signature, CK_ULONG_PTR ret_signature_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_MessageSignFinal(CK_SESSION_HANDLE session)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_MessageVerifyInit(CK_SESSION_HANDLE session, CK_MECHANISM_PTR mechanism,
                                     CK_OBJECT_HANDLE key)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_VerifyMessage(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                 CK_ULONG parameter_len, CK_BYTE_PTR data, CK_ULONG data_len,
                                 CK_BYTE_PTR signature, CK_ULONG signature_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_VerifyMessageBegin(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                      CK_ULONG parameter_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_VerifyMessageNext(CK_SESSION_HANDLE session, CK_VOID_PTR parameter,
                                     CK_ULONG parameter_len, CK_BYTE_PTR data, CK_ULONG data_len,
                                     CK_BYTE_PTR signature, CK_ULONG signature_len)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}

MODULE_API CK_RV C_MessageVerifyFinal(CK_SESSION_HANDLE session)
{
    return CKR_FUNCTION_NOT_SUPPORTED;
}
