/* Profile objects. */
#include "pkcs11/profile.h"

/* Handles are counted up from 1, and never come here. */
#define HANDLE_FIRST ((CK_OBJECT_HANDLE)CK_UNAVAILABLE_INFORMATION - 255u)

static const uint8_t no = CK_FALSE, yes = CK_TRUE;
static const uint8_t object_class[8] = {CKO_PROFILE};
static const uint8_t baseline[8] = {CKP_BASELINE_PROVIDER};
static const uint8_t extended[8] = {CKP_EXTENDED_PROVIDER};

/* By type, as in every object. */
#define ATTRIBUTES(unique_id, profile)                                                  \
    {                                                                                   \
        {CKA_CLASS, object_class, sizeof object_class}, {CKA_TOKEN, &yes, 1},           \
            {CKA_PRIVATE, &no, 1}, {CKA_LABEL, "", 0},                                  \
            {CKA_UNIQUE_ID, unique_id, sizeof unique_id - 1}, {CKA_MODIFIABLE, &no, 1}, \
            {CKA_COPYABLE, &no, 1}, {CKA_DESTROYABLE, &no, 1},                          \
            {CKA_PROFILE_ID, profile, sizeof profile},                                  \
    }
#define ATTRIBUTE_COUNT 9u

static const struct quadhsm_attribute lists[PROFILE_COUNT][ATTRIBUTE_COUNT] = {
    ATTRIBUTES("profile-baseline", baseline),
    ATTRIBUTES("profile-extended", extended),
};

static struct quadhsm_object objects[PROFILE_COUNT] = {
    {.attributes = lists[0], .attribute_count = ATTRIBUTE_COUNT},
    {.attributes = lists[1], .attribute_count = ATTRIBUTE_COUNT},
};

/* One reference is the module's, for ever. */
static struct objects_value values[PROFILE_COUNT] = {
    {.references = 1, .object = &objects[0]},
    {.references = 1, .object = &objects[1]},
};

CK_OBJECT_HANDLE profile_handle(unsigned index)
{
    return HANDLE_FIRST + index;
}

const struct quadhsm_object *profile_object(unsigned index)
{
    return &objects[index];
}

struct objects_value *profile_value(CK_OBJECT_HANDLE handle)
{
    if (handle < HANDLE_FIRST || handle - HANDLE_FIRST >= PROFILE_COUNT) {
        return NULL;
    }
    return objects_value_ref(&values[handle - HANDLE_FIRST]);
}

bool profile_is_asked_for(const struct template *template)
{
    const struct quadhsm_attribute *wanted = template_get(template, CKA_CLASS);

    return wanted != NULL && wanted->size == sizeof object_class &&
           memcmp(wanted->value, object_class, sizeof object_class) == 0;
}
