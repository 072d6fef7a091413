/* A TCP proxy that makes loopback look like regions far from each other, without root and
 * without the kernel's netem: what it forwards arrives one way delay later, in order.
 *
 *   origin ----> near socket [ flow of chunks, each with its time ] far socket ----> target
 *          <---- near socket [ the other flow                     ] far socket <----
 *
 * A connection's origin is in the region of its source address, its target in the region that
 * its listening address was given. Cutting a region off holds everything that crosses its border:
 * nothing arrives, nothing is closed, new connections are accepted and hang. Healing resets what
 * was held.
 *
 * A handshake takes as long as over the real distance: the target sees the connection one delay
 * after it was made, and its first bytes not before three. Only the origin's connect() is
 * answered at once, for the kernel does that.
 *
 * Bandwidth is not limited. Memory is: a flow holds at most DELAY_FLOW_SIZE_MAX bytes, and reads
 * nothing beyond that until it has delivered half of it.
 *
 * Thread: all of it belongs to the thread of its loop. */
#ifndef QH_TESTS_DRILL_DELAY_H
#define QH_TESTS_DRILL_DELAY_H

#include <stddef.h>
#include <uv.h>

#include "base/err.h"
#include "tests/drill/delay_map.h"

#define DELAY_PAIRS_MAX 1024u
#define DELAY_FLOW_SIZE_MAX (1u << 20) /* bytes, with what is needed to keep them */
#define DELAY_REPORT_SIZE_MAX 65536u   /* bytes of text */

struct delay;

/* Listen everywhere that @map says; take it over as it stands.
 * Errors: QH_ENOMEM, QH_ESYSTEM (*ret_listen is the index of what could not be listened at).
 * Owns:   delay_close() starts to close it; @loop frees it once it has run to its end. */
QH_RESULT delay_new(uv_loop_t *loop, const struct delay_map *map, struct delay **ret_delay,
                    uint32_t *ret_listen);
void delay_close(struct delay *delay);

/* Errors: those of the map's functions. */
QH_RESULT delay_cut(struct delay *delay, const char *region);
void delay_heal(struct delay *delay);
QH_RESULT delay_set(struct delay *delay, const char *left, const char *right, uint32_t delay_ms);

/* One line for each address listened at and address that came from, since the start:
 *
 *   AT FROM connections=N open=N out=BYTES back=BYTES held=BYTES
 *
 * then "pairs=N". What does not fit is left out. Returns the length. */
size_t delay_report(const struct delay *delay, char *ret_text, size_t room);

/* The commands of the control socket at @path, a line each; answered with text and "ok", or
 * "error WHAT":   cut REGION | heal | delay A B MS | stats
 * Errors: QH_ESYSTEM, QH_ENOMEM. Owns: as delay_new(). */
struct delay_control;
QH_RESULT delay_control_new(struct delay *delay, uv_loop_t *loop, const char *path,
                            struct delay_control **ret_control);
void delay_control_close(struct delay_control *control);

#endif
