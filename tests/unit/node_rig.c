/* What stands around the client port in its tests. */
#include "tests/unit/node_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/pki.h"
#include "node/control.h"
#include "tests/lib/certs.h"

#define RIG_PATIENCE_MS 10000u
#define RIG_PARTITION 7

struct rig rig;

/* ---- The log. */

static pthread_mutex_t rig_mutex = PTHREAD_MUTEX_INITIALIZER;
static char rig_log[65536];

static void keep_line(void *data, enum log_level level, const char *line)
{
    size_t used;

    (void)data;
    (void)level;
    (void)pthread_mutex_lock(&rig_mutex);
    used = strlen(rig_log);
    (void)snprintf(rig_log + used, sizeof rig_log - used, "%s\n", line);
    (void)pthread_mutex_unlock(&rig_mutex);
}

bool rig_logged(const char *text)
{
    bool found;

    (void)pthread_mutex_lock(&rig_mutex);
    found = strstr(rig_log, text) != NULL;
    (void)pthread_mutex_unlock(&rig_mutex);
    return found;
}

#if defined(__SANITIZE_THREAD__)
/* liburcu is not compiled with ThreadSanitizer. */
__attribute__((visibility("default"))) const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:liburcu\ncalled_from_lib:liburcu-memb.so\n";
}
#endif

/* ---- The node. */

static void next_transaction(struct txn_builder *builder)
{
    uint8_t id[ONCE_ID_SIZE] = {0xaa, ++rig.transactions};

    txn_build_plain(builder, id, store_revision(rig.store));
}

static void apply(struct txn_builder *builder)
{
    struct bytes encoded;

    ck_assert_int_eq(txn_build_end(builder, &encoded), QH_OK);
    ck_assert_int_eq(store_apply(rig.store, encoded).status, STORE_APPLIED);
    view_applied(rig.node.view, rig.store, encoded, store_revision(rig.store));
    hsm_free(encoded);
}

uint64_t rig_put_plain(const struct record_key *key, struct bytes value)
{
    struct txn_builder builder;

    next_transaction(&builder);
    txn_build_put(&builder, record_key_bytes(key), value, 0);
    apply(&builder);
    return store_revision(rig.store);
}

static void rig_put(const struct record_key *key, const ProtobufCMessage *message)
{
    struct store_record old = {.value = {NULL, 0}};
    struct bytes value;

    (void)store_get(rig.store, record_key_bytes(key), &old);
    ck_assert_int_eq(record_seal(rig.keyring, key, old.value, message, &value), QH_OK);
    (void)rig_put_plain(key, value);
    hsm_free(value);
}

static void rig_delete(const struct record_key *key)
{
    struct txn_builder builder;

    next_transaction(&builder);
    txn_build_delete(&builder, record_key_bytes(key));
    apply(&builder);
}

void rig_lock(void)
{
    ck_assert_int_eq(view_load(rig.node.view, NULL, rig.store), QH_OK);
    atomic_store(&rig.node.readiness, QUADHSM__READINESS__READINESS_LOCKED);
}

void rig_unlock(void)
{
    ck_assert_int_eq(view_load(rig.node.view, rig.keyring, rig.store), QH_OK);
    atomic_store(&rig.node.readiness, QUADHSM__READINESS__READINESS_READY);
}

void rig_begin(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    log_set_sink(keep_line, NULL);
    test_make_dir(rig.dir, sizeof rig.dir);
    rig.keyring = hsm_keyring(1);
    rig.store = hsm_store();
    hsm_put_settings(rig.store, rig.keyring);
    hsm_put_partition(rig.store, rig.keyring, RIG_PARTITION, "seven", 1);
    rig.node.config = &rig.config;
    (void)snprintf(rig.config.node, sizeof rig.config.node, "alpha");
    (void)snprintf(rig.config.region, sizeof rig.config.region, "east");
    (void)snprintf(rig.config.client_listen.host, sizeof rig.config.client_listen.host,
                   "127.0.0.1");
    rig.config.service_threads = 2;
    rig.config.connections_max = SERVICE_CONNECTIONS_MAX;
    rig.config.request_timeout_ms = 5000;
    ck_assert_int_eq(view_new(&rig.node.view), QH_OK);
    view_thread_begin();
    rig_unlock();
    certs_make_ca(rig.dir);
    certs_make_node(rig.dir, "alpha");
    rig_make_client("app", "client:app");
    rig_enroll("app", 1, false, 0);
}

void rig_start_workers(unsigned threads)
{
    ck_assert_int_eq(workers_start(threads, &rig.node.workers), QH_OK);
}

void rig_start_services(void)
{
    char ca[300], cert[300], key[300];
    struct service_tls tls = {.ca_file = ca, .cert_file = cert, .key_file = key};

    certs_path(ca, sizeof ca, rig.dir, "ca", "crt");
    certs_path(cert, sizeof cert, rig.dir, "alpha", "crt");
    certs_path(key, sizeof key, rig.dir, "alpha", "key");
    ck_assert_int_eq(services_start(&rig.node, &tls, &rig.node.services), QH_OK);
}

void rig_end(void)
{
    rig_release();
    if (rig.node.services != NULL) {
        services_stop(rig.node.services);
    }
    if (rig.node.workers != NULL) {
        workers_stop(rig.node.workers);
    }
    view_thread_end();
    view_free(rig.node.view);
    store_free(rig.store);
    keyring_free(rig.keyring);
    test_remove_dir(rig.dir);
    log_set_sink(NULL, NULL);
}

/* ---- Certificates and who is enrolled. */

void rig_make_client(const char *file, const char *common_name)
{
    certs_make_subject(rig.dir, file, common_name);
}

void rig_fingerprint(const char *file, uint8_t ret_fingerprint[FINGERPRINT_SIZE])
{
    char path[300];
    FILE *stream;
    X509 *certificate;
    unsigned size = FINGERPRINT_SIZE;

    certs_path(path, sizeof path, rig.dir, file, "crt");
    stream = fopen(path, "r");
    ck_assert_ptr_nonnull(stream);
    certificate = PEM_read_X509(stream, NULL, NULL, NULL);
    ck_assert_ptr_nonnull(certificate);
    ck_assert_int_eq(X509_digest(certificate, EVP_sha256(), ret_fingerprint, &size), 1);
    X509_free(certificate);
    (void)fclose(stream);
}

void rig_enroll(const char *file, uint8_t id, bool admin, uint8_t partition)
{
    uint8_t client_id[CLIENT_ID_SIZE], fingerprint[FINGERPRINT_SIZE], may[PARTITION_ID_SIZE];
    ProtobufCBinaryData partitions[1] = {hsm_id(may, sizeof may, partition)};
    struct record_key key;
    Qhrec__Client client;

    qhrec__client__init(&client);
    rig_fingerprint(file, fingerprint);
    client.id = hsm_id(client_id, sizeof client_id, id);
    client.fingerprint = (ProtobufCBinaryData){sizeof fingerprint, fingerprint};
    client.name = (char *)(uintptr_t)file;
    client.admin = admin;
    client.n_partitions = partition != 0;
    client.partitions = partitions;
    key = record_key_client(client_id);
    rig_put(&key, &client.base);
}

void rig_revoke(uint8_t id)
{
    uint8_t client_id[CLIENT_ID_SIZE];
    struct record_key key;

    memset(client_id, id, sizeof client_id);
    key = record_key_client(client_id);
    rig_delete(&key);
}

static Qhrec__Partition *load_partition(struct record_key *ret_key)
{
    uint8_t id[PARTITION_ID_SIZE];
    ProtobufCMessage *message = NULL;
    enum qh_err err;

    memset(id, RIG_PARTITION, sizeof id);
    *ret_key = record_key_partition(id);
    err =
        record_load(rig.keyring, rig.store, ret_key, &qhrec__partition__descriptor, &message, NULL);
    ck_assert_int_eq(err, QH_OK);
    return (Qhrec__Partition *)message;
}

void rig_raise_epoch(void)
{
    struct record_key key;
    Qhrec__Partition *partition = load_partition(&key);

    partition->roles[0]->epoch++;
    rig_put(&key, &partition->base);
    wire_message_free(&partition->base);
}

void rig_set_pins(void)
{
    struct record_key key;
    Qhrec__Partition *partition = load_partition(&key);
    Qhrec__RoleAuth **before = partition->roles;
    Qhrec__RoleAuth po = *before[0], cu = *before[0];
    Qhrec__RoleAuth *roles[] = {&po, before[0], &cu};

    po.role = HSM_ROLE_PO;
    cu.role = HSM_ROLE_CU;
    partition->roles = roles;
    partition->n_roles = 3;
    rig_put(&key, &partition->base);
    partition->roles = before;
    partition->n_roles = 1;
    wire_message_free(&partition->base);
}

static ProtobufCBinaryData make_ticket(enum hsm_role role, bool context, uint64_t expires_s,
                                       uint8_t *room)
{
    struct ticket ticket = {.role = role, .context = context, .epoch = role == HSM_ROLE_SO ? 3 : 1};
    size_t size = 0;

    if (role != HSM_ROLE_SO) {
        memset(ticket.partition, RIG_PARTITION, sizeof ticket.partition);
    }
    rig_fingerprint("app", ticket.fingerprint);
    ticket.expires_unix_ms = expires_s * 1000;
    ck_assert_int_eq(ticket_seal(rig.keyring, &ticket, room, &size), QH_OK);
    return (ProtobufCBinaryData){size, room};
}

ProtobufCBinaryData rig_ticket(enum hsm_role role, bool context, uint8_t *room)
{
    return make_ticket(role, context, (uint64_t)time(NULL) + 3600, room);
}

ProtobufCBinaryData rig_ticket_expired(enum hsm_role role, bool context, uint8_t *room)
{
    return make_ticket(role, context, (uint64_t)time(NULL) - 1, room);
}

/* ---- Objects. */

const uint8_t rig_p256[10] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
const uint8_t rig_p384[7] = {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};

static struct bytes seal_object(const struct object *object, const uint8_t *id)
{
    uint8_t partition_id[PARTITION_ID_SIZE];
    const struct directory_partition *partition;
    struct bytes sealed;

    memset(partition_id, RIG_PARTITION, sizeof partition_id);
    view_enter();
    partition = directory_partition(view_directory(rig.node.view), partition_id);
    ck_assert_ptr_nonnull(partition);
    ck_assert_int_eq(object_seal(partition->key, hsm_cluster, partition_id, id, 0, object, &sealed),
                     QH_OK);
    view_leave();
    return sealed;
}

static void put_object(const struct object *object, uint8_t id)
{
    uint8_t partition_id[PARTITION_ID_SIZE], object_id[OBJECT_ID_SIZE];
    struct record_key key;
    struct bytes sealed;

    memset(partition_id, RIG_PARTITION, sizeof partition_id);
    memset(object_id, id, sizeof object_id);
    key = record_key_object(partition_id, object_id);
    sealed = seal_object(object, object_id);
    (void)rig_put_plain(&key, sealed);
    hsm_free(sealed);
}

void rig_generate(CK_MECHANISM_TYPE mechanism, struct attributes template, struct attributes extra,
                  uint8_t id)
{
    struct mech_params params = {.type = mechanism};
    struct object *object = NULL, *private = NULL;
    enum qh_err err = object_generate(&params, template, extra, &object, &private);

    ck_assert_int_eq(err, QH_OK);
    put_object(private != NULL ? private : object, id);
    if (private != NULL) {
        put_object(object, (uint8_t)(id + 1));
    }
    object_free(object);
    object_free(private);
}

static const uint8_t rig_true[1] = {1};

void rig_generate_ec(const uint8_t *curve, size_t curve_size, uint8_t id)
{
    struct attribute public[] = {{CKA_EC_PARAMS, {curve, curve_size}},
                                 {CKA_TOKEN, {rig_true, 1}},
                                 {CKA_VERIFY, {rig_true, 1}}};
    struct attribute private[] = {{CKA_TOKEN, {rig_true, 1}}, {CKA_SIGN, {rig_true, 1}}};

    rig_generate(CKM_EC_KEY_PAIR_GEN, (struct attributes){public, 3},
                 (struct attributes){private, 2}, id);
}

static void put_ulong(uint8_t ret_value[8], uint64_t number)
{
    for (unsigned i = 0; i < 8; i++) {
        ret_value[i] = (uint8_t)(number >> (8 * i));
    }
}

void rig_generate_rsa(unsigned bits, uint8_t id)
{
    uint8_t size[8];
    struct attribute public[] = {{CKA_MODULUS_BITS, {size, sizeof size}},
                                 {CKA_TOKEN, {rig_true, 1}},
                                 {CKA_VERIFY, {rig_true, 1}}};
    struct attribute private[] = {{CKA_TOKEN, {rig_true, 1}}, {CKA_SIGN, {rig_true, 1}}};

    put_ulong(size, bits);
    rig_generate(CKM_RSA_PKCS_KEY_PAIR_GEN, (struct attributes){public, 3},
                 (struct attributes){private, 2}, id);
}

void rig_generate_aes(unsigned bytes, uint8_t id)
{
    uint8_t size[8];
    struct attribute template[] = {{CKA_VALUE_LEN, {size, sizeof size}},
                                   {CKA_TOKEN, {rig_true, 1}},
                                   {CKA_ENCRYPT, {rig_true, 1}},
                                   {CKA_DECRYPT, {rig_true, 1}}};

    put_ulong(size, bytes);
    rig_generate(CKM_AES_KEY_GEN, (struct attributes){template, 4}, (struct attributes){NULL, 0},
                 id);
}

void rig_session_aes(unsigned bytes, struct bytes *ret_sealed)
{
    struct mech_params params = {.type = CKM_AES_KEY_GEN};
    struct object *object = NULL, *none = NULL;
    uint8_t size[8];
    struct attribute template[] = {{CKA_VALUE_LEN, {size, sizeof size}},
                                   {CKA_ENCRYPT, {rig_true, 1}},
                                   {CKA_DECRYPT, {rig_true, 1}}};

    put_ulong(size, bytes);
    ck_assert_int_eq(object_generate(&params, (struct attributes){template, 3},
                                     (struct attributes){NULL, 0}, &object, &none),
                     QH_OK);
    *ret_sealed = seal_object(object, NULL);
    object_free(object);
}

void rig_destroy(uint8_t id)
{
    uint8_t partition_id[PARTITION_ID_SIZE], object_id[OBJECT_ID_SIZE];
    struct record_key key;

    memset(partition_id, RIG_PARTITION, sizeof partition_id);
    memset(object_id, id, sizeof object_id);
    key = record_key_object(partition_id, object_id);
    rig_delete(&key);
}

/* ---- Handlers and the control thread. */

static struct request *rig_held[RIG_PARKED_MAX];
static void (*rig_held_run[RIG_PARKED_MAX])(struct request *request);
static unsigned rig_held_count;
static _Atomic unsigned rig_held_ever;
_Atomic unsigned rig_waits;
_Atomic bool rig_park_waits;
_Atomic size_t rig_answer_size;

static void hold(struct request *request, void (*run)(struct request *request))
{
    (void)pthread_mutex_lock(&rig_mutex);
    ck_assert_uint_lt(rig_held_count, RIG_PARKED_MAX);
    rig_held_run[rig_held_count] = run;
    rig_held[rig_held_count++] = request;
    atomic_fetch_add(&rig_held_ever, 1);
    (void)pthread_mutex_unlock(&rig_mutex);
}

unsigned rig_parked(void)
{
    unsigned count;

    (void)pthread_mutex_lock(&rig_mutex);
    count = rig_held_count;
    (void)pthread_mutex_unlock(&rig_mutex);
    return count;
}

/* As the control thread would: from another thread than the connection's. */
void rig_release(void)
{
    for (;;) {
        struct request *request = NULL;
        void (*run)(struct request * request) = NULL;

        (void)pthread_mutex_lock(&rig_mutex);
        if (rig_held_count > 0) {
            request = rig_held[--rig_held_count];
            run = rig_held_run[rig_held_count];
        }
        (void)pthread_mutex_unlock(&rig_mutex);
        if (request == NULL) {
            return;
        }
        if (run != NULL) {
            request_run_on(request, REQUEST_SERVICE, run);
        } else {
            request_answer(request, QH_OK, NULL);
        }
    }
}

static _Atomic int rig_worker_blocked; /* 1: is to be, 2: is */

static void block(struct request *request)
{
    atomic_store(&rig_worker_blocked, 2);
    while (atomic_load(&rig_worker_blocked) == 2) {
        (void)poll(NULL, 0, 1);
    }
    request_answer(request, QH_OK, NULL);
}

static bool is_blocked(void *data)
{
    (void)data;
    return atomic_load(&rig_worker_blocked) == 2;
}

struct request *rig_request(void (*deliver)(struct request *request))
{
    Quadhsm__Request *message = wire_zalloc(sizeof *message);
    struct request *request;

    ck_assert_ptr_nonnull(message);
    quadhsm__request__init(message);
    request = request_new(&rig.node, REQUEST_FROM_CONTROL, message);
    ck_assert_ptr_nonnull(request);
    request->deliver = deliver;
    return request;
}

void rig_block_worker(void)
{
    atomic_store(&rig_worker_blocked, 1);
    request_run_on(rig_request(request_free), REQUEST_WORKER, block);
    ck_assert(rig_until(is_blocked, NULL));
}

void rig_release_worker(void)
{
    atomic_store(&rig_worker_blocked, 0);
}

bool control_post(struct control *control, struct request *request)
{
    (void)control;
    (void)request;
    return false;
}

void control_wait(struct request *request, uint64_t revision, bool linearizable,
                  void (*run)(struct request *request))
{
    (void)revision;
    (void)linearizable;
    atomic_fetch_add(&rig_waits, 1);
    if (atomic_load(&rig_park_waits)) {
        hold(request, run);
    } else {
        request_run_on(request, REQUEST_SERVICE, run);
    }
}

void handle_slots(struct request *request)
{
    hold(request, NULL);
}

void handle_endpoints(struct request *request)
{
    Quadhsm__Output *output = wire_zalloc(sizeof *output);

    ck_assert_ptr_nonnull(output);
    quadhsm__output__init(output);
    request->response->result_case = QUADHSM__RESPONSE__RESULT_OUTPUT;
    request->response->output = output;
    output->data.len = atomic_load(&rig_answer_size);
    output->data.data = wire_zalloc(output->data.len);
    request_answer(request, QH_OK, NULL);
}

#define RIG_HANDLER(name)                     \
    void name(struct request *request)        \
    {                                         \
        request_answer(request, QH_OK, NULL); \
    }

RIG_HANDLER(handle_login)
RIG_HANDLER(handle_find)
RIG_HANDLER(handle_create)
RIG_HANDLER(handle_generate)
RIG_HANDLER(handle_destroy)
RIG_HANDLER(handle_set_attributes)
RIG_HANDLER(handle_copy)
RIG_HANDLER(handle_wrap)
RIG_HANDLER(handle_unwrap)
RIG_HANDLER(handle_derive)
RIG_HANDLER(handle_partition_init)
RIG_HANDLER(handle_role_init)
RIG_HANDLER(handle_role_passwd)
RIG_HANDLER(handle_role_unlock)
RIG_HANDLER(handle_partition_create)
RIG_HANDLER(handle_partition_policy)
RIG_HANDLER(handle_partition_delete)
RIG_HANDLER(handle_partition_list)
RIG_HANDLER(handle_client_enroll)
RIG_HANDLER(handle_client_revoke)
RIG_HANDLER(handle_client_list)
RIG_HANDLER(handle_token_create)
RIG_HANDLER(handle_cluster_status)
RIG_HANDLER(handle_node_status)
RIG_HANDLER(handle_node_init)
RIG_HANDLER(handle_node_join)
RIG_HANDLER(handle_node_unlock)
RIG_HANDLER(handle_join)

bool rig_until(bool (*condition)(void *data), void *data)
{
    uint64_t end_ms = clock_monotonic_ms() + RIG_PATIENCE_MS;

    while (!condition(data)) {
        if (clock_monotonic_ms() >= end_ms) {
            return false;
        }
        (void)poll(NULL, 0, 1);
    }
    return true;
}

static bool has_parked(void *data)
{
    return atomic_load(&rig_held_ever) >= *(unsigned *)data;
}

bool rig_until_parked(unsigned count)
{
    return rig_until(has_parked, &count);
}

/* ---- A client. */

int rig_dial(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(services_port(rig.node.services))};
    struct timeval patience = {.tv_sec = RIG_PATIENCE_MS / 1000};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;

    ck_assert_int_ge(fd, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

bool rig_connect_as(struct rig_client *client, const char *file, const char *alpn, const char *ca)
{
    char path[300];
    unsigned char protocol[64];

    client->fd = rig_dial();
    client->tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_verify(client->tls, SSL_VERIFY_PEER, NULL);
    certs_path(path, sizeof path, rig.dir, ca, "crt");
    ck_assert_int_eq(SSL_CTX_load_verify_file(client->tls, path), 1);
    if (file != NULL) {
        certs_path(path, sizeof path, rig.dir, file, "crt");
        ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(client->tls, path), 1);
        certs_path(path, sizeof path, rig.dir, file, "key");
        ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(client->tls, path, SSL_FILETYPE_PEM), 1);
    }
    client->ssl = SSL_new(client->tls);
    if (alpn != NULL) {
        protocol[0] = (unsigned char)strlen(alpn);
        memcpy(protocol + 1, alpn, strlen(alpn));
        ck_assert_int_eq(SSL_set_alpn_protos(client->ssl, protocol, protocol[0] + 1u), 0);
    }
    ck_assert_int_eq(SSL_set_fd(client->ssl, client->fd), 1);
    ERR_clear_error();
    return SSL_connect(client->ssl) == 1;
}

void rig_connect(struct rig_client *client, const char *file)
{
    ck_assert(rig_connect_as(client, file, WIRE_ALPN_CLIENT, "ca"));
}

void rig_hang_up(struct rig_client *client)
{
    SSL_free(client->ssl);
    SSL_CTX_free(client->tls);
    (void)close(client->fd);
}

bool rig_write(struct rig_client *client, const void *base, size_t size)
{
    size_t written = 0;

    ERR_clear_error();
    return SSL_write_ex(client->ssl, base, size, &written) == 1 && written == size;
}

bool rig_read(struct rig_client *client, void *base, size_t size)
{
    size_t done = 0;

    while (done < size) {
        size_t got = 0;

        ERR_clear_error();
        if (SSL_read_ex(client->ssl, (uint8_t *)base + done, size - done, &got) != 1) {
            return false;
        }
        done += got;
    }
    return true;
}

bool rig_send(struct rig_client *client, const Quadhsm__Request *request)
{
    uint8_t *frame = NULL;
    size_t size = 0;
    bool sent;

    ck_assert_int_eq(wire_pack(&request->base, &frame, &size), QH_OK);
    sent = rig_write(client, frame, size);
    wire_free(frame, size);
    return sent;
}

Quadhsm__Response *rig_receive(struct rig_client *client)
{
    uint8_t header[FRAME_HEADER_SIZE];
    Quadhsm__Response *response;
    uint8_t *body;
    size_t size = 0;

    if (!rig_read(client, header, sizeof header)) {
        return NULL;
    }
    ck_assert_int_eq(wire_header_read(header, WIRE_FRAME_SIZE_MAX, &size), QH_OK);
    body = malloc(size);
    ck_assert_ptr_nonnull(body);
    if (!rig_read(client, body, size)) {
        free(body);
        return NULL;
    }
    response = quadhsm__response__unpack(NULL, size, body);
    ck_assert_ptr_nonnull(response);
    free(body);
    return response;
}

int rig_call(struct rig_client *client, const Quadhsm__Request *request)
{
    Quadhsm__Response *response;
    int error;

    if (!rig_send(client, request)) {
        return -1;
    }
    response = rig_receive(client);
    if (response == NULL) {
        return -1;
    }
    ck_assert_uint_eq(response->id, request->id);
    error = (int)response->error;
    quadhsm__response__free_unpacked(response, NULL);
    return error;
}

int rig_ping(struct rig_client *client)
{
    Quadhsm__Ping ping;
    RIG_REQUEST(request);

    quadhsm__ping__init(&ping);
    request.op_case = QUADHSM__REQUEST__OP_PING;
    request.ping = &ping;
    return rig_call(client, &request);
}

bool rig_alive(void)
{
    struct rig_client client;
    int error;

    rig_connect(&client, "app");
    error = rig_ping(&client);
    rig_hang_up(&client);
    return error == QH_OK;
}
