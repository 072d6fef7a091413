/* Group commit: transactions that wait at the leader travel together in the next entry. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft-glue/entry.h"
#include "raft-glue/propose_private.h"
#include "store/txn.h"

/* Transactions in one entry: as many as fit, and no more than this. */
#define ENTRY_TRANSACTIONS_MAX 1024u

static struct bytes item_bytes(const struct queue_item *item)
{
    if (item->own != NULL) {
        return (struct bytes){.base = item->own->transaction, .size = item->own->size};
    }
    return (struct bytes){.base = item->copy, .size = item->size};
}

static void push_item(struct propose *propose, struct queue_item *item)
{
    TAILQ_INSERT_TAIL(&propose->queue, item, link);
    propose->queue_size += item->size;
}

static void drop_item(struct propose *propose, struct queue_item *item)
{
    TAILQ_REMOVE(&propose->queue, item, link);
    propose->queue_size -= item->size;
    if (item->own != NULL) {
        item->own->queued = NULL;
    }
    free(item->copy);
    free(item);
}

QH_RESULT propose_queue_push_own(struct propose *propose, struct proposal *proposal)
{
    struct queue_item *item;

    if (propose->queue_size + proposal->size > PROPOSE_QUEUE_SIZE_MAX) {
        return QH_EBUSY;
    }
    item = calloc(1, sizeof *item);
    if (item == NULL) {
        return QH_ENOMEM;
    }
    item->own = proposal;
    item->size = proposal->size;
    proposal->queued = item;
    proposal->state = PROPOSAL_SENT;
    proposal->sent_ms = propose->now_ms;
    push_item(propose, item);
    return QH_OK;
}

void propose_queue_forget(struct propose *propose, struct proposal *proposal)
{
    if (proposal->queued != NULL) {
        drop_item(propose, proposal->queued);
    }
}

void propose_forwarded(struct propose *propose, uint64_t from, struct bytes transaction)
{
    struct queue_item *item;
    struct txn txn;

    if (txn_decode(transaction, &txn) != QH_OK) {
        return; /* the peer checked it too: nothing of ours would be sent so */
    }
    item = NULL;
    if (propose->role.leading && propose->queue_size + transaction.size <= PROPOSE_QUEUE_SIZE_MAX) {
        item = calloc(1, sizeof *item);
    }
    if (item != NULL) {
        item->copy = malloc(transaction.size);
    }
    if (item == NULL || item->copy == NULL) {
        free(item);
        propose->ops.reject(propose->ops.data, from, txn.id);
        return;
    }
    memcpy(item->copy, transaction.base, transaction.size);
    item->size = transaction.size;
    item->from = from;
    push_item(propose, item);
    propose_queue_flush(propose);
}

void propose_queue_clear(struct propose *propose)
{
    struct queue_item *item;

    while ((item = TAILQ_FIRST(&propose->queue)) != NULL) {
        if (item->own != NULL) {
            item->own->state = PROPOSAL_QUEUED;
        } else {
            propose->ops.reject(propose->ops.data, item->from, item->copy + TXN_ID_OFFSET);
        }
        drop_item(propose, item);
    }
    propose->writing = false;
}

/* The first transactions of the queue that fit into one entry together. */
static unsigned gather_items(const struct propose *propose, struct bytes *ret_list, unsigned room,
                             size_t *ret_payload)
{
    const struct queue_item *item;
    size_t payload = 0;
    unsigned count = 0;

    TAILQ_FOREACH(item, &propose->queue, link)
    {
        struct bytes bytes = item_bytes(item);

        if (count == room || entry_size(count + 1, payload + bytes.size) > ENTRY_SIZE_MAX) {
            break;
        }
        ret_list[count++] = bytes;
        payload += bytes.size;
    }
    *ret_payload = payload;
    return count;
}

/* With more peers than places the rest learns it from the next heartbeat. */
static void note_waiter(struct propose *propose, uint64_t peer)
{
    struct propose_waiter *free_place = NULL;

    for (unsigned i = 0; i < NODES_MAX; i++) {
        struct propose_waiter *waiter = &propose->waiters[i];

        if (waiter->peer == peer) {
            free_place = waiter;
            break;
        }
        if (waiter->peer == 0 && free_place == NULL) {
            free_place = waiter;
        }
    }
    if (free_place != NULL) {
        free_place->peer = peer;
        free_place->entry = propose->entries_done + propose->entries_inflight;
    }
}

void propose_queue_tell(struct propose *propose)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        struct propose_waiter *waiter = &propose->waiters[i];

        if (waiter->peer != 0 && waiter->entry <= propose->entries_done) {
            propose->ops.tell(propose->ops.data, waiter->peer);
            waiter->peer = 0;
        }
    }
}

static void remove_appended(struct propose *propose, unsigned count)
{
    while (count-- > 0) {
        struct queue_item *item = TAILQ_FIRST(&propose->queue);

        if (item->own != NULL) {
            item->own->copies++;
            item->own->state = PROPOSAL_SENT;
        } else {
            note_waiter(propose, item->from);
        }
        drop_item(propose, item);
    }
}

/* Append one entry with what waits. */
static QH_RESULT append_entry(struct propose *propose)
{
    struct bytes list[ENTRY_TRANSACTIONS_MAX];
    size_t payload;
    unsigned count = gather_items(propose, list, ENTRY_TRANSACTIONS_MAX, &payload);
    size_t size = entry_size(count, payload);
    void *entry = propose->ops.alloc(propose->ops.data, size);
    enum qh_err err;

    QH_ASSERT(count > 0);
    if (entry == NULL) {
        return QH_ENOMEM;
    }
    entry_encode(list, count, entry, size);
    propose->writing = true;
    propose->entries_inflight++;
    err = propose->ops.append(propose->ops.data, entry, size);
    if (err != QH_OK) {
        propose->entries_inflight--;
        propose->writing = false;
        propose->ops.release(propose->ops.data, entry);
        return err;
    }
    propose->counters.appended_entries++;
    propose->counters.appended_transactions += count;
    remove_appended(propose, count);
    return QH_OK;
}

void propose_queue_flush(struct propose *propose)
{
    if (propose->flushing || propose->delivering) {
        return;
    }
    propose->flushing = true;
    while (propose->role.leader_ready && !propose->writing &&
           propose->entries_inflight < PROPOSE_ENTRIES_MAX && !TAILQ_EMPTY(&propose->queue)) {
        if (append_entry(propose) != QH_OK) {
            break; /* the next tick, write or change of role tries again */
        }
    }
    propose->flushing = false;
}
