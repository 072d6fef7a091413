/* Making nodes and recovering survivors, with the real library on real files. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "raft-glue/backup.h"
#include "raft-glue/datadir.h"
#include "raft-glue/replica.h"
#include "tests/lib/raftdir.h"
#include "tests/lib/test.h"

static const uint8_t cluster[16] = "0123456789abcde";
static const struct replica_member members[3] = {{1, "alpha"}, {22, "beta"}, {33, "gamma"}};

static char base_dir[128];
static char dir[200];

static void on_log(void *data, enum log_level level, const char *line)
{
    (void)data;
    (void)level;
    (void)line;
}

/* A new node whose id is 1, which raftdir_run() uses. */
static void setup(void)
{
    struct identity identity;
    uint64_t id = 0;

    log_set_sink(on_log, NULL);
    test_make_dir(base_dir, sizeof(base_dir));
    (void)snprintf(dir, sizeof(dir), "%s/node", base_dir);
    ck_assert_int_eq(replica_create(dir, cluster, "alpha", &id), QH_OK);
    ck_assert_int_eq(identity_load(dir, &identity), QH_OK);
    ck_assert_uint_eq(identity.id, id);
    identity.id = 1;
    ck_assert_int_eq(identity_store(dir, &identity), QH_OK);
}

static void teardown(void)
{
    test_remove_dir(base_dir);
}

static void append(unsigned first, unsigned count)
{
    struct raftdir_plan plan = {.entries = count, .first = first, .value_size = 100};
    struct raftdir_result result;

    raftdir_run(dir, &plan, &result);
    ck_assert_int_eq(result.wait_status, 0);
}

static void expect_records(unsigned count)
{
    uint8_t key[RAFTDIR_KEY_SIZE];
    struct store_record record;
    struct store *store;
    uint64_t index;

    ck_assert_int_eq(datadir_load_store(dir, UINT64_MAX, &store, &index), QH_OK);
    ck_assert_uint_eq(store_record_count(store), count);
    for (unsigned i = 0; i < count; i++) {
        raftdir_key(i, key);
        ck_assert(store_get(store, (struct bytes){key, sizeof(key)}, &record));
    }
    store_free(store);
}

static uint64_t last_index(void)
{
    struct datadir_summary summary;

    ck_assert_int_eq(datadir_summarize(dir, &summary), QH_OK);
    return summary.last_index;
}

static bool exists(const char *name)
{
    char path[400];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

START_TEST(a_bootstrapped_node_has_one_entry_and_is_a_member)
{
    struct datadir_summary summary;
    struct identity identity;

    ck_assert_int_eq(replica_bootstrap(dir, members, 3), QH_OK);
    ck_assert_int_eq(datadir_summarize(dir, &summary), QH_OK);
    ck_assert_uint_eq(summary.first_index, 1);
    ck_assert_uint_eq(summary.last_index, 1);
    ck_assert_uint_eq(summary.configuration_index, 1);
    ck_assert_uint_eq(summary.term, 1);
    ck_assert_int_eq(identity_load(dir, &identity), QH_OK);
    ck_assert(identity.member);
    ck_assert_uint_eq(identity.generation, 1);
    ck_assert_int_eq(datadir_check(dir, true), QH_OK);
    ck_assert_int_eq(replica_bootstrap(dir, members, 3), QH_EEXIST);
    ck_assert_uint_eq(last_index(), 1);
    append(0, 0); /* libraft starts */
}
END_TEST

START_TEST(equal_members_make_equal_first_entries)
{
    uint8_t hashes[2][RAFTDIR_HASH_SIZE];
    struct identity identity;
    uint64_t last;

    ck_assert_int_eq(replica_bootstrap(dir, members, 3), QH_OK);
    ck_assert(raftdir_hash(dir, 1, hashes[0], &last));
    (void)snprintf(dir, sizeof(dir), "%s/other", base_dir);
    ck_assert_int_eq(identity_create(dir, cluster, "beta", &identity), QH_OK);
    identity.id = 22;
    ck_assert_int_eq(identity_store(dir, &identity), QH_OK);
    ck_assert_int_eq(replica_bootstrap(dir, members, 3), QH_OK);
    ck_assert(raftdir_hash(dir, 1, hashes[1], &last));
    ck_assert_mem_eq(hashes[0], hashes[1], RAFTDIR_HASH_SIZE);
}
END_TEST

START_TEST(wrong_members_are_refused_and_change_nothing)
{
    struct replica_member wrong[NODES_MAX + 1];
    uint64_t generation = 99;

    memcpy(wrong, members, sizeof(members));
    ck_assert_int_eq(replica_bootstrap(dir, members, 0), QH_EINVAL);
    ck_assert_int_eq(replica_bootstrap(dir, members + 1, 2), QH_EINVAL); /* not among them */
    wrong[1].id = 1;
    ck_assert_int_eq(replica_bootstrap(dir, wrong, 3), QH_EINVAL); /* an id twice */
    wrong[1].id = 0;
    ck_assert_int_eq(replica_bootstrap(dir, wrong, 3), QH_EINVAL);
    wrong[1] = (struct replica_member){5, "alpha"};
    ck_assert_int_eq(replica_bootstrap(dir, wrong, 3), QH_EINVAL); /* a name twice */
    wrong[1] = (struct replica_member){5, "be/ta"};
    ck_assert_int_eq(replica_bootstrap(dir, wrong, 3), QH_EINVAL);
    wrong[0] = (struct replica_member){1, "other"};
    ck_assert_int_eq(replica_bootstrap(dir, wrong, 1), QH_EINVAL); /* our id, another's name */
    for (unsigned i = 0; i <= NODES_MAX; i++) {
        wrong[i].id = i + 1;
        (void)snprintf(wrong[i].name, sizeof(wrong[i].name), i == 0 ? "alpha" : "n%u", i);
    }
    ck_assert_int_eq(replica_bootstrap(dir, wrong, NODES_MAX + 1), QH_EINVAL);
    ck_assert_uint_eq(last_index(), 0);
    ck_assert_int_eq(replica_bootstrap(dir, wrong, NODES_MAX), QH_OK);
    ck_assert_int_eq(replica_recover(dir, members + 1, 2, &generation), QH_EINVAL);
    ck_assert_uint_eq(generation, 99);
    ck_assert(!exists("raft.before-recover-1"));
}
END_TEST

START_TEST(a_survivor_of_three_goes_on_alone_with_everything_it_had)
{
    struct identity identity;
    uint64_t generation = 0;

    ck_assert_int_eq(replica_bootstrap(dir, members, 3), QH_OK);
    ck_assert_int_eq(replica_recover(dir, members, 1, &generation), QH_OK);
    ck_assert_uint_eq(generation, 2);
    ck_assert_uint_eq(last_index(), 2);
    ck_assert(exists("raft.before-recover-1"));
    append(0, 10); /* it leads now */
    ck_assert_int_eq(datadir_check(dir, true), QH_OK);
    expect_records(10);
    ck_assert_uint_eq(last_index(), 12);
    ck_assert_int_eq(replica_recover(dir, members, 1, &generation), QH_OK);
    ck_assert_uint_eq(generation, 3);
    ck_assert_uint_eq(last_index(), 13);
    expect_records(10);
    append(10, 5);
    expect_records(15);
    ck_assert_int_eq(datadir_check(dir, true), QH_OK);
    ck_assert_int_eq(identity_load(dir, &identity), QH_OK);
    ck_assert_uint_eq(identity.generation, 3);
    ck_assert(identity.member);
}
END_TEST

START_TEST(the_backup_is_the_log_as_it_was)
{
    uint8_t hashes[2][RAFTDIR_HASH_SIZE];
    uint64_t generation;
    char backup[300];
    char other[300];
    uint64_t last;

    ck_assert_int_eq(replica_bootstrap(dir, members, 1), QH_OK);
    append(0, 40);
    ck_assert(raftdir_hash(dir, 1, hashes[0], &last));
    ck_assert_int_eq(replica_recover(dir, members, 2, &generation), QH_OK);
    (void)snprintf(other, sizeof(other), "%s/restored", base_dir);
    ck_assert_int_eq(mkdir(other, 0700), 0);
    (void)snprintf(backup, sizeof(backup), "%s/raft.before-recover-1", dir);
    (void)snprintf(other, sizeof(other), "%s/restored/raft", base_dir);
    ck_assert_int_eq(rename(backup, other), 0);
    (void)snprintf(other, sizeof(other), "%s/restored", base_dir);
    ck_assert_int_eq(datadir_check(other, true), QH_OK);
    ck_assert(raftdir_hash(other, 1, hashes[1], &last));
    ck_assert_mem_eq(hashes[0], hashes[1], RAFTDIR_HASH_SIZE);
}
END_TEST

START_TEST(a_second_backup_of_a_generation_has_a_name_of_its_own)
{
    ck_assert_int_eq(replica_bootstrap(dir, members, 1), QH_OK);
    ck_assert_int_eq(backup_make(dir, "raft", "copy"), QH_OK);
    ck_assert_int_eq(backup_make(dir, "raft", "copy"), QH_OK);
    ck_assert(exists("copy/metadata1"));
    ck_assert(exists("copy.1/metadata1"));
    ck_assert(!exists("backup.tmp"));
    ck_assert_int_eq(backup_make(dir, "absent", "other"), QH_ESYSTEM);
    ck_assert(!exists("other"));
    ck_assert(!exists("backup.tmp"));
}
END_TEST

START_TEST(a_running_node_is_left_alone)
{
    uint64_t generation;
    int fd;

    ck_assert_int_eq(datadir_lock(dir, &fd), QH_OK);
    ck_assert_int_eq(replica_bootstrap(dir, members, 3), QH_EBUSY);
    ck_assert_int_eq(replica_recover(dir, members, 1, &generation), QH_EBUSY);
    (void)close(fd);
    ck_assert_int_eq(replica_bootstrap(dir, members, 3), QH_OK);
}
END_TEST

START_TEST(a_damaged_or_lost_log_is_not_recovered)
{
    char path[400];
    uint64_t generation;
    struct identity identity;

    ck_assert_int_eq(replica_recover(dir, members, 1, &generation), QH_EROLLEDBACK);
    ck_assert_int_eq(replica_bootstrap(dir, members, 3), QH_OK);
    (void)snprintf(path, sizeof(path), "%s/raft/0000000000000001-0000000000000001", dir);
    ck_assert_int_eq(truncate(path, 20), 0);
    ck_assert_int_eq(replica_recover(dir, members, 1, &generation), QH_ECORRUPT);
    ck_assert(!exists("raft.before-recover-1"));
    ck_assert_int_eq(identity_load(dir, &identity), QH_OK);
    ck_assert_uint_eq(identity.generation, 1);
}
END_TEST

START_TEST(a_directory_without_an_identity_is_no_node)
{
    uint64_t generation;

    (void)snprintf(dir, sizeof(dir), "%s", base_dir);
    ck_assert_int_eq(replica_bootstrap(dir, members, 3), QH_ENOTFOUND);
    ck_assert_int_eq(replica_recover(dir, members, 3, &generation), QH_ENOTFOUND);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recover");
    TCase *tcase = tcase_create("recover");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_bootstrapped_node_has_one_entry_and_is_a_member);
    tcase_add_test(tcase, equal_members_make_equal_first_entries);
    tcase_add_test(tcase, wrong_members_are_refused_and_change_nothing);
    tcase_add_test(tcase, a_survivor_of_three_goes_on_alone_with_everything_it_had);
    tcase_add_test(tcase, the_backup_is_the_log_as_it_was);
    tcase_add_test(tcase, a_second_backup_of_a_generation_has_a_name_of_its_own);
    tcase_add_test(tcase, a_running_node_is_left_alone);
    tcase_add_test(tcase, a_damaged_or_lost_log_is_not_recovered);
    tcase_add_test(tcase, a_directory_without_an_identity_is_no_node);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
