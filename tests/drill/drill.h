/* What the files of the drill share. */
#ifndef QH_TESTS_DRILL_DRILL_H
#define QH_TESTS_DRILL_DRILL_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/drill/load.h"
#include "tests/drill/stage.h"

#define DRILL_PHASES_MAX 24u
#define DRILL_TEXT_MAX 96u

struct drill_options {
    const char *dir;
    unsigned delay_ms; /* one way between east and west */
    unsigned signers, rate;
    bool keep, quick, region_timing;
};

/* A span of time that one event begins. */
struct drill_phase {
    char event[DRILL_TEXT_MAX];
    uint64_t begin_ns, end_ns;
    unsigned signing_max_ms, creating_max_ms; /* what is promised; 0: nothing is */
    struct load_summary signing, creating;
    uint64_t machine_ns; /* the longest time in which this machine let a thread wait */
};

/* A client that prefers one region. */
struct drill_latency {
    bool measured;
    double median_ms;
    char node[64];
};

struct drill {
    struct drill_options options;
    struct stage stage;
    char *dir;
    char *pin; /* of the crypto officer */
    struct p11 p11;
    struct load *load; /* NULL before and after */
    uint64_t begin_ns;
    unsigned phase_count;
    struct drill_phase phases[DRILL_PHASES_MAX];
    struct drill_latency near, far;
    struct stage_node *victim; /* of the phase that begins */
    bool leads;                /* it leads, or a node of its region */
    char chosen[64];           /* where a client without a preference went, undisturbed */
    bool stuck;                /* a condition was waited for in vain */
    bool finished;             /* the checks of the end were made */
    struct load_summary signing, creating; /* of it all */
    uint64_t acknowledged, missing, twice;
    unsigned directories_whole, directories_equal;
    bool stopped_well;
};

/* ---- drill_phases.c */

/* Latencies, then every fault in turn under load. */
bool drill_run(struct drill *drill);

/* ---- drill_check.c */

/* Restart all, look for every acknowledged key, stop all, compare their directories. */
void drill_check(struct drill *drill);
bool drill_passed(const struct drill *drill);

/* ---- drill_report.c */

void drill_report_begin(const struct drill *drill);
/* A step of the preparation that takes a moment. */
void drill_report_step(const struct drill *drill, const char *what);
/* The event itself, at once; the rest of its line when the phase is over. */
void drill_report_event(const struct drill *drill, const struct drill_phase *phase);
void drill_report_phase(struct drill *drill, const struct drill_phase *phase);
void drill_report_end(const struct drill *drill);
void drill_report_keep(const struct drill *drill);

#endif
