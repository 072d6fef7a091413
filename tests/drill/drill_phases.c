/* The drill's phases: what happens, to whom, and how long the load then goes on. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/drill/drill.h"
#include "tests/torture/process.h"

#define WATCH_MS 250u
#define SETTLE_TIMEOUT_MS 30000u
#define SETTLE_REVISIONS 20u /* nodes this far apart are level, while keys are being created */
#define TURN_MS 10
#define NS_PER_MS 1000000u
#define LATENCY_OUTPUT_SIZE 65536u

/* Choose whom it happens to, and say it. False: nobody is there. The load goes on meanwhile, so it
 * may take its time; what then happens may not. */
typedef bool (*phase_choice)(struct drill *drill, char *ret_event);
typedef void (*phase_action)(struct drill *drill);

struct step {
    phase_choice choose;
    phase_action act;
    unsigned load_ms, quick_ms;                       /* the load goes on for so long after it */
    unsigned signing_max_ms;                          /* what is promised; 0: nothing is */
    unsigned creating_max_ms, creating_region_max_ms; /* if a leader is hit; by the timing */
    bool settle; /* the phase lasts until all nodes are in order again, too */
};

/* ---- Whom. */

static void say(char *ret_event, const char *what, const struct stage_node *whom, const char *more)
{
    (void)snprintf(ret_event, DRILL_TEXT_MAX, "%s%s%s%s", what, whom == NULL ? "" : " ",
                   whom == NULL ? "" : whom->name, more);
}

static struct stage_node *find_leader(struct drill *drill)
{
    stage_ask(&drill->stage);
    return stage_leader(&drill->stage);
}

static bool choose_in_use(struct drill *drill, const char *what, char *ret_event)
{
    drill->victim = stage_node_in_use(&drill->stage, STAGE_EAST_APP, WATCH_MS);
    if (drill->victim == NULL) {
        (void)fprintf(stderr, "the application talks to no node\n");
        return false;
    }
    drill->leads = find_leader(drill) == drill->victim;
    say(ret_event, what, drill->victim, drill->leads ? ", leading" : "");
    return true;
}

static bool choose_leader(struct drill *drill, const char *what, char *ret_event)
{
    const struct stage_node *in_use;

    drill->victim = find_leader(drill);
    if (drill->victim == NULL) {
        (void)fprintf(stderr, "no node leads\n");
        return false;
    }
    drill->leads = true;
    in_use = stage_node_in_use(&drill->stage, STAGE_EAST_APP, WATCH_MS);
    say(ret_event, what, drill->victim, in_use == drill->victim ? ", in use" : "");
    return true;
}

static bool choose_region(struct drill *drill, const char *what, const char *region,
                          char *ret_event)
{
    const struct stage_node *leader = find_leader(drill);

    drill->leads = leader != NULL && strcmp(leader->region, region) == 0;
    say(ret_event, what, NULL, drill->leads ? ", one leads" : "");
    return true;
}

static bool nobody(struct drill *drill, char *ret_event)
{
    (void)drill;
    say(ret_event, "undisturbed", NULL, "");
    return true;
}

static bool in_use_to_kill(struct drill *drill, char *ret_event)
{
    return choose_in_use(drill, "kill -9 the node in use,", ret_event);
}

static bool leader_to_kill(struct drill *drill, char *ret_event)
{
    return choose_leader(drill, "kill -9 the leader,", ret_event);
}

static bool in_use_to_freeze(struct drill *drill, char *ret_event)
{
    return choose_in_use(drill, "freeze the node in use,", ret_event);
}

static bool leader_to_freeze(struct drill *drill, char *ret_event)
{
    return choose_leader(drill, "freeze the leader,", ret_event);
}

static bool west_to_cut(struct drill *drill, char *ret_event)
{
    return choose_region(drill, "cut off region west", "west", ret_event);
}

static bool east_to_kill(struct drill *drill, char *ret_event)
{
    return choose_region(drill, "kill -9 both nodes of east", "east", ret_event);
}

static bool region_to_heal(struct drill *drill, char *ret_event)
{
    (void)drill;
    say(ret_event, "  healed", NULL, "");
    return true;
}

static bool all_to_bring_back(struct drill *drill, char *ret_event)
{
    size_t used = 0;

    for (unsigned i = 0; i < STAGE_NODES; i++) {
        struct stage_node *node = &drill->stage.nodes[i];

        if (node->run != STAGE_RUNNING && used < DRILL_TEXT_MAX) {
            used += (size_t)snprintf(ret_event + used, DRILL_TEXT_MAX - used, "%s%s",
                                     used > 0 ? ", " : "  back: ", node->name);
        }
    }
    return true;
}

/* ---- What. */

static void nothing(struct drill *drill)
{
    (void)drill;
}

static void kill_victim(struct drill *drill)
{
    stage_kill(drill->victim);
}

static void freeze_victim(struct drill *drill)
{
    stage_freeze(drill->victim);
}

static void bring_back(struct drill *drill)
{
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        struct stage_node *node = &drill->stage.nodes[i];

        if (node->run == STAGE_FROZEN) {
            stage_thaw(node);
        } else if (node->run == STAGE_DOWN) {
            stage_start(&drill->stage, node);
        }
    }
}

static void cut_west(struct drill *drill)
{
    drill->stuck = !stage_proxy_command(&drill->stage, "cut west", NULL) || drill->stuck;
}

static void heal(struct drill *drill)
{
    drill->stuck = !stage_proxy_command(&drill->stage, "heal", NULL) || drill->stuck;
}

static void kill_east(struct drill *drill)
{
    for (unsigned i = 0; i < STAGE_NODES; i++) {
        if (strcmp(drill->stage.nodes[i].region, "east") == 0) {
            stage_kill(&drill->stage.nodes[i]);
        }
    }
}

static const struct step steps[] = {
    {nobody, nothing, 3000, 1000, 0, 0, 0, false},
    {in_use_to_kill, kill_victim, 3000, 1500, 100, 300, 300, false},
    {all_to_bring_back, bring_back, 1500, 500, 0, 0, 0, true},
    {leader_to_kill, kill_victim, 3000, 1500, 100, 300, 300, false},
    {all_to_bring_back, bring_back, 1500, 500, 0, 0, 0, true},
    {in_use_to_freeze, freeze_victim, 5000, 4000, 500, 3000, 1200, false},
    {all_to_bring_back, bring_back, 1500, 500, 0, 0, 0, true},
    {leader_to_freeze, freeze_victim, 5000, 4000, 500, 3000, 1200, false},
    {all_to_bring_back, bring_back, 1500, 500, 0, 0, 0, true},
    {west_to_cut, cut_west, 5000, 4000, 500, 3000, 1200, false},
    {region_to_heal, heal, 1500, 500, 0, 0, 0, true},
    {east_to_kill, kill_east, 4000, 3000, 0, 0, 0, false},
    {all_to_bring_back, bring_back, 1500, 500, 0, 0, 0, true},
};

/* ---- Under load. */

static void let_load_run(struct drill *drill, uint64_t until_ns)
{
    while (clock_monotonic_ns() < until_ns) {
        stage_reap(&drill->stage);
        (void)poll(NULL, 0, TURN_MS);
    }
}

/* One phase ends where the next begins, so that nothing falls in between. */
static void close_phase(struct drill *drill, uint64_t end_ns)
{
    struct load_summary machine;
    struct drill_phase *phase;

    if (drill->phase_count == 0) {
        return;
    }
    phase = &drill->phases[drill->phase_count - 1];
    phase->end_ns = end_ns;
    load_summarize(drill->load, LOAD_SIGNING, phase->begin_ns, end_ns, &phase->signing);
    load_summarize(drill->load, LOAD_CREATING, phase->begin_ns, end_ns, &phase->creating);
    load_summarize(drill->load, LOAD_MACHINE, phase->begin_ns, end_ns, &machine);
    phase->machine_ns = machine.longest_ns;
    drill_report_phase(drill, phase);
}

static bool run_step(struct drill *drill, const struct step *step)
{
    struct drill_phase phase = {.signing_max_ms = step->signing_max_ms};
    uint64_t load_ms = drill->options.quick ? step->quick_ms : step->load_ms;

    drill->leads = false;
    if (!step->choose(drill, phase.event)) {
        return false;
    }
    if (drill->leads) {
        phase.creating_max_ms =
            drill->options.region_timing ? step->creating_region_max_ms : step->creating_max_ms;
    }
    phase.begin_ns = clock_monotonic_ns();
    step->act(drill);
    close_phase(drill, phase.begin_ns);
    drill->phases[drill->phase_count++] = phase;
    drill_report_event(drill, &phase);
    if (step->settle && !stage_wait(&drill->stage, SETTLE_REVISIONS, SETTLE_TIMEOUT_MS)) {
        drill->stuck = true;
    }
    let_load_run(drill, clock_monotonic_ns() + load_ms * NS_PER_MS);
    return !drill->stuck;
}

static bool use_config(struct drill *drill, const char *name, const char *region,
                       const char *source)
{
    char *path = stage_client_config(&drill->stage, name, region, source);
    bool set = path != NULL && setenv("QUADHSM_CONFIG", path, 1) == 0;

    free(path);
    return set;
}

/* ---- Latency, measured by an application of its own that prefers a region. */

static double parse_median(const char *output)
{
    const char *found = strstr(output, " median_us=");

    return found == NULL ? -1 : strtod(found + strlen(" median_us="), NULL) / 1000;
}

static void measure(struct drill *drill, const char *region, const char *source,
                    struct drill_latency *ret_latency)
{
    static char output[LATENCY_OUTPUT_SIZE];
    char *program = process_path("", "qh-load"), *pin = stage_path(&drill->stage, "pin/co");
    char module[] = "--module", pin_file[] = "--pin-file", seconds[] = "--seconds";
    char threads[] = "--threads", rate[] = "--rate", two[] = "2", one[] = "1", fifty[] = "50";
    char *argv[] = {
        program, module, drill->stage.module, pin_file, pin, seconds, two, threads, one, rate,
        fifty,   NULL};
    struct stage_node *node;

    if (use_config(drill, region, region, source)) {
        int status = process_run(argv, output, sizeof output);

        ret_latency->median_ms = parse_median(output);
        ret_latency->measured = status == 0 && ret_latency->median_ms >= 0;
        if (!ret_latency->measured) {
            (void)fprintf(stderr, "qh-load: exit status %d: %s\n", status, output);
        }
        /* It never used another source address, so all that came from it counts. */
        node = stage_node_most_used(&drill->stage, source);
        (void)snprintf(ret_latency->node, sizeof ret_latency->node, "%s",
                       node == NULL ? "nobody" : node->name);
    }
    free(program);
    free(pin);
}

/* ---- The whole. */

static bool start_load(struct drill *drill)
{
    struct load_options options = {.signers = drill->options.signers,
                                   .rate = drill->options.rate,
                                   .create = true,
                                   .pause_ms = 5,
                                   .prefix = "drill"};

    if (!use_config(drill, "drill", NULL, STAGE_EAST_APP) ||
        !p11_open(&drill->p11, drill->stage.module, "demo", drill->pin)) {
        return false;
    }
    drill->load = load_start(&drill->p11, &options);
    if (drill->load == NULL) {
        p11_close(&drill->p11);
        return false;
    }
    return true;
}

static void stop_load(struct drill *drill)
{
    uint64_t begin_ns = drill->phases[0].begin_ns;

    load_stop(drill->load);
    load_summarize(drill->load, LOAD_SIGNING, begin_ns, clock_monotonic_ns(), &drill->signing);
    load_summarize(drill->load, LOAD_CREATING, begin_ns, clock_monotonic_ns(), &drill->creating);
    p11_close(&drill->p11);
}

bool drill_run(struct drill *drill)
{
    bool going = true;

    drill_report_step(drill, "measuring a client that prefers its region, and one that does not");
    measure(drill, "east", "127.0.1.101", &drill->near);
    measure(drill, "west", "127.0.1.102", &drill->far);
    drill_report_step(drill,
                      "the application makes an RSA-2048 and a P-256 key, and begins to sign");
    if (!start_load(drill)) {
        return false;
    }
    for (unsigned i = 0; going && i < sizeof steps / sizeof *steps; i++) {
        going = run_step(drill, &steps[i]);
        if (i == 0 && going) {
            struct stage_node *node = stage_node_in_use(&drill->stage, STAGE_EAST_APP, WATCH_MS);

            (void)snprintf(drill->chosen, sizeof drill->chosen, "%s",
                           node == NULL ? "nobody" : node->name);
        }
    }
    close_phase(drill, clock_monotonic_ns());
    stop_load(drill);
    return going;
}
