/* Which of the two metadata files counts, and which pairs no sequence of steps can leave. */
#include "raft-glue/metadata.h"

#include <string.h>

#include "tests/lib/test.h"

struct pair {
    uint8_t content[2][METADATA_SIZE];
    struct metadata_file files[2];
};

static void put(struct pair *pair, unsigned number, uint64_t version, uint64_t term, uint64_t vote)
{
    struct bytes_writer writer;

    bytes_writer_init(&writer, pair->content[number - 1], METADATA_SIZE);
    bytes_write_u64(&writer, 1);
    bytes_write_u64(&writer, version);
    bytes_write_u64(&writer, term);
    bytes_write_u64(&writer, vote);
    pair->files[number - 1].present = true;
    pair->files[number - 1].content = (struct bytes){pair->content[number - 1], METADATA_SIZE};
}

static bool accepted(const struct pair *pair, struct metadata *ret_metadata)
{
    unsigned file = 0;
    const char *problem = metadata_choose(pair->files, ret_metadata, &file);

    ck_assert(file == 1 || file == 2);
    return problem == NULL;
}

/* Two files with these values, the older one first. */
static bool follows(uint64_t older_term, uint64_t older_vote, uint64_t term, uint64_t vote)
{
    struct metadata metadata;
    struct pair pair = {0};

    put(&pair, 1, 7, older_term, older_vote);
    put(&pair, 2, 8, term, vote);
    return accepted(&pair, &metadata);
}

START_TEST(nothing_was_ever_written)
{
    struct metadata metadata = {9, 9, 9};
    struct pair pair = {0};

    ck_assert(accepted(&pair, &metadata));
    ck_assert_uint_eq(metadata.version, 0);
    ck_assert_uint_eq(metadata.term, 0);
}
END_TEST

START_TEST(the_newer_file_counts)
{
    struct metadata metadata;
    struct pair pair = {0};

    put(&pair, 1, 7, 4, 0);
    put(&pair, 2, 8, 4, 22);
    ck_assert(accepted(&pair, &metadata));
    ck_assert_uint_eq(metadata.version, 8);
    ck_assert_uint_eq(metadata.voted_for, 22);
    put(&pair, 1, 9, 5, 0);
    ck_assert(accepted(&pair, &metadata));
    ck_assert_uint_eq(metadata.version, 9);
    ck_assert_uint_eq(metadata.term, 5);
}
END_TEST

START_TEST(a_term_is_raised_or_a_vote_cast_and_nothing_else)
{
    ck_assert(follows(4, 0, 4, 22));
    ck_assert(follows(4, 22, 5, 0));
    ck_assert(follows(4, 0, 900, 0));
    ck_assert(!follows(4, 0, 4, 0));
    ck_assert(!follows(4, 22, 4, 0));
    ck_assert(!follows(4, 0, 3, 0));
    ck_assert(!follows(4, 0, 5, 22));
    ck_assert(!follows(4, 0, 3, 22));
}
END_TEST

START_TEST(versions_are_one_apart_and_in_their_own_file)
{
    struct metadata metadata;
    struct pair pair = {0};

    put(&pair, 1, 7, 4, 0);
    put(&pair, 2, 6, 3, 0);
    ck_assert(accepted(&pair, &metadata));
    put(&pair, 2, 10, 5, 0);
    ck_assert(!accepted(&pair, &metadata));
    put(&pair, 2, 4, 3, 0);
    ck_assert(!accepted(&pair, &metadata));
    put(&pair, 2, 7, 4, 0);
    ck_assert(!accepted(&pair, &metadata));
    put(&pair, 2, 8, 5, 0);
    put(&pair, 1, 8, 5, 0);
    ck_assert(!accepted(&pair, &metadata));
    put(&pair, 1, 0, 5, 0);
    ck_assert(!accepted(&pair, &metadata));
}
END_TEST

START_TEST(a_file_may_be_cut_only_while_it_is_made)
{
    struct metadata metadata;
    struct pair pair = {0};

    put(&pair, 1, 1, 1, 0);
    ck_assert(accepted(&pair, &metadata)); /* there is no second one yet */
    ck_assert_uint_eq(metadata.term, 1);
    put(&pair, 2, 2, 2, 0);
    pair.files[1].content.size = METADATA_SIZE - 1;
    ck_assert(accepted(&pair, &metadata));
    ck_assert_uint_eq(metadata.version, 1);
    put(&pair, 1, 3, 2, 0);
    ck_assert(!accepted(&pair, &metadata)); /* the second one was whole before */
    pair.files[1].present = false;
    ck_assert(!accepted(&pair, &metadata));
    put(&pair, 2, 2, 2, 0);
    pair.files[0].content.size = 0;
    ck_assert(!accepted(&pair, &metadata));
    pair.files[1].present = false;
    ck_assert(accepted(&pair, &metadata));
    ck_assert_uint_eq(metadata.version, 0);
    put(&pair, 1, 1, 1, 22);
    ck_assert(!accepted(&pair, &metadata)); /* a vote takes a second step */
}
END_TEST

START_TEST(a_longer_file_another_format_and_term_zero_are_refused)
{
    uint8_t longer[METADATA_SIZE + 1] = {0};
    struct metadata metadata;
    struct pair pair = {0};

    put(&pair, 1, 1, 1, 0);
    memcpy(longer, pair.content[0], METADATA_SIZE);
    pair.files[0].content = (struct bytes){longer, sizeof(longer)};
    ck_assert(!accepted(&pair, &metadata));
    put(&pair, 1, 1, 1, 0);
    pair.content[0][0] = 2;
    ck_assert(!accepted(&pair, &metadata));
    put(&pair, 1, 1, 0, 0);
    ck_assert(!accepted(&pair, &metadata));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("metadata");
    TCase *tcase = tcase_create("metadata");

    tcase_add_test(tcase, nothing_was_ever_written);
    tcase_add_test(tcase, the_newer_file_counts);
    tcase_add_test(tcase, a_term_is_raised_or_a_vote_cast_and_nothing_else);
    tcase_add_test(tcase, versions_are_one_apart_and_in_their_own_file);
    tcase_add_test(tcase, a_file_may_be_cut_only_while_it_is_made);
    tcase_add_test(tcase, a_longer_file_another_format_and_term_zero_are_refused);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
