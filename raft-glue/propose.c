/* Proposals of this node: from submission to the answer. What waits for a place in an entry
 * at the leader stands in propose_queue.c. */
#include "raft-glue/propose.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "raft-glue/propose_private.h"
#include "store/txn.h"

static int compare_ids(const void *left, const void *right)
{
    const struct proposal *a = left;
    const struct proposal *b = right;

    return memcmp(a->id, b->id, ONCE_ID_SIZE);
}

static struct proposal *find_proposal(const struct propose *propose, const uint8_t id[ONCE_ID_SIZE])
{
    struct proposal key;
    struct proposal *const *node;

    memcpy(key.id, id, ONCE_ID_SIZE);
    node = tfind(&key, &propose->index, compare_ids);
    return node == NULL ? NULL : *node;
}

static void free_proposal(struct proposal *proposal)
{
    free(proposal->transaction);
    free(proposal);
}

/* From here on nothing finds the proposal any more; its callback waits for
 * propose_deliver(). */
static void finish_proposal(struct propose *propose, struct proposal *proposal,
                            struct propose_result result)
{
    proposal->result = result;
    propose_queue_forget(propose, proposal);
    (void)tdelete(proposal, &propose->index, compare_ids);
    TAILQ_REMOVE(&propose->pending, proposal, link);
    propose->pending_count--;
    propose->pending_size -= proposal->size;
    TAILQ_INSERT_TAIL(&propose->done, proposal, link);
    propose->ops.wake(propose->ops.data);
}

static void finish_failed(struct propose *propose, struct proposal *proposal, enum qh_err err)
{
    finish_proposal(propose, proposal,
                    (struct propose_result){.outcome = PROPOSE_FAILED, .err = err});
}

/* Look for r/<id>; false if it is absent. */
static bool find_once_record(const struct propose *propose, const struct proposal *proposal,
                             struct store_record *ret_record)
{
    uint8_t key[ONCE_KEY_SIZE];

    txn_once_key(proposal->id, key);
    return store_get(propose->ops.store(propose->ops.data),
                     (struct bytes){.base = key, .size = sizeof key}, ret_record);
}

/* The request was done before, or fenced off before: either way r/<id> says what the
 * answer was, and the caller reads it there. */
static void finish_duplicate(struct propose *propose, struct proposal *proposal)
{
    struct store_answer answer = {
        .status = STORE_COMPARE_FAILED,
        .revision = store_revision(propose->ops.store(propose->ops.data)),
    };

    propose->counters.duplicates++;
    finish_proposal(propose, proposal,
                    (struct propose_result){.outcome = PROPOSE_DUPLICATE, .answer = answer});
}

static void finish_refused(struct propose *propose, struct proposal *proposal,
                           const struct store_answer *answer, bool fenced)
{
    finish_proposal(
        propose, proposal,
        (struct propose_result){.outcome = PROPOSE_REFUSED, .answer = *answer, .fenced = fenced});
}

/* Get @proposal on its way: into the own queue if this node leads, else to the leader,
 * else it waits for one. */
static void dispatch_proposal(struct propose *propose, struct proposal *proposal)
{
    struct bytes transaction = {.base = proposal->transaction, .size = proposal->size};
    bool again = proposal->copies > 0;

    if (propose->role.leading) {
        if (proposal->queued == NULL && propose_queue_push_own(propose, proposal) == QH_OK) {
            propose->counters.resent += again;
        }
        return;
    }
    if (propose->role.leader == 0) {
        return;
    }
    if (propose->ops.forward(propose->ops.data, propose->role.leader, transaction) == QH_OK) {
        proposal->state = PROPOSAL_SENT;
        proposal->sent_ms = propose->now_ms;
        proposal->copies++;
        propose->counters.forwarded++;
        propose->counters.resent += again;
    }
}

/* What was sent to an old leader, or over a connection that is gone, has an unknown
 * fate: propose it again. */
static void dispatch_all(struct propose *propose, bool sent_too)
{
    struct proposal *proposal;

    TAILQ_FOREACH(proposal, &propose->pending, link)
    {
        if (sent_too) {
            proposal->state = PROPOSAL_QUEUED;
        }
        if (proposal->state == PROPOSAL_QUEUED) {
            dispatch_proposal(propose, proposal);
        }
    }
    propose_queue_flush(propose);
}

/* Replace a refused proposal by its fence: a transaction under the same id that does
 * nothing but put an empty answer. Once it is applied no copy that may still be on its way
 * can be. */
static void fence_proposal(struct propose *propose, struct proposal *proposal,
                           const struct store_answer *refusal)
{
    const struct store *store = propose->ops.store(propose->ops.data);
    struct txn_builder builder;
    struct bytes encoded;
    enum qh_err err;

    txn_build_once(&builder, proposal->id, store_revision(store), (struct bytes){0});
    err = txn_build_end(&builder, &encoded);
    if (err != QH_OK) {
        finish_failed(propose, proposal, QH_EUNKNOWN);
        return;
    }
    propose_queue_forget(propose, proposal);
    free(proposal->transaction);
    propose->pending_size -= proposal->size;
    memcpy(&proposal->transaction, &encoded.base, sizeof proposal->transaction);
    proposal->size = encoded.size;
    propose->pending_size += proposal->size;
    proposal->fence = true;
    proposal->refusal = *refusal;
    proposal->state = PROPOSAL_QUEUED;
    propose->counters.fenced++;
    propose->ops.wake(propose->ops.data);
}

static bool is_present_transaction(const struct proposal *proposal, struct bytes transaction)
{
    return transaction.size == proposal->size &&
           memcmp(transaction.base, proposal->transaction, proposal->size) == 0;
}

/* What a replica answered to a transaction under this proposal's id. It need not be ours:
 * a client may have taken the same request to another node as well, which made a
 * transaction, or a fence, of its own; what became of that says nothing about ours, but
 * for r/<id> being there. */
static void resolve_proposal(struct propose *propose, struct proposal *proposal,
                             struct bytes transaction, const struct store_answer *answer)
{
    bool own = is_present_transaction(proposal, transaction);

    if (answer->status == STORE_APPLIED && own && !proposal->fence) {
        finish_proposal(propose, proposal,
                        (struct propose_result){.outcome = PROPOSE_APPLIED, .answer = *answer});
    } else if (answer->status == STORE_APPLIED && own) {
        finish_refused(propose, proposal, &proposal->refusal, true);
    } else if (answer->status == STORE_APPLIED ||
               (answer->status == STORE_COMPARE_FAILED && answer->compare_index == 0)) {
        finish_duplicate(propose, proposal);
    } else if (!own) {
        return;
    } else if (answer->status == STORE_COMPARE_FAILED && proposal->copies > 1 && !proposal->fence) {
        fence_proposal(propose, proposal, answer);
    } else {
        /* The only copy was refused; or all copies are too late (as is every older copy if
         * the fence is) or not transactions. */
        finish_refused(propose, proposal, proposal->fence ? &proposal->refusal : answer, false);
    }
}

void propose_applied(struct propose *propose, struct bytes transaction,
                     const struct store_answer *answer)
{
    struct proposal *proposal;

    if (transaction.size < TXN_HEADER_SIZE) {
        return;
    }
    proposal = find_proposal(propose, transaction.base + TXN_ID_OFFSET);
    if (proposal != NULL) {
        resolve_proposal(propose, proposal, transaction, answer);
    }
}

/* A snapshot replaced the store: what happened in between left its trace in r/<id>. */
void propose_restored(struct propose *propose)
{
    struct proposal *proposal = TAILQ_FIRST(&propose->pending);

    while (proposal != NULL) {
        struct proposal *next = TAILQ_NEXT(proposal, link);
        struct store_record record;

        if (find_once_record(propose, proposal, &record)) {
            if (proposal->fence && record.value.size == 0) {
                finish_refused(propose, proposal, &proposal->refusal, true);
            } else {
                finish_duplicate(propose, proposal);
            }
        }
        proposal = next;
    }
}

/* Only a transaction that happens once may be proposed again and again. */
static bool is_once_transaction(const struct txn *txn)
{
    uint8_t key[ONCE_KEY_SIZE];
    struct bytes once = {.base = key, .size = sizeof key};

    txn_once_key(txn->id, key);
    return txn->compare_count > 0 && txn->write_count > 0 && txn->compares[0].kind == TXN_ABSENT &&
           bytes_compare(txn->compares[0].key, once) == 0 && txn->writes[0].kind == TXN_PUT &&
           bytes_compare(txn->writes[0].key, once) == 0 && txn->writes[0].value.size > 0 &&
           txn->writes[0].expires_after >= ONCE_EXPIRES_AFTER && txn->valid_until != 0;
}

static QH_RESULT make_proposal(struct bytes transaction, const struct txn *txn,
                               struct proposal **ret_proposal)
{
    struct proposal *proposal = calloc(1, sizeof *proposal);

    if (proposal == NULL) {
        return QH_ENOMEM;
    }
    proposal->transaction = malloc(transaction.size);
    if (proposal->transaction == NULL) {
        free(proposal);
        return QH_ENOMEM;
    }
    memcpy(proposal->transaction, transaction.base, transaction.size);
    proposal->size = transaction.size;
    memcpy(proposal->id, txn->id, ONCE_ID_SIZE);
    *ret_proposal = proposal;
    return QH_OK;
}

QH_RESULT propose_submit(struct propose *propose, struct bytes transaction, uint64_t now_ms,
                         uint64_t deadline_ms, propose_cb cb, void *data)
{
    struct store_record record;
    struct proposal *proposal;
    struct txn txn;
    enum qh_err err;

    if (propose->closing) {
        return QH_ECANCELED;
    }
    if (txn_decode(transaction, &txn) != QH_OK || !is_once_transaction(&txn)) {
        return QH_EINVAL;
    }
    if (find_proposal(propose, txn.id) != NULL) {
        return QH_EEXIST;
    }
    if (propose->pending_count >= PROPOSE_PENDING_MAX ||
        propose->pending_size + transaction.size > PROPOSE_QUEUE_SIZE_MAX) {
        return QH_EBUSY;
    }
    err = make_proposal(transaction, &txn, &proposal);
    if (err != QH_OK) {
        return err;
    }
    if (tsearch(proposal, &propose->index, compare_ids) == NULL) {
        free_proposal(proposal);
        return QH_ENOMEM;
    }
    proposal->deadline_ms = deadline_ms;
    proposal->cb = cb;
    proposal->data = data;
    TAILQ_INSERT_TAIL(&propose->pending, proposal, link);
    propose->pending_count++;
    propose->pending_size += proposal->size;
    propose->counters.submitted++;
    propose->now_ms = now_ms;
    if (find_once_record(propose, proposal, &record)) {
        finish_duplicate(propose, proposal);
        return QH_OK;
    }
    dispatch_proposal(propose, proposal);
    propose_queue_flush(propose);
    return QH_OK;
}

void propose_role_changed(struct propose *propose, struct propose_role role, uint64_t now_ms)
{
    bool same;

    role.leading = role.leading || role.leader_ready;
    same = role.leading == propose->role.leading &&
           role.leader_ready == propose->role.leader_ready && role.leader == propose->role.leader &&
           role.term == propose->role.term;

    propose->now_ms = now_ms;
    if (same) {
        return;
    }
    propose->role = role;
    if (!role.leading) {
        propose_queue_clear(propose);
    }
    dispatch_all(propose, true);
}

void propose_peer_up(struct propose *propose, uint64_t peer, uint64_t now_ms)
{
    propose->now_ms = now_ms;
    if (peer == propose->role.leader && peer != 0) {
        dispatch_all(propose, true);
    }
}

/* The leader said that it does not lead (any more). The tick tries again, if no change of
 * role comes before. */
void propose_rejected(struct propose *propose, uint64_t from, const uint8_t id[ONCE_ID_SIZE])
{
    struct proposal *proposal = find_proposal(propose, id);

    if (proposal != NULL && from == propose->role.leader) {
        proposal->state = PROPOSAL_QUEUED;
    }
}

void propose_written(struct propose *propose)
{
    propose->writing = false;
    propose_queue_flush(propose);
}

void propose_entry_done(struct propose *propose)
{
    QH_ASSERT(propose->entries_inflight > 0);
    propose->entries_inflight--;
    propose->entries_done++;
    propose->ops.wake(propose->ops.data);
}

void propose_deliver(struct propose *propose)
{
    struct proposal *proposal;

    propose->delivering = true;
    while ((proposal = TAILQ_FIRST(&propose->done)) != NULL) {
        TAILQ_REMOVE(&propose->done, proposal, link);
        proposal->cb(proposal->data, &proposal->result);
        free_proposal(proposal);
    }
    propose->delivering = false;
    dispatch_all(propose, false);
    propose_queue_tell(propose);
}

void propose_tick(struct propose *propose, uint64_t now_ms)
{
    struct proposal *proposal = TAILQ_FIRST(&propose->pending);

    propose->now_ms = now_ms;
    while (proposal != NULL) {
        struct proposal *next = TAILQ_NEXT(proposal, link);

        if (now_ms >= proposal->deadline_ms) {
            propose->counters.expired++;
            finish_failed(propose, proposal, proposal->copies > 0 ? QH_EUNKNOWN : QH_ETIMEOUT);
        } else if (proposal->state == PROPOSAL_SENT && propose->role.leader != 0 &&
                   now_ms - proposal->sent_ms >= propose->resend_ms) {
            proposal->state = PROPOSAL_QUEUED;
        }
        proposal = next;
    }
    propose_deliver(propose);
}

QH_RESULT propose_new(struct propose_ops ops, unsigned resend_ms, struct propose **ret_propose)
{
    struct propose *propose = calloc(1, sizeof *propose);

    if (propose == NULL) {
        return QH_ENOMEM;
    }
    propose->ops = ops;
    propose->resend_ms = resend_ms;
    TAILQ_INIT(&propose->pending);
    TAILQ_INIT(&propose->done);
    TAILQ_INIT(&propose->queue);
    *ret_propose = propose;
    return QH_OK;
}

void propose_free(struct propose *propose)
{
    struct proposal *proposal;

    propose->role = (struct propose_role){0};
    propose->closing = true; /* callbacks may still submit */
    while ((proposal = TAILQ_FIRST(&propose->pending)) != NULL) {
        finish_failed(propose, proposal, proposal->copies > 0 ? QH_EUNKNOWN : QH_ECANCELED);
    }
    propose_deliver(propose);
    propose_queue_clear(propose);
    free(propose);
}

unsigned propose_pending(const struct propose *propose)
{
    return propose->pending_count;
}

const struct propose_counters *propose_counters(const struct propose *propose)
{
    return &propose->counters;
}
