/* What stands around logins and changes in their tests. */
#include "tests/unit/admin_rig.h"

#include "base/clock.h"
#include "crypto/pki.h"
#include "node/change.h"
#include "node/service.h"
#include "node/workers.h"

#define PROPOSALS_MAX 64u

struct proposal {
    uint8_t *base;
    size_t size;
    propose_cb cb;
    void *data;
};

struct admin_rig rig;
static struct node_config config;
static struct proposal proposals[PROPOSALS_MAX];
static unsigned proposal_first, proposal_count;
static uint8_t id_count;

/* ---- in place of threads and Raft ---- */

const struct store *replica_store(const struct replica *replica)
{
    (void)replica;
    return rig.store;
}

QH_RESULT replica_propose(struct replica *replica, struct bytes transaction, unsigned timeout_ms,
                          propose_cb cb, void *data)
{
    struct proposal *proposal;

    (void)replica;
    (void)timeout_ms;
    for (unsigned i = proposal_first; i < proposal_count; i++) {
        if (memcmp(proposals[i].base + 8, transaction.base + 8, ONCE_ID_SIZE) == 0) {
            return QH_EEXIST;
        }
    }
    ck_assert_uint_lt(proposal_count, PROPOSALS_MAX);
    proposal = &proposals[proposal_count++];
    proposal->base = malloc(transaction.size);
    ck_assert_ptr_nonnull(proposal->base);
    memcpy(proposal->base, transaction.base, transaction.size);
    proposal->size = transaction.size;
    proposal->cb = cb;
    proposal->data = data;
    return QH_OK;
}

bool control_post(struct control *control, struct request *request)
{
    (void)control;
    request->run(request);
    return true;
}

bool workers_post(struct workers *workers, struct request *request, enum workers_kind kind)
{
    (void)workers;
    rig.slow += kind != WORKERS_FAST;
    rig.quick += kind == WORKERS_FAST;
    request->run(request);
    return true;
}

void service_post(struct request *request)
{
    request->run(request);
}

/* What propose leaves under the id of a request that was refused after a second copy. */
static void put_fence(const uint8_t id[ONCE_ID_SIZE])
{
    uint8_t once[ONCE_KEY_SIZE];
    struct txn_builder builder;
    struct bytes encoded;

    txn_once_key(id, once);
    txn_build_plain(&builder, id, 0);
    txn_build_put(&builder, (struct bytes){once, sizeof once}, (struct bytes){NULL, 0}, 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    ck_assert_int_eq(store_apply(rig.store, encoded).status, STORE_APPLIED);
    hsm_free(encoded);
}

static void apply_one(const struct proposal *proposal)
{
    struct propose_result result = {.outcome = PROPOSE_FAILED, .err = QH_ETIMEOUT};
    struct bytes transaction = {proposal->base, proposal->size};
    struct store_record record;
    uint8_t once[ONCE_KEY_SIZE];

    if (rig.before_proposal != NULL) {
        void (*faster)(void) = rig.before_proposal;

        rig.before_proposal = NULL;
        faster();
    }
    if (rig.fence_next) {
        rig.fence_next = false;
        put_fence(proposal->base + 8);
        result.outcome = PROPOSE_REFUSED;
        result.fenced = true;
    } else if (!rig.no_majority) {
        result.answer = store_apply(rig.store, transaction);
        result.outcome = result.answer.status == STORE_APPLIED ? PROPOSE_APPLIED : PROPOSE_REFUSED;
        if (result.answer.status == STORE_APPLIED) {
            view_applied(rig.node.view, rig.store, transaction, result.answer.revision);
        }
        txn_once_key(proposal->base + 8, once);
        if (result.outcome == PROPOSE_REFUSED &&
            store_get(rig.store, (struct bytes){once, sizeof once}, &record)) {
            result.outcome = PROPOSE_DUPLICATE;
        }
    }
    proposal->cb(proposal->data, &result);
    free(proposal->base);
}

void rig_apply(void)
{
    while (proposal_first < proposal_count) {
        apply_one(&proposals[proposal_first++]);
    }
    proposal_first = proposal_count = 0;
}

/* ---- the node ---- */

void rig_put(const struct record_key *key, const ProtobufCMessage *message)
{
    static const uint8_t id[ONCE_ID_SIZE] = {9};
    struct store_record old = {.value = {NULL, 0}};
    struct store_answer answer;
    struct txn_builder builder;
    struct bytes value, encoded;

    (void)store_get(rig.store, record_key_bytes(key), &old);
    ck_assert_int_eq(record_seal(rig.keyring, key, old.value, message, &value), QH_OK);
    txn_build_plain(&builder, id, 0);
    txn_build_put(&builder, record_key_bytes(key), value, 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    answer = store_apply(rig.store, encoded);
    view_applied(rig.node.view, rig.store, encoded, answer.revision);
    hsm_free(encoded);
    hsm_free(value);
}

static void put_authority(void)
{
    struct record_key key = record_key_authority();
    Qhrec__Authority authority;
    struct secret *secret;
    struct pki_der cert;

    ck_assert_int_eq(pki_authority_new("test", NOW_MS / 1000, &cert, &secret), QH_OK);
    qhrec__authority__init(&authority);
    authority.certificate = (ProtobufCBinaryData){cert.size, cert.base};
    authority.key = (ProtobufCBinaryData){secret_size(secret), secret_bytes(secret)};
    hsm_put(rig.store, rig.keyring, &key, &authority.base);
    secret_free(secret);
    free(cert.base);
}

static void put_partition(uint8_t fill, const char *name)
{
    uint8_t id[PARTITION_ID_SIZE];
    Qhrec__Partition partition;
    struct record_key key;
    struct bytes wrapped;
    struct secret *secret;

    qhrec__partition__init(&partition);
    partition.id = hsm_id(id, sizeof id, fill);
    ck_assert_int_eq(keyring_partition_new(rig.keyring, id, &secret, &wrapped), QH_OK);
    secret_free(secret);
    partition.name = (char *)(uintptr_t)name;
    partition.serial = (char[]){"0123456789abcdef"};
    partition.wrapped_key = (ProtobufCBinaryData){wrapped.size, (uint8_t *)(uintptr_t)wrapped.base};
    partition.tries = 3;
    partition.tries_total = 5;
    key = record_key_partition(id);
    hsm_put(rig.store, rig.keyring, &key, &partition.base);
    hsm_free(wrapped);
}

void rig_setup(void)
{
    memset(&rig, 0, sizeof rig);
    rig.keyring = hsm_keyring(1);
    rig.store = hsm_store();
    hsm_put_settings(rig.store, rig.keyring);
    put_authority();
    put_partition(3, "first");
    put_partition(5, "second");
    hsm_put_client(rig.store, rig.keyring, USER, "user", 3, false);
    hsm_put_client(rig.store, rig.keyring, ADMIN, "admin", 0, true);
    ck_assert_int_eq(view_new(&rig.node.view), QH_OK);
    view_thread_begin();
    ck_assert_int_eq(view_load(rig.node.view, rig.keyring, rig.store), QH_OK);
    config.request_timeout_ms = 60000;
    rig.node.config = &config;
    rig.node.control = &rig.control;
    rig.control.node = &rig.node;
    rig.control.keyring = rig.keyring;
    rig.control.replica = (struct replica *)&rig; /* it is only asked whether there is one */
    atomic_store(&rig.node.has_leader, true);
}

void rig_teardown(void)
{
    wire_message_free(rig.answer != NULL ? &rig.answer->base : NULL);
    view_free(rig.node.view);
    view_thread_end();
    store_free(rig.store);
    keyring_free(rig.keyring);
}

/* ---- requests ---- */

Quadhsm__Request *rig_message(uint8_t partition)
{
    Quadhsm__Request *message = wire_zalloc(sizeof *message);
    uint8_t room[PARTITION_ID_SIZE];
    uint8_t id[ONCE_ID_SIZE] = {1, ++id_count};

    ck_assert_ptr_nonnull(message);
    quadhsm__request__init(message);
    message->id = 1;
    message->request_id = wire_bytes((struct bytes){id, sizeof id});
    if (partition != 0) {
        (void)hsm_id(room, sizeof room, partition);
        message->partition = wire_bytes((struct bytes){room, sizeof room});
    }
    return message;
}

static void deliver(struct request *request)
{
    uint8_t *frame;
    size_t size;

    ck_assert_ptr_nonnull(request->response);
    wire_message_free(rig.answer != NULL ? &rig.answer->base : NULL);
    ck_assert_int_eq(wire_pack(&request->response->base, &frame, &size), QH_OK);
    rig.answer = (Quadhsm__Response *)protobuf_c_message_unpack(
        &quadhsm__response__descriptor, &wire_allocator, size - FRAME_HEADER_SIZE,
        frame + FRAME_HEADER_SIZE);
    ck_assert_ptr_nonnull(rig.answer);
    wire_free(frame, size);
    rig.answered++;
    request_free(request);
}

void rig_begin(Quadhsm__Request *message, uint8_t client, enum hsm_role role,
               void (*handle)(struct request *request))
{
    struct request *request = request_new(&rig.node, rig.origin, message);

    ck_assert_ptr_nonnull(request);
    request->deliver = deliver;
    memset(request->client, client, sizeof request->client);
    memset(request->fingerprint, (uint8_t)~client, sizeof request->fingerprint);
    request->admin = client == ADMIN;
    request->ticket.role = role;
    handle(request);
}

enum qh_err rig_ask(Quadhsm__Request *message, uint8_t client, enum hsm_role role,
                    void (*handle)(struct request *request))
{
    unsigned before = rig.answered;

    rig_begin(message, client, role, handle);
    rig_apply();
    ck_assert_uint_eq(rig.answered, before + 1);
    return (enum qh_err)rig.answer->error;
}

const struct directory_partition *rig_partition(uint8_t fill)
{
    uint8_t id[PARTITION_ID_SIZE];

    memset(id, fill, sizeof id);
    return directory_partition(view_directory(rig.node.view), id);
}

static ProtobufCBinaryData pin_bytes(const char *pin)
{
    return wire_bytes((struct bytes){(const uint8_t *)pin, strlen(pin)});
}

Quadhsm__Request *rig_login(enum hsm_role role, const char *pin)
{
    Quadhsm__Request *message = rig_message(role == HSM_ROLE_SO ? 0 : 3);

    message->op_case = QUADHSM__REQUEST__OP_LOGIN;
    message->login = wire_zalloc(sizeof *message->login);
    quadhsm__login__init(message->login);
    message->login->role = (Quadhsm__Role)role;
    message->login->pin = pin_bytes(pin);
    return message;
}

enum qh_err rig_log_in(uint8_t client, enum hsm_role role, const char *pin)
{
    return rig_ask(rig_login(role, pin), client, HSM_ROLE_NONE, handle_login);
}

Quadhsm__Request *rig_role_init(enum hsm_role role, const char *pin)
{
    Quadhsm__Request *message = rig_message(3);

    message->op_case = QUADHSM__REQUEST__OP_ROLE_INIT;
    message->role_init = wire_zalloc(sizeof *message->role_init);
    quadhsm__role_init__init(message->role_init);
    message->role_init->role = (Quadhsm__Role)role;
    message->role_init->pin = pin_bytes(pin);
    return message;
}

void rig_init_role(enum hsm_role role, const char *pin)
{
    enum hsm_role above = role == HSM_ROLE_PO ? HSM_ROLE_SO : HSM_ROLE_PO;

    ck_assert_int_eq(rig_ask(rig_role_init(role, pin), ADMIN, above, handle_role_init), QH_OK);
}
