/* What qh-torture prints. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/torture/torture.h"

#define NS_PER_MS 1000000u

static const char *const event_names[EVENT_KINDS] = {
    [EVENT_KILL_FOLLOWER] = "kill -9, a follower",
    [EVENT_KILL_LEADER] = "kill -9, the leader",
    [EVENT_KILL_TWO] = "kill -9, two nodes at once",
    [EVENT_KILL_ALL] = "kill -9, all nodes at once",
    [EVENT_FREEZE_FOLLOWER] = "frozen, a follower",
    [EVENT_FREEZE_LEADER] = "frozen, the leader",
};

static const char demo_text[] =
    "\nThe nodes talk mutual TLS 1.3 to each other. Writes go on through every one of them the\n"
    "whole time. In each round some nodes are killed or frozen at a random moment and brought\n"
    "back a little later. The pause is the longest time in that round in which no write was\n"
    "acknowledged by any node.\n";

const char *torture_event_name(enum event_kind kind)
{
    return event_names[kind];
}

/* 1234567 as "1,234,567", in one of a few static buffers. */
static const char *group_digits(uint64_t number)
{
    static char buffers[8][32];
    static unsigned next;
    char *end = buffers[next++ % 8] + 31;
    unsigned digits = 0;

    *end = '\0';
    do {
        if (digits > 0 && digits % 3 == 0) {
            *--end = ',';
        }
        *--end = (char)('0' + number % 10);
        number /= 10;
        digits++;
    } while (number > 0);
    return end;
}

static double seconds_since(uint64_t begin_ns)
{
    return (double)(clock_monotonic_ns() - begin_ns) / 1e9;
}

void torture_report_begin(const struct torture *torture)
{
    const struct torture_options *options = &torture->options;

    (void)printf("qh-torture: %u nodes%s, %u rounds, seed %" PRIu64 "\n", options->nodes,
                 options->witness ? ", one of them a witness" : "", options->rounds, options->seed);
    (void)printf("Each node is a process of its own with its directory below\n%s\n", torture->dir);
    if (options->demo) {
        (void)fputs(demo_text, stdout);
    }
    if (options->verbose) {
        (void)printf("\n   time  round  event                       nodes               pause"
                     "  acknowledged\n");
    }
    (void)fflush(stdout);
}

void torture_report_event(const struct torture *torture, enum event_kind kind, const char *victims,
                          uint64_t pause_ns)
{
    if (!torture->options.verbose) {
        return;
    }
    (void)printf("%5.1f s  %5u  %-26s  %-16s %5" PRIu64 " ms  %12s\n",
                 seconds_since(torture->begin_ns), torture->rounds_done, event_names[kind], victims,
                 pause_ns / NS_PER_MS, group_digits(torture->writer.counters.acknowledged));
    (void)fflush(stdout);
}

void torture_report_note(const struct torture *torture, const char *format, ...)
{
    va_list args;

    (void)printf("%5.1f s         ", seconds_since(torture->begin_ns));
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)printf("\n");
    (void)fflush(stdout);
}

static int compare_u64(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left;
    uint64_t b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

/* Of sorted numbers; of an even count the mean of the two in the middle. */
static uint64_t median(const uint64_t *numbers, unsigned count)
{
    return (numbers[(count - 1) / 2] + numbers[count / 2]) / 2;
}

static void print_pauses(struct torture *torture)
{
    (void)printf("\n  event                          times   longest pause without an acknowledged "
                 "write\n");
    (void)printf("                                             median        max\n");
    for (unsigned i = 0; i < EVENT_KINDS; i++) {
        struct torture_pauses *pauses = &torture->pauses[i];

        if (pauses->count == 0) {
            continue;
        }
        qsort(pauses->pauses_ns, pauses->count, sizeof *pauses->pauses_ns, compare_u64);
        (void)printf("  %-26s  %8u  %10" PRIu64 " ms %7" PRIu64 " ms\n", event_names[i],
                     pauses->count, median(pauses->pauses_ns, pauses->count) / NS_PER_MS,
                     pauses->pauses_ns[pauses->count - 1] / NS_PER_MS);
    }
}

static void print_count(const char *what, uint64_t count)
{
    (void)printf("  %-58s %12s\n", what, group_digits(count));
}

static void print_of(const char *what, unsigned count, unsigned all)
{
    char text[32];

    (void)snprintf(text, sizeof text, "%u of %u", count, all);
    (void)printf("  %-58s %12s\n", what, text);
}

bool torture_report_end(struct torture *torture)
{
    const struct writer *writer = &torture->writer;
    const struct writer_counters *counters = &writer->counters;
    const struct offline_result *offline = &torture->offline;
    bool passed = !torture->stuck && torture->ends == 0 && torture->wrong == 0 &&
                  counters->violations == 0 && counters->acknowledged > 0 && writer->busy == 0 &&
                  torture->rounds_done == torture->options.rounds && offline_passed(offline);

    (void)printf("\n%u rounds in %.0f s\n", torture->rounds_done,
                 (double)(torture->end_ns - torture->begin_ns) / 1e9);
    print_pauses(torture);
    (void)printf("\n");
    print_count("writes acknowledged", counters->acknowledged);
    print_count("answered \"failed\" (outcome unknown, or not sent)", counters->failed);
    print_count("asked again, after that or a broken connection", counters->retried);
    print_count("of these had happened already (duplicates)", counters->duplicates);
    print_count("refused for good", counters->refused);
    print_count("without an outcome in the end", writer->busy);
    print_count("answers that must not come", counters->violations);
    print_count("nodes that ended by themselves", torture->ends);
    (void)printf("\n");
    print_count("asked of the running nodes: wrong or missing", torture->wrong);
    print_of("directories whole", offline->whole, offline->directories);
    print_of("directories equal", offline->equal, offline->directories);
    print_of("directories that hold every acknowledged write", offline->holding,
             offline->directories);
    print_count("acknowledged writes missing in a directory", offline->missing);
    (void)printf("\n%s\n", passed ? "Nothing that was acknowledged is missing; all nodes are equal."
                                  : "FAILED: see above.");
    (void)fflush(stdout);
    return passed;
}
