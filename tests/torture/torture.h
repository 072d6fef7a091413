/* What qh-torture does and remembers; shared between its parts. */
#ifndef QH_TESTS_TORTURE_TORTURE_H
#define QH_TESTS_TORTURE_TORTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/torture/cluster.h"
#include "tests/torture/offline.h"
#include "tests/torture/writer.h"

enum event_kind {
    EVENT_KILL_FOLLOWER,
    EVENT_KILL_LEADER,
    EVENT_KILL_TWO,
    EVENT_KILL_ALL,
    EVENT_FREEZE_FOLLOWER,
    EVENT_FREEZE_LEADER,
    EVENT_KINDS
};

struct torture_options {
    unsigned rounds;
    unsigned nodes;
    bool witness;
    uint64_t seed;
    const char *dir; /* NULL: a temporary one */
    bool keep;
    bool demo;
    bool verbose;
    unsigned outstanding;
    unsigned rate;
};

/* The longest pause between acknowledged writes in each event of one kind. */
struct torture_pauses {
    uint64_t *pauses_ns;
    unsigned count;
};

struct torture {
    struct torture_options options;
    char *dir;
    struct cluster cluster;
    struct writer writer;
    uint64_t random; /* state of the generator */
    uint64_t begin_ns;
    uint64_t end_ns;
    uint64_t asked_ns; /* when the nodes were asked for their status last */
    unsigned rounds_done;
    struct torture_pauses pauses[EVENT_KINDS];
    unsigned ends;  /* of nodes by themselves */
    bool stuck;     /* writes were not acknowledged again, or the nodes not equal */
    uint64_t wrong; /* answers of writer_verify() */
    struct offline_result offline;
};

/* torture_report.c */
const char *torture_event_name(enum event_kind kind);
/* The directories and nodes, before the first round. */
void torture_report_begin(const struct torture *torture);
/* A line about a round, while it runs: @victims is a list of names. */
void torture_report_event(const struct torture *torture, enum event_kind kind, const char *victims,
                          uint64_t pause_ns);
/* Anything else worth a line. */
void torture_report_note(const struct torture *torture, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The table. Returns whether everything is as it should be. */
bool torture_report_end(struct torture *torture);

#endif
