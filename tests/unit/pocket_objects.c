/* The pocket cluster's objects: made, found, changed and used. */
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "tests/unit/pocket_private.h"

static uint64_t revision;
static size_t page_size = 1000;
static unsigned finds;

/* ---- pocket_objects ---- */

struct outside {
    struct quadhsm_object object; /* first */
    struct quadhsm_attribute list[64];
};

void quadhsm_object_free(struct quadhsm_object *object)
{
    struct outside *outside = (struct outside *)object;

    if (object == NULL) {
        return;
    }
    for (size_t i = 0; i < object->attribute_count; i++) {
        void *value;

        memcpy(&value, &outside->list[i].value, sizeof value);
        free(value);
    }
    if (object->session_size > 0) {
        void *session;

        memcpy(&session, &object->session, sizeof session);
        free(session);
    }
    free(outside);
}

void quadhsm_objects_free(struct quadhsm_object **list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        quadhsm_object_free(list[i]);
    }
    free(list);
}

const struct quadhsm_attribute *quadhsm_object_attribute(const struct quadhsm_object *object,
                                                         uint64_t type)
{
    for (size_t i = 0; i < object->attribute_count; i++) {
        if (object->attributes[i].type == type) {
            return &object->attributes[i];
        }
    }
    return NULL;
}

static void *copy_of(const void *base, size_t size)
{
    void *copy = malloc(size + 1);

    QH_ASSERT(copy != NULL);
    if (size > 0) {
        memcpy(copy, base, size);
    }
    return copy;
}

static enum qh_err add_attribute(void *data, CK_ATTRIBUTE_TYPE type, struct bytes value)
{
    struct outside *outside = data;
    struct quadhsm_attribute *attribute = &outside->list[outside->object.attribute_count++];

    attribute->type = type;
    attribute->value = copy_of(value.base, value.size);
    attribute->size = value.size;
    return QH_OK;
}

static struct quadhsm_object *show(const struct stored *stored)
{
    struct outside *outside = calloc(1, sizeof *outside);
    uint64_t index = (uint64_t)(stored - pocket_objects);

    QH_ASSERT(outside != NULL);
    outside->object.attributes = outside->list;
    outside->object.revision = stored->revision;
    if (stored->object->token) {
        memcpy(outside->object.id, stored->id, sizeof stored->id);
    } else {
        outside->object.session = copy_of(&index, sizeof index);
        outside->object.session_size = sizeof index;
    }
    QH_ASSERT(object_read(stored->object, OBJECT_EXPORT_CLEAR, add_attribute, outside) == QH_OK);
    return &outside->object;
}

/* Own @object. */
static struct stored *store(const struct quadhsm_token *token, struct object *object)
{
    struct stored *stored = &pocket_objects[pocket_objects_used++];

    QH_ASSERT(pocket_objects_used <= POCKET_OBJECTS);
    stored->object = object;
    stored->revision = ++revision;
    memcpy(stored->partition, token->partition, sizeof stored->partition);
    randombytes_buf(stored->id, sizeof stored->id);
    return stored;
}

struct stored *pocket_stored_of(const struct quadhsm_object *object)
{
    uint64_t index;

    if (object->session_size > 0) {
        memcpy(&index, object->session, sizeof index);
        return &pocket_objects[index];
    }
    for (size_t i = 0; i < pocket_objects_used; i++) {
        if (pocket_objects[i].object != NULL &&
            memcmp(pocket_objects[i].id, object->id, sizeof object->id) == 0) {
            return &pocket_objects[i];
        }
    }
    return NULL;
}

struct attributes pocket_attributes(const struct quadhsm_attribute *attributes, size_t count,
                                    struct pocket_template *inside)
{
    QH_ASSERT(count <= 64);
    for (size_t i = 0; i < count; i++) {
        inside->list[i].type = attributes[i].type;
        inside->list[i].value.base = attributes[i].value;
        inside->list[i].value.size = attributes[i].size;
    }
    inside->template.list = inside->list;
    inside->template.count = (unsigned)count;
    return inside->template;
}

void pocket_set_page(size_t objects)
{
    page_size = objects;
}

unsigned pocket_finds(void)
{
    return finds;
}

uint64_t pocket_revision(void)
{
    return revision;
}

void pocket_count_revision(void)
{
    revision++;
}

static bool is_shown(const struct quadhsm_token *token, const struct stored *stored,
                     struct attributes template)
{
    const struct object *object = stored->object;

    return object != NULL && object->token && (!object->is_private || pocket_is_user(token)) &&
           memcmp(stored->partition, token->partition, sizeof token->partition) == 0 &&
           object_matches(object, template);
}

/* Behind the object with that id, which may be gone. */
static size_t place_after(const uint8_t *id)
{
    size_t place = 0;

    while (place < pocket_objects_used &&
           memcmp(pocket_objects[place].id, id, QUADHSM_OBJECT_ID_SIZE) != 0) {
        place++;
    }
    return place < pocket_objects_used ? place + 1 : 0;
}

static void (*_Atomic before_answer)(void);

void pocket_before_answer(void (*call)(void))
{
    atomic_store(&before_answer, call);
}

/* What was read is on its way. */
static int send_answer(void)
{
    void (*call)(void) = atomic_exchange(&before_answer, NULL);
    int error = pocket_leave(QUADHSM_OK);

    if (call != NULL) {
        call();
    }
    return error;
}

int quadhsm_find_page(struct quadhsm_token *token, const struct quadhsm_attribute *attributes,
                      size_t count, const struct quadhsm_place *after, size_t limit,
                      struct quadhsm_object ***ret_list, size_t *ret_count, bool *ret_more)
{
    struct quadhsm_object **list;
    struct pocket_template inside;
    struct attributes template = pocket_attributes(attributes, count, &inside);
    size_t found = 0;
    bool more = false;
    int error = pocket_enter_token(token);

    finds++;
    if (error != QUADHSM_OK) {
        return pocket_leave(error);
    }
    limit = limit > 0 && limit < page_size ? limit : page_size;
    list = calloc(limit + 1, sizeof *list);
    QH_ASSERT(list != NULL);
    for (size_t i = after != NULL ? place_after(after->id) : 0; i < pocket_objects_used && !more;
         i++) {
        if (is_shown(token, &pocket_objects[i], template)) {
            more = found == limit;
            if (!more) {
                list[found++] = show(&pocket_objects[i]);
            }
        }
    }
    *ret_list = list;
    *ret_count = found;
    *ret_more = more;
    return send_answer();
}

int quadhsm_find(struct quadhsm_token *token, const struct quadhsm_attribute *attributes,
                 size_t count, size_t limit, struct quadhsm_object ***ret_list, size_t *ret_count)
{
    size_t usual = page_size;
    bool more;
    int error;

    page_size = POCKET_OBJECTS;
    error = quadhsm_find_page(token, attributes, count, NULL, limit, ret_list, ret_count, &more);
    page_size = usual;
    return error;
}

int quadhsm_read(struct quadhsm_token *token, const uint8_t id[QUADHSM_OBJECT_ID_SIZE],
                 struct quadhsm_object **ret_object)
{
    struct quadhsm_object wanted = {.session_size = 0};
    const struct stored *stored = NULL;
    int error = pocket_enter_token(token);

    memcpy(wanted.id, id, sizeof wanted.id);
    if (error == QUADHSM_OK) {
        stored = pocket_stored_of(&wanted);
        error = stored != NULL ? QUADHSM_OK : QUADHSM_ENOTFOUND;
    }
    if (error == QUADHSM_OK) {
        *ret_object = show(stored);
        return send_answer();
    }
    return pocket_leave(error);
}

int pocket_made(struct quadhsm_token *token, int error, struct object *object,
                struct quadhsm_object **ret_object)
{
    if (error == QUADHSM_OK && object->is_private && !pocket_is_user(token)) {
        error = QUADHSM_ENOLOGIN;
        object_free(object);
    }
    if (error == QUADHSM_OK) {
        *ret_object = show(store(token, object));
    }
    return pocket_leave(error);
}

int quadhsm_create(struct quadhsm_token *token, const struct quadhsm_attribute *attributes,
                   size_t count, struct quadhsm_object **ret_object)
{
    struct object *object = NULL;
    struct pocket_template inside;
    int error = pocket_enter_token(token);

    if (error == QUADHSM_OK) {
        error = (int)object_create(pocket_attributes(attributes, count, &inside), &object);
    }
    return pocket_made(token, error, object, ret_object);
}

struct mech_params pocket_params_of(const struct quadhsm_mechanism *mechanism)
{
    struct mech_params params = {
        .type = mechanism->type,
        .hash = mechanism->hash,
        .mgf = mechanism->mgf,
        .salt_size = mechanism->salt_size,
        .iv = {mechanism->iv, mechanism->iv_size},
        .aad = {mechanism->aad, mechanism->aad_size},
        .label = {mechanism->label, mechanism->label_size},
        .tag_bits = mechanism->tag_bits,
        .counter_bits = mechanism->counter_bits,
        .key_bits = mechanism->key_bits,
        .kdf = mechanism->kdf,
        .public_data = {mechanism->public_data, mechanism->public_data_size},
        .shared_data = {mechanism->shared_data, mechanism->shared_data_size},
        .extract = mechanism->extract,
        .expand = mechanism->expand,
        .salt = {mechanism->hkdf_salt, mechanism->hkdf_salt_size},
        .info = {mechanism->info, mechanism->info_size}};

    return params;
}

int quadhsm_generate(struct quadhsm_token *token, const struct quadhsm_mechanism *mechanism,
                     const struct quadhsm_attribute *attributes, size_t count,
                     struct quadhsm_object **ret_object)
{
    struct mech_params params = pocket_params_of(mechanism);
    struct attributes none = {NULL, 0};
    struct object *object = NULL;
    struct pocket_template inside;
    int error = pocket_enter_token(token);

    if (error == QUADHSM_OK) {
        error = (int)object_generate(&params, pocket_attributes(attributes, count, &inside), none,
                                     &object, NULL);
    }
    return pocket_made(token, error, object, ret_object);
}

int quadhsm_generate_pair(struct quadhsm_token *token, const struct quadhsm_mechanism *mechanism,
                          const struct quadhsm_attribute *public_attributes, size_t public_count,
                          const struct quadhsm_attribute *private_attributes, size_t private_count,
                          struct quadhsm_object **ret_public, struct quadhsm_object **ret_private)
{
    struct mech_params params = pocket_params_of(mechanism);
    struct object *public = NULL;
    struct object *private = NULL;
    struct pocket_template inside[2];
    int error = pocket_enter_token(token);

    if (error == QUADHSM_OK && !pocket_is_user(token)) {
        error = QUADHSM_ENOLOGIN;
    }
    if (error == QUADHSM_OK) {
        error = (int)object_generate(
            &params, pocket_attributes(public_attributes, public_count, inside),
            pocket_attributes(private_attributes, private_count, inside + 1), &public, &private);
    }
    if (error == QUADHSM_OK) {
        *ret_public = show(store(token, public));
        *ret_private = show(store(token, private));
    }
    return pocket_leave(error);
}

int quadhsm_set_attributes(struct quadhsm_token *token, const struct quadhsm_object *object,
                           const struct quadhsm_attribute *attributes, size_t count,
                           struct quadhsm_object **ret_object)
{
    struct object *changed = NULL;
    struct stored *stored = NULL;
    struct pocket_template inside;
    int error = pocket_enter_token(token);

    if (error == QUADHSM_OK) {
        stored = pocket_stored_of(object);
        error = stored != NULL
                    ? (int)object_change(stored->object,
                                         pocket_attributes(attributes, count, &inside), &changed)
                    : QUADHSM_ENOTFOUND;
    }
    if (error == QUADHSM_OK) {
        object_free(stored->object);
        stored->object = changed;
        stored->revision = ++revision;
        *ret_object = show(stored);
    }
    return pocket_leave(error);
}

int quadhsm_copy(struct quadhsm_token *token, const struct quadhsm_object *object,
                 const struct quadhsm_attribute *attributes, size_t count,
                 struct quadhsm_object **ret_object)
{
    struct object *copy = NULL;
    const struct stored *stored = NULL;
    struct pocket_template inside;
    int error = pocket_enter_token(token);

    if (error == QUADHSM_OK) {
        stored = pocket_stored_of(object);
        error = stored != NULL
                    ? (int)object_copy(stored->object,
                                       pocket_attributes(attributes, count, &inside), &copy)
                    : QUADHSM_ENOTFOUND;
    }
    return pocket_made(token, error, copy, ret_object);
}

int quadhsm_destroy(struct quadhsm_token *token, const uint8_t id[QUADHSM_OBJECT_ID_SIZE])
{
    struct quadhsm_object wanted = {.session_size = 0};
    struct stored *stored = NULL;
    int error = pocket_enter_token(token);

    memcpy(wanted.id, id, sizeof wanted.id);
    if (error == QUADHSM_OK) {
        stored = pocket_stored_of(&wanted);
        error = stored != NULL ? QUADHSM_OK : QUADHSM_ENOTFOUND;
    }
    if (error == QUADHSM_OK) {
        object_free(stored->object);
        stored->object = NULL;
        revision++;
    }
    return pocket_leave(error);
}

/* ---- use ---- */

struct use {
    enum object_use kind;
    struct quadhsm_token *token;
    const struct quadhsm_object *object;
    struct mech_params params;
    struct bytes data, signature;
    void *out;
    size_t room;
    size_t *ret_size;
};

static int run_into(const struct use *use, struct key *key, uint8_t *out, size_t room,
                    size_t *ret_size)
{
    switch ((int)use->kind) {
    case OBJECT_SIGN:
        return (int)mech_sign(key, &use->params, use->data, out, room, ret_size);
    case OBJECT_VERIFY:
        return (int)mech_verify(key, &use->params, use->data, use->signature);
    case OBJECT_ENCRYPT:
        return (int)mech_encrypt(key, &use->params, use->data, out, room, ret_size);
    case OBJECT_DECRYPT:
    case OBJECT_WRAP:
    case OBJECT_UNWRAP:
    case OBJECT_DERIVE:
        break;
    }
    return (int)mech_decrypt(key, &use->params, use->data, out, room, ret_size);
}

/* Through a buffer that is always large enough, so that what is needed can be told. */
static int run(const struct use *use, struct key *key)
{
    size_t room = use->data.size + 2048;
    uint8_t *out = malloc(room);
    size_t size = 0;
    int error;

    QH_ASSERT(out != NULL);
    error = run_into(use, key, out, room, &size);
    if (error == QUADHSM_OK && use->ret_size != NULL) {
        *use->ret_size = size;
        error = size > use->room ? QUADHSM_EROOM : QUADHSM_OK;
    }
    if (error == QUADHSM_OK && size > 0) {
        memcpy(use->out, out, size);
    }
    free(out);
    return error;
}

static int may_use(const struct use *use, const struct stored *stored)
{
    if (stored == NULL || stored->object == NULL) {
        return QUADHSM_ENOTFOUND;
    }
    if (stored->object->is_private && !pocket_is_user(use->token)) {
        return QUADHSM_ENOLOGIN;
    }
    if (object_flag(stored->object, CKA_ALWAYS_AUTHENTICATE) && !pocket_context()) {
        return QUADHSM_ENOLOGIN;
    }
    return (int)object_may(stored->object, use->kind, &use->params);
}

int pocket_open_key(const struct object *object, struct key **ret_key)
{
    struct bytes material = {secret_view(object->material), secret_size(object->material)};

    return (int)key_open(object->object_class, object->key_type, material, ret_key);
}

static int use_key(const struct use *use)
{
    const struct stored *stored = NULL;
    struct key *key = NULL;
    int error = pocket_enter_token(use->token);

    pocket_mechanism = use->params.type;
    pocket_size = use->data.size;
    if (error == QUADHSM_OK) {
        stored = pocket_stored_of(use->object);
        error = may_use(use, stored);
    }
    if (error == QUADHSM_OK) {
        error = pocket_open_key(stored->object, &key);
    }
    if (error == QUADHSM_OK) {
        error = run(use, key);
        key_free(key);
    }
    return pocket_leave(error);
}

int quadhsm_sign(struct quadhsm_token *token, const struct quadhsm_object *key,
                 const struct quadhsm_mechanism *mechanism, const void *data, size_t data_size,
                 void *signature, size_t room, size_t *ret_size)
{
    return use_key(&(struct use){.kind = OBJECT_SIGN,
                                 .token = token,
                                 .object = key,
                                 .params = pocket_params_of(mechanism),
                                 .data = {data, data_size},
                                 .out = signature,
                                 .room = room,
                                 .ret_size = ret_size});
}

int quadhsm_verify(struct quadhsm_token *token, const struct quadhsm_object *key,
                   const struct quadhsm_mechanism *mechanism, const void *data, size_t data_size,
                   const void *signature, size_t signature_size)
{
    return use_key(&(struct use){.kind = OBJECT_VERIFY,
                                 .token = token,
                                 .object = key,
                                 .params = pocket_params_of(mechanism),
                                 .data = {data, data_size},
                                 .signature = {signature, signature_size}});
}

int quadhsm_encrypt(struct quadhsm_token *token, const struct quadhsm_object *key,
                    const struct quadhsm_mechanism *mechanism, const void *data, size_t data_size,
                    void *out, size_t room, size_t *ret_size)
{
    return use_key(&(struct use){.kind = OBJECT_ENCRYPT,
                                 .token = token,
                                 .object = key,
                                 .params = pocket_params_of(mechanism),
                                 .data = {data, data_size},
                                 .out = out,
                                 .room = room,
                                 .ret_size = ret_size});
}

int quadhsm_decrypt(struct quadhsm_token *token, const struct quadhsm_object *key,
                    const struct quadhsm_mechanism *mechanism, const void *data, size_t data_size,
                    void *out, size_t room, size_t *ret_size)
{
    return use_key(&(struct use){.kind = OBJECT_DECRYPT,
                                 .token = token,
                                 .object = key,
                                 .params = pocket_params_of(mechanism),
                                 .data = {data, data_size},
                                 .out = out,
                                 .room = room,
                                 .ret_size = ret_size});
}

void pocket_erase(const uint8_t partition[QUADHSM_PARTITION_ID_SIZE])
{
    for (size_t i = 0; i < pocket_objects_used; i++) {
        struct stored *stored = &pocket_objects[i];

        if (stored->object != NULL && stored->object->token &&
            memcmp(stored->partition, partition, sizeof stored->partition) == 0) {
            object_free(stored->object);
            stored->object = NULL;
        }
    }
    pocket_count_revision();
}
