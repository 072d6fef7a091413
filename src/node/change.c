/* Changes of the store on behalf of requests. */
#include "node/change.h"

#include <stdlib.h>
#include <string.h>

#include <sodium.h>

#include "base/assert.h"
#include "base/clock.h"
#include "crypto/seal.h"
#include "hsm/keyring.h"
#include "node/control_private.h"
#include "wire/frame.h"

enum change_step { CHANGE_COMPARE, CHANGE_PUT, CHANGE_DELETE };

struct change_item {
    enum change_step step;
    enum txn_compare_kind kind;
    uint64_t argument;
    struct bytes key, value; /* copies: free() */
};

struct change_list {
    struct change_item *items;
    unsigned count, room;
    enum qh_err err;
};

struct change {
    struct change *next; /* parked */
    struct request *request;
    change_build build;
    void (*then)(struct request *request); /* NULL: it is answered */
    void (*work)(struct request *request); /* to be done before it is built; NULL: none */
    uint8_t id[ONCE_ID_SIZE];              /* made by bind_id(); after a fence the next one */
    unsigned attempts;
};

static void list_close(struct change_list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        free((void *)(uintptr_t)list->items[i].key.base);
        free((void *)(uintptr_t)list->items[i].value.base);
    }
    free(list->items);
}

static QH_RESULT copy_bytes(struct bytes from, struct bytes *ret_copy)
{
    uint8_t *copy = malloc(from.size > 0 ? from.size : 1);

    if (copy == NULL) {
        return QH_ENOMEM;
    }
    if (from.size > 0) {
        memcpy(copy, from.base, from.size);
    }
    *ret_copy = (struct bytes){copy, from.size};
    return QH_OK;
}

static void list_add(struct change_list *list, struct change_item item)
{
    struct change_item copy = item;

    if (list->err != QH_OK) {
        return;
    }
    if (list->count == list->room) {
        unsigned room = list->room == 0 ? 8 : list->room * 2;
        struct change_item *items;

        if (room > 2 * (STORE_COMPARES_MAX + STORE_WRITES_MAX)) {
            list->err = QH_ELIMIT;
            return;
        }
        items = realloc(list->items, room * sizeof *items);
        if (items == NULL) {
            list->err = QH_ENOMEM;
            return;
        }
        list->items = items;
        list->room = room;
    }
    list->err = copy_bytes(item.key, &copy.key);
    if (list->err == QH_OK) {
        list->err = copy_bytes(item.value, &copy.value);
        if (list->err != QH_OK) {
            free((void *)(uintptr_t)copy.key.base);
        }
    }
    if (list->err == QH_OK) {
        list->items[list->count++] = copy;
    }
}

void change_compare(struct change_list *list, enum txn_compare_kind kind, struct bytes key,
                    uint64_t argument)
{
    list_add(list, (struct change_item){
                       .step = CHANGE_COMPARE, .kind = kind, .key = key, .argument = argument});
}

void change_put(struct change_list *list, struct bytes key, struct bytes value)
{
    list_add(list, (struct change_item){.step = CHANGE_PUT, .key = key, .value = value});
}

void change_delete(struct change_list *list, struct bytes key)
{
    list_add(list, (struct change_item){.step = CHANGE_DELETE, .key = key});
}

/* All compares go before the first write, in whatever order they were named. */
static void fill_builder(struct txn_builder *builder, const struct change_list *list)
{
    for (unsigned i = 0; i < list->count; i++) {
        const struct change_item *item = &list->items[i];

        if (item->step == CHANGE_COMPARE) {
            txn_build_compare(builder, item->kind, item->key, item->argument);
        }
    }
    for (unsigned i = 0; i < list->count; i++) {
        const struct change_item *item = &list->items[i];

        if (item->step == CHANGE_PUT) {
            txn_build_put(builder, item->key, item->value, 0);
        } else if (item->step == CHANGE_DELETE) {
            txn_build_delete(builder, item->key);
        }
    }
}

static void answer(struct change *change, enum qh_err err, const char *detail)
{
    struct request *request = change->request;

    request->change = NULL;
    free(change);
    request_answer(request, err, detail);
}

/* The response as it was built: it may say that something was refused, such as a wrong PIN, the
 * counting of which is the change. */
static void answer_response(struct change *change)
{
    struct request *request = change->request;
    void (*then)(struct request * request) = change->then;

    if (then == NULL || request->response->error != QH_OK) {
        answer(change, (enum qh_err)request->response->error, NULL);
        return;
    }
    request->change = NULL;
    free(change);
    then(request);
}

/* A response without anything in it, in place of what an earlier attempt left. */
static QH_RESULT fresh_response(struct request *request)
{
    Quadhsm__Response *response = wire_zalloc(sizeof *response);

    if (response == NULL) {
        return QH_ENOMEM;
    }
    quadhsm__response__init(response);
    wire_message_free(request->response != NULL ? &request->response->base : NULL);
    request->response = response;
    return QH_OK;
}

/* The stored answer of a request that was done before. */
static QH_RESULT load_answer(struct change *change)
{
    struct request *request = change->request;
    struct control *control = request->node->control;
    uint8_t key[ONCE_KEY_SIZE];
    struct store_record record;
    ProtobufCMessage *message;
    struct secret *plain = NULL;
    enum qh_err err;

    txn_once_key(change->id, key);
    if (!store_get(replica_store(control->replica), (struct bytes){key, sizeof key}, &record)) {
        return QH_EUNKNOWN; /* so old that its answer has expired */
    }
    err = keyring_open(control->keyring, record.key, record.value, &plain, NULL);
    if (err != QH_OK) {
        return err;
    }
    err = wire_unpack(&quadhsm__response__descriptor,
                      (struct bytes){secret_view(plain), secret_size(plain)}, &message);
    secret_free(plain);
    if (err == QH_OK) {
        wire_message_free(&request->response->base);
        request->response = (Quadhsm__Response *)message;
        request->response->revision = record.create_revision;
    }
    return err;
}

/* An id that was fenced is used up. The one that comes after it is the same at every node, so that
 * a copy of the request that comes later finds what became of it, wherever that is asked. */
static void next_id(struct change *change)
{
    const struct control *control = change->request->node->control;
    uint8_t mac[SEAL_MAC_SIZE];

    seal_mac(keyring_once_key(control->keyring), (struct bytes){change->id, sizeof change->id},
             mac);
    memcpy(change->id, mac, sizeof change->id);
}

/* Is its answer in the store? Goes on to the first id that is not used up. */
static bool was_done(struct change *change)
{
    const struct store *store = replica_store(change->request->node->control->replica);
    uint8_t key[ONCE_KEY_SIZE];
    struct store_record record;

    txn_once_key(change->id, key);
    while (store_get(store, (struct bytes){key, sizeof key}, &record)) {
        if (record.value.size > 0) {
            return true;
        }
        next_id(change);
        txn_once_key(change->id, key);
    }
    return false;
}

static void attempt(struct change *change);

static void answer_duplicate(struct change *change)
{
    enum qh_err err;

    if (!was_done(change)) {
        attempt(change); /* refused for good under that id: under the next one */
        return;
    }
    err = load_answer(change);
    if (err == QH_OK) {
        answer_response(change);
    } else {
        answer(change, err, NULL);
    }
}

static QH_RESULT seal_answer(struct change *change, struct bytes *ret_sealed)
{
    struct control *control = change->request->node->control;
    uint8_t key[ONCE_KEY_SIZE];
    uint8_t *frame;
    size_t size;
    enum qh_err err;

    /* Something to store, even where the answer is that all went well. */
    change->request->response->id = change->request->message->id;
    change->request->response->progress = false;
    if (protobuf_c_message_get_packed_size(&change->request->response->base) == 0) {
        change->request->response->revision = 1; /* set anew when it is read */
    }
    err = wire_pack(&change->request->response->base, &frame, &size);
    if (err != QH_OK) {
        return err;
    }
    txn_once_key(change->id, key);
    err = keyring_seal(control->keyring, (struct bytes){key, sizeof key}, 0,
                       (struct bytes){frame + FRAME_HEADER_SIZE, size - FRAME_HEADER_SIZE},
                       ret_sealed);
    wire_free(frame, size);
    return err;
}

static const char not_made[] =
    "the change was not made; keys stay usable; bring a majority of the nodes back";
static const char not_confirmed[] =
    "no majority of the nodes confirmed the change in time, so it may still happen; keys stay "
    "usable; bring a majority of the nodes back";

static const char not_waited_for[] =
    "the node stopped before the change was confirmed, so it may still happen: ask another one";

/* It is in the log somewhere, perhaps. Clients ask another node, with the same id. */
static void answer_unknown(struct change *change)
{
    const struct control *control = change->request->node->control;

    answer(change, QH_EUNKNOWN,
           control->state == CONTROL_STOPPING ? not_waited_for : not_confirmed);
}

static void answer_failure(struct change *change, enum qh_err err)
{
    if (err == QH_ETIMEOUT) {
        answer(change, QH_ENOQUORUM, not_made);
    } else if (err == QH_EUNKNOWN) {
        answer_unknown(change);
    } else {
        answer(change, err, "the node is stopping: ask another one");
    }
}

static void on_result(void *data, const struct propose_result *result)
{
    struct change *change = data;

    switch (result->outcome) {
    case PROPOSE_APPLIED:
        change->request->response->revision = result->answer.revision;
        answer_response(change);
        return;
    case PROPOSE_DUPLICATE:
        answer_duplicate(change);
        return;
    case PROPOSE_REFUSED:
        if (result->fenced) {
            next_id(change);
        }
        attempt(change);
        return;
    case PROPOSE_FAILED:
        answer_failure(change, result->err);
        return;
    }
}

/* Propose what @list says, with the answer under r/<id>. */
static QH_RESULT propose_list(struct change *change, const struct change_list *list)
{
    struct request *request = change->request;
    struct control *control = request->node->control;
    uint64_t now_ms = clock_monotonic_ms();
    struct bytes sealed = {0};
    struct bytes encoded;
    struct txn_builder builder;
    enum qh_err err;

    if (now_ms >= request->deadline_ms) {
        return QH_ETIMEOUT;
    }
    err = seal_answer(change, &sealed);
    if (err != QH_OK) {
        return err;
    }
    txn_build_once(&builder, change->id, store_revision(replica_store(control->replica)), sealed);
    free((void *)(uintptr_t)sealed.base);
    fill_builder(&builder, list);
    err = txn_build_end(&builder, &encoded);
    if (err != QH_OK) {
        return err;
    }
    err = replica_propose(control->replica, encoded, (unsigned)(request->deadline_ms - now_ms),
                          on_result, change);
    free((void *)(uintptr_t)encoded.base);
    return err;
}

/* The same request is under way here for a client that asked before, and may be gone by now: what
 * becomes of that is the answer. */
static void park(struct change *change)
{
    struct control *control = change->request->node->control;

    change->attempts--;
    change->next = control->parked;
    control->parked = change;
}

/* Nobody leads, and not since a moment ago: an election would be over. */
static bool is_leaderless(const struct node *node)
{
    return !atomic_load(&node->has_leader) &&
           clock_monotonic_ms() - atomic_load(&node->leader_seen_ms) > CHANGE_LEADERLESS_MS;
}

static void attempt(struct change *change)
{
    struct request *request = change->request;
    struct control *control = request->node->control;
    struct change_list list = {.err = QH_OK};
    const char *detail = NULL;
    enum qh_err err;

    if (change->attempts++ == CHANGE_ATTEMPTS_MAX) {
        answer(change, QH_ECONFLICT, "others keep changing the same thing: try again");
        return;
    }
    err = fresh_response(request);
    if (err == QH_OK) {
        err = change->build(request, replica_store(control->replica), &list, &detail);
    }
    if (err == QH_OK) {
        err = list.err;
    }
    if (err == QH_OK && list.count == 0) {
        list_close(&list); /* nothing to change: the answer stands as it is */
        answer_response(change);
        return;
    }
    if (err == QH_OK) {
        err = propose_list(change, &list);
        if (err == QH_ETIMEOUT) {
            detail = "the change was not made: its time was over";
        } else if (err == QH_EEXIST) {
            list_close(&list);
            park(change);
            return;
        }
    }
    list_close(&list);
    if (err != QH_OK) {
        answer(change, err, detail);
    }
}

#define ID_DATA_SIZE (ONCE_ID_SIZE + 1u + 4u + FINGERPRINT_SIZE + 1u + PARTITION_ID_SIZE)

/* An answer is for the same asker, with the same operation in the same partition. */
static void bind_id(struct change *change, const struct keyring *keyring)
{
    const struct request *request = change->request;
    const ProtobufCBinaryData *partition = &request->message->partition;
    uint8_t data[ID_DATA_SIZE], mac[SEAL_MAC_SIZE];
    struct bytes_writer writer;

    bytes_writer_init(&writer, data, sizeof data);
    bytes_write_span(&writer, request->message->request_id.data, ONCE_ID_SIZE);
    bytes_write_u8(&writer, (uint8_t)request->origin);
    bytes_write_u32(&writer, (uint32_t)request->message->op_case);
    bytes_write_span(&writer, request->fingerprint, FINGERPRINT_SIZE);
    bytes_write_u8(&writer, (uint8_t)partition->len);
    bytes_write_span(&writer, partition->data, partition->len);
    QH_ASSERT(!writer.failed);
    seal_mac(keyring_once_key(keyring), (struct bytes){data, writer.size}, mac);
    memcpy(change->id, mac, sizeof change->id);
}

static void take_up(struct change *change)
{
    struct request *request = change->request;
    void (*work)(struct request * request) = change->work;

    if (was_done(change)) {
        if (request->response == NULL && fresh_response(request) != QH_OK) {
            answer(change, QH_ENOMEM, NULL);
            return;
        }
        answer_duplicate(change);
    } else if (is_leaderless(request->node)) {
        answer(change, QH_ENOQUORUM, not_made);
    } else if (work != NULL) {
        request->change = NULL;
        free(change);
        work(request);
    } else {
        attempt(change);
    }
}

static void begin(struct request *request)
{
    struct change *change = request->change;
    struct control *control = request->node->control;

    if (control->replica == NULL) {
        answer(change, QH_EUNINITIALIZED, "run quadhsm node init or quadhsm node join on it");
    } else if (control->keyring == NULL) {
        answer(change, QH_ELOCKED, "run quadhsm node unlock on it, or ask another node");
    } else {
        bind_id(change, control->keyring);
        take_up(change);
    }
}

static void run(struct request *request, const struct change *what)
{
    struct change *change;

    if (request->message->request_id.len != ONCE_ID_SIZE) {
        request_answer(request, QH_EINVAL, "a change needs a request id of 16 bytes");
        return;
    }
    change = calloc(1, sizeof *change);
    if (change == NULL) {
        request_answer(request, QH_ENOMEM, NULL);
        return;
    }
    QH_ASSERT(request->change == NULL);
    *change = *what;
    change->request = request;
    request->change = change;
    request_run_on(request, REQUEST_CONTROL, begin);
}

void change_run_then(struct request *request, change_build build,
                     void (*then)(struct request *request))
{
    run(request, &(struct change){.build = build, .then = then});
}

void change_foresee(struct request *request, void (*work)(struct request *request))
{
    run(request, &(struct change){.work = work});
}

void change_run(struct request *request, change_build build)
{
    change_run_then(request, build, NULL);
}

void change_tick(struct control *control, uint64_t now_ms)
{
    struct change *parked = control->parked;
    bool stopping = control->state == CONTROL_STOPPING;

    control->parked = NULL;
    while (parked != NULL) {
        struct change *change = parked;

        parked = change->next;
        if (was_done(change)) {
            answer_duplicate(change);
        } else if (stopping || now_ms >= change->request->deadline_ms) {
            answer_unknown(change);
        } else {
            attempt(change);
        }
    }
}
