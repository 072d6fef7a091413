/* Clients: enrolled, revoked, listed; and the tokens that nodes join with. */
#include <sodium.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "crypto/pki.h"
#include "hsm/join_token.h"
#include "node/admin.h"
#include "node/handlers.h"
#include "node/node.h"
#include "wire/frame.h"

#define TOKENS_MAX 64u
#define TOKENS_EXPIRED_MAX 24u /* removed on the way, each with a compare and a write */
#define TOKEN_LIFETIME_S 3600u
#define TOKEN_LIFETIME_MAX_S 86400u

static const char out_of_memory[] = "the node is out of memory: ask another one";

static struct bytes span(ProtobufCBinaryData data)
{
    return (struct bytes){data.data, data.len};
}

static QH_RESULT load_authority(const struct keyring *keyring, const struct store *store,
                                Qhrec__Authority **ret_authority, const char **ret_detail)
{
    struct record_key key = record_key_authority();
    ProtobufCMessage *message;
    enum qh_err err =
        record_load(keyring, store, &key, &qhrec__authority__descriptor, &message, NULL);

    if (err != QH_OK) {
        *ret_detail = "the record of the cluster's authority is missing or damaged";
        return err;
    }
    *ret_authority = (Qhrec__Authority *)message;
    return QH_OK;
}

/* ---- enroll ---- */

static const struct directory_client *client_by_name(const struct directory *directory,
                                                     const char *name)
{
    for (unsigned i = 0; i < directory->client_count; i++) {
        if (strcmp(directory->clients[i].name, name) == 0) {
            return &directory->clients[i];
        }
    }
    return NULL;
}

static QH_RESULT issue(const struct keyring *keyring, const struct store *store,
                       const Quadhsm__ClientEnroll *enroll, Quadhsm__ClientCertificate *answer,
                       const char **ret_detail)
{
    SECRET_SCOPED struct secret *key = NULL;
    Qhrec__Authority *authority;
    struct pki_der cert = {NULL, 0};
    enum qh_err err = load_authority(keyring, store, &authority, ret_detail);

    if (err != QH_OK) {
        return err;
    }
    err = secret_from(authority->key.data, authority->key.len, &key);
    if (err == QH_OK) {
        err = pki_issue_client(span(authority->certificate), key, span(enroll->csr), enroll->name,
                               clock_unix_ms() / 1000, &cert);
    }
    if (err == QH_EMALFORMED) {
        *ret_detail = "this is no certificate request in DER, or its signature is wrong";
    } else if (err == QH_EKEYTYPE) {
        *ret_detail = "a client's key is P-256, P-384, Ed25519, or RSA of 2,048 to 8,192 bits";
    }
    if (err == QH_OK) {
        answer->certificate = wire_bytes((struct bytes){cert.base, cert.size});
        answer->ca = wire_bytes(span(authority->certificate));
        err = answer->certificate.data != NULL && answer->ca.data != NULL ? QH_OK : QH_ENOMEM;
    }
    free(cert.base);
    wire_message_free(&authority->base);
    return err;
}

/* Names into ids. Errors: QH_ENOTFOUND. */
static QH_RESULT find_partitions(const struct directory *directory,
                                 const Quadhsm__ClientEnroll *enroll,
                                 ProtobufCBinaryData ret_ids[PARTITIONS_MAX],
                                 const char **ret_detail)
{
    for (size_t i = 0; i < enroll->n_partitions; i++) {
        const struct directory_partition *partition =
            directory_partition_by_name(directory, enroll->partitions[i]);

        if (partition == NULL) {
            *ret_detail = "there is no partition of one of the names: see quadhsm partition list";
            return QH_ENOTFOUND;
        }
        ret_ids[i] = (ProtobufCBinaryData){PARTITION_ID_SIZE, (uint8_t *)(uintptr_t)partition->id};
    }
    return QH_OK;
}

static QH_RESULT put_client(const struct keyring *keyring, const Quadhsm__ClientEnroll *enroll,
                            ProtobufCBinaryData *partitions,
                            const Quadhsm__ClientCertificate *answer, struct change_list *list)
{
    struct record_key key = record_key_client(answer->client.data);
    uint8_t fingerprint[FINGERPRINT_SIZE];
    Qhrec__Client client;
    struct bytes value;
    enum qh_err err = pki_fingerprint(span(answer->certificate), fingerprint);

    if (err != QH_OK) {
        return err;
    }
    qhrec__client__init(&client);
    client.id = answer->client;
    client.name = enroll->name;
    client.fingerprint = (ProtobufCBinaryData){sizeof fingerprint, fingerprint};
    client.n_partitions = enroll->n_partitions;
    client.partitions = partitions;
    client.admin = enroll->admin;
    client.enrolled_unix_s = clock_unix_ms() / 1000;
    err = record_seal(keyring, &key, (struct bytes){NULL, 0}, &client.base, &value);
    if (err == QH_OK) {
        change_compare(list, TXN_ABSENT, record_key_bytes(&key), 0);
        change_put(list, record_key_bytes(&key), value);
        free((void *)(uintptr_t)value.base);
    }
    return err;
}

static QH_RESULT enroll_client(struct request *request, const struct store *store,
                               struct change_list *list, const char **ret_detail)
{
    const struct view *view = request->node->view;
    const struct directory *directory = view_directory(view);
    const Quadhsm__ClientEnroll *enroll = request->message->client_enroll;
    ProtobufCBinaryData partitions[PARTITIONS_MAX];
    struct record_key prefix = record_prefix("a");
    Quadhsm__ClientCertificate *answer;
    uint8_t id[CLIENT_ID_SIZE];
    enum qh_err err;

    if (client_by_name(directory, enroll->name) != NULL) {
        *ret_detail = "there is a client of this name: revoke it first, or choose another name";
        return QH_EEXIST;
    }
    if (store_count_prefix(store, record_key_bytes(&prefix)) >= CLIENTS_MAX) {
        *ret_detail = "the cluster has as many clients as it may have: revoke one first";
        return QH_ELIMIT;
    }
    answer = wire_zalloc(sizeof *answer);
    if (answer == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__client_certificate__init(answer);
    request->response->result_case = QUADHSM__RESPONSE__RESULT_CLIENT_CERTIFICATE;
    request->response->client_certificate = answer;
    randombytes_buf(id, sizeof id);
    answer->client = wire_bytes((struct bytes){id, sizeof id});
    err = answer->client.data != NULL ? QH_OK : QH_ENOMEM;
    if (err == QH_OK) {
        err = find_partitions(directory, enroll, partitions, ret_detail);
    }
    if (err == QH_OK) {
        err = issue(view_keyring(view), store, enroll, answer, ret_detail);
    }
    if (err == QH_OK) {
        change_compare(list, TXN_FEWER_THAN, record_key_bytes(&prefix), CLIENTS_MAX);
        err = put_client(view_keyring(view), enroll, partitions, answer, list);
    }
    return err == QH_OK ? admin_touch_names(view_keyring(view), store, list) : err;
}

static enum qh_err build_enroll(struct request *request, const struct store *store,
                                struct change_list *list, const char **ret_detail)
{
    enum qh_err err;

    view_enter();
    err = enroll_client(request, store, list, ret_detail);
    view_leave();
    return err;
}

void handle_client_enroll(struct request *request)
{
    const Quadhsm__ClientEnroll *enroll = request->message->client_enroll;

    if (!pki_client_name_valid(enroll->name)) {
        request_answer(request, QH_EINVAL,
                       "a client's name has 1 to 57 letters, digits, '-', '.' and '_', with a "
                       "letter or digit at both ends");
    } else if (enroll->n_partitions > PARTITIONS_MAX) {
        request_answer(request, QH_ELIMIT, "a client is enrolled for at most 64 partitions");
    } else {
        change_run(request, build_enroll);
    }
}

/* ---- revoke ---- */

static bool last_admin(const struct directory *directory, const struct directory_client *client)
{
    unsigned count = 0;

    for (unsigned i = 0; i < directory->client_count; i++) {
        count += directory->clients[i].admin;
    }
    return client->admin && count == 1;
}

static QH_RESULT revoke_client(struct request *request, const struct store *store,
                               struct change_list *list, const char **ret_detail)
{
    const struct view *view = request->node->view;
    const struct directory *directory = view_directory(view);
    const struct directory_client *client =
        client_by_name(directory, request->message->client_revoke->name);
    struct store_record record;
    struct record_key key;

    *ret_detail = "there is no client of this name: see quadhsm client list";
    if (client == NULL) {
        return QH_ENOTFOUND;
    }
    if (last_admin(directory, client)) {
        *ret_detail = "it is the last administrator, and nobody could manage the cluster any more: "
                      "enroll another one first";
        return QH_EREFUSED;
    }
    key = record_key_client(client->id);
    if (!store_get(store, record_key_bytes(&key), &record)) {
        return QH_ENOTFOUND;
    }
    *ret_detail = NULL;
    change_compare(list, TXN_AT_REVISION, record_key_bytes(&key), record.mod_revision);
    change_delete(list, record_key_bytes(&key));
    /* Of two administrators that revoke each other one remains. */
    return admin_touch_names(view_keyring(view), store, list);
}

static enum qh_err build_revoke(struct request *request, const struct store *store,
                                struct change_list *list, const char **ret_detail)
{
    enum qh_err err;

    view_enter();
    err = revoke_client(request, store, list, ret_detail);
    view_leave();
    return err;
}

void handle_client_revoke(struct request *request)
{
    change_run(request, build_revoke);
}

/* ---- list ---- */

static QH_RESULT fill_names(const struct directory *directory,
                            const struct directory_client *client, Quadhsm__ClientInfo *info)
{
    info->partitions = wire_zalloc((client->partition_count + 1) * sizeof(char *));
    if (info->partitions == NULL) {
        return QH_ENOMEM;
    }
    for (unsigned i = 0; i < client->partition_count; i++) {
        const struct directory_partition *partition =
            directory_partition(directory, client->partitions[i]);
        char *name = wire_string(partition != NULL ? partition->name : "(deleted)");

        if (name == NULL) {
            return QH_ENOMEM;
        }
        info->partitions[info->n_partitions++] = name;
    }
    return QH_OK;
}

static QH_RESULT add_client(const struct directory *directory,
                            const struct directory_client *client, Quadhsm__ClientInfoList *list)
{
    Quadhsm__ClientInfo *info = wire_zalloc(sizeof *info);

    if (info == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__client_info__init(info);
    list->clients[list->n_clients++] = info;
    info->client = wire_bytes((struct bytes){client->id, CLIENT_ID_SIZE});
    info->name = wire_string(client->name);
    info->fingerprint = wire_bytes((struct bytes){client->fingerprint, FINGERPRINT_SIZE});
    info->admin = client->admin;
    info->enrolled_unix_s = client->enrolled_unix_s;
    if (info->client.data == NULL || info->name == NULL || info->fingerprint.data == NULL) {
        return QH_ENOMEM;
    }
    return fill_names(directory, client, info);
}

static QH_RESULT fill_clients(const struct directory *directory, Quadhsm__Response *response)
{
    Quadhsm__ClientInfoList *list = wire_zalloc(sizeof *list);
    enum qh_err err = QH_OK;

    if (list == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__client_info_list__init(list);
    response->result_case = QUADHSM__RESPONSE__RESULT_CLIENTS;
    response->clients = list;
    list->clients = wire_zalloc((directory->client_count + 1) * sizeof(Quadhsm__ClientInfo *));
    if (list->clients == NULL) {
        return QH_ENOMEM;
    }
    for (unsigned i = 0; err == QH_OK && i < directory->client_count; i++) {
        err = add_client(directory, &directory->clients[i], list);
    }
    return err;
}

void handle_client_list(struct request *request)
{
    enum qh_err err;

    view_enter();
    err = fill_clients(view_directory(request->node->view), request->response);
    view_leave();
    request_answer(request, err, err == QH_OK ? NULL : out_of_memory);
}

/* ---- tokens ---- */

struct expired {
    const struct keyring *keyring;
    struct change_list *list;
    uint64_t now_unix_ms;
    unsigned count;
};

/* Expired ones go, and those that do not open. */
static bool visit_token(void *data, const struct store_record *record)
{
    struct expired *expired = data;
    ProtobufCMessage *message = NULL;
    enum qh_err err = record_open(expired->keyring, record->key, record->value,
                                  &qhrec__join_token__descriptor, &message);
    bool keep =
        err == QH_ENOMEM || err == QH_ESYSTEM ||
        (err == QH_OK && ((Qhrec__JoinToken *)message)->expires_unix_ms > expired->now_unix_ms);

    wire_message_free(message);
    if (!keep) {
        change_compare(expired->list, TXN_AT_REVISION, record->key, record->mod_revision);
        change_delete(expired->list, record->key);
        expired->count++;
    }
    return expired->count < TOKENS_EXPIRED_MAX;
}

static QH_RESULT put_token(const struct keyring *keyring, const struct join_token *token,
                           uint64_t expires_unix_ms, struct change_list *list)
{
    struct record_key key = record_key_token(token->id);
    Qhrec__JoinToken message;
    struct bytes value;
    enum qh_err err;

    qhrec__join_token__init(&message);
    message.secret = (ProtobufCBinaryData){secret_size(token->secret),
                                           (uint8_t *)(uintptr_t)secret_view(token->secret)};
    message.witness = token->witness;
    message.expires_unix_ms = expires_unix_ms;
    err = record_seal(keyring, &key, (struct bytes){NULL, 0}, &message.base, &value);
    if (err == QH_OK) {
        change_compare(list, TXN_ABSENT, record_key_bytes(&key), 0);
        change_put(list, record_key_bytes(&key), value);
        free((void *)(uintptr_t)value.base);
    }
    return err;
}

static void add_addresses(const struct directory *directory, struct join_token *token)
{
    for (unsigned i = 0; i < directory->node_count; i++) {
        const struct directory_node *node = &directory->nodes[i];

        if (!node->witness && token->address_count < JOIN_TOKEN_ADDRESSES_MAX) {
            (void)snprintf(token->addresses[token->address_count].host,
                           sizeof token->addresses->host, "%s", node->client_host);
            token->addresses[token->address_count].port = node->client_port;
            token->address_count++;
        }
    }
}

/* Everything but the secret's record. Owns: join_token_close(). */
static QH_RESULT fill_token(struct request *request, const struct store *store,
                            struct join_token *token, const char **ret_detail)
{
    const struct view *view = request->node->view;
    Qhrec__Authority *authority;
    enum qh_err err = load_authority(view_keyring(view), store, &authority, ret_detail);

    if (err != QH_OK) {
        return err;
    }
    err = pki_fingerprint(span(authority->certificate), token->fingerprint);
    wire_message_free(&authority->base);
    if (err == QH_OK) {
        err = secret_new(JOIN_TOKEN_SECRET_SIZE, &token->secret);
    }
    if (err == QH_OK) {
        randombytes_buf(secret_bytes(token->secret), JOIN_TOKEN_SECRET_SIZE);
        randombytes_buf(token->id, sizeof token->id);
        memcpy(token->cluster, keyring_cluster(view_keyring(view)), sizeof token->cluster);
        token->witness = request->message->token_create->witness;
        add_addresses(view_directory(view), token);
    }
    return err;
}

static QH_RESULT answer_token(Quadhsm__Response *response, const struct join_token *token,
                              const char **ret_detail)
{
    SECRET_SCOPED struct secret *text = NULL;
    Quadhsm__Token *answer = wire_zalloc(sizeof *answer);
    enum qh_err err;

    if (answer == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__token__init(answer);
    response->result_case = QUADHSM__RESPONSE__RESULT_TOKEN;
    response->token = answer;
    err = join_token_make(token, &text);
    if (err == QH_EINVAL) {
        *ret_detail = "a node's advertised client address is not one that a token can carry: check "
                      "client.advertise of the nodes";
    }
    if (err != QH_OK) {
        return err;
    }
    answer->text = wire_string((const char *)secret_view(text));
    return answer->text != NULL ? QH_OK : QH_ENOMEM;
}

static QH_RESULT create_token(struct request *request, const struct store *store,
                              struct change_list *list, const char **ret_detail)
{
    static const struct record_key prefix = {.base = "c/t/", .size = 4};
    const struct keyring *keyring = view_keyring(request->node->view);
    uint32_t lifetime_s = request->message->token_create->lifetime_s;
    struct expired expired = {keyring, list, clock_unix_ms(), 0};
    struct join_token token = {.secret = NULL};
    uint64_t expires_unix_ms =
        expired.now_unix_ms + (lifetime_s > 0 ? lifetime_s : TOKEN_LIFETIME_S) * 1000ull;
    enum qh_err err;

    store_scan(store, record_key_bytes(&prefix), (struct bytes){NULL, 0}, visit_token, &expired);
    if (store_count_prefix(store, record_key_bytes(&prefix)) - expired.count >= TOKENS_MAX) {
        *ret_detail = "64 tokens wait to be used: use one, or wait until one expires";
        return QH_ELIMIT;
    }
    /* Compares look at the state before the expired ones go. */
    change_compare(list, TXN_FEWER_THAN, record_key_bytes(&prefix), TOKENS_MAX + expired.count);
    err = fill_token(request, store, &token, ret_detail);
    if (err == QH_OK) {
        err = put_token(keyring, &token, expires_unix_ms, list);
    }
    if (err == QH_OK) {
        err = answer_token(request->response, &token, ret_detail);
    }
    join_token_close(&token);
    return err;
}

static enum qh_err build_token(struct request *request, const struct store *store,
                               struct change_list *list, const char **ret_detail)
{
    enum qh_err err;

    view_enter();
    err = create_token(request, store, list, ret_detail);
    view_leave();
    return err;
}

void handle_token_create(struct request *request)
{
    if (request->message->token_create->lifetime_s > TOKEN_LIFETIME_MAX_S) {
        request_answer(request, QH_EINVAL, "a token lives for at most a day (86,400 seconds)");
        return;
    }
    change_run(request, build_token);
}
