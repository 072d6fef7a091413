/* A second, naive implementation of the record store's rules, for comparing answers: a
 * hash table, linear counts, and records that expire by not being looked at any more. */
#ifndef QH_SIM_MODEL_H
#define QH_SIM_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "store/store.h"

/* Apply one transaction to the one model of this process. */
struct store_answer model_apply(struct bytes transaction);

uint64_t model_revision(void);

/* Does @store hold exactly the model's records? */
bool model_equals(const struct store *store);

#endif
