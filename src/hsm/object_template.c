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
            if (template.list[j].type == template.list[i].type) {
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

/* Values that the kind does not tell. */
static QH_RESULT check_named_value(const struct draft *draft, const struct attribute *attribute)
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
    case CKA_TRUSTED:
        /* Footnote 10: true by the SO alone, who has no way to do it here. */
        return attribute->value.base[0] == 0 ? QH_OK : QH_EREADONLY;
    default:
        return QH_OK;
    }
}

static QH_RESULT take(struct draft *draft, struct attributes template, bool generated)
{
    for (unsigned i = 0; i < template.count; i++) {
        const struct attribute *attribute = &template.list[i];
        const struct attribute_rule *rule =
            object_rule(draft->object_class, draft->key_type, attribute->type);
        enum qh_err err;

        if (rule == NULL) {
            return QH_EATTRIBUTE;
        }
        if ((generated ? rule->generated : rule->created) == GIVEN_NEVER) {
            return QH_EREADONLY;
        }
        if (!object_value_fits(rule, attribute->value)) {
            return QH_EATTRVALUE;
        }
        err = check_named_value(draft, attribute);
        if (err != QH_OK) {
            return err;
        }
        if (!rule->sensitive) {
            draft_put(draft, attribute->type, attribute->value);
        }
    }
    return QH_OK;
}

static QH_RESULT look_for_missing(const struct draft *draft, struct attributes template,
                                  bool generated)
{
    unsigned count;
    const struct attribute_rule *rules = object_table(&count);

    for (unsigned i = 0; i < count; i++) {
        if ((generated ? rules[i].generated : rules[i].created) == GIVEN_MUST &&
            object_rule_concerns(&rules[i], draft->object_class, draft->key_type) &&
            template_find(template, rules[i].type) == NULL) {
            return QH_EINCOMPLETE;
        }
    }
    return QH_OK;
}

QH_RESULT draft_take_created(struct draft *draft, struct attributes template)
{
    enum qh_err err = take(draft, template, false);

    return err == QH_OK ? look_for_missing(draft, template, false) : err;
}

QH_RESULT draft_take_generated(struct draft *draft, struct attributes template)
{
    enum qh_err err = take(draft, template, true);

    return err == QH_OK ? look_for_missing(draft, template, true) : err;
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
