/* Processes: start, wiring, death. */
#include "tests/sim/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "tests/sim/check.h"
#include "tests/sim/client.h"
#include "tests/sim/net.h"

#define PROPOSE_TICK_MS 20u
#define FATAL_RESTART_MS 300u
/* As replica_timing() has them: the grace follows from the distance, and libraft asks for a
 * snapshot early, since the FSM decides. */
#define GRACE_MS(scenario) ((scenario)->net_max_ms <= 3 ? 10u : 60u)
#define SNAPSHOT_THRESHOLD 64u

static struct node nodes[WORLD_NODES_MAX + 1];

struct node *node_of_id(raft_id id)
{
    return id == 0 || id > world.scenario->nodes ? NULL : &nodes[id];
}

const char *node_name(raft_id id)
{
    static char names[WORLD_NODES_MAX + 1][8];

    QH_ASSERT(id <= WORLD_NODES_MAX);
    if (names[id][0] == '\0') {
        (void)snprintf(names[id], sizeof names[id], "n%u", (unsigned)id);
    }
    return names[id];
}

void node_enter(struct node *node)
{
    bool running = node != NULL && node->process != NULL;

    world.current = node;
    arena_enter(running ? &node->process->arena : NULL);
}

bool node_leads(const struct node *node)
{
    return node->state == NODE_UP && node->process->started &&
           node->process->raft.state == RAFT_LEADER;
}

/* Without R2 there is no barrier to wait for: the stock library serves at once. */
bool node_leader_ready(const struct node *node)
{
    if (!node_leads(node)) {
        return false;
    }
    return (world.rules & GUARD_R2_OWN_TERM_FIRST) == 0 ||
           guard_leader_ready(&node->process->guard);
}

void node_maybe_die(struct node *node)
{
    /* The rate is a second and node; about so many calls are made in one. */
    if (!world.healed && world.current == node && node->process->started &&
        world_chance(world.scenario->midcall / 50)) {
        world_kill_current("in the middle of a call", false);
    }
}

/* raft_io that is neither disk nor network. */

static void run_tick(struct node *node, void *data)
{
    (void)data;
    world_after(node->process->tick_ms, node, run_tick, NULL);
    node->process->tick(&node->process->io);
}

static int io_start(struct raft_io *io, unsigned msecs, raft_io_tick_cb tick, raft_io_recv_cb recv)
{
    struct node *node = io->impl;

    node->process->tick = tick;
    node->process->recv = recv;
    node->process->tick_ms = msecs;
    world_after(world_between(1, msecs), node, run_tick, NULL);
    return 0;
}

static int io_init(struct raft_io *io, raft_id id, const char *address)
{
    (void)io;
    (void)id;
    (void)address;
    return 0;
}

static void io_close(struct raft_io *io, raft_io_close_cb cb)
{
    (void)io;
    (void)cb;
    world_violation("SIMULATOR: raft_close() is never used");
}

static raft_time io_time(struct raft_io *io)
{
    (void)io;
    return world.now_ms;
}

static int io_random(struct raft_io *io, int min, int max)
{
    (void)io;
    return (int)world_between((uint64_t)min, (uint64_t)max - 1);
}

/* The work is done as late as possible, when the store may have gone on. */
static void finish_work(struct node *node, void *data)
{
    struct raft_io_async_work *req = data;

    (void)node;
    req->cb(req, req->work(req));
}

static int io_async_work(struct raft_io *io, struct raft_io_async_work *req,
                         raft_io_async_work_cb cb)
{
    req->cb = cb;
    world_after(world_between(1, 30), io->impl, finish_work, req);
    return 0;
}

static void attach_io(struct node *node)
{
    node->process->io = (struct raft_io){
        .version = 2,
        .impl = node,
        .init = io_init,
        .close = io_close,
        .start = io_start,
        .time = io_time,
        .random = io_random,
        .async_work = io_async_work,
    };
    disk_attach(node);
    net_attach(node);
}

/* The guard's callbacks. */

static void guard_is_fatal(void *data, const char *why)
{
    struct node *node = data;

    QH_ASSERT(world.current == node);
    world_kill_current(why, true);
}

static void tell_role(struct node *node)
{
    struct node_process *process = node->process;
    raft_id leader = 0;
    const char *address;

    raft_leader(&process->raft, &leader, &address);
    propose_role_changed(process->propose,
                         (struct propose_role){
                             .leader_ready = node_leader_ready(node),
                             .leader = leader == node->id ? 0 : leader,
                             .term = process->raft.current_term,
                         },
                         world.now_ms);
}

static void guard_has_changed(void *data)
{
    struct node *node = data;

    if (node->process->started) {
        tell_role(node);
    }
}

static void guard_has_written(void *data)
{
    struct node *node = data;

    propose_written(node->process->propose);
}

/* What propose asks for. */

struct apply_request {
    struct raft_apply raft;
    struct node *node;
    bool done;
};

static void apply_done(struct raft_apply *raft, int status, void *result)
{
    struct apply_request *request = (struct apply_request *)raft;

    (void)status;
    (void)result;
    if (request->done) {
        world_violation("CALLBACK: n%llu: raft_apply's came twice", request->node->id);
    }
    request->done = true;
    request->node->process->applies--;
    propose_entry_done(request->node->process->propose);
}

static enum qh_err ops_append(void *data, void *entry, size_t size)
{
    struct node *node = data;
    struct apply_request *request;
    struct raft_buffer buffer = {.base = entry, .len = size};
    int rv;

    if (!node_leader_ready(node)) {
        return QH_ENOTLEADER;
    }
    request = raft_calloc(1, sizeof *request);
    request->node = node;
    node->process->applies++;
    rv = raft_apply(&node->process->raft, &request->raft, &buffer, 1, apply_done);
    if (rv != 0) {
        node->process->applies--;
        raft_free(request);
        return rv == RAFT_NOTLEADER ? QH_ENOTLEADER : QH_EBUSY;
    }
    return QH_OK;
}

static void *ops_alloc(void *data, size_t size)
{
    (void)data;
    return raft_malloc(size);
}

static void ops_release(void *data, void *entry)
{
    (void)data;
    raft_free(entry);
}

static enum qh_err ops_forward(void *data, uint64_t leader, struct bytes transaction)
{
    return net_send_forward(data, leader, transaction) ? QH_OK : QH_ECONN;
}

static void ops_reject(void *data, uint64_t peer, const uint8_t id[ONCE_ID_SIZE])
{
    net_send_reject(data, peer, id);
}

static const struct store *ops_store(void *data)
{
    const struct node *node = data;

    return node->process->fsm.store;
}

static void ops_tell(void *data, uint64_t peer)
{
    struct node *node = data;

    guard_tell_commit(&node->process->guard, peer);
}

static void deliver(struct node *node, void *data)
{
    (void)data;
    node->process->deliver_due = false;
    propose_deliver(node->process->propose);
}

static void ops_wake(void *data)
{
    struct node *node = data;

    if (!node->process->deliver_due) {
        node->process->deliver_due = true;
        world_after(0, node, deliver, NULL);
    }
}

static void tick_propose(struct node *node, void *data)
{
    (void)data;
    world_after(PROPOSE_TICK_MS, node, tick_propose, NULL);
    propose_tick(node->process->propose, world.now_ms);
    guard_tell_commit(&node->process->guard, 0);
}

/* The FSM's callbacks. */

static void fsm_has_applied(void *data, struct bytes transaction, const struct store_answer *answer)
{
    struct node *node = data;

    check_applied(node, transaction, answer);
    propose_applied(node->process->propose, transaction, answer);
}

static void fsm_has_restored(void *data)
{
    struct node *node = data;

    check_restored(node);
    propose_restored(node->process->propose);
}

/* Fail-over. */

static bool ops_is_witness(void *data, const struct raft_server *server)
{
    (void)data;
    return server->id == world.scenario->witness;
}

static bool ops_is_present(void *data, raft_id server)
{
    const struct node *node = data;

    return net_is_connected(server, node->id) && net_is_connected(node->id, server);
}

static void plan_failover(struct node *node);

static void tick_failover(struct node *node, void *data)
{
    (void)data;
    node->process->failover_at = 0;
    failover_tick(&node->process->failover, world.now_ms);
    plan_failover(node);
}

/* A tick when there is something to do, else now and then for the witness. */
static void plan_failover(struct node *node)
{
    struct node_process *process = node->process;
    uint64_t due = failover_due(&process->failover);

    if (due == 0) {
        due = world.now_ms + 100;
    } else if (due <= world.now_ms) {
        due = world.now_ms + 1;
    }
    if (process->failover_at == 0 || due < process->failover_at) {
        process->failover_at = due;
        world_after(due - world.now_ms, node, tick_failover, NULL);
    }
}

void node_peer_gone(struct node *node, raft_id peer)
{
    world_trace("n%llu: the process of n%llu is gone", node->id, peer);
    failover_peer_gone(&node->process->failover, peer, world.now_ms);
    plan_failover(node);
}

void node_peer_up(struct node *node, raft_id peer)
{
    propose_peer_up(node->process->propose, peer, world.now_ms);
}

/* Start. */

static void bootstrap(struct node *node)
{
    const struct scenario *scenario = world.scenario;
    unsigned members = scenario->members == 0 ? scenario->nodes : scenario->members;
    struct raft_configuration configuration;
    int rv;

    if (node->disk.member || node->id > members) {
        return;
    }
    raft_configuration_init(&configuration);
    for (raft_id id = 1; id <= members; id++) {
        rv = raft_configuration_add(&configuration, id, node_name(id), RAFT_VOTER);
        QH_ASSERT(rv == 0);
    }
    rv = raft_bootstrap(&node->process->raft, &configuration);
    QH_ASSERT(rv == 0);
    raft_configuration_close(&configuration);
}

static void configure(struct node *node)
{
    const struct scenario *scenario = world.scenario;
    struct raft *raft = &node->process->raft;
    struct fsm *fsm = &node->process->fsm;
    unsigned entries = FSM_SNAPSHOT_ENTRIES_MIN;

    if (scenario->entries_min != 0) {
        entries = scenario->entries_min;
        fsm->entries_min = entries;
        fsm->entries_max = entries;
        fsm->bytes_min = 0;
    }
    raft_set_election_timeout(raft, node->id == scenario->witness ? scenario->election_ms / 2
                                                                  : scenario->election_ms);
    raft_set_heartbeat_timeout(raft, scenario->heartbeat_ms);
    raft_set_pre_vote(raft, true);
    raft_set_snapshot_threshold(raft, entries < SNAPSHOT_THRESHOLD ? entries : SNAPSHOT_THRESHOLD);
    raft_set_snapshot_trailing(raft, 2 * entries);
    raft_set_install_snapshot_timeout(raft, 3000);
    raft_set_max_catch_up_round_duration(raft, 5000);
}

static void wire(struct node *node)
{
    struct node_process *process = node->process;
    struct propose_ops ops = {
        .data = node,
        .append = ops_append,
        .alloc = ops_alloc,
        .release = ops_release,
        .forward = ops_forward,
        .reject = ops_reject,
        .store = ops_store,
        .tell = ops_tell,
        .wake = ops_wake,
    };
    enum qh_err err;

    attach_io(node);
    guard_init(&process->guard, &process->io, &process->raft, world.rules,
               (struct guard_callbacks){
                   .data = node,
                   .fatal = guard_is_fatal,
                   .changed = guard_has_changed,
                   .written = guard_has_written,
               });
    err = fsm_init(&process->fsm, &process->raft, &process->guard, !world.scenario->sync_snapshots,
                   (struct fsm_callbacks){
                       .data = node,
                       .applied = fsm_has_applied,
                       .restored = fsm_has_restored,
                   });
    QH_ASSERT(err == QH_OK);
    err = propose_new(ops, world.scenario->election_ms, &process->propose);
    QH_ASSERT(err == QH_OK);
    failover_init(&process->failover, &process->guard, &process->raft, GRACE_MS(world.scenario),
                  (struct failover_ops){
                      .data = node,
                      .is_witness = ops_is_witness,
                      .is_present = ops_is_present,
                  });
}

static void start(struct node *nobody, void *data)
{
    struct node *node = data;
    int rv;

    (void)nobody;
    if (node->state != NODE_DOWN) {
        return;
    }
    if (node->disk.full) {
        world_after(FATAL_RESTART_MS, NULL, start, node);
        return;
    }
    node->state = NODE_UP;
    node->process = world_alloc(sizeof *node->process);
    node_enter(node);
    wire(node);
    rv = raft_init(&node->process->raft, &node->process->guard.io, &node->process->fsm.raft_fsm,
                   node->id, node_name(node->id));
    QH_ASSERT(rv == 0);
    configure(node);
    bootstrap(node);
    rv = raft_start(&node->process->raft);
    if (rv != 0) {
        world_violation("START: n%llu: raft_start gives %d (%s)", node->id, rv, raft_strerror(rv));
    }
    node->process->started = true;
    world_trace("n%llu: starts: term %llu, log %llu..%llu, snapshot %llu", node->id,
                node->disk.term, node->disk.first, disk_last_index(&node->disk),
                node->disk.snapshot == NULL ? 0 : node->disk.snapshot->index);
    tell_role(node);
    world_after(world_between(1, PROPOSE_TICK_MS), node, tick_propose, NULL);
    plan_failover(node);
    net_process_started(node);
}

void node_setup(void)
{
    arena_install();
    log_set_level(LOG_LEVEL_ERROR);
    for (raft_id id = 1; id <= world.scenario->nodes; id++) {
        nodes[id].id = id;
        nodes[id].life = 1;
        nodes[id].disk.first = 1;
        world_after(0, NULL, start, &nodes[id]);
    }
}

/* Death. */

static void end_process(struct node *node, const char *why)
{
    const struct node_process *process = node->process;

    world_trace("n%llu: DIES (%s): state %d, term %llu, stored %llu, commit %llu, applied %llu",
                node->id, why, process->raft.state, process->raft.current_term,
                process->raft.last_stored, process->raft.commit_index, process->raft.last_applied);
    world.result->crashes++;
    world.result->campaigns += process->failover.campaigns;
    world.result->handovers += process->failover.handovers;
    check_died(node);
    disk_crash(node);
    node->life++;
    node->state = NODE_DOWN;
    client_node_died(node);
    net_process_died(node);
}

void node_bury(struct node *node, const char *why, bool fatal)
{
    world.result->fatals += fatal;
    end_process(node, why);
    /* What it allocated itself is lost with it: it may have died in the middle of a change
     * to its lists. libraft's memory is known. */
    arena_free_all(&node->process->arena);
    node->process = NULL;
    world_after(FATAL_RESTART_MS, NULL, start, node);
}

static void tear_down(struct node *node, const char *why)
{
    end_process(node, why);
    propose_free(node->process->propose);
    fsm_close(&node->process->fsm);
    arena_free_all(&node->process->arena);
    free(node->process);
    node->process = NULL;
}

void node_crash(struct node *node, const char *why, uint64_t down_ms)
{
    QH_ASSERT(world.current == NULL);
    tear_down(node, why);
    world_after(down_ms, NULL, start, node);
}

void node_kill(struct node *node)
{
    if (node->state == NODE_UP) {
        tear_down(node, "for ever");
    }
    node->state = NODE_DEAD;
}

void node_restart_now(struct node *node)
{
    if (node->state == NODE_DOWN) {
        world_after(1, NULL, start, node);
    }
}

void node_settle(struct node *node)
{
    struct node_process *process = node->process;

    check_node(node);
    if (process->started && process->raft.state == RAFT_UNAVAILABLE) {
        node_enter(NULL);
        world.result->fatals++;
        node_crash(node, "libraft is unavailable", FATAL_RESTART_MS);
        return;
    }
    /* Without the guard nobody says so. */
    if (process->started && world.rules == 0) {
        tell_role(node);
    }
}
