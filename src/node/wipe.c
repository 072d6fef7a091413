/* Destroys the objects of a partition.
 *
 *   SCANNING --> (all looked at, nothing in flight) --> ENDING --> answered
 *      ^                     |                             |
 *      +---------------------+-----------------------------+   something was refused: from the
 * start
 *
 * Every transaction compares the partition's record, which holds the id of the request that all
 * this is for: when somebody else changes it they are refused, and built anew if the id is still
 * there. The id is what survives the death of this node: a repeated request finds it and goes on.
 */
#include "node/wipe.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "hsm/record.h"
#include "node/control_private.h"
#include "node/node.h"
#include "store/txn.h"
#include "wire/frame.h"

struct wipe { /* request->state */
    struct request *request;
    unsigned in_flight;
    bool ending;  /* what is in flight takes the id out of the record */
    bool scanned; /* every object was looked at */
    bool refused;
    enum qh_err err;          /* of what failed first */
    struct record_key after;  /* the object looked at last; size 0: none */
    struct record_key key;    /* the partition's */
    uint64_t record_revision; /* of the record, with the id in it */
};

static void tick(struct wipe *wipe);

static const struct store *store_of(const struct wipe *wipe)
{
    return replica_store(wipe->request->node->control->replica);
}

static void finish(struct wipe *wipe, enum qh_err err)
{
    const char *detail = NULL;

    if (err != QH_OK) {
        detail = "the PINs of co and cu are gone, but not yet all objects: initialize it again";
    }
    request_answer(wipe->request, err, detail);
}

static void on_result(void *data, const struct propose_result *result)
{
    struct wipe *wipe = data;

    wipe->in_flight--;
    if (result->outcome == PROPOSE_REFUSED) {
        wipe->refused = true;
    } else if (result->outcome == PROPOSE_FAILED && wipe->err == QH_OK) {
        wipe->err = result->err == QH_ETIMEOUT ? QH_ENOQUORUM : result->err;
    }
    tick(wipe);
}

/* ---- transactions ---- */

static void begin_transaction(const struct wipe *wipe, struct txn_builder *builder)
{
    static const uint8_t answer = 1;
    uint8_t id[ONCE_ID_SIZE];

    randombytes_buf(id, sizeof id);
    txn_build_once(builder, id, store_revision(store_of(wipe)),
                   (struct bytes){&answer, sizeof answer});
    txn_build_compare(builder, TXN_AT_REVISION, record_key_bytes(&wipe->key),
                      wipe->record_revision);
}

static QH_RESULT propose(struct wipe *wipe, struct txn_builder *builder)
{
    struct bytes transaction;
    enum qh_err err = txn_build_end(builder, &transaction);

    if (err != QH_OK) {
        return err;
    }
    err = replica_propose(wipe->request->node->control->replica, transaction, WIPE_TIMEOUT_MS,
                          on_result, wipe);
    free((void *)(uintptr_t)transaction.base);
    wipe->in_flight += err == QH_OK;
    return err;
}

struct batch {
    const struct wipe *wipe;
    struct record_key keys[WIPE_DELETES_MAX];
    unsigned count, visits;
    struct record_key last;
};

/* What does not open may go, as when it is destroyed alone. */
static bool may_go(const struct wipe *wipe, const struct store_record *record)
{
    const struct view_object *found;
    const uint8_t *partition, *id;

    if (!record_key_is_object(record->key, &partition, &id)) {
        return false;
    }
    found = view_object(wipe->request->node->view, partition, id);
    return found == NULL || object_flag(found->object, CKA_DESTROYABLE);
}

static bool visit_object(void *data, const struct store_record *record)
{
    struct batch *batch = data;

    if (record->key.size > sizeof batch->last.base) {
        return false;
    }
    memcpy(batch->last.base, record->key.base, record->key.size);
    batch->last.size = record->key.size;
    if (may_go(batch->wipe, record)) {
        batch->keys[batch->count++] = batch->last;
    }
    return batch->count < WIPE_DELETES_MAX && ++batch->visits < WIPE_VISITS_MAX;
}

/* The next objects, from where the last ones ended. */
static QH_RESULT propose_batch(struct wipe *wipe)
{
    struct record_key prefix = record_prefix_objects(wipe->request->message->partition.data);
    struct batch batch = {.wipe = wipe};
    struct txn_builder builder;

    view_enter();
    store_scan(store_of(wipe), record_key_bytes(&prefix), record_key_bytes(&wipe->after),
               visit_object, &batch);
    view_leave();
    if (batch.last.size == 0) {
        wipe->scanned = true;
        return QH_OK;
    }
    wipe->after = batch.last;
    if (batch.count == 0) {
        return QH_OK;
    }
    begin_transaction(wipe, &builder);
    for (unsigned i = 0; i < batch.count; i++) {
        txn_build_delete(&builder, record_key_bytes(&batch.keys[i]));
    }
    return propose(wipe, &builder);
}

/* Without the id, in place of the record that has it. */
static QH_RESULT propose_end(struct wipe *wipe, Qhrec__Partition *message, struct bytes old)
{
    const struct keyring *keyring = wipe->request->node->control->keyring;
    struct txn_builder builder;
    struct bytes value;
    enum qh_err err;

    wire_allocator.free(wire_allocator.allocator_data, message->init.data);
    message->init = (ProtobufCBinaryData){0, NULL};
    err = record_seal(keyring, &wipe->key, old, &message->base, &value);
    if (err != QH_OK) {
        return err;
    }
    begin_transaction(wipe, &builder);
    txn_build_put(&builder, record_key_bytes(&wipe->key), value, 0);
    free((void *)(uintptr_t)value.base);
    wipe->ending = true;
    return propose(wipe, &builder);
}

/* ---- the steps ---- */

static bool is_mine(const struct wipe *wipe, const Qhrec__Partition *message)
{
    const ProtobufCBinaryData *id = &wipe->request->message->request_id;

    return message->init.len == id->len && memcmp(message->init.data, id->data, id->len) == 0;
}

/* Load the record, with the id in it. *ret_message NULL: the id is not there. */
static QH_RESULT load(struct wipe *wipe, Qhrec__Partition **ret_message,
                      struct store_record *ret_record)
{
    const struct keyring *keyring = wipe->request->node->control->keyring;
    ProtobufCMessage *message;
    enum qh_err err;

    if (keyring == NULL) {
        return QH_ELOCKED;
    }
    err = record_load(keyring, store_of(wipe), &wipe->key, &qhrec__partition__descriptor, &message,
                      ret_record);
    if (err != QH_OK) {
        return err;
    }
    if (!is_mine(wipe, (const Qhrec__Partition *)message)) {
        wire_message_free(message);
        *ret_message = NULL;
        return QH_OK;
    }
    *ret_message = (Qhrec__Partition *)message;
    wipe->record_revision = ret_record->mod_revision;
    return QH_OK;
}

static void run_tick(struct request *request)
{
    tick(request->state);
}

/* As much as may be under way at once. What is left without anything in flight comes later: other
 * requests wait for this thread. */
static QH_RESULT scan(struct wipe *wipe, bool *ret_later)
{
    enum qh_err err = QH_OK;

    for (unsigned i = 0; err == QH_OK && i < WIPE_IN_FLIGHT_MAX && !wipe->scanned &&
                         wipe->in_flight < WIPE_IN_FLIGHT_MAX;
         i++) {
        err = propose_batch(wipe);
    }
    *ret_later = err == QH_OK && !wipe->scanned && wipe->in_flight == 0;
    return err;
}

static void start_again(struct wipe *wipe)
{
    wipe->scanned = wipe->refused = wipe->ending = false;
    wipe->after.size = 0;
}

/* One step with the record as it is. *ret_done: the request can be answered. */
static QH_RESULT step(struct wipe *wipe, bool *ret_done, bool *ret_later)
{
    Qhrec__Partition *message = NULL;
    struct store_record record;
    enum qh_err err = load(wipe, &message, &record);

    *ret_later = false;
    *ret_done = err == QH_OK && message == NULL && wipe->in_flight == 0;
    if (err != QH_OK || message == NULL) {
        return err;
    }
    if (wipe->in_flight == 0 && wipe->refused) {
        start_again(wipe);
    }
    if (!wipe->scanned && !wipe->refused) {
        err = scan(wipe, ret_later);
    }
    if (err == QH_OK && wipe->scanned && wipe->in_flight == 0 && !wipe->ending) {
        err = propose_end(wipe, message, record.value);
    }
    wire_message_free(&message->base);
    return err;
}

static void tick(struct wipe *wipe)
{
    bool done = false, later = false;

    if (wipe->err == QH_OK) {
        wipe->err = step(wipe, &done, &later);
    }
    if (done) {
        finish(wipe, QH_OK);
    } else if (wipe->err != QH_OK && wipe->in_flight == 0) {
        finish(wipe, wipe->err);
    } else if (later) {
        request_run_on(wipe->request, REQUEST_CONTROL, run_tick);
    }
}

void wipe_run(struct request *request)
{
    struct wipe *wipe = calloc(1, sizeof *wipe);

    if (wipe == NULL) {
        request_answer(request, QH_ENOMEM, NULL);
        return;
    }
    if (request->state_free != NULL) {
        request->state_free(request->state);
    }
    request->state = wipe;
    request->state_free = free;
    wipe->request = request;
    wipe->key = record_key_partition(request->message->partition.data);
    tick(wipe);
}
