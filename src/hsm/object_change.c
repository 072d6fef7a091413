/* C_SetAttributeValue and C_CopyObject: a changed copy. */
#include "hsm/object_private.h"

/* May the value go from what it is to @value? */
static bool may_become(const struct draft *draft, const struct attribute_rule *rule,
                       struct bytes value, bool copy)
{
    switch (rule->changed) {
    case CHANGED_NEVER:
        return false;
    case CHANGED_IN_COPY:
        return copy;
    case CHANGED_FREELY:
        return true;
    case CHANGED_TO_TRUE:
        return value.base[0] == 1 || !draft_flag(draft, rule->type);
    case CHANGED_TO_FALSE:
        return value.base[0] == 0 || draft_flag(draft, rule->type);
    }
    return false;
}

static QH_RESULT change_one(struct draft *draft, const struct attribute *change, bool copy)
{
    const struct attribute_rule *rule =
        object_rule(draft->object_class, draft->key_type, change->type);

    if (rule == NULL) {
        return QH_EATTRIBUTE;
    }
    if (!object_value_fits(rule, change->value)) {
        return QH_EATTRVALUE;
    }
    if (!may_become(draft, rule, change->value, copy)) {
        return QH_EREADONLY;
    }
    /* What was private would be shown to whoever is not logged in. */
    if (change->type == CKA_PRIVATE && draft_flag(draft, CKA_PRIVATE) &&
        change->value.base[0] == 0) {
        return QH_ETEMPLATE;
    }
    draft_put(draft, change->type, change->value);
    return QH_OK;
}

static QH_RESULT change_all(const struct object *object, struct attributes changes, bool copy,
                            struct object **ret_object)
{
    struct draft draft;
    enum qh_err err = template_check(changes);

    if (err != QH_OK) {
        return err;
    }
    err = draft_init_from(&draft, object);
    for (unsigned i = 0; err == QH_OK && i < changes.count; i++) {
        err = change_one(&draft, &changes.list[i], copy);
    }
    if (err == QH_OK) {
        if (copy) {
            draft_put_unique_id(&draft);
        }
        err = draft_finish(&draft, ret_object);
    }
    draft_close(&draft);
    return err;
}

QH_RESULT object_change(const struct object *object, struct attributes changes,
                        struct object **ret_object)
{
    if (!object_flag(object, CKA_MODIFIABLE)) {
        return QH_EREADONLY;
    }
    return change_all(object, changes, false, ret_object);
}

QH_RESULT object_copy(const struct object *object, struct attributes changes,
                      struct object **ret_object)
{
    if (!object_flag(object, CKA_COPYABLE)) {
        return QH_EREADONLY;
    }
    return change_all(object, changes, true, ret_object);
}
