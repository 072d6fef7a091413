/* What the drill prints. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/drill/drill.h"

#define NS_PER_S 1e9
#define NS_PER_MS 1e6
#define EVENT_WIDTH 41
#define COUNT_WIDTH 49

static double since_begin_s(const struct drill *drill, uint64_t at_ns)
{
    return (double)(at_ns - drill->begin_ns) / NS_PER_S;
}

void drill_report_begin(const struct drill *drill)
{
    (void)printf("qh-drill: four nodes in two regions, and a witness in a third place\n"
                 "\n"
                 "  east   east-1  127.0.1.1     east-2  127.0.1.2\n"
                 "  west   west-1  127.0.2.1     west-2  127.0.2.2     %u ms from east, each way\n"
                 "  north  north-1 127.0.3.1     the witness           %u ms from both\n"
                 "\n"
                 "Each is a process of its own below %s. An application\n"
                 "in region east signs with %u threads through the PKCS#11 module, and creates "
                 "keys, all the\n"
                 "time. OpenSSL verifies every signature.\n\n",
                 drill->options.delay_ms, drill->options.delay_ms * 5 / 8, drill->dir,
                 drill->options.signers);
    (void)fflush(stdout);
}

void drill_report_step(const struct drill *drill, const char *what)
{
    (void)printf("%6.1f s  %s\n", since_begin_s(drill, clock_monotonic_ns()), what);
    (void)fflush(stdout);
}

void drill_report_event(const struct drill *drill, const struct drill_phase *phase)
{
    if (phase->begin_ns == drill->phases[0].begin_ns) {
        (void)printf("\n%9s %-*s  %-15s  %7s  %-15s\n", "", EVENT_WIDTH, "", "signatures",
                     "longest", "keys created");
        (void)printf("%9s %-*s  %6s  %7s  %7s  %6s  %7s\n", "time", EVENT_WIDTH, "event", "made",
                     "gap", "call", "made", "gap");
    }
    (void)printf("%7.1f s %-*s", since_begin_s(drill, phase->begin_ns), EVENT_WIDTH, phase->event);
    (void)fflush(stdout);
}

static double ms(uint64_t time_ns)
{
    return (double)time_ns / NS_PER_MS;
}

static void print_measured(const struct drill_phase *phase)
{
    (void)printf("  %6" PRIu64 "  %4.0f ms  %4.0f ms  %6" PRIu64 "  %4.0f ms\n",
                 phase->signing.done, ms(phase->signing.gap_ns), ms(phase->signing.longest_ns),
                 phase->creating.done, ms(phase->creating.gap_ns));
}

static void print_failures(struct drill *drill)
{
    struct load_failure failure;
    char room[24];

    while (load_next_failure(drill->load, &failure)) {
        (void)printf("%7.1f s   %s: %s, after %.0f ms\n", since_begin_s(drill, failure.at_ns),
                     failure.work == LOAD_CREATE ? "a key was not created" : "A SIGNATURE FAILED",
                     failure.rv == CKR_OK ? "it is wrong" : p11_error(failure.rv, room),
                     (double)failure.took_ns / NS_PER_MS);
    }
}

void drill_report_phase(struct drill *drill, const struct drill_phase *phase)
{
    print_measured(phase);
    print_failures(drill);
    (void)fflush(stdout);
}

/* ---- The end. */

/* "  54 of  100", with a mark if that is more than was promised. */
static void print_gap(uint64_t gap_ns, unsigned max_ms)
{
    if (max_ms == 0) {
        (void)printf(" %6.0f          ", ms(gap_ns));
    } else {
        (void)printf(" %6.0f of %4u %c", ms(gap_ns), max_ms, ms(gap_ns) > max_ms ? '!' : ' ');
    }
}

static void print_phase(const struct drill_phase *phase)
{
    (void)printf("  %-*s %6" PRIu64 " %6" PRIu64 " %5" PRIu64, EVENT_WIDTH, phase->event,
                 phase->signing.done, phase->signing.failed, phase->signing.wrong);
    print_gap(phase->signing.gap_ns, phase->signing_max_ms);
    (void)printf(" %6" PRIu64, phase->creating.done);
    print_gap(phase->creating.gap_ns, phase->creating_max_ms);
    (void)printf(" %7.0f\n", ms(phase->machine_ns));
}

static void print_table(const struct drill *drill)
{
    unsigned missed = 0;

    (void)printf("\n  %-*s %-35s %-22s %8s\n", EVENT_WIDTH, "", "signatures", "keys created",
                 "machine");
    (void)printf("  %-*s %6s %6s %5s %6s %-9s %6s %6s %-9s %6s\n", EVENT_WIDTH, "", "made",
                 "failed", "wrong", "gap ms", "of max", "made", "gap ms", "of max", "ms");
    for (unsigned i = 0; i < drill->phase_count; i++) {
        const struct drill_phase *phase = &drill->phases[i];

        print_phase(phase);
        missed += phase->signing_max_ms > 0 && ms(phase->signing.gap_ns) > phase->signing_max_ms;
        missed += phase->creating_max_ms > 0 && ms(phase->creating.gap_ns) > phase->creating_max_ms;
    }
    (void)printf("\n  gap: the longest time in which none was made. max: what is promised%s.\n"
                 "  machine: the longest time in which this machine let a thread wait for a "
                 "processor.\n",
                 missed > 0 ? "; ! is more" : "");
}

static void print_latency(const char *what, const struct drill_latency *latency)
{
    if (latency->measured) {
        (void)printf("  %-*s %8.2f ms, at %s\n", COUNT_WIDTH, what, latency->median_ms,
                     latency->node);
    } else {
        (void)printf("  %-*s not measured\n", COUNT_WIDTH, what);
    }
}

static void print_count(const char *what, uint64_t count)
{
    (void)printf("  %-*s %8" PRIu64 "\n", COUNT_WIDTH, what, count);
}

void drill_report_end(const struct drill *drill)
{
    print_table(drill);
    (void)printf("\n");
    print_count("signatures made, verified by OpenSSL", drill->signing.done);
    print_count("  failed", drill->signing.failed);
    print_count("  wrong", drill->signing.wrong);
    print_count("keys whose creation was acknowledged", drill->acknowledged);
    print_count("  missing after all nodes were started again", drill->missing);
    print_count("  there more than once", drill->twice);
    print_count("creations answered with an error", drill->creating.failed);
    print_count("nodes that ended by themselves", drill->stage.ended);
    (void)printf("  %-*s %3u of %u\n", COUNT_WIDTH, "replicas whole", drill->directories_whole,
                 STAGE_NODES);
    (void)printf("  %-*s %3u of %u\n", COUNT_WIDTH, "replicas equal", drill->directories_equal,
                 STAGE_NODES);
    print_latency("median of a signature, client prefers its region", &drill->near);
    print_latency("median of a signature, client prefers the other", &drill->far);
    (void)printf("  %-*s %8s\n", COUNT_WIDTH, "a client without a preference chose", drill->chosen);
    if (drill->near.measured && drill->far.measured) {
        (void)printf("  %-*s %8.1f times\n", COUNT_WIDTH, "across takes",
                     drill->far.median_ms / drill->near.median_ms);
    }
    (void)printf("\n%s\n", drill_passed(drill)
                               ? "No signature failed, no acknowledged key is missing, all "
                                 "replicas are equal."
                               : "NOT as it should be: see above.");
    (void)fflush(stdout);
}

void drill_report_keep(const struct drill *drill)
{
    const struct stage *stage = &drill->stage;

    (void)printf("\nThe cluster is running again. In another terminal:\n\n"
                 "  export QUADHSM_CONFIG=%s/app/drill.yaml\n"
                 "  pkcs11-tool --module %s --list-objects\n"
                 "  pkcs11-tool --module %s --test --login --pin $(cat %s/pin/co)\n"
                 "  %s cluster status --config %s/admin/client.yaml --password-file %s/pin/so\n",
                 drill->dir, stage->module, stage->module, drill->dir, stage->command, drill->dir,
                 drill->dir);
    (void)printf("\nThe delay between the regions, and cutting one off:\n\n"
                 "  %s --tell %s cut west\n"
                 "  %s --tell %s heal\n"
                 "\nThe nodes' processes, to be killed or frozen:",
                 stage->proxy, stage->proxy_control, stage->proxy, stage->proxy_control);
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        (void)printf(" %s %d%s", stage->nodes[i].name, (int)stage->nodes[i].pid,
                     i + 1 < STAGE_NODES ? "," : "\n");
    }
    (void)printf("\nInterrupt (Ctrl-C) to stop them all.\n");
    (void)fflush(stdout);
}
