/* Three scripted nodes, alpha in region east, beta and gamma in west, a handle that knows them, and
 * calls through it. */
#ifndef QH_TESTS_UNIT_CLIENT_RIG_H
#define QH_TESTS_UNIT_CLIENT_RIG_H

#include <stdbool.h>
#include <stdlib.h>

#include "base/clock.h"
#include "client/handle.h"
#include "tests/lib/test.h"
#include "tests/unit/client_peer.h"

#define PEERS 3u
#define PATIENCE_MS 15000u

extern char dir[256]; /* certificates; what tests write goes there, too */
extern struct peer *peers[PEERS];
extern struct quadhsm *handle;
extern const char *const names[PEERS];

/* Fixture of each case. The handle is opened by the test and closed here. */
void set_up(void);
void tear_down(void);

/* The first @count peers are seeds. @region: prefer it. */
struct client_config *config_for(unsigned count, const char *region);
/* Prefers east. */
void open_handle(unsigned count);
/* The same, and all seeds measured, with hedging as late as possible: from now on it is certain
 * which node is asked first, and will answer even on a machine with much to do. */
void open_ready(unsigned count);
void be_patient(void);

enum qh_err call_random(void);
enum qh_err call_destroy(void); /* a change */
enum qh_err call_use(uint64_t min_revision);

bool probed(const char *node, enum quadhsm_readiness readiness);
void wait_all_ready(void);
void nap(unsigned ms);

#define WAIT_UNTIL(condition)                                           \
    do {                                                                \
        uint64_t limit_ms = clock_monotonic_ms() + PATIENCE_MS;         \
        while (!(condition)) {                                          \
            ck_assert_msg(clock_monotonic_ms() < limit_ms, #condition); \
            nap(2);                                                     \
        }                                                               \
    } while (false)

#endif
