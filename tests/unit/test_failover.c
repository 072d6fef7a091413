/* Fast fail-over: who campaigns when, once the leader's process has died. The guard is the real
 * one; libraft's tick is replaced by one that only notes that an election began. */
#include "raft-glue/failover.h"

#include <string.h>

#include "raft-glue/heap.h"
#include "tests/lib/test.h"

#define SERVERS 4u
#define LEADER 4u
#define GRACE_MS 10u

struct world {
    struct raft raft;
    struct raft_io inner;
    struct guard guard;
    struct failover failover;
    struct raft_server servers[SERVERS];
    bool present[SERVERS + 1];
    raft_id witness;
    unsigned elections;
    uint64_t now_ms;
};

static struct world world;
static char address[] = "node";

static raft_time fake_time(struct raft_io *io)
{
    (void)io;
    return world.now_ms;
}

static void fake_tick(struct raft_io *io)
{
    (void)io;
    world.elections++;
}

static void fake_fatal(void *data, const char *why)
{
    (void)data;
    ck_abort_msg("fatal: %s", why);
}

static bool is_witness(void *data, const struct raft_server *server)
{
    (void)data;
    return server->id == world.witness;
}

static bool is_present(void *data, raft_id server)
{
    (void)data;
    return world.present[server];
}

static void know_leader(void)
{
    world.raft.follower_state.current_leader.id = LEADER;
    world.raft.follower_state.current_leader.address = raft_malloc(sizeof address);
    ck_assert_ptr_nonnull(world.raft.follower_state.current_leader.address);
    memcpy(world.raft.follower_state.current_leader.address, address, sizeof address);
}

/* This node is server @self of four; server 4 leads, all are connected. */
static void begin(raft_id self)
{
    memset(&world, 0, sizeof world);
    world.now_ms = 1000;
    for (unsigned i = 0; i < SERVERS; i++) {
        world.servers[i] =
            (struct raft_server){.id = i + 1, .address = address, .role = RAFT_VOTER};
        world.present[i + 1] = i + 1 != self;
    }
    world.inner.time = fake_time;
    world.raft.id = self;
    world.raft.state = RAFT_FOLLOWER;
    world.raft.configuration.servers = world.servers;
    world.raft.configuration.n = SERVERS;
    world.raft.configuration_index = 1;
    guard_init(&world.guard, &world.inner, &world.raft, GUARD_RULES_ALL,
               (struct guard_callbacks){.fatal = fake_fatal});
    world.guard.tick_cb = fake_tick;
    world.raft.io = &world.guard.io;
    failover_init(&world.failover, &world.guard, &world.raft, GRACE_MS,
                  (struct failover_ops){.is_witness = is_witness, .is_present = is_present});
    know_leader();
}

/* The leader dies; the time at which this node starts an election, or 0 within a second. */
static uint64_t time_of_election(void)
{
    uint64_t begin_ms = world.now_ms;

    world.present[LEADER] = false;
    failover_peer_gone(&world.failover, LEADER, world.now_ms);
    while (world.elections == 0 && world.now_ms < begin_ms + 1000) {
        world.now_ms++;
        failover_tick(&world.failover, world.now_ms);
    }
    return world.elections > 0 ? world.now_ms - begin_ms : 0;
}

START_TEST(the_first_survivor_starts_at_once_and_the_others_one_after_the_other)
{
    begin(1);
    ck_assert_uint_eq(time_of_election(), GRACE_MS / 2);
    begin(2);
    ck_assert_uint_eq(time_of_election(), GRACE_MS / 2 + GRACE_MS);
    begin(3);
    ck_assert_uint_eq(time_of_election(), GRACE_MS / 2 + 2 * GRACE_MS);
}
END_TEST

START_TEST(a_survivor_that_is_not_there_is_not_waited_for)
{
    begin(3);
    world.present[1] = false;
    ck_assert_uint_eq(time_of_election(), GRACE_MS / 2 + GRACE_MS);
    begin(3);
    world.servers[0].role = RAFT_SPARE;
    ck_assert_uint_eq(time_of_election(), GRACE_MS / 2 + GRACE_MS);
}
END_TEST

START_TEST(a_witness_comes_last)
{
    begin(1);
    world.witness = 1;
    ck_assert_uint_eq(time_of_election(), GRACE_MS / 2 + 2 * GRACE_MS);
    begin(2);
    world.witness = 1;
    ck_assert_uint_eq(time_of_election(), GRACE_MS / 2);
}
END_TEST

START_TEST(the_death_of_another_follower_means_nothing)
{
    begin(1);
    failover_peer_gone(&world.failover, 2, world.now_ms);
    ck_assert_uint_eq(failover_due(&world.failover), 0);
    ck_assert_uint_eq(world.raft.follower_state.current_leader.id, LEADER);
}
END_TEST

START_TEST(a_leader_that_appears_ends_the_plan)
{
    begin(2);
    failover_peer_gone(&world.failover, LEADER, world.now_ms);
    ck_assert_uint_ne(failover_due(&world.failover), 0);
    ck_assert_uint_eq(world.raft.follower_state.current_leader.id, 0);
    know_leader();
    failover_tick(&world.failover, world.now_ms + 1000);
    ck_assert_uint_eq(failover_due(&world.failover), 0);
    ck_assert_uint_eq(world.elections, 0);
}
END_TEST

START_TEST(no_election_while_the_log_is_being_written)
{
    begin(1);
    world.guard.writes_inflight = 1;
    failover_peer_gone(&world.failover, LEADER, world.now_ms);
    failover_tick(&world.failover, world.now_ms + GRACE_MS);
    ck_assert_uint_eq(world.elections, 0);
    world.guard.writes_inflight = 0;
    failover_tick(&world.failover, world.now_ms + 2 * GRACE_MS);
    ck_assert_uint_eq(world.elections, 1);
}
END_TEST

START_TEST(a_server_without_a_vote_never_campaigns)
{
    begin(1);
    world.servers[0].role = RAFT_STANDBY;
    ck_assert_uint_eq(time_of_election(), 0);
    ck_assert_uint_eq(failover_due(&world.failover), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failover");
    TCase *tcase = tcase_create("failover");

    tcase_add_test(tcase, the_first_survivor_starts_at_once_and_the_others_one_after_the_other);
    tcase_add_test(tcase, a_survivor_that_is_not_there_is_not_waited_for);
    tcase_add_test(tcase, a_witness_comes_last);
    tcase_add_test(tcase, the_death_of_another_follower_means_nothing);
    tcase_add_test(tcase, a_leader_that_appears_ends_the_plan);
    tcase_add_test(tcase, no_election_while_the_log_is_being_written);
    tcase_add_test(tcase, a_server_without_a_vote_never_campaigns);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
