/* Profile objects (PKCS#11 v3.0, 4.13): what the module fulfils of the standard's profiles. The
 * same on every token, known without asking, and not to be changed. Their handles are of a range of
 * their own.
 *
 * CKP_AUTHENTICATION_TOKEN is not among them: it promises keys and certificates, which a partition
 * may or may not hold. */
#ifndef QH_PKCS11_PROFILE_H
#define QH_PKCS11_PROFILE_H

#include "pkcs11/objects.h"
#include "pkcs11/template.h"

#define PROFILE_COUNT 2u

/* @index below PROFILE_COUNT. */
CK_OBJECT_HANDLE profile_handle(unsigned index);
const struct quadhsm_object *profile_object(unsigned index);
/* NULL if @handle is no profile's. Owns: objects_value_unref(). */
struct objects_value *profile_value(CK_OBJECT_HANDLE handle);
/* Does a search want profiles alone? No node needs to be asked then. */
bool profile_is_asked_for(const struct template *template);

#endif
