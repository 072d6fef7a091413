/* CK_ATTRIBUTE to struct quadhsm_attribute and back: numbers are CK_ULONG there and 8 bytes here,
 * and the templates of keys (CKA_WRAP_TEMPLATE) arrays there and encoded here
 * (proto/quadhsm.proto). Pointers of an application may be misaligned. */
#ifndef QH_PKCS11_TEMPLATE_H
#define QH_PKCS11_TEMPLATE_H

#include <string.h>

#include "base/cryptoki.h"
#include "client/quadhsm.h"
#include "pkcs11/ckr.h"

/* In C_GetAttributeValue: some applications ask for all types that they know of, at once. */
#define TEMPLATE_READ_MAX 1024u /* attributes */

/* An application's template. Values other than numbers are the application's own memory. */
struct template
{
    struct quadhsm_attribute *attributes;
    size_t count;
    uint8_t *numbers; /* what values that were translated point into */
};

/* Errors: CKR_ARGUMENTS_BAD, CKR_TEMPLATE_INCONSISTENT (too many; of a key's template also too
 * long, an attribute named twice, or another template in it), CKR_ATTRIBUTE_VALUE_INVALID,
 *         CKR_ATTRIBUTE_TYPE_INVALID (other arrays), CKR_HOST_MEMORY.
 * Owns:   template_close(); valid as long as @list's values. */
CKR_RESULT template_open(const CK_ATTRIBUTE *list, CK_ULONG count, struct template *ret_template);
void template_close(struct template *template);

/* NULL if it has none. */
const struct quadhsm_attribute *template_get(const struct template *template, uint64_t type);
/* A CK_BBOOL, or @otherwise if it is not there. */
bool template_flag(const struct template *template, uint64_t type, bool otherwise);
/* What comes under @key is to be a token object, as its CKA_UNWRAP_TEMPLATE or CKA_DERIVE_TEMPLATE
 * (@type) says, if the application does not say what it is to be: nodes want to be told. */
void template_take_token(struct template *template, const struct quadhsm_object *key,
                         CK_ATTRIBUTE_TYPE type);
/* Has @object all of it? */
bool template_matches(const struct template *template, const struct quadhsm_object *object);

/* C_GetAttributeValue: sizes, values, and CK_UNAVAILABLE_INFORMATION for what cannot be given.
 * Errors: CKR_ARGUMENTS_BAD (none, or more than TEMPLATE_READ_MAX), CKR_ATTRIBUTE_SENSITIVE,
 *         CKR_ATTRIBUTE_TYPE_INVALID, CKR_BUFFER_TOO_SMALL; all attributes that can be given are
 *         given nevertheless. */
CKR_RESULT template_read(const struct quadhsm_object *object, CK_ATTRIBUTE *list, CK_ULONG count);

/* What C_GetObjectSize says. */
CK_ULONG template_object_size(const struct quadhsm_object *object);

/* An application's CK_ULONG, wherever it lies. */
static inline CK_ULONG template_get_ulong(const CK_ULONG *from)
{
    CK_ULONG value;

    memcpy(&value, (const void *)from, sizeof value);
    return value;
}

static inline void template_set_ulong(CK_ULONG *to, CK_ULONG value)
{
    memcpy((void *)to, &value, sizeof value);
}

#endif
