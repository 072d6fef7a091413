/* The directory: records opened, checked, and sorted for finding. */
#include "hsm/directory.h"

#include <stdlib.h>
#include <string.h>

#include "hsm/logins.h"
#include "hsm/record.h"
#include "wire/frame.h"

/* What one build carries through its scans. */
struct build {
    const struct keyring *keyring;
    const struct store *store;
    struct secret *room; /* for the text of one record after the other */
    struct directory *directory;
    enum qh_err err; /* the first that ends the build */
};

/* ---- checked copies ---- */

static bool copy_text(char *ret_text, size_t room, const char *text)
{
    size_t length = strnlen(text, room);

    if (length == room) {
        return false;
    }
    memcpy(ret_text, text, length + 1);
    return true;
}

static bool copy_bytes(uint8_t *ret_bytes, size_t size, ProtobufCBinaryData data)
{
    if (data.len != size) {
        return false;
    }
    memcpy(ret_bytes, data.data, size);
    return true;
}

/* Is @data what follows the prefix "x/" in @key? A record stands under its own id. */
static bool id_is_key(struct bytes key, ProtobufCBinaryData data)
{
    struct bytes id = {data.data, data.len};

    return bytes_compare((struct bytes){key.base + 2, key.size - 2}, id) == 0;
}

/* ---- reading one kind of record ---- */

static bool read_role(const Qhrec__RoleAuth *message, struct directory_role *ret_role)
{
    ret_role->epoch = message->epoch;
    return copy_text(ret_role->verifier, sizeof ret_role->verifier, message->verifier);
}

static bool read_settings(const Qhrec__Settings *message, struct directory *directory)
{
    if (message->so == NULL || message->partitions_max > PARTITIONS_MAX) {
        return false;
    }
    directory->partitions_max = message->partitions_max;
    return copy_text(directory->cluster_name, sizeof directory->cluster_name,
                     message->cluster_name) &&
           read_role(message->so, &directory->so);
}

static bool read_roles(const Qhrec__Partition *message, struct directory_partition *partition)
{
    for (size_t i = 0; i < message->n_roles; i++) {
        uint32_t role = message->roles[i]->role;

        if (role < HSM_ROLE_PO || role > HSM_ROLE_CU ||
            !read_role(message->roles[i], &partition->roles[role])) {
            return false;
        }
    }
    return message->n_roles <= HSM_ROLES;
}

/* Errors: QH_ECORRUPT for what does not hold together, QH_ENOMEM, QH_ESYSTEM. */
static QH_RESULT read_partition(const struct build *build, const struct store_record *record,
                                const Qhrec__Partition *message,
                                struct directory_partition *partition)
{
    struct bytes wrapped = {message->wrapped_key.data, message->wrapped_key.len};
    enum qh_err err;

    if (!id_is_key(record->key, message->id) ||
        !copy_bytes(partition->id, PARTITION_ID_SIZE, message->id) ||
        !copy_text(partition->name, sizeof partition->name, message->name) ||
        !copy_text(partition->serial, sizeof partition->serial, message->serial) ||
        !read_roles(message, partition)) {
        return QH_ECORRUPT;
    }
    partition->mod_revision = record->mod_revision;
    partition->tries = message->tries;
    partition->tries_total = message->tries_total;
    partition->generation = message->generation;
    partition->claimable = message->claimable && partition->roles[HSM_ROLE_PO].verifier[0] == '\0';
    /* What a later version may allow is not known here. */
    partition->export = message->export <= OBJECT_EXPORT_CLEAR ? (enum object_export)message->export
                                                               : OBJECT_EXPORT_NEVER;
    err = keyring_partition_open(build->keyring, partition->id, wrapped, &partition->key);
    return err == QH_OK || err == QH_ENOMEM || err == QH_ESYSTEM ? err : QH_ECORRUPT;
}

static bool read_client(const struct store_record *record, const Qhrec__Client *message,
                        struct directory_client *client)
{
    if (!id_is_key(record->key, message->id) ||
        !copy_bytes(client->id, CLIENT_ID_SIZE, message->id) ||
        !copy_bytes(client->fingerprint, FINGERPRINT_SIZE, message->fingerprint) ||
        !copy_text(client->name, sizeof client->name, message->name) ||
        message->n_partitions > PARTITIONS_MAX) {
        return false;
    }
    for (size_t i = 0; i < message->n_partitions; i++) {
        if (!copy_bytes(client->partitions[i], PARTITION_ID_SIZE, message->partitions[i])) {
            return false;
        }
    }
    client->partition_count = (unsigned)message->n_partitions;
    client->admin = message->admin;
    client->enrolled_unix_s = message->enrolled_unix_s;
    return true;
}

static bool read_node(const struct store_record *record, const Qhrec__Node *message,
                      struct directory_node *node)
{
    struct record_key key = record_key_node(message->raft_id);

    if (bytes_compare(record_key_bytes(&key), record->key) != 0 ||
        !copy_text(node->name, sizeof node->name, message->name) ||
        !copy_text(node->region, sizeof node->region, message->region) ||
        !copy_text(node->peer_host, sizeof node->peer_host, message->peer_host) ||
        !copy_text(node->client_host, sizeof node->client_host, message->client_host) ||
        message->peer_port > UINT16_MAX || message->client_port > UINT16_MAX) {
        return false;
    }
    node->raft_id = message->raft_id;
    node->witness = message->witness;
    node->peer_port = (uint16_t)message->peer_port;
    node->client_port = (uint16_t)message->client_port;
    return true;
}

/* ---- scanning ---- */

/* NULL: it does not open, which is counted, or there is no memory, which ends the build. */
static ProtobufCMessage *open_record(struct build *build, const struct store_record *record,
                                     const ProtobufCMessageDescriptor *type)
{
    ProtobufCMessage *message = NULL;
    enum qh_err err =
        record_open_in(build->keyring, record->key, record->value, build->room, type, &message);

    if (err == QH_ENOMEM || err == QH_ESYSTEM) {
        build->err = err;
    } else if (err != QH_OK) {
        build->directory->damaged++;
    }
    return message;
}

static bool visit_partition(void *data, const struct store_record *record)
{
    struct build *build = data;
    struct directory *directory = build->directory;
    struct directory_partition *partition = &directory->partitions[directory->partition_count];
    ProtobufCMessage *message = open_record(build, record, &qhrec__partition__descriptor);
    enum qh_err err;

    if (message == NULL) {
        return build->err == QH_OK;
    }
    err = read_partition(build, record, (const Qhrec__Partition *)message, partition);
    wire_message_free(message);
    if (err == QH_OK) {
        directory->partition_count++;
        return true;
    }
    memset(partition, 0, sizeof *partition);
    if (err == QH_ECORRUPT) {
        directory->damaged++;
        return true;
    }
    build->err = err;
    return false;
}

static bool visit_client(void *data, const struct store_record *record)
{
    struct build *build = data;
    struct directory *directory = build->directory;
    struct directory_client *client = &directory->clients[directory->client_count];
    ProtobufCMessage *message = open_record(build, record, &qhrec__client__descriptor);

    if (message == NULL) {
        return build->err == QH_OK;
    }
    if (read_client(record, (const Qhrec__Client *)message, client)) {
        directory->client_count++;
    } else {
        memset(client, 0, sizeof *client);
        directory->damaged++;
    }
    wire_message_free(message);
    return true;
}

static bool visit_node(void *data, const struct store_record *record)
{
    struct build *build = data;
    struct directory *directory = build->directory;
    struct directory_node *node = &directory->nodes[directory->node_count];
    ProtobufCMessage *message = open_record(build, record, &qhrec__node__descriptor);

    if (message == NULL) {
        return build->err == QH_OK;
    }
    if (read_node(record, (const Qhrec__Node *)message, node)) {
        directory->node_count++;
        if (record->mod_revision > directory->nodes_revision) {
            directory->nodes_revision = record->mod_revision;
        }
    } else {
        memset(node, 0, sizeof *node);
        directory->damaged++;
    }
    wire_message_free(message);
    return true;
}

/* Room for all records under "@letter/"; at least one, so that NULL means no memory. */
static void *room_for(const struct build *build, const char *letter, size_t size)
{
    struct record_key prefix = record_prefix(letter);

    return calloc(store_count_prefix(build->store, record_key_bytes(&prefix)) + 1, size);
}

static QH_RESULT scan(struct build *build, const char *letter, store_visit visit)
{
    struct record_key prefix = record_prefix(letter);

    store_scan(build->store, record_key_bytes(&prefix), (struct bytes){NULL, 0}, visit, build);
    return build->err;
}

static QH_RESULT load_settings(struct build *build)
{
    struct record_key key = record_key_settings();
    struct store_record record;
    ProtobufCMessage *message;

    if (!store_get(build->store, record_key_bytes(&key), &record)) {
        return QH_OK;
    }
    message = open_record(build, &record, &qhrec__settings__descriptor);
    if (message == NULL) {
        return build->err;
    }
    if (!read_settings((const Qhrec__Settings *)message, build->directory)) {
        /* No half settings: without a verifier nobody becomes SO. */
        build->directory->partitions_max = 0;
        memset(&build->directory->so, 0, sizeof build->directory->so);
        build->directory->damaged++;
    }
    wire_message_free(message);
    return QH_OK;
}

/* A record of failed logins that does not open counts as locked: guessing must not be made
 * free by damaging it. Unlocking the role replaces the record. */
static QH_RESULT load_logins(struct build *build, const uint8_t partition[PARTITION_ID_SIZE],
                             uint32_t number, struct directory_role *role)
{
    struct record_key key = record_key_logins(partition, number);
    struct store_record record;
    ProtobufCMessage *message;

    if (!store_get(build->store, record_key_bytes(&key), &record)) {
        return QH_OK;
    }
    message = open_record(build, &record, &qhrec__logins__descriptor);
    if (build->err != QH_OK) {
        return build->err;
    }
    if (message == NULL || logins_read((const Qhrec__Logins *)message, &role->logins) != QH_OK) {
        build->directory->damaged += message != NULL;
        memset(&role->logins, 0, sizeof role->logins);
        role->logins.failed = UINT32_MAX;
        role->logins.blocked_until_unix_ms = UINT64_MAX;
    }
    wire_message_free(message);
    return QH_OK;
}

static QH_RESULT load_all_logins(struct build *build)
{
    static const uint8_t cluster[PARTITION_ID_SIZE];
    struct directory *directory = build->directory;
    enum qh_err err = load_logins(build, cluster, HSM_ROLE_SO, &directory->so);

    for (unsigned i = 0; i < directory->partition_count && err == QH_OK; i++) {
        struct directory_partition *partition = &directory->partitions[i];

        for (uint32_t role = HSM_ROLE_PO; role <= HSM_ROLE_CU && err == QH_OK; role++) {
            err = load_logins(build, partition->id, role, &partition->roles[role]);
        }
    }
    return err;
}

static int client_order(const void *left, const void *right)
{
    const struct directory_client *one = left;
    const struct directory_client *two = right;

    return bytes_compare((struct bytes){one->fingerprint, FINGERPRINT_SIZE},
                         (struct bytes){two->fingerprint, FINGERPRINT_SIZE});
}

/* Everything that takes the cluster key. */
static QH_RESULT load_sealed(struct build *build)
{
    struct directory *directory = build->directory;
    enum qh_err err;

    directory->partitions = room_for(build, "p", sizeof *directory->partitions);
    directory->clients = room_for(build, "a", sizeof *directory->clients);
    if (directory->partitions == NULL || directory->clients == NULL) {
        return QH_ENOMEM;
    }
    err = secret_new(STORE_VALUE_SIZE_MAX, &build->room);
    if (err == QH_OK) {
        err = load_settings(build);
    }
    if (err == QH_OK) {
        err = scan(build, "p", visit_partition);
    }
    if (err == QH_OK) {
        err = scan(build, "a", visit_client);
    }
    if (err == QH_OK) {
        err = load_all_logins(build);
    }
    if (err == QH_OK) {
        qsort(directory->clients, directory->client_count, sizeof *directory->clients,
              client_order);
    }
    return err;
}

QH_RESULT directory_build(const struct keyring *keyring, const struct store *store,
                          struct directory **ret_directory)
{
    struct build build = {.keyring = keyring, .store = store};
    enum qh_err err = QH_ENOMEM;

    build.directory = calloc(1, sizeof *build.directory);
    if (build.directory == NULL) {
        return QH_ENOMEM;
    }
    build.directory->revision = store_revision(store);
    build.directory->nodes = room_for(&build, "n", sizeof *build.directory->nodes);
    if (build.directory->nodes == NULL) {
        goto out;
    }
    err = scan(&build, "n", visit_node);
    if (err == QH_OK && keyring != NULL) {
        err = load_sealed(&build);
    }
    if (err != QH_OK) {
        goto out;
    }
    build.directory->nodes_revision += (uint64_t)build.directory->node_count << 48;
    *ret_directory = build.directory;
    build.directory = NULL;
out:
    secret_free(build.room);
    directory_free(build.directory);
    return err;
}

void directory_free(struct directory *directory)
{
    if (directory == NULL) {
        return;
    }
    for (unsigned i = 0; i < directory->partition_count; i++) {
        secret_free(directory->partitions[i].key);
    }
    free(directory->partitions);
    free(directory->clients);
    free(directory->nodes);
    free(directory);
}

/* ---- finding ---- */

static int partition_order(const void *id, const void *element)
{
    const struct directory_partition *partition = element;

    return bytes_compare((struct bytes){id, PARTITION_ID_SIZE},
                         (struct bytes){partition->id, PARTITION_ID_SIZE});
}

const struct directory_partition *directory_partition(const struct directory *directory,
                                                      const uint8_t id[PARTITION_ID_SIZE])
{
    if (directory->partition_count == 0) {
        return NULL;
    }
    return bsearch(id, directory->partitions, directory->partition_count,
                   sizeof *directory->partitions, partition_order);
}

const struct directory_partition *directory_partition_by_name(const struct directory *directory,
                                                              const char *name)
{
    for (unsigned i = 0; i < directory->partition_count; i++) {
        if (strcmp(directory->partitions[i].name, name) == 0) {
            return &directory->partitions[i];
        }
    }
    return NULL;
}

static int fingerprint_order(const void *fingerprint, const void *element)
{
    const struct directory_client *client = element;

    return bytes_compare((struct bytes){fingerprint, FINGERPRINT_SIZE},
                         (struct bytes){client->fingerprint, FINGERPRINT_SIZE});
}

const struct directory_client *directory_client(const struct directory *directory,
                                                const uint8_t fingerprint[FINGERPRINT_SIZE])
{
    if (directory->client_count == 0) {
        return NULL;
    }
    return bsearch(fingerprint, directory->clients, directory->client_count,
                   sizeof *directory->clients, fingerprint_order);
}

const struct directory_node *directory_node(const struct directory *directory, uint64_t raft_id)
{
    for (unsigned i = 0; i < directory->node_count; i++) {
        if (directory->nodes[i].raft_id == raft_id) {
            return &directory->nodes[i];
        }
    }
    return NULL;
}

bool directory_client_may(const struct directory_client *client,
                          const uint8_t partition[PARTITION_ID_SIZE])
{
    if (client->partition_count == 0) {
        return true;
    }
    for (unsigned i = 0; i < client->partition_count; i++) {
        if (memcmp(client->partitions[i], partition, PARTITION_ID_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

bool directory_concerns(struct bytes record_key)
{
    static const char settings[] = "c/settings";

    if (record_key.size < 2 || record_key.base[1] != '/') {
        return false;
    }
    switch (record_key.base[0]) {
    case 'n':
    case 'a':
    case 'p':
    case 'l':
        return true;
    case 'c':
        return bytes_compare(record_key,
                             (struct bytes){(const uint8_t *)settings, strlen(settings)}) == 0;
    default:
        return false;
    }
}
