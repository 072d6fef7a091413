/* A change of the store on behalf of a request: computed against this node's store, proposed,
 * computed again when somebody else was faster, and answered once.
 *
 *   BUILDING --> PROPOSED --> done
 *       ^            |  refused by a compare: again, at most CHANGE_ATTEMPTS_MAX times
 *       +------------+
 *
 * The answer (the packed Response, sealed) is stored under r/<id>, so that a retry at any node gets
 * the same. That id is made, by a key that all nodes have, of the request's id and of who asks for
 * what: whoever learns the request id of somebody else, or reads r/ in the records, cannot ask
 * for the answer. Thread: control. */
#ifndef QH_NODE_CHANGE_H
#define QH_NODE_CHANGE_H

#include "node/request.h"
#include "store/store.h"
#include "store/txn.h"

#define CHANGE_ATTEMPTS_MAX 8u
#define CHANGE_LEADERLESS_MS 3000u /* without a leader for so long, changes are refused at once */

/* Compute the change: fill request->response with the answer (its error may be set, where a refusal
 * is itself recorded), and put compares, then writes, into
 * @builder (which has the once-compare already when it comes to writing). Called again after
 * a refusal, with a fresh response. Any error is the request's answer; QH_OK goes on. *ret_detail
 * may be set to a static text.
 *
 * Because txn_build_once() must be told the answer first, the two happen in a list: */
struct change_list; /* compares and writes of one transaction, in order */
typedef enum qh_err (*change_build)(struct request *request, const struct store *store,
                                    struct change_list *list, const char **ret_detail);

/* Keys and values are copied. A list that is too long is QH_ELIMIT in the end. */
void change_compare(struct change_list *list, enum txn_compare_kind kind, struct bytes key,
                    uint64_t argument);
void change_put(struct change_list *list, struct bytes key, struct bytes value);
void change_delete(struct change_list *list, struct bytes key);

/* Hands the request to the control thread, builds, proposes and answers it. The request must have a
 * request_id. Any thread that owns the request.
 * What fails: QH_EINVAL (no request id), @build's errors, QH_ECONFLICT (attempts used up),
 * QH_ENOQUORUM (no majority before the deadline: not done, as far as known QH_EUNKNOWN), QH_EBUSY.
 */
void change_run(struct request *request, change_build build);
/* The same, but what was done (now, or by an earlier copy of the request) is not answered yet:
 * @then goes on with it on the control thread, and ends the request. What was refused is answered.
 */
void change_run_then(struct request *request, change_build build,
                     void (*then)(struct request *request));
/* Before work that is costly, and ends in change_run(): a request that was done before gets its
 * answer, and without a majority it is refused, as change_run() would; else @work is called, on the
 * control thread, to hand it on. What fails: as there. */
void change_foresee(struct request *request, void (*work)(struct request *request));

#endif
