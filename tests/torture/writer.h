/* A continuous load of writes through every node of a cluster, which remembers each write that
 * was acknowledged.
 *
 * Each write has a random id and a key of its own, made of the id. A write whose outcome is
 * unknown, or whose connection broke, is asked for again at another node under the same id,
 * until it is known to have happened.
 *
 *    FREE --> SENT --applied------------------------------> FREE, acknowledged
 *              |  ^
 *       broken |  | after a while, at another node
 *              v  |
 *            WAITING
 *
 *    SENT --duplicate--> CHECKING --key present-----------> FREE, acknowledged
 *                           | key absent
 *                           v
 *                      CHECKING_ANSWER --empty answer-----> FREE, refused for good
 *                                      --anything else----> FREE, a violation
 *
 * Thread: one, that of its cluster. */
#ifndef QH_TESTS_TORTURE_WRITER_H
#define QH_TESTS_TORTURE_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/torture/cluster.h"

#define WRITER_REQUESTS_MAX 2048u

struct writer_options {
    unsigned outstanding; /* at one node */
    unsigned rate;        /* writes a second in all, 0: as fast as it goes */
    unsigned value_size;  /* bytes */
    unsigned timeout_max_ms;
};

struct writer_ack {
    uint8_t id[ONCE_ID_SIZE];
    uint64_t revision;
};

enum writer_state {
    WRITER_FREE,
    WRITER_SENT,
    WRITER_WAITING,
    WRITER_CHECKING,
    WRITER_CHECKING_ANSWER
};

struct writer_request {
    enum writer_state state;
    uint8_t id[ONCE_ID_SIZE];
    unsigned node; /* where it was asked for last */
    unsigned attempts;
    uint64_t begin_ns;
    uint64_t retry_ns;
};

struct writer_counters {
    uint64_t acknowledged; /* duplicates too */
    uint64_t retried;      /* attempts beyond the first */
    uint64_t duplicates;   /* of the retried: had happened already */
    uint64_t refused;      /* for good, and said so */
    uint64_t failed;       /* answers "failed", each tried again */
    uint64_t violations;   /* answers that must never come; the first is printed */
};

struct writer {
    struct cluster *cluster;
    struct writer_options options;
    struct writer_counters counters;
    bool on; /* new writes are begun */
    struct writer_request requests[WRITER_REQUESTS_MAX];
    unsigned busy;
    unsigned outstanding[CLUSTER_NODES_MAX];
    unsigned next_node;
    uint64_t paced_ns;
    double credit; /* writes that may begin now */
    struct writer_ack *acks;
    size_t ack_count, ack_room;
    uint8_t (*refused)[ONCE_ID_SIZE];
    size_t refused_count, refused_room;
    uint64_t acks_of[CLUSTER_NODES_MAX]; /* through that node */
    uint64_t last_ack_ns;
    uint64_t pause_ns; /* the longest without an acknowledged write since writer_watch() */
};

/* Takes over the callbacks of @cluster. */
void writer_init(struct writer *writer, struct cluster *cluster, struct writer_options options);
void writer_close(struct writer *writer);

/* Take over writes that another writer was acknowledged in the same cluster. */
void writer_adopt(struct writer *writer, const struct writer_ack *acks, size_t count);

/* Begin to measure, and what was measured (ns). */
void writer_watch(struct writer *writer);
uint64_t writer_watched(const struct writer *writer);

/* Poll until @count more writes are acknowledged. */
bool writer_wait_acks(struct writer *writer, uint64_t count, unsigned timeout_ms);
/* Begin no more and poll until every write that was begun has its outcome. */
bool writer_drain(struct writer *writer, unsigned timeout_ms);

/* Ask every running node for every acknowledged key and its revision, and for every key that
 * was refused, which must be absent. Returns how many answers are wrong; the first are printed. */
uint64_t writer_verify(struct writer *writer, unsigned timeout_ms);

/* The acknowledged keys as "qh-datadir contains" reads them. */
bool writer_save(const struct writer *writer, const char *path);

#endif
