/* The load: threads that sign through a PKCS#11 module, each signature verified by OpenSSL, and one
 * that creates keys. All that happens is kept with its time, so that afterwards one can say
 * how long nothing happened in any span of it.
 *
 * Thread: the functions belong to the thread that called load_start(). */
#ifndef QH_TESTS_DRILL_LOAD_H
#define QH_TESTS_DRILL_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/drill/p11.h"

#define LOAD_SIGNERS_MAX 64u
#define LOAD_FAILURES_SHOWN_MAX 20u

enum load_work { LOAD_RSA, LOAD_EC, LOAD_CREATE, LOAD_PULSE };
#define LOAD_SIGNING ((1u << LOAD_RSA) | (1u << LOAD_EC))
#define LOAD_CREATING (1u << LOAD_CREATE)
/* A thread that does nothing but sleep for 2 ms. What it sleeps longer, this machine stood still,
 * or was busy with something else: nobody can be quicker than that. */
#define LOAD_MACHINE (1u << LOAD_PULSE)

struct load_options {
    unsigned signers;   /* threads, at most LOAD_SIGNERS_MAX */
    unsigned rate;      /* signatures a second of each, at most; 0: no limit */
    bool create;        /* a thread that creates keys, too */
    unsigned pause_ms;  /* of that one between two */
    const char *prefix; /* of the labels */
};

/* What happened in a span of time. */
struct load_summary {
    uint64_t done, failed, wrong;
    uint64_t gap_ns;     /* the longest time in which none was done */
    uint64_t longest_ns; /* the longest call, even if it failed */
    uint64_t median_ns, p99_ns;
};

struct load;

/* Take or make the two keys, then begin. NULL: it could not, and standard error says why. */
struct load *load_start(struct p11 *p11, const struct load_options *options);
/* Wait for the calls under way. Afterwards only the functions below may be used. */
void load_stop(struct load *load);
void load_free(struct load *load);

/* Of what ended from @begin_ns to before @end_ns (clock_monotonic_ns()); @works is a set. */
void load_summarize(struct load *load, unsigned works, uint64_t begin_ns, uint64_t end_ns,
                    struct load_summary *ret_summary);
/* How much of @works was done so far. */
uint64_t load_done(struct load *load, unsigned works);

/* Keys whose creation was acknowledged; valid until load_free(). */
size_t load_key_count(struct load *load);
const uint8_t *load_key_id(struct load *load, size_t index);

/* The next failure that was not told yet: which work, what it said and when. False: none. */
struct load_failure {
    enum load_work work;
    CK_RV rv; /* CKR_OK: the signature was wrong */
    uint64_t at_ns, took_ns;
};
bool load_next_failure(struct load *load, struct load_failure *ret_failure);

#endif
