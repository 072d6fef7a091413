/* Templates that keys have: what CKA_WRAP_TEMPLATE, CKA_UNWRAP_TEMPLATE and CKA_DERIVE_TEMPLATE
 * hold, and what they do to the keys that come under the key. Templates that clients send along are
 * in object_template.c. */
#include "hsm/object_private.h"

#include <string.h>

#define HIDDEN_CLASSES (CLASS_PRIVATE | CLASS_SECRET)

/* Those that can be wrapped, unwrapped or derived: private and secret keys. Attributes of one type
 * are of one kind in all of them. */
static const struct attribute_rule *hidden_rule(CK_ATTRIBUTE_TYPE type)
{
    unsigned count;
    const struct attribute_rule *rules = object_table(&count);

    for (unsigned i = 0; i < count; i++) {
        if (rules[i].type == type && (rules[i].classes & HIDDEN_CLASSES) != 0) {
            return &rules[i];
        }
    }
    return NULL;
}

static QH_RESULT read_nested(struct bytes value, struct attribute list[NESTED_ATTRIBUTES_MAX],
                             struct attributes *ret_nested)
{
    struct bytes_reader reader;
    unsigned count = 0;

    if (value.size > NESTED_SIZE_MAX) {
        return QH_ELIMIT;
    }
    bytes_reader_init(&reader, value.base, value.size);
    while (reader.left > 0) {
        if (count == NESTED_ATTRIBUTES_MAX) {
            return QH_ELIMIT;
        }
        list[count].type = bytes_read_u64(&reader);
        list[count].value = bytes_read_span(&reader, bytes_read_u32(&reader));
        if (reader.failed || (count > 0 && list[count].type <= list[count - 1].type)) {
            return QH_EMALFORMED;
        }
        count++;
    }
    *ret_nested = (struct attributes){list, count};
    return QH_OK;
}

bool nested_fits(struct bytes value)
{
    struct attribute list[NESTED_ATTRIBUTES_MAX];
    struct attributes nested;

    return read_nested(value, list, &nested) == QH_OK;
}

/* Is it of a kind that a key which is made can be told? */
static bool can_be_given(const struct attribute_rule *rule)
{
    return rule->generated != GIVEN_NEVER || rule->type == CKA_PUBLIC_KEY_INFO;
}

static QH_RESULT check_one(CK_ATTRIBUTE_TYPE owner, const struct attribute *attribute)
{
    const struct attribute_rule *rule = hidden_rule(attribute->type);

    if (rule == NULL) {
        return object_no_rule(attribute->type);
    }
    /* Key material is not for comparing, and templates are not within each other. */
    if (rule->sensitive || rule->kind == ATTRIBUTE_NESTED) {
        return QH_ETEMPLATE;
    }
    if (owner != CKA_WRAP_TEMPLATE && !can_be_given(rule)) {
        return QH_ETEMPLATE;
    }
    return object_value_may_be_given(rule, attribute->value) ? QH_OK : QH_EATTRVALUE;
}

QH_RESULT nested_check(CK_ATTRIBUTE_TYPE owner, struct bytes value)
{
    struct attribute list[NESTED_ATTRIBUTES_MAX];
    struct attributes nested = {NULL, 0};
    enum qh_err err = read_nested(value, list, &nested);

    if (err != QH_OK) {
        return err == QH_ELIMIT ? QH_ETEMPLATE : QH_EATTRVALUE;
    }
    for (unsigned i = 0; err == QH_OK && i < nested.count; i++) {
        err = check_one(owner, &nested.list[i]);
    }
    return err;
}

QH_RESULT nested_match(const struct object *wrapping, const struct object *key)
{
    const struct attribute *own = object_attribute(wrapping, CKA_WRAP_TEMPLATE);
    struct attribute list[NESTED_ATTRIBUTES_MAX];
    struct attributes nested;
    enum qh_err err = own != NULL ? read_nested(own->value, list, &nested) : QH_OK;

    if (err != QH_OK || own == NULL) {
        return err;
    }
    return object_matches(key, nested) ? QH_OK : QH_EWRAPTEMPLATE;
}

/* Add what the client's template does not say; it may not say otherwise. */
static QH_RESULT add_nested(struct object_merged *merged, unsigned *count,
                            const struct attribute *attribute)
{
    const struct attribute *given =
        template_find((struct attributes){merged->list, *count}, attribute->type);

    if (given != NULL) {
        return bytes_compare(given->value, attribute->value) == 0 ? QH_OK : QH_ETEMPLATE;
    }
    if (attribute->type == CKA_TOKEN && attribute->value.size > 0 &&
        attribute->value.base[0] != 0) {
        return QH_ETEMPLATE;
    }
    if (*count == ATTRIBUTES_MAX) {
        return QH_ETEMPLATE;
    }
    merged->list[(*count)++] = *attribute;
    return QH_OK;
}

QH_RESULT object_merge(const struct object *key, CK_ATTRIBUTE_TYPE type, struct attributes template,
                       struct object_merged *ret_merged)
{
    const struct attribute *own = object_attribute(key, type);
    struct attribute list[NESTED_ATTRIBUTES_MAX];
    struct attributes nested = {NULL, 0};
    unsigned count = template.count;
    enum qh_err err = QH_OK;

    if (count > ATTRIBUTES_MAX) {
        return QH_ELIMIT;
    }
    if (count > 0) {
        memcpy(ret_merged->list, template.list, count * sizeof template.list[0]);
    }
    if (own != NULL && own->value.size > 0) {
        if (own->value.size > sizeof ret_merged->value) {
            return QH_EMALFORMED;
        }
        memcpy(ret_merged->value, own->value.base, own->value.size);
        err = read_nested((struct bytes){ret_merged->value, own->value.size}, list, &nested);
    }
    for (unsigned i = 0; err == QH_OK && i < nested.count; i++) {
        err = add_nested(ret_merged, &count, &nested.list[i]);
    }
    if (err == QH_OK) {
        ret_merged->all = (struct attributes){ret_merged->list, count};
    }
    return err;
}
