/* The identity file: what was stored is what is loaded, and nothing else is ever taken for it. */
#include "raft-glue/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "tests/lib/test.h"

#define FILE_SIZE_MAX 4096u

static const uint8_t cluster[16] = "0123456789abcde";
static char base_dir[128];
static char dir[200];

static void setup(void)
{
    test_make_dir(base_dir, sizeof(base_dir));
    (void)snprintf(dir, sizeof(dir), "%s/node", base_dir);
}

static void teardown(void)
{
    (void)chmod(dir, 0700);
    test_remove_dir(base_dir);
}

static const char *path_of(const char *name)
{
    static char path[300];

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    return path;
}

static void create(struct identity *ret_identity)
{
    ck_assert_int_eq(identity_create(dir, cluster, "alpha-1.example", ret_identity), QH_OK);
}

static size_t file_read(uint8_t *content)
{
    int fd = open(path_of("identity"), O_RDONLY);
    ssize_t size = read(fd, content, FILE_SIZE_MAX);

    ck_assert_int_gt(size, 0);
    (void)close(fd);
    return (size_t)size;
}

static void file_write(const uint8_t *content, size_t size)
{
    int fd = open(path_of("identity"), O_WRONLY | O_TRUNC | O_CREAT, 0600);

    ck_assert_int_eq(write(fd, content, size), (ssize_t)size);
    (void)close(fd);
}

/* Make the checksum right for a content that was changed on purpose. */
static void file_seal(uint8_t *content, size_t size)
{
    (void)crypto_generichash(content + size - 32, 32, content, size - 32, NULL, 0);
    file_write(content, size);
}

static void assert_same(const struct identity *left, const struct identity *right)
{
    ck_assert_mem_eq(left->cluster, right->cluster, 16);
    ck_assert_uint_eq(left->id, right->id);
    ck_assert_str_eq(left->name, right->name);
    ck_assert_uint_eq(left->generation, right->generation);
    ck_assert_uint_eq(left->start_count, right->start_count);
    ck_assert_int_eq(left->member, right->member);
    ck_assert_uint_eq(left->peer_count, right->peer_count);
    for (unsigned i = 0; i < left->peer_count; i++) {
        ck_assert_uint_eq(left->peers[i].id, right->peers[i].id);
        ck_assert_uint_eq(left->peers[i].start_count, right->peers[i].start_count);
        ck_assert_uint_eq(left->peers[i].nonce, right->peers[i].nonce);
    }
}

START_TEST(a_new_node_has_an_id_of_its_own)
{
    struct identity first;
    struct identity second;
    struct identity loaded;

    create(&first);
    ck_assert_uint_ne(first.id, 0);
    ck_assert_uint_eq(first.id >> 63, 0);
    ck_assert_uint_eq(first.generation, 1);
    ck_assert_uint_eq(first.start_count, 0);
    ck_assert(!first.member);
    ck_assert_int_eq(access(path_of("raft"), W_OK), 0);
    ck_assert_int_eq(identity_load(dir, &loaded), QH_OK);
    assert_same(&first, &loaded);
    (void)snprintf(dir, sizeof(dir), "%s/other", base_dir);
    create(&second);
    ck_assert_uint_ne(first.id, second.id);
}
END_TEST

START_TEST(a_node_is_not_made_twice)
{
    struct identity identity;
    struct identity again = {.id = 5};

    create(&identity);
    ck_assert_int_eq(identity_create(dir, cluster, "alpha", &again), QH_EEXIST);
    ck_assert_uint_eq(again.id, 5);
    ck_assert_int_eq(unlink(path_of("identity")), 0);
    (void)close(open(path_of("raft/metadata1"), O_WRONLY | O_CREAT, 0600));
    ck_assert_int_eq(identity_create(dir, cluster, "alpha", &again), QH_EEXIST);
    ck_assert_int_eq(unlink(path_of("raft/metadata1")), 0);
    ck_assert_int_eq(mkdir(path_of("raft/lost+found"), 0700), 0);
    ck_assert_int_eq(identity_create(dir, cluster, "alpha", &again), QH_OK);
}
END_TEST

START_TEST(everything_is_stored_with_as_many_peers_as_there_may_be)
{
    struct identity identity;
    struct identity loaded;

    create(&identity);
    memset(identity.name, 'n', NODE_NAME_LENGTH_MAX);
    identity.name[NODE_NAME_LENGTH_MAX] = 0;
    identity.generation = 7;
    identity.start_count = 99;
    identity.member = true;
    identity.peer_count = NODES_MAX * 4;
    for (unsigned i = 0; i < identity.peer_count; i++) {
        identity.peers[i].id = 1000 + i;
        identity.peers[i].start_count = i;
        identity.peers[i].nonce = UINT64_MAX - i;
    }
    ck_assert_int_eq(identity_store(dir, &identity), QH_OK);
    ck_assert_int_eq(identity_load(dir, &loaded), QH_OK);
    assert_same(&identity, &loaded);
    ck_assert_int_ne(access(path_of("identity.tmp"), F_OK), 0);
}
END_TEST

START_TEST(a_start_is_counted_and_has_a_nonce)
{
    struct identity identity;
    struct identity loaded;
    uint64_t nonce;

    create(&identity);
    ck_assert_int_eq(identity_start(dir, &identity), QH_OK);
    ck_assert_uint_eq(identity.start_count, 1);
    nonce = identity.nonce;
    ck_assert_uint_ne(nonce, 0);
    ck_assert_int_eq(identity_load(dir, &loaded), QH_OK);
    ck_assert_uint_eq(loaded.start_count, 1);
    ck_assert_int_eq(identity_start(dir, &loaded), QH_OK);
    ck_assert_uint_eq(loaded.start_count, 2);
    ck_assert_uint_ne(loaded.nonce, nonce);
}
END_TEST

START_TEST(an_absent_file_is_told_from_a_damaged_one)
{
    struct identity identity = {.id = 3};
    uint8_t zeroes[FILE_SIZE_MAX] = {0};

    ck_assert_int_eq(identity_load(dir, &identity), QH_ENOTFOUND);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    ck_assert_int_eq(identity_load(dir, &identity), QH_ENOTFOUND);
    file_write(zeroes, 0);
    ck_assert_int_eq(identity_load(dir, &identity), QH_ECORRUPT);
    file_write(zeroes, sizeof(zeroes));
    ck_assert_int_eq(identity_load(dir, &identity), QH_ECORRUPT);
    ck_assert_uint_eq(identity.id, 3);
}
END_TEST

START_TEST(every_truncation_and_flipped_bit_is_refused)
{
    uint8_t content[FILE_SIZE_MAX];
    struct identity identity;
    size_t size;

    create(&identity);
    size = file_read(content);
    for (size_t cut = 0; cut < size; cut++) {
        file_write(content, cut);
        ck_assert_int_eq(identity_load(dir, &identity), QH_ECORRUPT);
    }
    for (size_t bit = 0; bit < size * 8; bit++) {
        content[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        file_write(content, size);
        ck_assert_int_eq(identity_load(dir, &identity), QH_ECORRUPT);
        content[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    content[size] = 0;
    file_write(content, size + 1);
    ck_assert_int_eq(identity_load(dir, &identity), QH_ECORRUPT);
    file_write(content, size);
    ck_assert_int_eq(identity_load(dir, &identity), QH_OK);
}
END_TEST

/* Offsets: 8 version, 12 zero, 32 id, 40 generation, 56 member, 57 name length, 58 zero,
 * 60 peer count, 64 name. */
START_TEST(a_right_checksum_does_not_make_up_for_wrong_content)
{
    static const size_t wrong_offsets[] = {12, 56, 57, 58, 60, 63};
    uint8_t content[FILE_SIZE_MAX];
    uint8_t changed[FILE_SIZE_MAX];
    struct identity identity;
    size_t size;

    create(&identity);
    size = file_read(content);
    for (size_t i = 0; i < sizeof(wrong_offsets) / sizeof(wrong_offsets[0]); i++) {
        memcpy(changed, content, size);
        changed[wrong_offsets[i]] += 2;
        file_seal(changed, size);
        ck_assert_int_eq(identity_load(dir, &identity), QH_ECORRUPT);
    }
    for (size_t offset = 32; offset <= 40; offset += 8) {
        memcpy(changed, content, size);
        memset(changed + offset, 0, 8);
        file_seal(changed, size);
        ck_assert_int_eq(identity_load(dir, &identity), QH_ECORRUPT);
    }
    memcpy(changed, content, size);
    changed[64] = '/';
    file_seal(changed, size);
    ck_assert_int_eq(identity_load(dir, &identity), QH_ECORRUPT);
    memcpy(changed, content, size);
    changed[8] = 2;
    file_seal(changed, size);
    ck_assert_int_eq(identity_load(dir, &identity), QH_EVERSION);
    file_seal(content, size);
    ck_assert_int_eq(identity_load(dir, &identity), QH_OK);
}
END_TEST

/* Root passes every permission check, so be somebody else. */
static uid_t drop_root(void)
{
    uid_t before = geteuid();

    if (geteuid() == 0) {
        ck_assert_int_eq(chown(base_dir, 65534, 65534), 0);
        ck_assert_int_eq(chown(dir, 65534, 65534), 0);
        ck_assert_int_eq(chown(path_of("identity"), 65534, 65534), 0);
        ck_assert_int_eq(chown(path_of("raft"), 65534, 65534), 0);
        ck_assert_int_eq(seteuid(65534), 0);
    }
    return before;
}

START_TEST(a_directory_that_cannot_be_written_keeps_the_old_identity)
{
    uid_t before;
    struct identity identity;
    struct identity loaded;

    create(&identity);
    before = drop_root();
    ck_assert_int_eq(chmod(dir, 0500), 0);
    ck_assert_int_eq(identity_start(dir, &identity), QH_EPERM);
    ck_assert_uint_eq(identity.start_count, 0);
    ck_assert_int_eq(identity_load(dir, &loaded), QH_OK);
    assert_same(&identity, &loaded);
    ck_assert_int_eq(chmod(path_of("identity"), 0), 0);
    ck_assert_int_eq(identity_load(dir, &loaded), QH_EPERM);
    ck_assert_int_eq(chmod(base_dir, 0500), 0);
    (void)snprintf(dir, sizeof(dir), "%s/third", base_dir);
    ck_assert_int_eq(identity_create(dir, cluster, "alpha", &loaded), QH_EPERM);
    ck_assert_int_eq(chmod(base_dir, 0700), 0);
    (void)snprintf(dir, sizeof(dir), "%s/node", base_dir);
    ck_assert_int_eq(seteuid(before), 0);
}
END_TEST

START_TEST(what_is_no_directory_or_no_file_is_a_system_error)
{
    struct identity identity;

    create(&identity);
    ck_assert_int_eq(unlink(path_of("identity")), 0);
    ck_assert_int_eq(mkdir(path_of("identity"), 0700), 0);
    ck_assert_int_eq(identity_load(dir, &identity), QH_ESYSTEM);
    ck_assert_int_eq(identity_store(dir, &identity), QH_ESYSTEM);
    (void)snprintf(dir, sizeof(dir), "/dev/null");
    ck_assert_int_eq(identity_store(dir, &identity), QH_ESYSTEM);
    ck_assert_int_eq(identity_create(dir, cluster, "alpha", &identity), QH_ESYSTEM);
    (void)snprintf(dir, sizeof(dir), "%s/none", base_dir);
    ck_assert_int_eq(identity_store(dir, &identity), QH_ESYSTEM);
    (void)snprintf(dir, sizeof(dir), "%s/none/below", base_dir);
    ck_assert_int_eq(identity_create(dir, cluster, "alpha", &identity), QH_ESYSTEM);
}
END_TEST

START_TEST(a_link_in_the_place_of_the_new_file_is_not_followed)
{
    struct identity identity;
    struct stat info;

    create(&identity);
    ck_assert_int_eq(symlink("elsewhere", path_of("identity.tmp")), 0);
    ck_assert_int_eq(identity_store(dir, &identity), QH_ESYSTEM);
    ck_assert_int_ne(stat(path_of("elsewhere"), &info), 0);
}
END_TEST

START_TEST(a_write_that_fails_halfway_keeps_the_old_identity)
{
    struct rlimit limit = {100, 100}; /* bytes; the file is longer */
    struct identity identity;
    struct identity loaded;

    create(&identity);
    ck_assert_ptr_ne((void *)signal(SIGXFSZ, SIG_IGN), (void *)SIG_ERR);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(identity_start(dir, &identity), QH_ESYSTEM);
    ck_assert_uint_eq(identity.start_count, 0);
    ck_assert_int_eq(identity_load(dir, &loaded), QH_OK);
    assert_same(&identity, &loaded);
}
END_TEST

START_TEST(names_are_checked_on_both_sides_of_every_limit)
{
    char name[NODE_NAME_LENGTH_MAX + 2];
    struct identity identity;

    memset(name, 'a', sizeof(name));
    name[NODE_NAME_LENGTH_MAX + 1] = 0;
    ck_assert(!identity_name_valid(name));
    name[NODE_NAME_LENGTH_MAX] = 0;
    ck_assert(identity_name_valid(name));
    ck_assert(!identity_name_valid(""));
    ck_assert(identity_name_valid("a"));
    ck_assert(identity_name_valid("Zz-09.x"));
    ck_assert(!identity_name_valid("."));
    ck_assert(!identity_name_valid("-a"));
    ck_assert(!identity_name_valid("a-"));
    ck_assert(!identity_name_valid("a b"));
    ck_assert(!identity_name_valid("a/b"));
    ck_assert(!identity_name_valid("a_b"));
    ck_assert(!identity_name_valid("\xc3\xa4"));
    ck_assert_int_eq(identity_create(dir, cluster, "a/b", &identity), QH_EINVAL);
    ck_assert_int_ne(access(dir, F_OK), 0);
}
END_TEST

static enum qh_err check(struct identity *identity, uint64_t id, uint64_t start_count,
                         uint64_t nonce, uint64_t term, bool *ret_changed)
{
    struct identity_peer peer = {id, start_count, nonce, term};

    return identity_check_peer(identity, &peer, ret_changed);
}

START_TEST(a_peer_may_come_back_and_start_again_but_never_go_back)
{
    struct identity identity;
    bool changed = false;

    create(&identity);
    ck_assert_int_eq(check(&identity, 5, 3, 77, 10, &changed), QH_OK);
    ck_assert(changed);
    ck_assert_int_eq(check(&identity, 5, 3, 77, 10, &changed), QH_OK); /* a reconnect */
    ck_assert(!changed);
    ck_assert_int_eq(check(&identity, 5, 3, 77, 12, &changed), QH_OK);
    ck_assert(!changed);
    ck_assert_int_eq(check(&identity, 5, 3, 77, 11, &changed), QH_EROLLEDBACK); /* term */
    ck_assert_int_eq(check(&identity, 5, 3, 78, 12, &changed), QH_EROLLEDBACK); /* a clone */
    ck_assert_int_eq(check(&identity, 5, 2, 77, 12, &changed), QH_EROLLEDBACK);
    ck_assert_int_eq(check(&identity, 5, 4, 79, 11, &changed), QH_EROLLEDBACK);
    ck_assert_int_eq(check(&identity, 5, 4, 79, 12, &changed), QH_OK);
    ck_assert(changed);
    ck_assert_int_eq(check(&identity, 5, 3, 77, 12, &changed), QH_EROLLEDBACK);
    ck_assert_uint_eq(identity.peer_count, 1);
}
END_TEST

START_TEST(a_refusal_remembers_nothing)
{
    struct identity identity;
    struct identity before;
    bool changed = false;

    create(&identity);
    ck_assert_int_eq(check(&identity, 5, 3, 77, 10, &changed), QH_OK);
    before = identity;
    changed = false;
    ck_assert_int_eq(check(&identity, 5, 9, 1, 9, &changed), QH_EROLLEDBACK);
    ck_assert_int_eq(check(&identity, identity.id, 1, 1, 1, &changed), QH_EROLLEDBACK);
    ck_assert(!changed);
    assert_same(&before, &identity);
}
END_TEST

START_TEST(what_is_remembered_survives_our_restart_but_for_the_term)
{
    struct identity identity;
    struct identity loaded;
    bool changed = false;

    create(&identity);
    ck_assert_int_eq(check(&identity, 5, 3, 77, 10, &changed), QH_OK);
    ck_assert_int_eq(identity_store(dir, &identity), QH_OK);
    ck_assert_int_eq(identity_load(dir, &loaded), QH_OK);
    ck_assert_int_eq(check(&loaded, 5, 2, 77, 10, &changed), QH_EROLLEDBACK);
    ck_assert_int_eq(check(&loaded, 5, 3, 76, 10, &changed), QH_EROLLEDBACK);
    ck_assert_int_eq(check(&loaded, 5, 3, 77, 4, &changed), QH_OK);
}
END_TEST

START_TEST(a_full_table_forgets_the_peer_whose_start_is_longest_ago)
{
    struct identity identity;
    bool changed = false;

    create(&identity);
    for (uint64_t id = 1; id <= NODES_MAX * 4; id++) {
        ck_assert_int_eq(check(&identity, id, 5, 1, 1, &changed), QH_OK);
    }
    ck_assert_uint_eq(identity.peer_count, NODES_MAX * 4);
    ck_assert_int_eq(check(&identity, 1, 6, 2, 1, &changed), QH_OK); /* now the latest */
    ck_assert_int_eq(check(&identity, 9999, 1, 1, 1, &changed), QH_OK);
    ck_assert_uint_eq(identity.peer_count, NODES_MAX * 4);
    ck_assert_int_eq(check(&identity, 1, 5, 1, 1, &changed), QH_EROLLEDBACK);
    ck_assert_int_eq(check(&identity, 3, 4, 1, 1, &changed), QH_EROLLEDBACK);
    ck_assert_int_eq(check(&identity, 2, 4, 1, 1, &changed), QH_OK); /* the forgotten one */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("identity");
    TCase *tcase = tcase_create("identity");

    tcase_set_timeout(tcase, 60);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, a_new_node_has_an_id_of_its_own);
    tcase_add_test(tcase, a_node_is_not_made_twice);
    tcase_add_test(tcase, everything_is_stored_with_as_many_peers_as_there_may_be);
    tcase_add_test(tcase, a_start_is_counted_and_has_a_nonce);
    tcase_add_test(tcase, an_absent_file_is_told_from_a_damaged_one);
    tcase_add_test(tcase, every_truncation_and_flipped_bit_is_refused);
    tcase_add_test(tcase, a_right_checksum_does_not_make_up_for_wrong_content);
    tcase_add_test(tcase, a_directory_that_cannot_be_written_keeps_the_old_identity);
    tcase_add_test(tcase, what_is_no_directory_or_no_file_is_a_system_error);
    tcase_add_test(tcase, a_link_in_the_place_of_the_new_file_is_not_followed);
    tcase_add_test(tcase, a_write_that_fails_halfway_keeps_the_old_identity);
    tcase_add_test(tcase, names_are_checked_on_both_sides_of_every_limit);
    tcase_add_test(tcase, a_peer_may_come_back_and_start_again_but_never_go_back);
    tcase_add_test(tcase, a_refusal_remembers_nothing);
    tcase_add_test(tcase, what_is_remembered_survives_our_restart_but_for_the_term);
    tcase_add_test(tcase, a_full_table_forgets_the_peer_whose_start_is_longest_ago);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
