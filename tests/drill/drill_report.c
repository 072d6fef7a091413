/* What the drill prints. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/drill/drill.h"

#define NS_PER_S 1e9
#define NS_PER_MS 1e6
#define EVENT_WIDTH 45

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

static void print_heading(const char *first)
{
    (void)printf("\n%9s %-*s  %-18s  %8s  %-18s\n", "", EVENT_WIDTH, "", "   signing", "longest",
                 "   creating keys");
    (void)printf("%9s %-*s  %8s  %8s  %8s  %8s  %8s\n", first, EVENT_WIDTH, "event", "done", "gap",
                 "call", "done", "gap");
}

void drill_report_event(const struct drill *drill, const struct drill_phase *phase)
{
    if (phase->begin_ns == drill->phases[0].begin_ns) {
        print_heading("time");
    }
    (void)printf("%7.1f s %-*s", since_begin_s(drill, phase->begin_ns), EVENT_WIDTH, phase->event);
    (void)fflush(stdout);
}

/* "1,234 ms", with a mark if that is more than was promised. */
static void print_ms(uint64_t time_ns, unsigned max_ms)
{
    double time_ms = (double)time_ns / NS_PER_MS;

    (void)printf("  %5.0f ms%s", time_ms, max_ms > 0 && time_ms > max_ms ? "!" : "");
    if (max_ms == 0 || time_ms <= max_ms) {
        (void)printf(" ");
    }
}

static void print_measured(const struct drill_phase *phase)
{
    (void)printf("  %7" PRIu64, phase->signing.done);
    print_ms(phase->signing.gap_ns, phase->signing_max_ms);
    print_ms(phase->signing.longest_ns, 0);
    (void)printf("%7" PRIu64, phase->creating.done);
    print_ms(phase->creating.gap_ns, phase->creating_max_ms);
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
    (void)printf("\n");
    print_failures(drill);
    (void)fflush(stdout);
}

/* ---- The end. */

static void print_bound(unsigned max_ms, uint64_t time_ns)
{
    if (max_ms == 0) {
        (void)printf("  %9s", "");
    } else {
        (void)printf("  %s %4u", (double)time_ns / NS_PER_MS > max_ms ? "MISSED" : "  kept",
                     max_ms);
    }
}

static void print_phase(const struct drill_phase *phase)
{
    (void)printf("  %-*s %7" PRIu64 " %6" PRIu64 " %5" PRIu64 " %7.0f", EVENT_WIDTH, phase->event,
                 phase->signing.done, phase->signing.failed, phase->signing.wrong,
                 (double)phase->signing.gap_ns / NS_PER_MS);
    print_bound(phase->signing_max_ms, phase->signing.gap_ns);
    (void)printf(" %7" PRIu64 " %6" PRIu64 " %7.0f", phase->creating.done, phase->creating.failed,
                 (double)phase->creating.gap_ns / NS_PER_MS);
    print_bound(phase->creating_max_ms, phase->creating.gap_ns);
    (void)printf("\n");
}

static void print_table(const struct drill *drill)
{
    (void)printf("\n  %-*s %-40s %s\n", EVENT_WIDTH, "", "signatures", "keys created");
    (void)printf("  %-*s %7s %6s %5s %7s  %11s %7s %6s %7s  %11s\n", EVENT_WIDTH, "", "made",
                 "failed", "wrong", "gap ms", "at most ms ", "made", "failed", "gap ms",
                 "at most ms ");
    for (unsigned i = 0; i < drill->phase_count; i++) {
        print_phase(&drill->phases[i]);
    }
}

static void print_latency(const char *what, const struct drill_latency *latency)
{
    if (latency->measured) {
        (void)printf("  %-45s %8.2f ms, at %s\n", what, latency->median_ms, latency->node);
    } else {
        (void)printf("  %-45s not measured\n", what);
    }
}

static void print_count(const char *what, uint64_t count)
{
    (void)printf("  %-45s %8" PRIu64 "\n", what, count);
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
    (void)printf("  %-45s %3u of %u\n", "replicas whole", drill->directories_whole, STAGE_NODES);
    (void)printf("  %-45s %3u of %u\n", "replicas equal", drill->directories_equal, STAGE_NODES);
    print_latency("median of a signature, client prefers its region", &drill->near);
    print_latency("median of a signature, client prefers the other", &drill->far);
    (void)printf("  %-45s %8s\n", "a client without a preference chose", drill->chosen);
    if (drill->near.measured && drill->far.measured) {
        (void)printf("  %-45s %8.1f times\n", "across takes",
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
