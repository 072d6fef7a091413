/* What goes wrong, and when. */
#include "tests/sim/faults.h"

#include <string.h>

#include "raft-glue/members.h"
#include "tests/sim/net.h"
#include "tests/sim/node.h"

#define STEP_MS 100u
#define FULL_MS_MAX 6000u

static struct node *any_node(void)
{
    return node_of_id(world_between(1, world.scenario->nodes));
}

static struct node *find_leader(void)
{
    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        if (node_leads(node_of_id(id))) {
            return node_of_id(id);
        }
    }
    return NULL;
}

static void crash_one(void)
{
    struct node *leader = find_leader();
    struct node *node = leader != NULL && world_chance(0.4) ? leader : any_node();

    if (node->state == NODE_UP && node->process->started) {
        node_crash(node, "crash", world_between(100, world_chance(0.2) ? 8000 : 1500));
    }
}

/* Partitions. */

static void isolate(raft_id victim, bool from, bool to)
{
    net_heal();
    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        if (id != victim) {
            net_block(victim, id, from);
            net_block(id, victim, to);
        }
    }
}

static void split(void)
{
    uint64_t side = world_random();

    for (raft_id from = 1; from <= world.scenario->nodes; from++) {
        for (raft_id to = 1; to <= world.scenario->nodes; to++) {
            net_block(from, to, ((side >> from) & 1) != ((side >> to) & 1));
        }
    }
}

static void cut_some(void)
{
    for (unsigned i = 0; i < 3; i++) {
        raft_id from = any_node()->id;
        raft_id to = any_node()->id;

        if (from != to) {
            net_block(from, to, world_chance(0.7));
        }
    }
}

static void change_partition(void)
{
    raft_id victim = any_node()->id;

    world.result->partitions++;
    switch (world_between(0, 5)) {
    case 0:
        net_heal();
        break;
    case 1:
        split();
        break;
    case 2:
        isolate(victim, true, true);
        break;
    case 3:
        isolate(victim, true, false); /* it hears, and is not heard */
        break;
    case 4:
        isolate(victim, false, true);
        break;
    default:
        cut_some();
        break;
    }
}

/* Transfers and membership changes. libraft goes on using both requests after their
 * callbacks: each has memory of its own until the process is gone. */

static void transfer_done(struct raft_transfer *transfer)
{
    (void)transfer;
    world.result->transfers++;
}

static void transfer(struct node *node)
{
    struct raft_transfer *request;
    raft_id target = any_node()->id;

    if (node == NULL || node->process->raft.transfer != NULL) {
        return;
    }
    node_enter(node);
    request = raft_calloc(1, sizeof *request);
    if (raft_transfer(&node->process->raft, request, target, transfer_done) == 0) {
        world_trace("n%llu: transfers to n%llu", node->id, target);
    }
}

static void change_done(struct raft_change *change, int status)
{
    (void)change;
    world_trace("change done: %d", status);
    world.result->changes += status == 0;
}

static unsigned count_voters(const struct raft *raft)
{
    unsigned voters = 0;

    for (unsigned i = 0; i < raft->configuration.n; i++) {
        voters += raft->configuration.servers[i].role == RAFT_VOTER;
    }
    return voters;
}

static int role_of(const struct raft *raft, raft_id id)
{
    for (unsigned i = 0; i < raft->configuration.n; i++) {
        if (raft->configuration.servers[i].id == id) {
            return raft->configuration.servers[i].role;
        }
    }
    return -1;
}

/* One step towards another membership: add, promote, demote or remove. A server keeps its
 * disk when it goes, so it may come back under its id. */
static int start_change(struct node *node, raft_id target, struct raft_change *request)
{
    struct raft *raft = &node->process->raft;
    int role = role_of(raft, target);
    bool down = role == RAFT_VOTER;

    if (down &&
        count_voters(raft) <= (world.scenario->voters_min == 0 ? 2 : world.scenario->voters_min)) {
        return RAFT_CANTCHANGE;
    }
    if (members_may_change(raft, target, down) != QH_OK) {
        return RAFT_BUSY;
    }
    if (role < 0) {
        return raft_add(raft, request, target, node_name(target), change_done);
    }
    if (!down) {
        return raft_assign(raft, request, target, RAFT_VOTER, change_done);
    }
    if (world_chance(0.3)) {
        return raft_remove(raft, request, target, change_done);
    }
    return raft_assign(raft, request, target, world_chance(0.5) ? RAFT_SPARE : RAFT_STANDBY,
                       change_done);
}

static void change(struct node *node)
{
    struct raft_change *request;
    raft_id target = any_node()->id;

    if (node == NULL) {
        return;
    }
    node_enter(node);
    request = raft_calloc(1, sizeof *request);
    if (start_change(node, target, request) == 0) {
        world_trace("n%llu: changes the membership of n%llu, now %d", node->id, target,
                    role_of(&node->process->raft, target));
    }
}

/* Full disks. */

static void empty_disk(struct node *nobody, void *data)
{
    struct node *node = data;

    (void)nobody;
    if (node->disk.full) {
        world_trace("n%llu: there is space again", node->id);
        node->disk.full = false;
    }
}

static void fill_disk(void)
{
    struct node *node = any_node();

    if (!node->disk.full) {
        world_trace("n%llu: its disk is full", node->id);
        node->disk.full = true;
        world_after(world_between(100, FULL_MS_MAX), NULL, empty_disk, node);
    }
}

/* Coups: what a new leader has begun is cut short. */

static void end_coup(struct node *nobody, void *data)
{
    (void)nobody;
    (void)data;
    net_heal();
}

static void coup(struct node *nobody, void *data)
{
    unsigned election_ms = world.scenario->election_ms;
    struct node *node = data;

    (void)nobody;
    if (world.healed || !node_leads(node)) {
        return;
    }
    if (world_chance(0.5)) {
        node_crash(node, "coup", world_between(50, 1000));
    } else {
        world_trace("n%llu: is cut off", node->id);
        isolate(node->id, true, world_chance(0.5));
        /* About as long as the others need to elect the next: it comes back with what it has
         * appended in vain when that one has just begun. */
        world_after(world_between(election_ms, 3ull * election_ms), NULL, end_coup, NULL);
    }
}

void faults_new_leader(struct node *node)
{
    if (!world.healed && world_chance(world.scenario->coup)) {
        unsigned most =
            world_chance(0.5) ? 2 * world.scenario->net_max_ms : world.scenario->election_ms / 2;

        world_after(world_between(0, most), NULL, coup, node);
    }
}

/* The schedule. */

static bool due(double rate)
{
    return world_chance(rate * STEP_MS / 1000);
}

static void transfer_due(struct node *nobody, void *data)
{
    (void)nobody;
    (void)data;
    transfer(find_leader());
}

static void change_due(struct node *nobody, void *data)
{
    (void)nobody;
    (void)data;
    change(find_leader());
}

static void step(struct node *nobody, void *data)
{
    const struct scenario *scenario = world.scenario;

    (void)nobody;
    (void)data;
    if (world.healed) {
        return;
    }
    world_after(STEP_MS, NULL, step, NULL);
    if (due(scenario->partition)) {
        change_partition();
    }
    if (due(scenario->partition)) {
        net_heal();
    }
    if (due(scenario->full)) {
        fill_disk();
    }
    if (due(scenario->spurious_close)) {
        struct node *node = any_node();

        if (node->state == NODE_UP && node->process->started) {
            net_break_connections(node);
        }
    }
    /* These run as a node's process: an event of its own each. */
    if (due(scenario->transfer)) {
        world_after(0, NULL, transfer_due, NULL);
    }
    if (due(scenario->change)) {
        world_after(0, NULL, change_due, NULL);
    }
    if (due(scenario->crash)) {
        crash_one();
    }
}

/* The dead stay dead; everything else works again. */
static void heal(struct node *nobody, void *data)
{
    (void)nobody;
    (void)data;
    world_trace("HEAL");
    world.healed = true;
    net_heal();
    for (unsigned i = 0; i < world.scenario->dead; i++) {
        struct node *node = find_leader();

        /* Rather the one that knows most. */
        while (node == NULL || node->state == NODE_DEAD) {
            node = any_node();
        }
        node_kill(node);
    }
    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        node_of_id(id)->disk.full = false;
        node_restart_now(node_of_id(id));
    }
}

void faults_setup(void)
{
    world_after(1000, NULL, step, NULL);
    world_after(1000ull * world.scenario->seconds, NULL, heal, NULL);
}
