/* C_SetAttributeValue and C_CopyObject: a changed copy. */
#include "hsm/object_private.h"

static bool is_same(const struct draft *draft, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    const struct attribute *own = draft_find(draft, type);

    return own != NULL && bytes_compare(own->value, value) == 0;
}

/* Who gives trust, and to what (footnote 10). */
static bool may_trust(const struct draft *draft, bool officer)
{
    return officer && !draft_flag(draft, CKA_PRIVATE);
}

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
    case CHANGED_TO_EMPTY:
        return value.size == 0;
    case CHANGED_TO_SAME:
        return true; /* or the value is wrong */
    }
    return false;
}

/* A secret key is trusted to wrap, by an officer who has seen that it opens nothing. Who makes it
 * decrypt or unwrap, or takes the trust away to do that next, it or a copy of it, could open with
 * it what it has wrapped. */
static bool betrays_trust(const struct object *object, const struct attribute_rule *rule,
                          const struct attribute *change)
{
    if (!object_flag(object, CKA_TRUSTED)) {
        return false;
    }
    /* 4.6.2: trusted certificates cannot be modified. */
    if (object->object_class == CKO_CERTIFICATE) {
        return rule->changed != CHANGED_IN_COPY;
    }
    if (object->object_class != CKO_SECRET_KEY) {
        return false;
    }
    if (change->type == CKA_TRUSTED) {
        return change->value.base[0] == 0;
    }
    return (change->type == CKA_DECRYPT || change->type == CKA_UNWRAP) &&
           change->value.base[0] == 1 && !object_flag(object, change->type);
}

/* What is not modifiable is not modified by way of a copy: no copy can be modified, or be used for
 * what it could not (4.1.3 lets tokens say so). The rest describes, or restricts. */
static bool loosens(const struct object *object, const struct attribute_rule *rule,
                    const struct attribute *change)
{
    if (object_flag(object, CKA_MODIFIABLE) || rule->kind != ATTRIBUTE_BOOL ||
        object_flag(object, change->type) || change->value.base[0] == 0) {
        return false;
    }
    return rule->type == CKA_MODIFIABLE || rule->changed == CHANGED_FREELY;
}

/* @object: as it is before all changes. */
static QH_RESULT change_one(struct draft *draft, const struct object *object,
                            const struct attribute *change, bool copy, bool officer)
{
    const struct attribute_rule *rule =
        object_rule(draft->object_class, draft->key_type, change->type);

    if (rule == NULL) {
        return object_no_rule(change->type);
    }
    if (!object_value_may_be_given(rule, change->value) ||
        (rule->changed == CHANGED_TO_SAME && !is_same(draft, rule->type, change->value))) {
        return QH_EATTRVALUE;
    }
    if (!may_become(draft, rule, change->value, copy) &&
        !(rule->type == CKA_TRUSTED && may_trust(draft, officer))) {
        return QH_EREADONLY;
    }
    if (copy && loosens(object, rule, change)) {
        return QH_EREADONLY;
    }
    if (!officer && betrays_trust(object, rule, change)) {
        return QH_EREADONLY;
    }
    if (rule->changed == CHANGED_TO_EMPTY) {
        draft_remove(draft, change->type);
        return QH_OK;
    }
    /* What was private would be shown to whoever is not logged in. */
    if (change->type == CKA_PRIVATE && draft_flag(draft, CKA_PRIVATE) &&
        change->value.base[0] == 0) {
        return QH_ETEMPLATE;
    }
    draft_put(draft, change->type, change->value);
    return QH_OK;
}

/* Else a copy would be a way to read what is kept back of token objects. */
static void remember_token(struct draft *draft, const struct object *object)
{
    bool hidden = object->object_class == CKO_PRIVATE_KEY || object->object_class == CKO_SECRET_KEY;

    if (object->token && hidden) {
        draft_put(draft, OBJECT_WAS_TOKEN, (struct bytes){NULL, 0});
    }
}

static QH_RESULT change_all(const struct object *object, struct attributes changes, bool copy,
                            bool officer, struct object **ret_object)
{
    struct draft draft;
    enum qh_err err = template_check(changes);

    if (err != QH_OK) {
        return err;
    }
    err = draft_init_from(&draft, object);
    for (unsigned i = 0; err == QH_OK && i < changes.count; i++) {
        err = change_one(&draft, object, &changes.list[i], copy, officer);
    }
    if (err == QH_OK) {
        if (copy) {
            draft_put_unique_id(&draft);
            remember_token(&draft, object);
        }
        err = draft_finish(&draft, ret_object);
    }
    draft_close(&draft);
    return err;
}

QH_RESULT object_change_as(const struct object *object, struct attributes changes, bool officer,
                           struct object **ret_object)
{
    if (!object_flag(object, CKA_MODIFIABLE)) {
        return QH_EREADONLY;
    }
    return change_all(object, changes, false, officer, ret_object);
}

QH_RESULT object_change(const struct object *object, struct attributes changes,
                        struct object **ret_object)
{
    return object_change_as(object, changes, false, ret_object);
}

QH_RESULT object_copy(const struct object *object, struct attributes changes,
                      struct object **ret_object)
{
    if (!object_flag(object, CKA_COPYABLE)) {
        return QH_EREADONLY;
    }
    return change_all(object, changes, true, false, ret_object);
}
