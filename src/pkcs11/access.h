/* From object handles to what is known of the objects, and what a failed call tells of them. */
#ifndef QH_PKCS11_ACCESS_H
#define QH_PKCS11_ACCESS_H

#include "pkcs11/module.h"

/* How long attributes that were read are told again without asking. */
#define ACCESS_FRESH_MS 3000u

/* What is known of an object; @fresh: not older than ACCESS_FRESH_MS, else however old.
 * Errors: CKR_OBJECT_HANDLE_INVALID or CKR_KEY_HANDLE_INVALID as @about says,
 * CKR_USER_NOT_LOGGED_IN, and those of a call. Owns: objects_value_unref(). */
CKR_RESULT access_object(struct session *session, CK_OBJECT_HANDLE handle, enum ckr_about about,
                         bool fresh, struct objects_value **ret_value);

/* Translate the result of a call that was made under @login (login_current()) and used @handle, if
 * it used one: an object that is gone loses its handle, a login that has ended is ended here too,
 * and what is known of an object that could not be used is read again next time. */
CK_RV access_failed(struct session *session, uint64_t login, CK_OBJECT_HANDLE handle, int error,
                    enum ckr_about about);

/* Own @object, which a call gave out; a handle for it. */
CKR_RESULT access_add(struct session *session, struct quadhsm_object *object,
                      CK_OBJECT_HANDLE *ret_handle);

#endif
