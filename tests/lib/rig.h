/* Up to three transports on one loop, over real sockets on loopback, each with its own
 * certificate, and a record of everything they are told. */
#ifndef QH_TESTS_LIB_RIG_H
#define QH_TESTS_LIB_RIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "raft-glue/peers.h"
#include "raft-glue/transport.h"

#define RIG_NODES 3u
#define RIG_PATIENCE_MS 20000u /* then a wait fails */

/* What a node is told. */
enum rig_event { RIG_NONE, RIG_CHECK, RIG_FRAME, RIG_UP, RIG_DOWN, RIG_IN_UP, RIG_IN_DOWN };

struct rig_node {
    struct rig *rig;
    struct transport *transport; /* NULL: not started or closed */
    uint64_t id;                 /* 1 .. 3 */
    struct transport_hello hello;
    struct transport_hello heard; /* the last that check() was given */
    unsigned checks;
    enum qh_err check_answer;
    enum qh_err frame_answer;
    /* By channel and by the id of the peer. */
    unsigned up[TRANSPORT_CHANNELS][RIG_NODES + 1], down[TRANSPORT_CHANNELS][RIG_NODES + 1];
    unsigned in_up[TRANSPORT_CHANNELS][RIG_NODES + 1], in_down[TRANSPORT_CHANNELS][RIG_NODES + 1];
    unsigned gone[TRANSPORT_CHANNELS][RIG_NODES + 1];
    unsigned frames[TRANSPORT_CHANNELS];
    uint64_t frame_bytes;
    uint32_t last_u32[TRANSPORT_CHANNELS]; /* the first four bytes of the last frame */
    uint64_t sum;                          /* of all bytes of the last frame */
    bool disordered; /* a frame's u32 was not the last one's of its channel plus 1 */
    bool closed;
    enum rig_event hook_event;
    void (*hook)(struct rig_node *node); /* called once, inside that callback */
};

struct rig {
    uv_loop_t loop;
    uv_timer_t tick;
    char dir[256];
    struct rig_node nodes[RIG_NODES];
    uint64_t deadline_ms;
    char log[16384]; /* what was logged, lines with '\n' */
    size_t log_size;
};

/* Loop, authority and certificates "alpha", "beta", "gamma"; nodes have ids 1, 2 and 3. */
void rig_open(struct rig *rig);
void rig_close(struct rig *rig);

/* A process of its own that does @work and ends with what it returns, or 99 if it
 * fails. It has no open file of ours (a socket that two processes hold is not closed when
 * one of them closes it). Fork before anything is connected. */
pid_t rig_fork(struct rig *rig, int (*work)(struct rig *rig, void *data), void *data);
/* In the child: a loop of its own, with the parent's certificates. */
void rig_open_child(struct rig *rig, const struct rig *parent);
bool rig_child_ended(pid_t pid, int *ret_status);

/* How a node is set up unless the test changes it. */
struct transport_config rig_config(struct rig *rig, unsigned node);
/* Start a node with @config, listening on a port of the kernel's choice. */
void rig_start_with(struct rig *rig, unsigned node, const struct transport_config *config);
void rig_start(struct rig *rig, unsigned node);
void rig_stop(struct rig *rig, unsigned node); /* waits */

/* Tell @from how to reach @to, at "127.0.0.1". */
void rig_introduce(struct rig *rig, unsigned from, unsigned to);
/* Both ways, and wait until everything is up. */
void rig_join(struct rig *rig, unsigned left, unsigned right);

const char *rig_name(unsigned node);
bool rig_logged(const struct rig *rig, const char *text);
unsigned rig_logged_count(const struct rig *rig, const char *text);

/* RIG_WAIT(rig, condition): run the loop until it holds; abort the test if it does not come. */
void rig_wait_begin(struct rig *rig);
void rig_turn(struct rig *rig, const char *condition, const char *file, int line);
#define RIG_WAIT(rig, condition)                             \
    do {                                                     \
        rig_wait_begin(rig);                                 \
        while (!(condition)) {                               \
            rig_turn((rig), #condition, __FILE__, __LINE__); \
        }                                                    \
    } while (false)

/* A frame of @size bytes that starts with @number; it must be accepted. */
void rig_send(struct rig *rig, unsigned from, enum transport_channel channel, unsigned to,
              uint32_t number, size_t size);

#endif
