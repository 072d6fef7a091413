/* What stands around the operations on objects in their tests. */
#include "tests/unit/object_rig.h"

#include "base/log.h"
#include "node/change.h"

#define LIST_MAX 32u

struct keyring *keyring;
struct store *store;
struct view *view;
static struct node node;
const uint8_t partition[PARTITION_ID_SIZE] = {[0 ... 15] = 0x11};

/* What the last request did. */
enum qh_err answered;
static unsigned answer_count;
enum request_place place;
unsigned change_count, attempts, run_count;
void (*before_run)(void);
void (*before_proposal)(void);
static uint8_t once_number;

/* ---- what stands around the handlers ---- */

struct change_list {
    unsigned compare_count, write_count;
    struct {
        enum txn_compare_kind kind;
        struct record_key key;
        uint64_t argument;
    } compares[LIST_MAX];
    struct {
        struct record_key key;
        struct bytes value; /* a copy; base NULL: a delete */
    } writes[LIST_MAX];
};

static struct record_key keep_key(struct bytes key)
{
    struct record_key kept = {.size = key.size};

    ck_assert_uint_le(key.size, sizeof kept.base);
    memcpy(kept.base, key.base, key.size);
    return kept;
}

void change_compare(struct change_list *list, enum txn_compare_kind kind, struct bytes key,
                    uint64_t argument)
{
    ck_assert_uint_lt(list->compare_count, LIST_MAX);
    list->compares[list->compare_count].kind = kind;
    list->compares[list->compare_count].key = keep_key(key);
    list->compares[list->compare_count++].argument = argument;
}

static void add_write(struct change_list *list, struct bytes key, struct bytes value)
{
    ck_assert_uint_lt(list->write_count, LIST_MAX);
    list->writes[list->write_count].key = keep_key(key);
    list->writes[list->write_count++].value = value;
}

void change_put(struct change_list *list, struct bytes key, struct bytes value)
{
    uint8_t *copy = malloc(value.size);

    ck_assert_ptr_nonnull(copy);
    memcpy(copy, value.base, value.size);
    add_write(list, key, (struct bytes){copy, value.size});
}

void change_delete(struct change_list *list, struct bytes key)
{
    add_write(list, key, (struct bytes){NULL, 0});
}

/* As from the log. Returns the status. */
enum store_status apply(struct txn_builder *builder)
{
    struct store_answer answer;
    struct bytes encoded;

    ck_assert_int_eq(txn_build_end(builder, &encoded), QH_OK);
    answer = store_apply(store, encoded);
    if (answer.status == STORE_APPLIED) {
        view_applied(view, store, encoded, answer.revision);
    }
    hsm_free(encoded);
    return answer.status;
}

static enum store_status apply_list(const struct change_list *list)
{
    uint8_t id[ONCE_ID_SIZE] = {3, ++once_number};
    struct txn_builder builder;

    txn_build_once(&builder, id, store_revision(store), text_span("answer"));
    for (unsigned i = 0; i < list->compare_count; i++) {
        txn_build_compare(&builder, list->compares[i].kind,
                          record_key_bytes(&list->compares[i].key), list->compares[i].argument);
    }
    for (unsigned i = 0; i < list->write_count; i++) {
        struct bytes key = record_key_bytes(&list->writes[i].key);

        if (list->writes[i].value.base != NULL) {
            txn_build_put(&builder, key, list->writes[i].value, 0);
        } else {
            txn_build_delete(&builder, key);
        }
    }
    return apply(&builder);
}

static void fresh_response(struct request *request)
{
    if (request->response != NULL) {
        wire_message_free(&request->response->base);
    }
    request->response = wire_zalloc(sizeof *request->response);
    ck_assert_ptr_nonnull(request->response);
    quadhsm__response__init(request->response);
}

void request_begin_work(struct request *request)
{
    (void)request;
}

void request_end_work(struct request *request)
{
    (void)request;
}

void change_foresee(struct request *request, void (*work)(struct request *request))
{
    work(request);
}

void change_run(struct request *request, change_build build)
{
    enum store_status status = STORE_COMPARE_FAILED;
    enum qh_err err = QH_OK;

    change_count++;
    if (repeated) {
        fresh_response(request);
        request_answer(request, QH_OK, NULL);
        return;
    }
    for (attempts = 0; err == QH_OK && status != STORE_APPLIED; attempts++) {
        struct change_list list = {.compare_count = 0};
        const char *detail = NULL;

        ck_assert_uint_lt(attempts, CHANGE_ATTEMPTS_MAX);
        fresh_response(request);
        err = build(request, store, &list, &detail);
        if (err == QH_OK && before_proposal != NULL) {
            before_proposal();
            before_proposal = NULL;
        }
        if (err == QH_OK) {
            status = apply_list(&list);
        }
        for (unsigned i = 0; i < list.write_count; i++) {
            hsm_free(list.writes[i].value);
        }
    }
    request_answer(request, err, NULL);
}

void request_run_on(struct request *request, enum request_place where,
                    void (*run)(struct request *request))
{
    place = where;
    run_count++;
    if (before_run != NULL) {
        before_run();
    }
    run(request);
}

void request_answer(struct request *request, enum qh_err err, const char *detail)
{
    (void)request;
    (void)detail;
    answered = err;
    answer_count++;
}

/* ---- requests ---- */

struct request asked;
bool foreign_login, old_login, repeated;
ProtobufCBinaryData context_ticket;
static Quadhsm__Request message;
static uint8_t partition_room[PARTITION_ID_SIZE];
static uint8_t request_id_room[ONCE_ID_SIZE];
static Quadhsm__Attribute attributes[2][ATTRIBUTES_MAX + 1];
static Quadhsm__Attribute *lists[2][ATTRIBUTES_MAX + 1];

static void swallow(void *data, enum log_level level, const char *line)
{
    (void)data;
    (void)level;
    (void)line;
}

static void end_request(void)
{
    if (asked.state_free != NULL) {
        asked.state_free(asked.state);
    }
    if (asked.response != NULL) {
        wire_message_free(&asked.response->base);
    }
    memset(&asked, 0, sizeof asked);
}

void setup(void)
{
    log_set_sink(swallow, NULL);
    keyring = hsm_keyring(7);
    store = hsm_store();
    hsm_put_partition(store, keyring, 0x11, "first", 1);
    hsm_put_partition(store, keyring, 0x22, "second", 1);
    hsm_put_client(store, keyring, 0xff, "client", 0, false); /* whose fingerprint is zeroes */
    ck_assert_int_eq(view_new(&view), QH_OK);
    view_thread_begin();
    ck_assert_int_eq(view_load(view, keyring, store), QH_OK);
    node.view = view;
}

void teardown(void)
{
    end_request();
    view_free(view);
    view_thread_end();
    store_free(store);
    keyring_free(keyring);
}

/* A new request of @role in the partition; its operation is still to be filled. */
static void begin_request(enum hsm_role role)
{
    end_request();
    quadhsm__request__init(&message);
    message.partition = hsm_id(partition_room, sizeof partition_room, 0x11);
    message.request_id = hsm_id(request_id_room, sizeof request_id_room, 0x77);
    asked.node = &node;
    asked.message = &message;
    asked.ticket.role = role;
    asked.ticket.epoch = role == HSM_ROLE_CO && !old_login; /* as hsm_put_partition() has it */
    memcpy(asked.ticket.partition, partition, sizeof partition);
    asked.ticket.partition[0] ^= foreign_login;
    fresh_response(&asked);
    place = REQUEST_SERVICE;
    change_count = attempts = 0;
}

static void run(void (*handle)(struct request *request), enum qh_err err)
{
    answer_count = 0;
    handle(&asked);
    ck_assert_uint_eq(answer_count, 1);
    if (err != ANY_ERR) {
        ck_assert_str_eq(err_name(answered), err_name(err));
    }
}

/* The template as a message's list number @which. */
static Quadhsm__Attribute **wire_list(const struct template *template, unsigned which)
{
    for (unsigned i = 0; i < template->count; i++) {
        quadhsm__attribute__init(&attributes[which][i]);
        attributes[which][i].type = template->list[i].type;
        attributes[which][i].value = (ProtobufCBinaryData){
            template->list[i].value.size, (uint8_t *)(uintptr_t) template->list[i].value.base};
        lists[which][i] = &attributes[which][i];
    }
    return lists[which];
}

void run_create(enum hsm_role role, const struct template *template, enum qh_err err)
{
    Quadhsm__CreateObject create;

    begin_request(role);
    quadhsm__create_object__init(&create);
    create.template_ = wire_list(template, 0);
    create.n_template_ = template->count;
    message.op_case = QUADHSM__REQUEST__OP_CREATE;
    message.create = &create;
    run(handle_create, err);
}

void run_generate(enum hsm_role role, CK_MECHANISM_TYPE type, const struct template *template,
                  const struct template *private_template, enum qh_err err)
{
    Quadhsm__Mechanism mechanism;
    Quadhsm__Generate generate;

    begin_request(role);
    quadhsm__generate__init(&generate);
    quadhsm__mechanism__init(&mechanism);
    mechanism.type = type;
    generate.mechanism = &mechanism;
    generate.template_ = wire_list(template, 0);
    generate.n_template_ = template->count;
    generate.private_template = wire_list(private_template, 1);
    generate.n_private_template = private_template->count;
    message.op_case = QUADHSM__REQUEST__OP_GENERATE;
    message.generate = &generate;
    run(handle_generate, err);
}

void run_destroy(enum hsm_role role, const uint8_t *id, size_t id_size, enum qh_err err)
{
    Quadhsm__Destroy destroy;

    begin_request(role);
    quadhsm__destroy__init(&destroy);
    destroy.id = (ProtobufCBinaryData){id_size, (uint8_t *)(uintptr_t)id};
    message.op_case = QUADHSM__REQUEST__OP_DESTROY;
    message.destroy = &destroy;
    run(handle_destroy, err);
}

static Quadhsm__ObjectRef ref_of(struct bytes id, struct bytes session)
{
    Quadhsm__ObjectRef ref;

    quadhsm__object_ref__init(&ref);
    ref.id = (ProtobufCBinaryData){id.size, (uint8_t *)(uintptr_t)id.base};
    ref.session = (ProtobufCBinaryData){session.size, (uint8_t *)(uintptr_t)session.base};
    return ref;
}

void run_set(enum hsm_role role, struct bytes id, struct bytes session,
             const struct template *template, enum qh_err err)
{
    Quadhsm__ObjectRef ref = ref_of(id, session);
    Quadhsm__SetAttributes set;

    begin_request(role);
    quadhsm__set_attributes__init(&set);
    set.ref = &ref;
    set.template_ = wire_list(template, 0);
    set.n_template_ = template->count;
    message.op_case = QUADHSM__REQUEST__OP_SET_ATTRIBUTES;
    message.set_attributes = &set;
    run(handle_set_attributes, err);
}

void run_copy(enum hsm_role role, struct bytes id, struct bytes session,
              const struct template *template, enum qh_err err)
{
    Quadhsm__ObjectRef ref = ref_of(id, session);
    Quadhsm__CopyObject copy;

    begin_request(role);
    quadhsm__copy_object__init(&copy);
    copy.ref = &ref;
    copy.template_ = wire_list(template, 0);
    copy.n_template_ = template->count;
    message.op_case = QUADHSM__REQUEST__OP_COPY;
    message.copy = &copy;
    run(handle_copy, err);
}

/* As the client gets it. */
static void receive_response(void)
{
    size_t size = protobuf_c_message_get_packed_size(&asked.response->base);
    uint8_t *frame = malloc(size + 1);
    ProtobufCMessage *received = NULL;

    ck_assert_ptr_nonnull(frame);
    (void)protobuf_c_message_pack(&asked.response->base, frame);
    ck_assert_int_eq(wire_unpack(&quadhsm__response__descriptor, span(frame, size), &received),
                     QH_OK);
    free(frame);
    wire_message_free(&asked.response->base);
    asked.response = (Quadhsm__Response *)received;
}

static Quadhsm__ObjectRef ref_to(struct bytes key)
{
    return key.size == OBJECT_ID_SIZE ? ref_of(key, none) : ref_of(none, key);
}

void run_wrap(enum hsm_role role, struct bytes wrapping, struct bytes key,
              const Quadhsm__Mechanism *mechanism, enum qh_err err)
{
    Quadhsm__ObjectRef wrapping_ref = ref_to(wrapping), key_ref = ref_to(key);
    Quadhsm__Mechanism how = *mechanism;
    Quadhsm__Wrap wrap;

    begin_request(role);
    quadhsm__wrap__init(&wrap);
    wrap.wrapping = &wrapping_ref;
    wrap.key = &key_ref;
    wrap.mechanism = &how;
    wrap.context_ticket = context_ticket;
    message.op_case = QUADHSM__REQUEST__OP_WRAP;
    message.wrap = &wrap;
    run(handle_wrap, err);
}

void run_unwrap(enum hsm_role role, struct bytes unwrapping, struct bytes wrapped,
                const Quadhsm__Mechanism *mechanism, const struct template *template,
                enum qh_err err)
{
    Quadhsm__ObjectRef ref = ref_to(unwrapping);
    Quadhsm__Mechanism how = *mechanism;
    Quadhsm__Unwrap unwrap;

    begin_request(role);
    quadhsm__unwrap__init(&unwrap);
    unwrap.unwrapping = &ref;
    unwrap.mechanism = &how;
    unwrap.wrapped = (ProtobufCBinaryData){wrapped.size, (uint8_t *)(uintptr_t)wrapped.base};
    unwrap.template_ = wire_list(template, 0);
    unwrap.n_template_ = template->count;
    unwrap.context_ticket = context_ticket;
    message.op_case = QUADHSM__REQUEST__OP_UNWRAP;
    message.unwrap = &unwrap;
    run(handle_unwrap, err);
}

void run_derive(enum hsm_role role, struct bytes base, struct bytes salt,
                const Quadhsm__Mechanism *mechanism, const struct template *template,
                enum qh_err err)
{
    Quadhsm__ObjectRef ref = ref_to(base), salt_ref = ref_to(salt);
    Quadhsm__Mechanism how = *mechanism;
    Quadhsm__Derive derive;

    begin_request(role);
    quadhsm__derive__init(&derive);
    if (salt.size > 0) {
        how.salt_key = &salt_ref;
    }
    derive.base_key = &ref;
    derive.mechanism = &how;
    derive.template_ = wire_list(template, 0);
    derive.n_template_ = template->count;
    derive.context_ticket = context_ticket;
    message.op_case = QUADHSM__REQUEST__OP_DERIVE;
    message.derive = &derive;
    run(handle_derive, err);
}

struct bytes answer_output(void)
{
    ck_assert_int_eq(asked.response->result_case, QUADHSM__RESPONSE__RESULT_OUTPUT);
    return span(asked.response->output->data.data, asked.response->output->data.len);
}

void set_export(enum object_export export)
{
    struct record_key key = record_key_partition(partition);
    ProtobufCMessage *record;
    struct store_record old;
    struct txn_builder builder;
    struct bytes value;

    ck_assert_int_eq(
        record_load(keyring, store, &key, &qhrec__partition__descriptor, &record, &old), QH_OK);
    ((Qhrec__Partition *)record)->export = (uint32_t) export;
    ck_assert_int_eq(record_seal(keyring, &key, old.value, record, &value), QH_OK);
    txn_build_plain(&builder, partition, 0);
    txn_build_put(&builder, record_key_bytes(&key), value, 0);
    ck_assert_int_eq(apply(&builder), STORE_APPLIED);
    hsm_free(value);
    wire_message_free(record);
}

uint64_t find_after_created;

void run_find(enum hsm_role role, const struct template *template, struct bytes after,
              uint32_t limit, enum qh_err err)
{
    Quadhsm__Find find;

    begin_request(role);
    quadhsm__find__init(&find);
    find.template_ = wire_list(template, 0);
    find.n_template_ = template->count;
    find.after = (ProtobufCBinaryData){after.size, (uint8_t *)(uintptr_t)after.base};
    find.after_created = find_after_created;
    find.limit = limit;
    message.op_case = QUADHSM__REQUEST__OP_FIND;
    message.find = &find;
    run_count = 0;
    run(handle_find, err);
    receive_response();
}

/* ---- answers ---- */

const Quadhsm__Object *answer_object(unsigned index)
{
    ck_assert_int_eq(asked.response->result_case, QUADHSM__RESPONSE__RESULT_OBJECTS);
    ck_assert_uint_lt(index, asked.response->objects->n_objects);
    return asked.response->objects->objects[index];
}

size_t object_count(void)
{
    ck_assert_int_eq(asked.response->result_case, QUADHSM__RESPONSE__RESULT_OBJECTS);
    return asked.response->objects->n_objects;
}

const Quadhsm__Attribute *answer_attribute(unsigned index, CK_ATTRIBUTE_TYPE type)
{
    const Quadhsm__Object *object = answer_object(index);

    for (size_t i = 0; i < object->n_attributes; i++) {
        if (object->attributes[i]->type == type) {
            return object->attributes[i];
        }
    }
    return NULL;
}

struct bytes answer_value(unsigned index, CK_ATTRIBUTE_TYPE type)
{
    const Quadhsm__Attribute *attribute = answer_attribute(index, type);

    ck_assert_ptr_nonnull(attribute);
    return span(attribute->value.data, attribute->value.len);
}

struct bytes keep(struct kept *kept, ProtobufCBinaryData data)
{
    ck_assert_uint_gt(data.len, 0);
    ck_assert_uint_le(data.len, sizeof kept->base);
    memcpy(kept->base, data.data, data.len);
    kept->size = data.len;
    return span(kept->base, kept->size);
}
struct bytes keep_id(struct kept *kept)
{
    ck_assert_uint_eq(answer_object(0)->ref->session.len, 0);
    ck_assert_uint_eq(answer_object(0)->ref->id.len, OBJECT_ID_SIZE);
    return keep(kept, answer_object(0)->ref->id);
}
struct bytes keep_session(struct kept *kept)
{
    ck_assert_uint_eq(answer_object(0)->ref->id.len, 0);
    return keep(kept, answer_object(0)->ref->session);
}

uint64_t stored(void)
{
    struct record_key prefix = record_prefix_objects(partition);

    return store_count_prefix(store, record_key_bytes(&prefix));
}

const struct bytes none = {NULL, 0};
const struct template empty = {.count = 0};

/* A token AES key, not sensitive if @open. */
void begin_token_key(struct template *template, const char *label, bool open)
{
    begin_aes(template);
    with_flag(template, CKA_TOKEN, true);
    with_text(template, CKA_LABEL, label);
    with_flag(template, CKA_SENSITIVE, !open);
    with_flag(template, CKA_EXTRACTABLE, open);
}

struct bytes make_token_key(struct kept *kept, const char *label, bool open)
{
    struct template template;

    begin_token_key(&template, label, open);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    return keep_id(kept);
}
