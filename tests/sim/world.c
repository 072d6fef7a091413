/* Virtual time, the heap of events, seeded chance, and the ways out. */
#include "tests/sim/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/sim/check.h"
#include "tests/sim/client.h"
#include "tests/sim/faults.h"
#include "tests/sim/net.h"
#include "tests/sim/node.h"

struct event {
    uint64_t at_ms;
    uint64_t order; /* of equal times, the first made comes first */
    world_run run;
    struct node *node;
    unsigned life; /* of @node, when the event was made */
    void *data;
};

struct world world;

static uint64_t random_state;
static struct event *heap;
static size_t heap_count;
static size_t heap_room;
static uint64_t heap_order;
static jmp_buf escape;
static char death_why[256];
static bool death_fatal;

uint64_t world_random(void)
{
    uint64_t z = (random_state += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t world_between(uint64_t low, uint64_t high)
{
    return low >= high ? low : low + world_random() % (high - low + 1);
}

bool world_chance(double probability)
{
    return probability > 0 && (double)(world_random() >> 11) / 9007199254740992.0 < probability;
}

void *world_alloc(size_t size)
{
    void *base = calloc(1, size == 0 ? 1 : size);

    QH_ASSERT(base != NULL);
    return base;
}

void *world_grow(void *base, size_t size)
{
    void *grown = realloc(base, size);

    QH_ASSERT(grown != NULL);
    return grown;
}

void *world_copy(const void *base, size_t size)
{
    void *copy = world_alloc(size);

    if (size > 0) {
        memcpy(copy, base, size);
    }
    return copy;
}

uint64_t world_hash(const void *base, size_t size)
{
    const uint8_t *bytes = base;
    uint64_t hash = 0xcbf29ce484222325ull ^ size;

    while (size > 0) {
        uint64_t word = 0;
        size_t step = size < sizeof word ? size : sizeof word;

        memcpy(&word, bytes, step);
        hash = (hash ^ word) * 0x9fb21c651e98df25ull;
        hash ^= hash >> 32;
        bytes += step;
        size -= step;
    }
    return hash;
}

static bool event_before(const struct event *left, const struct event *right)
{
    return left->at_ms != right->at_ms ? left->at_ms < right->at_ms : left->order < right->order;
}

static void swap_events(size_t i, size_t j)
{
    struct event other = heap[i];

    heap[i] = heap[j];
    heap[j] = other;
}

void world_after(uint64_t delay_ms, struct node *node, world_run run, void *data)
{
    size_t i = heap_count++;

    if (heap_count > heap_room) {
        heap_room = heap_room == 0 ? 1024 : heap_room * 2;
        heap = world_grow(heap, heap_room * sizeof *heap);
    }
    heap[i] = (struct event){
        .at_ms = world.now_ms + delay_ms,
        .order = ++heap_order,
        .run = run,
        .node = node,
        .life = node == NULL ? 0 : node->life,
        .data = data,
    };
    while (i > 0 && event_before(&heap[i], &heap[(i - 1) / 2])) {
        swap_events(i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
}

static struct event pop_event(void)
{
    struct event first = heap[0];
    size_t i = 0;

    heap[0] = heap[--heap_count];
    for (;;) {
        size_t child = 2 * i + 1;

        if (child >= heap_count) {
            return first;
        }
        if (child + 1 < heap_count && event_before(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!event_before(&heap[child], &heap[i])) {
            return first;
        }
        swap_events(i, child);
        i = child;
    }
}

static void run_event(const struct event *event)
{
    world.now_ms = event->at_ms;
    if (event->node != NULL &&
        (event->node->state != NODE_UP || event->node->life != event->life)) {
        return;
    }
    node_enter(event->node);
    event->run(event->node, event->data);
    /* An event that belongs to no node may have entered one. */
    if (world.current != NULL && world.current->state == NODE_UP) {
        node_settle(world.current);
    }
    node_enter(NULL);
}

_Noreturn void world_kill_current(const char *why, bool fatal)
{
    QH_ASSERT(world.current != NULL);
    (void)snprintf(death_why, sizeof death_why, "%s", why);
    death_fatal = fatal;
    longjmp(escape, 1);
}

/* Comes back to the setjmp() each time that a process ends in the middle of a call. */
static void world_go_on(void)
{
    if (setjmp(escape) != 0) {
        struct node *node = world.current;

        node_enter(NULL);
        node_bury(node, death_why, death_fatal);
    }
    while (heap_count > 0) {
        struct event event = pop_event();

        run_event(&event);
    }
}

static void finish(struct node *node, void *data)
{
    (void)node;
    (void)data;
    check_end();
    client_end();
    world.result->virtual_ms = world.now_ms;
    world_trace("ok");
    (void)fflush(stdout);
    _exit(WORLD_EXIT_OK);
}

_Noreturn void world_start(const struct scenario *scenario, uint64_t seed, unsigned rules,
                           bool trace, struct world_result *result)
{
    world = (struct world){
        .scenario = scenario,
        .seed = seed,
        .rules = rules,
        .trace = trace,
        .now_ms = 1000,
        .heal_ms = 1000 + 1000ull * scenario->seconds,
        .result = result,
    };
    random_state =
        seed * 0x9e3779b97f4a7c15ull + world_hash(scenario->name, strlen(scenario->name));
    net_setup();
    node_setup();
    client_setup();
    faults_setup();
    check_setup();
    world_after(1000ull * (scenario->seconds + scenario->heal_seconds), NULL, finish, NULL);
    world_go_on();
    world_violation("SIMULATOR: no events are left");
}

static void __attribute__((format(printf, 2, 0)))
end_run(const char *kind, const char *format, va_list args)
{
    int length = snprintf(world.result->why, sizeof world.result->why, "%s ", kind);

    (void)vsnprintf(world.result->why + length, sizeof world.result->why - (size_t)length, format,
                    args);
    world.result->virtual_ms = world.now_ms;
    world_trace("%s", world.result->why);
    (void)fflush(stdout);
}

_Noreturn void world_violation(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    end_run("violation:", format, args);
    va_end(args);
    _exit(WORLD_EXIT_VIOLATION);
}

_Noreturn void world_stuck(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    end_run("stuck:", format, args);
    va_end(args);
    _exit(WORLD_EXIT_STUCK);
}

void world_trace(const char *format, ...)
{
    va_list args;

    if (!world.trace) {
        return;
    }
    (void)printf("%9llu ", (unsigned long long)world.now_ms);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
}
