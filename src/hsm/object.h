/* Objects of a partition: attributes by the rules of PKCS#11 v3.0 section 4, and key material.
 * Pure: no I/O, no clock; random ids from libsodium's source. Thread: any.
 *
 * The plaintext of an object's value, little-endian:
 *
 *   u8 version (1), u8 zero, u16 attribute count, u32 material size
 *   attributes, sorted by type: u64 type, u32 size, value
 *   material (crypto/key.h)
 *
 * CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE and CKA_DERIVE_TEMPLATE have attributes of that form as
 * their value, none of which is a template.
 *
 * The whole is sealed (crypto/seal.h) by the partition's key for the place o/<partition>/<object>;
 * a session object for the place "s/<partition>". Values of CK_ULONG are 8 bytes, of CK_BBOOL 1. */
#ifndef QH_HSM_OBJECT_H
#define QH_HSM_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/cryptoki.h"
#include "base/err.h"
#include "base/limits.h"
#include "base/secret.h"
#include "crypto/mech.h"

struct attribute {
    CK_ATTRIBUTE_TYPE type;
    struct bytes value;
};

/* A template as it came from the client. Borrowed. */
struct attributes {
    const struct attribute *list;
    unsigned count;
};

/* An object, opened or made. Immutable once made. */
struct object {
    CK_OBJECT_CLASS object_class;
    CK_KEY_TYPE key_type; /* CK_UNAVAILABLE_INFORMATION if it is no key */
    bool token, is_private;
    unsigned attribute_count;
    struct attribute *attributes; /* sorted by type; point into @block */
    uint8_t *block;
    size_t block_size;
    struct secret *material; /* NULL: none, or left out */
};
void object_free(struct object *object); /* NULL is allowed */

/* NULL if it has none. */
const struct attribute *object_attribute(const struct object *object, CK_ATTRIBUTE_TYPE type);
bool object_flag(const struct object *object, CK_ATTRIBUTE_TYPE type);
CK_ULONG object_ulong(const struct object *object, CK_ATTRIBUTE_TYPE type, CK_ULONG otherwise);
bool object_matches(const struct object *object, struct attributes template);
/* CKA_UNIQUE_ID is 16 random bytes in lower-case hexadecimal digits. A token object is stored under
 * them, so that it can be found by either. False: @value is not of that form. */
bool object_unique_id(struct bytes value, uint8_t ret_id[OBJECT_ID_SIZE]);

/* What may leave a partition of the keys that are CKA_EXTRACTABLE; numbers as in records.proto.
 *
 * Values in clear are those of keys that are extractable and not sensitive. But where they are to
 * leave wrapped alone, or never, only secret keys that were session objects from the beginning
 * have any: what was agreed upon with somebody else, or brought along, which the application's own
 * libraries go on with. A copy of a token object remembers what it was. */
enum object_export { OBJECT_EXPORT_WRAPPED, OBJECT_EXPORT_NEVER, OBJECT_EXPORT_CLEAR };

/* Is its key material among what a client may read? */
bool object_shows(const struct object *object, enum object_export export);
/* What a client may read: everything but the sensitive. @visit gets each; for keys that show it
 * also CKA_VALUE, CKA_PRIVATE_EXPONENT and so on (needs material). Errors: QH_ENOMEM, QH_ESYSTEM,
 * and what @visit returns. */
typedef enum qh_err (*object_visit)(void *data, CK_ATTRIBUTE_TYPE type, struct bytes value);
QH_RESULT object_read(const struct object *object, enum object_export export, object_visit visit,
                      void *data);

/* C_CreateObject. Fills defaults, checks values, consistency and completeness; imports key
 * material. Errors: QH_ETEMPLATE, QH_EINCOMPLETE, QH_EATTRIBUTE, QH_EATTRVALUE, QH_EREADONLY,
 * QH_EKEYSIZE, QH_ECURVE, QH_ELIMIT, QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT object_create(struct attributes template, struct object **ret_object);
/* The same for PKCS#11's SO if @officer, who alone may set CKA_TRUSTED, on what is not private. */
QH_RESULT object_create_as(struct attributes template, bool officer, struct object **ret_object);

/* C_GenerateKey, C_GenerateKeyPair (then @ret_private). Slow: it makes the key.
 * Errors: as object_create(), and QH_EMECHANISM, QH_EPARAMETER. */
QH_RESULT object_generate(const struct mech_params *mechanism, struct attributes template,
                          struct attributes private_template, struct object **ret_object,
                          struct object **ret_private);

/* C_SetAttributeValue, C_CopyObject: a changed copy. Errors: QH_EREADONLY, QH_ETEMPLATE,
 * QH_EATTRIBUTE, QH_EATTRVALUE, QH_ELIMIT, QH_ENOMEM. */
QH_RESULT object_change(const struct object *object, struct attributes changes,
                        struct object **ret_object);
QH_RESULT object_change_as(const struct object *object, struct attributes changes, bool officer,
                           struct object **ret_object);
QH_RESULT object_copy(const struct object *object, struct attributes changes,
                      struct object **ret_object);

enum object_use {
    OBJECT_SIGN,
    OBJECT_VERIFY,
    OBJECT_ENCRYPT,
    OBJECT_DECRYPT,
    OBJECT_WRAP,
    OBJECT_UNWRAP,
    OBJECT_DERIVE
};
/* May this key do this with this mechanism? CKA_SIGN and the like, ALLOWED_MECHANISMS, types, the
 * mechanism's table, START_DATE/END_DATE are not enforced (as the standard says).
 * Errors: QH_EKEYUSE, QH_EKEYTYPE, QH_EMECHANISM. */
QH_RESULT object_may(const struct object *object, enum object_use use,
                     const struct mech_params *mechanism);
bool object_allows(const struct object *object, CK_MECHANISM_TYPE type); /* ALLOWED_MECHANISMS */

/* C_WrapKey: may @wrapping take @key out by this mechanism (CKA_EXTRACTABLE, CKA_WRAP_WITH_TRUSTED,
 * CKA_TRUSTED, key classes, CKA_WRAP_TEMPLATE)? Whether @wrapping may wrap at all is
 * object_may()'s. Errors: QH_EUNEXTRACTABLE, QH_ENOTWRAPPABLE, QH_EWRAPTEMPLATE. */
QH_RESULT object_may_wrap(const struct object *wrapping, const struct object *key,
                          const struct mech_params *mechanism);
/* A client's template for a key that comes under @key, with what the CKA_UNWRAP_TEMPLATE or
 * CKA_DERIVE_TEMPLATE of that (@type) adds to it. It is of this memory and @template's, and not
 * moved. Errors: QH_ETEMPLATE: the two contradict each other, or are too many; or the key is to be
 * a token object and @template does not say so, by which requests that change the store are known.
 */
struct object_merged {
    struct attributes all;
    struct attribute list[ATTRIBUTES_MAX];
    uint8_t value[NESTED_SIZE_MAX];
};
QH_RESULT object_merge(const struct object *key, CK_ATTRIBUTE_TYPE type, struct attributes template,
                       struct object_merged *ret_merged);
/* C_UnwrapKey: @material as it came out of the wrapping; CKA_CLASS and CKA_KEY_TYPE are the
 * template's. Errors: as object_create(), QH_EWRAPPED or QH_EWRAPPEDSIZE if the bytes are no such
 * key, QH_ETEMPLATE also if CKA_VALUE_LEN says otherwise. */
QH_RESULT object_unwrap(struct bytes material, struct attributes template,
                        struct object **ret_object);
/* What can be said of the template before there is any material: what is refused of it here is not
 * to depend on that. Errors: as object_unwrap(). */
QH_RESULT object_unwrap_check(const struct mech_params *mechanism, struct attributes template);
/* C_DeriveKey: how many bytes the template asks for (CKA_VALUE_LEN, or what the key type says; 0:
 * all there are), then the key. CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE follow the base key.
 * Errors: as object_generate(). */
struct object_history {
    bool always_sensitive, never_extractable;
};
struct object_history object_history(const struct object *base);
QH_RESULT object_derive_size(struct attributes template, size_t *ret_size);
QH_RESULT object_derive(struct object_history base, struct bytes value, struct attributes template,
                        struct object **ret_object);

/* Encoding, into secret memory. Errors: QH_ELIMIT (above STORE_VALUE_SIZE_MAX sealed), QH_ENOMEM,
 * ... */
QH_RESULT object_encode(const struct object *object, struct secret **ret_plain);
/* @with_material false leaves object->material NULL. Errors: QH_EMALFORMED, QH_EVERSION, QH_ENOMEM.
 */
QH_RESULT object_decode(struct bytes plain, bool with_material, struct object **ret_object);

/* Sealed and encoded. @partition_key: of struct directory_partition. For a session object @id is
 * NULL, and @counter the partition's generation. Errors: those of the two steps.
 * Owns: free(ret_value->base). */
QH_RESULT object_seal(const struct secret *partition_key, const uint8_t cluster[16],
                      const uint8_t partition[PARTITION_ID_SIZE], const uint8_t *id,
                      uint64_t counter, const struct object *object, struct bytes *ret_value);
QH_RESULT object_open(const struct secret *partition_key, const uint8_t cluster[16],
                      const uint8_t partition[PARTITION_ID_SIZE], const uint8_t *id,
                      struct bytes value, bool with_material, struct object **ret_object);
/* Is a session object of this generation, by what it says of itself? That is checked when it is
 * opened. Errors: QH_ENOTFOUND. */
QH_RESULT object_check_generation(struct bytes sealed, uint64_t generation);
/* The same through @room, secret memory of STORE_VALUE_SIZE_MAX bytes, used again and again by who
 * opens many. The caller wipes it when done. */
QH_RESULT object_open_in(const struct secret *partition_key, const uint8_t cluster[16],
                         const uint8_t partition[PARTITION_ID_SIZE], const uint8_t *id,
                         struct bytes value, bool with_material, struct secret *room,
                         struct object **ret_object);

#endif
