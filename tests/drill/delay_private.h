/* What the files of the delay proxy share. */
#ifndef QH_TESTS_DRILL_DELAY_PRIVATE_H
#define QH_TESTS_DRILL_DELAY_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/drill/delay.h"

#define DELAY_TALLIES_MAX 256u
#define DELAY_READ_SIZE 65536u
#define DELAY_NEVER UINT64_MAX

struct delay_pair;

/* What came from one address to one listening address, since the start. */
struct delay_tally {
    uint32_t listen;
    uint32_t from; /* host order */
    uint64_t connections, open, out, back;
};

enum delay_chunk_kind { DELAY_DATA, DELAY_END, DELAY_RESET };

struct delay_chunk {
    uv_write_t write;
    struct delay_chunk *next;
    struct delay_flow *flow;
    uint64_t due_ns;
    size_t size;
    enum delay_chunk_kind kind;
    char bytes[];
};

/* One direction of a connection. */
struct delay_flow {
    struct delay_pair *pair;
    uv_tcp_t *from, *to;
    struct delay_chunk *head, *tail; /* not delivered yet, times never decreasing */
    size_t size;                     /* bytes of those, and of those being written */
    uv_shutdown_t shutdown;
    bool reading;
    bool ended;  /* an end or a reset was read: nothing more comes */
    bool reset;  /* a reset is under way */
    bool broken; /* nothing can be written any more */
    bool closed; /* the end was delivered */
};

struct delay_pair {
    struct delay *delay;
    struct delay_pair *next, **link;
    struct delay_tally *tally;
    uv_tcp_t near, far;
    uv_connect_t connect;
    struct delay_flow out, back;
    uint32_t origin, target; /* regions */
    uint32_t listen;
    uint64_t connect_ns; /* when the target is asked */
    uint64_t refused_ns; /* when the origin learns that it is not there */
    uint64_t first_ns;   /* when the first bytes may arrive */
    unsigned handles;    /* not closed yet */
    bool connecting, connected, refused;
    bool held; /* crosses the border of a region that is cut off, until it is reset */
    bool closing;
};

struct delay_listener {
    struct delay *delay;
    uint32_t index;
    uv_tcp_t tcp;
};

struct delay {
    struct delay_map map;
    uv_loop_t *loop;
    uv_poll_t poll;
    int timer_fd;
    uint64_t armed_ns;
    struct delay_pair *pairs;
    uint32_t pair_count;
    uint64_t refused_count;   /* from an address in no region, or too many */
    uint32_t listening_count; /* initialised */
    unsigned handles;         /* listeners and the poll, not closed yet */
    bool closing;
    uint32_t tally_count;
    struct delay_tally tallies[DELAY_TALLIES_MAX + 1]; /* the last is for what has no room */
    struct delay_listener listeners[DELAY_LISTENS_MAX];
    char buffer[DELAY_READ_SIZE]; /* what was read goes on from here at once */
};

/* Be called again at @due_ns at the latest. */
void delay_schedule(struct delay *delay, uint64_t due_ns);
/* The last handle of @delay and the last pair are gone: free it. */
void delay_release(struct delay *delay);

/* Accept what @listener has. */
void delay_pair_accept(struct delay_listener *listener);
/* Do what is due, and return when it is to be called next. */
uint64_t delay_pair_tick(struct delay_pair *pair, uint64_t now_ns);
void delay_pair_close(struct delay_pair *pair, bool reset);

#endif
