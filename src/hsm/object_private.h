/* What the files of object.h share: the table of attributes, and drafts, which objects are made
 * from. */
#ifndef QH_HSM_OBJECT_PRIVATE_H
#define QH_HSM_OBJECT_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "hsm/object.h"

/* An attribute that no client can name or read: empty, in copies of token objects, and in theirs.
 */
#define OBJECT_WAS_TOKEN (CKA_VENDOR_DEFINED | 0x51480001UL)

/* ---- the table (object_table.c) ---- */

enum attribute_kind {
    ATTRIBUTE_BOOL,       /* 1 byte: 0 or 1 */
    ATTRIBUTE_ULONG,      /* 8 bytes */
    ATTRIBUTE_BYTES,      /* anything */
    ATTRIBUTE_DATE,       /* YYYYMMDD, or empty */
    ATTRIBUTE_MECHANISMS, /* 8 bytes each */
    ATTRIBUTE_NESTED      /* attributes, as in an encoded object */
};

/* Sets of classes and of key types. Objects that are no keys have no key type, KEYS_ANY has it. */
#define CLASS_DATA 0x01u
#define CLASS_CERTIFICATE 0x02u
#define CLASS_PUBLIC 0x04u
#define CLASS_PRIVATE 0x08u
#define CLASS_SECRET 0x10u
#define CLASS_ANY 0x1fu
#define KEYS_RSA 0x01u
#define KEYS_EC 0x02u
#define KEYS_EDWARDS 0x04u
#define KEYS_AES 0x08u
#define KEYS_GENERIC 0x10u /* generic secrets, and those for HKDF or one HMAC */
#define KEYS_NONE 0x20u
#define KEYS_MONTGOMERY 0x40u
#define KEYS_ANY 0x7fu

/* How an object is made. */
enum making { MAKING_CREATED, MAKING_GENERATED, MAKING_UNWRAPPED, MAKING_DERIVED };

/* May the template of C_CreateObject or C_GenerateKey(Pair) name it? */
enum attribute_given {
    GIVEN_NEVER, /* QH_EREADONLY */
    GIVEN_MAY,
    GIVEN_MUST, /* or QH_EINCOMPLETE */
    GIVEN_SAME  /* it is computed, and may be named with the value that comes out */
};

/* May C_SetAttributeValue and C_CopyObject change it? */
enum attribute_changed {
    CHANGED_NEVER,
    CHANGED_IN_COPY,
    CHANGED_FREELY,
    CHANGED_TO_TRUE, /* and never back */
    CHANGED_TO_FALSE,
    CHANGED_TO_EMPTY, /* which takes it away */
    CHANGED_TO_SAME   /* it may be named with the value that it has */
};

enum attribute_default {
    DEFAULT_NONE, /* it must be given, is computed, or may be absent */
    DEFAULT_FALSE,
    DEFAULT_TRUE,
    DEFAULT_ZERO,
    DEFAULT_EMPTY
};

struct attribute_rule {
    CK_ATTRIBUTE_TYPE type;
    enum attribute_kind kind;
    uint8_t classes, keys; /* sets */
    enum attribute_given created, generated;
    enum attribute_changed changed;
    enum attribute_default otherwise;
    bool sensitive; /* part of the key material: never kept as an attribute */
};

const struct attribute_rule *object_table(unsigned *ret_count);
/* NULL: objects of this class and key type have no such attribute. */
const struct attribute_rule *object_rule(CK_OBJECT_CLASS object_class, CK_KEY_TYPE key_type,
                                         CK_ATTRIBUTE_TYPE type);
/* What to say then (4.1.1): QH_ETEMPLATE if others have it, QH_EATTRIBUTE if nothing has. */
QH_RESULT object_no_rule(CK_ATTRIBUTE_TYPE type);
bool object_rule_concerns(const struct attribute_rule *rule, CK_OBJECT_CLASS object_class,
                          CK_KEY_TYPE key_type);
/* Is this an object that there can be? The key type of what is no key is
 * CK_UNAVAILABLE_INFORMATION. */
bool object_class_exists(CK_OBJECT_CLASS object_class);
bool object_class_is_key(CK_OBJECT_CLASS object_class);
bool object_key_type_fits(CK_OBJECT_CLASS object_class, CK_KEY_TYPE key_type);
bool object_value_fits(const struct attribute_rule *rule, struct bytes value);
/* More is asked of what comes in than of what is stored. */
bool object_value_may_be_given(const struct attribute_rule *rule, struct bytes value);

/* ---- templates and drafts (object_template.c) ---- */

/* Within the limits, and with one value for each attribute, which may be named twice (4.1.1)?
 * Errors: QH_ELIMIT, QH_ETEMPLATE. */
QH_RESULT template_check(struct attributes template);
/* NULL if it is not there. */
const struct attribute *template_find(struct attributes template, CK_ATTRIBUTE_TYPE type);
/* Errors: QH_EATTRVALUE, QH_EINCOMPLETE (it is not there). */
QH_RESULT template_ulong(struct attributes template, CK_ATTRIBUTE_TYPE type, CK_ULONG *ret_value);
struct bytes template_bytes(struct attributes template, CK_ATTRIBUTE_TYPE type);

/* Those of an object, maybe of a later version, and all that there are rules for. */
#define DRAFT_ATTRIBUTES_MAX (2u * ATTRIBUTES_MAX)

/* An object in the making. Values are borrowed, or numbers of its own. It is not moved. */
struct draft {
    CK_OBJECT_CLASS object_class;
    CK_KEY_TYPE key_type;
    unsigned count, number_count;
    struct attribute list[DRAFT_ATTRIBUTES_MAX]; /* sorted by type */
    uint8_t numbers[DRAFT_ATTRIBUTES_MAX][sizeof(uint64_t)];
    char unique_id[2 * OBJECT_ID_SIZE + 1];
    struct secret *material; /* the draft's */
};

/* Empty but for class and key type, and a unique id. */
void draft_init(struct draft *draft, CK_OBJECT_CLASS object_class, CK_KEY_TYPE key_type);
/* The attributes of @object and a copy of its material. Errors: QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT draft_init_from(struct draft *draft, const struct object *object);
void draft_close(struct draft *draft);

/* Put or replace. */
void draft_put(struct draft *draft, CK_ATTRIBUTE_TYPE type, struct bytes value);
void draft_put_ulong(struct draft *draft, CK_ATTRIBUTE_TYPE type, CK_ULONG value);
void draft_put_flag(struct draft *draft, CK_ATTRIBUTE_TYPE type, bool value);
void draft_put_unique_id(struct draft *draft);
void draft_remove(struct draft *draft, CK_ATTRIBUTE_TYPE type);
const struct attribute *draft_find(const struct draft *draft, CK_ATTRIBUTE_TYPE type);
bool draft_flag(const struct draft *draft, CK_ATTRIBUTE_TYPE type);

/* What came out for an attribute that is GIVEN_SAME. An empty one in the template is replaced.
 * Errors: @err if the template says otherwise. */
QH_RESULT draft_compute(struct draft *draft, CK_ATTRIBUTE_TYPE type, struct bytes value,
                        enum qh_err err);
QH_RESULT draft_compute_ulong(struct draft *draft, CK_ATTRIBUTE_TYPE type, CK_ULONG value,
                              enum qh_err err);
/* CKA_CHECK_VALUE: an empty one in the template leaves it out. Errors: QH_EATTRVALUE. */
QH_RESULT draft_check_value(struct draft *draft, struct bytes value);

/* Take what the template names, key material left out. The template was checked. @officer: it is
 * PKCS#11's SO who asks.
 * Errors: QH_EATTRIBUTE, QH_EATTRVALUE, QH_EREADONLY, QH_EINCOMPLETE, QH_ETEMPLATE (another class
 * or key type). */
QH_RESULT draft_take(struct draft *draft, struct attributes template, enum making making,
                     bool officer);

/* The value of a secret key: checked, with CKA_VALUE_LEN and CKA_CHECK_VALUE. Errors: QH_EKEYSIZE,
 * QH_ETEMPLATE, QH_EATTRVALUE, QH_ENOMEM, QH_ESYSTEM. */
QH_RESULT draft_put_secret(struct draft *draft, struct bytes value);
/* What is public of a key's half. @public backs values of the draft. Errors: QH_ETEMPLATE (the
 * template has another CKA_PUBLIC_KEY_INFO), for a private key QH_EATTRVALUE (4.9). */
QH_RESULT draft_put_public(struct draft *draft, const struct key_public *public);
/* What is said of the past of a key that was not generated here. */
void draft_put_foreign(struct draft *draft);
/* CKA_CLASS and CKA_KEY_TYPE of a template. Errors: QH_EINCOMPLETE, QH_EATTRVALUE. */
QH_RESULT template_class(struct attributes template, CK_OBJECT_CLASS *ret_class,
                         CK_KEY_TYPE *ret_key_type);

/* Fill in the defaults, look for contradictions and make the object; the material goes to it.
 * Errors: QH_ETEMPLATE, QH_ELIMIT (ATTRIBUTES_MAX), QH_ENOMEM. */
QH_RESULT draft_finish(struct draft *draft, struct object **ret_object);

/* ---- templates of keys (object_nested.c) ---- */

/* Attributes whose types rise, within NESTED_ATTRIBUTES_MAX and NESTED_SIZE_MAX? */
bool nested_fits(struct bytes value);
/* May a key be given @value as its @owner? Errors: QH_EATTRVALUE, QH_EATTRIBUTE, QH_ETEMPLATE (too
 * many, too long, a template, key material, what the keys to come cannot be told). */
QH_RESULT nested_check(CK_ATTRIBUTE_TYPE owner, struct bytes value);
/* Errors: QH_EWRAPTEMPLATE. */
QH_RESULT nested_match(const struct object *wrapping, const struct object *key);

/* ---- blocks (object_codec.c) ---- */

/* @block: attributes as in an encoded object, one after the other, @count of them. The object takes
 * @block over, on success alone. Errors: QH_EMALFORMED, QH_ENOMEM. */
QH_RESULT object_from_block(uint8_t *block, size_t block_size, unsigned count,
                            struct object **ret_object);
#define OBJECT_HEADER_SIZE 8u     /* of an encoded object */
#define OBJECT_ATTRIBUTE_SIZE 12u /* before each value */

#endif
