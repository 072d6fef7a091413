/* The parameters of mechanisms, out of the application's memory, which may be misaligned: shapes
 * and ranges are checked, what they point to is not looked at yet (mechanism.c copies it). */
#ifndef QH_PKCS11_PARAMETER_H
#define QH_PKCS11_PARAMETER_H

#include "pkcs11/mechanism.h"

/* Errors: CKR_MECHANISM_PARAM_INVALID, CKR_KEY_HANDLE_INVALID (the salt). Owns: spans in
 * *ret_params are the application's. With HKDF and a salt that is a key, *ret_salt_key is its
 * handle. */
CKR_RESULT parameter_parse(const CK_MECHANISM *from, const struct mech_info *info,
                           struct quadhsm_mechanism *ret_params, CK_OBJECT_HANDLE *ret_salt_key);

/* Of a message, with sizes within bounds and with places for IV and tag. Errors: CKR_ARGUMENTS_BAD.
 * What C_MessageEncryptInit gets is of the same kind, or nothing, and says nothing yet. Errors:
 * CKR_MECHANISM_PARAM_INVALID. */
CKR_RESULT parameter_gcm_message(const void *parameter, CK_ULONG size,
                                 CK_GCM_MESSAGE_PARAMS *ret_params);
CKR_RESULT parameter_parse_message(const CK_MECHANISM *from);

bool parameter_is_pss(CK_MECHANISM_TYPE type);

#endif
