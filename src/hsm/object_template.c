/* Templates as they came, and drafts, which become objects: what a template may name, what it must,
 * and what stands there if it does not. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "hsm/object_private.h"

QH_RESULT template_check(struct attributes template)
{
    if (template.count > ATTRIBUTES_MAX) {
        return QH_ELIMIT;
    }
    for (unsigned i = 0; i < template.count; i++) {
        if (template.list[i].value.size > ATTRIBUTE_SIZE_MAX) {
            return QH_ELIMIT;
        }
        for (unsigned j = 0; j < i; j++) {
            if (template.list[j].type == template.list[i].type &&
                bytes_compare(template.list[j].value, template.list[i].value) != 0) {
                return QH_ETEMPLATE;
            }
        }
    }
    return QH_OK;
}

const struct attribute *template_find(struct attributes template, CK_ATTRIBUTE_TYPE type)
{
    for (unsigned i = 0; i < template.count; i++) {
        if (template.list[i].type == type) {
            return &template.list[i];
        }
    }
    return NULL;
}

struct bytes template_bytes(struct attributes template, CK_ATTRIBUTE_TYPE type)
{
    const struct attribute *attribute = template_find(template, type);
    struct bytes none = {NULL, 0};

    return attribute != NULL ? attribute->value : none;
}

static CK_ULONG ulong_of(struct bytes value)
{
    struct bytes_reader reader;

    bytes_reader_init(&reader, value.base, value.size);
    return bytes_read_u64(&reader);
}

QH_RESULT template_ulong(struct attributes template, CK_ATTRIBUTE_TYPE type, CK_ULONG *ret_value)
{
    const struct attribute *attribute = template_find(template, type);

    if (attribute == NULL) {
        return QH_EINCOMPLETE;
    }
    if (attribute->value.size != sizeof(uint64_t)) {
        return QH_EATTRVALUE;
    }
    *ret_value = ulong_of(attribute->value);
    return QH_OK;
}

void draft_init(struct draft *draft, CK_OBJECT_CLASS object_class, CK_KEY_TYPE key_type)
{
    memset(draft, 0, sizeof *draft);
    draft->object_class = object_class;
    draft->key_type = key_type;
    draft_put_ulong(draft, CKA_CLASS, object_class);
    if (object_class_is_key(object_class)) {
        draft_put_ulong(draft, CKA_KEY_TYPE, key_type);
    }
    draft_put_unique_id(draft);
}

QH_RESULT draft_init_from(struct draft *draft, const struct object *object)
{
    enum qh_err err = QH_OK;

    memset(draft, 0, sizeof *draft);
    draft->object_class = object->object_class;
    draft->key_type = object->key_type;
    for (unsigned i = 0; i < object->attribute_count; i++) {
        draft_put(draft, object->attributes[i].type, object->attributes[i].value);
    }
    if (object->material != NULL) {
        err = secret_from(secret_view(object->material), secret_size(object->material),
                          &draft->material);
    }
    return err;
}

void draft_close(struct draft *draft)
{
    secret_free(draft->material);
    draft->material = NULL;
}

/* The place of @type, or where it would stand. */
static unsigned place_of(const struct draft *draft, CK_ATTRIBUTE_TYPE type)
{
    unsigned place = 0;

    while (place < draft->count && draft->list[place].type < type) {
        place++;
    }
    return place;
}

const struct attribute *draft_find(const struct draft *draft, CK_ATTRIBUTE_TYPE type)
{
    unsigned place = place_of(draft, type);

    return place < draft->count && draft->list[place].type == type ? &draft->list[place] : NULL;
}

void draft_put(struct draft *draft, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    unsigned place = place_of(draft, type);

    if (place == draft->count || draft->list[place].type != type) {
        /* Every type that is put has a rule, or comes from an object; neither are so many. */
        QH_ASSERT(draft->count < DRAFT_ATTRIBUTES_MAX);
        memmove(&draft->list[place + 1], &draft->list[place],
                (draft->count - place) * sizeof draft->list[0]);
        draft->count++;
    }
    draft->list[place] = (struct attribute){.type = type, .value = value};
}

void draft_remove(struct draft *draft, CK_ATTRIBUTE_TYPE type)
{
    unsigned place = place_of(draft, type);

    if (place < draft->count && draft->list[place].type == type) {
        draft->count--;
        memmove(&draft->list[place], &draft->list[place + 1],
                (draft->count - place) * sizeof draft->list[0]);
    }
}

static uint8_t *new_number(struct draft *draft)
{
    QH_ASSERT(draft->number_count < DRAFT_ATTRIBUTES_MAX);
    return draft->numbers[draft->number_count++];
}

void draft_put_ulong(struct draft *draft, CK_ATTRIBUTE_TYPE type, CK_ULONG value)
{
    uint8_t *number = new_number(draft);
    struct bytes_writer writer;

    bytes_writer_init(&writer, number, sizeof(uint64_t));
    bytes_write_u64(&writer, value);
    draft_put(draft, type, (struct bytes){number, sizeof(uint64_t)});
}

void draft_put_flag(struct draft *draft, CK_ATTRIBUTE_TYPE type, bool value)
{
    static const uint8_t flags[2] = {0, 1};

    draft_put(draft, type, (struct bytes){&flags[value], 1});
}

void draft_put_unique_id(struct draft *draft)
{
    uint8_t random[OBJECT_ID_SIZE];

    randombytes_buf(random, sizeof random);
    (void)sodium_bin2hex(draft->unique_id, sizeof draft->unique_id, random, sizeof random);
    draft_put(draft, CKA_UNIQUE_ID,
              (struct bytes){(const uint8_t *)draft->unique_id, sizeof draft->unique_id - 1});
}

bool draft_flag(const struct draft *draft, CK_ATTRIBUTE_TYPE type)
{
    const struct attribute *attribute = draft_find(draft, type);

    return attribute != NULL && attribute->value.size == 1 && attribute->value.base[0] == 1;
}

QH_RESULT draft_compute(struct draft *draft, CK_ATTRIBUTE_TYPE type, struct bytes value,
                        enum qh_err err)
{
    const struct attribute *given = draft_find(draft, type);

    if (given != NULL && given->value.size > 0 && bytes_compare(given->value, value) != 0) {
        return err;
    }
    draft_put(draft, type, value);
    return QH_OK;
}

QH_RESULT draft_compute_ulong(struct draft *draft, CK_ATTRIBUTE_TYPE type, CK_ULONG value,
                              enum qh_err err)
{
    const struct attribute *given = draft_find(draft, type);

    if (given != NULL && ulong_of(given->value) != value) {
        return err;
    }
    draft_put_ulong(draft, type, value);
    return QH_OK;
}

QH_RESULT draft_check_value(struct draft *draft, struct bytes value)
{
    const struct attribute *given = draft_find(draft, CKA_CHECK_VALUE);
    uint8_t *number;

    if (given != NULL && given->value.size == 0) {
        draft_remove(draft, CKA_CHECK_VALUE);
        return QH_OK;
    }
    number = new_number(draft);
    QH_ASSERT(value.size <= sizeof(uint64_t));
    memcpy(number, value.base, value.size);
    return draft_compute(draft, CKA_CHECK_VALUE, (struct bytes){number, value.size}, QH_EATTRVALUE);
}

/* Hashes of keys in certificates; nobody computes them here. */
static bool is_hash(CK_MECHANISM_TYPE type)
{
    static const CK_MECHANISM_TYPE hashes[] = {
        CKM_MD5,        CKM_SHA_1,      CKM_SHA224,   CKM_SHA256,   CKM_SHA384,   CKM_SHA512,
        CKM_SHA512_224, CKM_SHA512_256, CKM_SHA3_224, CKM_SHA3_256, CKM_SHA3_384, CKM_SHA3_512};

    for (unsigned i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
        if (hashes[i] == type) {
            return true;
        }
    }
    return false;
}

/* Values that the kind does not tell. */
static QH_RESULT check_named_value(const struct draft *draft, const struct attribute *attribute,
                                   bool officer)
{
    switch (attribute->type) {
    case CKA_CLASS:
        return ulong_of(attribute->value) == draft->object_class ? QH_OK : QH_ETEMPLATE;
    case CKA_KEY_TYPE:
        return ulong_of(attribute->value) == draft->key_type ? QH_OK : QH_ETEMPLATE;
    case CKA_CERTIFICATE_TYPE:
        return ulong_of(attribute->value) == CKC_X_509 ? QH_OK : QH_EATTRVALUE;
    case CKA_CERTIFICATE_CATEGORY:
        return ulong_of(attribute->value) <= CK_CERTIFICATE_CATEGORY_OTHER_ENTITY ? QH_OK
                                                                                  : QH_EATTRVALUE;
    case CKA_JAVA_MIDP_SECURITY_DOMAIN:
        return ulong_of(attribute->value) <= CK_SECURITY_DOMAIN_THIRD_PARTY ? QH_OK : QH_EATTRVALUE;
    case CKA_NAME_HASH_ALGORITHM:
        return is_hash(ulong_of(attribute->value)) ? QH_OK : QH_EATTRVALUE;
    case CKA_TRUSTED:
        /* Footnote 10: true by the SO alone. */
        return attribute->value.base[0] == 0 || officer ? QH_OK : QH_EREADONLY;
    default:
        return QH_OK;
    }
}

/* What comes out of a wrapping or a derivation is computed, so that it may be named with the value
 * that comes out; the rest is as with keys that are generated. */
static enum attribute_given given_of(const struct attribute_rule *rule, enum making making)
{
    if (making == MAKING_CREATED) {
        return rule->created;
    }
    if (making == MAKING_GENERATED) {
        return rule->generated;
    }
    if (rule->type == CKA_VALUE_LEN || rule->type == CKA_PUBLIC_KEY_INFO) {
        return GIVEN_SAME;
    }
    if (making == MAKING_UNWRAPPED && (rule->type == CKA_CLASS || rule->type == CKA_KEY_TYPE)) {
        return GIVEN_MUST;
    }
    return rule->generated;
}

static QH_RESULT take_one(struct draft *draft, const struct attribute *attribute,
                          enum making making, bool officer)
{
    const struct attribute_rule *rule =
        object_rule(draft->object_class, draft->key_type, attribute->type);
    enum qh_err err;

    if (rule == NULL) {
        return object_no_rule(attribute->type);
    }
    if (given_of(rule, making) == GIVEN_NEVER) {
        return QH_EREADONLY;
    }
    if (rule->kind == ATTRIBUTE_NESTED) {
        err = nested_check(attribute->type, attribute->value);
        if (err != QH_OK) {
            return err;
        }
    }
    if (!object_value_may_be_given(rule, attribute->value)) {
        return QH_EATTRVALUE;
    }
    err = check_named_value(draft, attribute, officer);
    if (err == QH_OK && !rule->sensitive) {
        draft_put(draft, attribute->type, attribute->value);
    }
    return err;
}

static QH_RESULT look_for_missing(const struct draft *draft, struct attributes template,
                                  enum making making)
{
    unsigned count;
    const struct attribute_rule *rules = object_table(&count);

    for (unsigned i = 0; i < count; i++) {
        if (given_of(&rules[i], making) == GIVEN_MUST &&
            object_rule_concerns(&rules[i], draft->object_class, draft->key_type) &&
            template_find(template, rules[i].type) == NULL) {
            return QH_EINCOMPLETE;
        }
    }
    return QH_OK;
}

/* Trust is shown to everybody, or it is nobody's business. */
static QH_RESULT check_trust(const struct draft *draft)
{
    const struct attribute *given = draft_find(draft, CKA_PRIVATE);
    bool hidden = draft->object_class == CKO_PRIVATE_KEY || draft->object_class == CKO_SECRET_KEY;
    bool is_private = given != NULL ? draft_flag(draft, CKA_PRIVATE) : hidden;

    return draft_flag(draft, CKA_TRUSTED) && is_private ? QH_EREADONLY : QH_OK;
}

QH_RESULT draft_take(struct draft *draft, struct attributes template, enum making making,
                     bool officer)
{
    enum qh_err err = QH_OK;

    for (unsigned i = 0; err == QH_OK && i < template.count; i++) {
        err = take_one(draft, &template.list[i], making, officer);
    }
    if (err == QH_OK) {
        err = check_trust(draft);
    }
    return err == QH_OK ? look_for_missing(draft, template, making) : err;
}

QH_RESULT template_class(struct attributes template, CK_OBJECT_CLASS *ret_class,
                         CK_KEY_TYPE *ret_key_type)
{
    enum qh_err err = template_ulong(template, CKA_CLASS, ret_class);

    *ret_key_type = CK_UNAVAILABLE_INFORMATION;
    if (err != QH_OK) {
        return err;
    }
    if (!object_class_exists(*ret_class)) {
        return QH_EATTRVALUE;
    }
    if (!object_class_is_key(*ret_class)) {
        return QH_OK;
    }
    err = template_ulong(template, CKA_KEY_TYPE, ret_key_type);
    if (err != QH_OK) {
        return err;
    }
    return object_key_type_fits(*ret_class, *ret_key_type) ? QH_OK : QH_EATTRVALUE;
}

QH_RESULT draft_put_secret(struct draft *draft, struct bytes value)
{
    uint8_t check_value[3];
    /* It looks at the size, too, and at whatever else the type asks for. */
    enum qh_err err = key_check_value(draft->key_type, value, check_value);

    if (err == QH_OK && draft->material == NULL) {
        err = secret_from(value.base, value.size, &draft->material);
    }
    if (err == QH_OK) {
        err = draft_compute_ulong(draft, CKA_VALUE_LEN, value.size, QH_ETEMPLATE);
    }
    if (err != QH_OK) {
        return err;
    }
    return draft_check_value(draft, (struct bytes){check_value, sizeof check_value});
}

QH_RESULT draft_put_public(struct draft *draft, const struct key_public *public)
{
    if (draft->key_type == CKK_RSA) {
        draft_put(draft, CKA_MODULUS, public->modulus);
        draft_put(draft, CKA_PUBLIC_EXPONENT, public->public_exponent);
    } else {
        draft_put(draft, CKA_EC_POINT, public->ec_point);
    }
    return draft_compute(draft, CKA_PUBLIC_KEY_INFO, public->spki,
                         draft->object_class == CKO_PRIVATE_KEY ? QH_EATTRVALUE : QH_ETEMPLATE);
}

void draft_put_foreign(struct draft *draft)
{
    draft_put_flag(draft, CKA_LOCAL, false);
    draft_put_ulong(draft, CKA_KEY_GEN_MECHANISM, CK_UNAVAILABLE_INFORMATION);
    if (draft->object_class != CKO_PUBLIC_KEY) {
        draft_put_flag(draft, CKA_ALWAYS_SENSITIVE, false);
        draft_put_flag(draft, CKA_NEVER_EXTRACTABLE, false);
    }
}

static void put_default(struct draft *draft, const struct attribute_rule *rule)
{
    switch (rule->otherwise) {
    case DEFAULT_NONE:
        break;
    case DEFAULT_FALSE:
        draft_put_flag(draft, rule->type, false);
        break;
    case DEFAULT_TRUE:
        draft_put_flag(draft, rule->type, true);
        break;
    case DEFAULT_ZERO:
        draft_put_ulong(draft, rule->type, 0);
        break;
    case DEFAULT_EMPTY:
        draft_put(draft, rule->type, (struct bytes){NULL, 0});
        break;
    }
}

static void put_defaults(struct draft *draft)
{
    unsigned count;
    const struct attribute_rule *rules = object_table(&count);

    for (unsigned i = 0; i < count; i++) {
        if (object_rule_concerns(&rules[i], draft->object_class, draft->key_type) &&
            draft_find(draft, rules[i].type) == NULL) {
            put_default(draft, &rules[i]);
        }
    }
}

QH_RESULT draft_finish(struct draft *draft, struct object **ret_object)
{
    struct bytes_writer writer;
    struct object *object;
    size_t size = 0;
    uint8_t *block;
    enum qh_err err;

    put_defaults(draft);
    /* The PIN that it asks for each time is asked of nobody who may not see the key. */
    if (draft_flag(draft, CKA_ALWAYS_AUTHENTICATE) && !draft_flag(draft, CKA_PRIVATE)) {
        return QH_ETEMPLATE;
    }
    if (draft->count > ATTRIBUTES_MAX) {
        return QH_ELIMIT;
    }
    for (unsigned i = 0; i < draft->count; i++) {
        size += OBJECT_ATTRIBUTE_SIZE + draft->list[i].value.size;
    }
    block = malloc(size);
    if (block == NULL) {
        return QH_ENOMEM;
    }
    bytes_writer_init(&writer, block, size);
    for (unsigned i = 0; i < draft->count; i++) {
        bytes_write_u64(&writer, draft->list[i].type);
        bytes_write_u32(&writer, (uint32_t)draft->list[i].value.size);
        bytes_write_span(&writer, draft->list[i].value.base, draft->list[i].value.size);
    }
    QH_ASSERT(!writer.failed);
    err = object_from_block(block, size, draft->count, &object);
    if (err != QH_OK) {
        free(block);
        return err;
    }
    object->material = draft->material;
    draft->material = NULL;
    *ret_object = object;
    return QH_OK;
}
