/* Transactions: what is built decodes, what is not one is refused, every limit holds
 * on both sides. */
#include "store/txn.h"

#include "tests/unit/store_fixture.h"

static uint8_t big[STORE_VALUE_SIZE_MAX + 1];

static struct bytes span_of(size_t size)
{
    struct bytes span = {big, size};

    return span;
}

static uint8_t *writable(struct bytes encoded)
{
    return (uint8_t *)(uintptr_t)encoded.base;
}

static void release(struct bytes encoded)
{
    free(writable(encoded));
}

/* Decode a heap copy of exactly that size, so that a sanitizer sees a read past it. */
static enum qh_err decode_copy(const uint8_t *base, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    struct bytes encoded = {copy, size};
    struct txn txn;
    enum qh_err err;

    ck_assert_ptr_nonnull(copy);
    if (size > 0) {
        memcpy(copy, base, size);
    }
    err = txn_decode(encoded, &txn);
    free(copy);
    return err;
}

/* One of everything. */
static struct bytes build_sample(void)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_plain(&builder, fixture_id, 77);
    txn_build_compare(&builder, TXN_ABSENT, text("a"), 0);
    txn_build_compare(&builder, TXN_AT_REVISION, text("bb"), 9);
    txn_build_compare(&builder, TXN_FEWER_THAN, text(""), 5);
    txn_build_put(&builder, text("k"), text("value"), 3);
    txn_build_delete(&builder, text("gone"));
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    return encoded;
}

static void assert_span(struct bytes span, const char *chars)
{
    ck_assert_uint_eq(span.size, strlen(chars));
    ck_assert_int_eq(bytes_compare(span, text(chars)), 0);
}

START_TEST(what_is_built_decodes)
{
    struct bytes encoded = build_sample();
    struct txn txn;

    ck_assert_int_eq(txn_decode(encoded, &txn), QH_OK);
    ck_assert_mem_eq(txn.id, fixture_id, ONCE_ID_SIZE);
    ck_assert_uint_eq(txn.valid_until, 77);
    ck_assert_uint_eq(txn.compare_count, 3);
    ck_assert_int_eq(txn.compares[0].kind, TXN_ABSENT);
    assert_span(txn.compares[0].key, "a");
    ck_assert_uint_eq(txn.compares[0].argument, 0);
    ck_assert_int_eq(txn.compares[1].kind, TXN_AT_REVISION);
    assert_span(txn.compares[1].key, "bb");
    ck_assert_uint_eq(txn.compares[1].argument, 9);
    ck_assert_int_eq(txn.compares[2].kind, TXN_FEWER_THAN);
    assert_span(txn.compares[2].key, "");
    ck_assert_uint_eq(txn.compares[2].argument, 5);
    ck_assert_uint_eq(txn.write_count, 2);
    ck_assert_int_eq(txn.writes[0].kind, TXN_PUT);
    assert_span(txn.writes[0].key, "k");
    assert_span(txn.writes[0].value, "value");
    ck_assert_uint_eq(txn.writes[0].expires_after, 3);
    ck_assert_int_eq(txn.writes[1].kind, TXN_DELETE);
    assert_span(txn.writes[1].key, "gone");
    release(encoded);
}
END_TEST

START_TEST(the_encoding_is_the_documented_one)
{
    static const char expected[] = "\x01\x00\x03\x00\x02\x00\x00\x00"
                                   "0123456789abcdef"
                                   "\x4d\x00\x00\x00\x00\x00\x00\x00"
                                   "\x01\x01\x00"
                                   "a"
                                   "\x02\x02\x00"
                                   "bb"
                                   "\x09\x00\x00\x00\x00\x00\x00\x00"
                                   "\x03\x00\x00"
                                   "\x05\x00\x00\x00\x00\x00\x00\x00"
                                   "\x01\x01\x00"
                                   "k"
                                   "\x03\x00\x00\x00\x05\x00\x00\x00"
                                   "value"
                                   "\x02\x04\x00"
                                   "gone";
    struct bytes encoded = build_sample();

    ck_assert_uint_eq(encoded.size, sizeof expected - 1);
    ck_assert_mem_eq(encoded.base, expected, sizeof expected - 1);
    release(encoded);
}
END_TEST

START_TEST(an_empty_transaction_is_a_header)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_plain(&builder, fixture_id, 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    ck_assert_uint_eq(encoded.size, TXN_HEADER_SIZE);
    ck_assert_int_eq(decode_copy(encoded.base, encoded.size), QH_OK);
    release(encoded);
}
END_TEST

START_TEST(once_compares_and_writes_its_answer_first)
{
    uint8_t key[ONCE_KEY_SIZE];
    struct bytes key_span = {key, sizeof key};
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};
    struct txn txn;

    txn_once_key(fixture_id, key);
    ck_assert_mem_eq(key, "r/0123456789abcdef", ONCE_KEY_SIZE);
    txn_build_once(&builder, fixture_id, 1000, text("answer"));
    txn_build_compare(&builder, TXN_AT_REVISION, text("x"), 4);
    txn_build_compare(&builder, TXN_ABSENT, text("y"), 0);
    txn_build_put(&builder, text("x"), text("1"), 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    ck_assert_int_eq(txn_decode(encoded, &txn), QH_OK);
    ck_assert_uint_eq(txn.valid_until, 1000 + ONCE_VALID_FOR);
    ck_assert_uint_eq(txn.compare_count, 3);
    ck_assert_int_eq(txn.compares[0].kind, TXN_ABSENT);
    ck_assert_int_eq(bytes_compare(txn.compares[0].key, key_span), 0);
    assert_span(txn.compares[1].key, "x");
    assert_span(txn.compares[2].key, "y");
    ck_assert_uint_eq(txn.write_count, 2);
    ck_assert_int_eq(txn.writes[0].kind, TXN_PUT);
    ck_assert_int_eq(bytes_compare(txn.writes[0].key, key_span), 0);
    assert_span(txn.writes[0].value, "answer");
    ck_assert_uint_eq(txn.writes[0].expires_after, ONCE_EXPIRES_AFTER);
    assert_span(txn.writes[1].key, "x");
    release(encoded);
}
END_TEST

START_TEST(once_refuses_a_revision_without_room_above_it)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_once(&builder, fixture_id, UINT64_MAX - ONCE_VALID_FOR + 1, text(""));
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_EINVAL);
    txn_build_once(&builder, fixture_id, UINT64_MAX - ONCE_VALID_FOR, text(""));
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    release(encoded);
}
END_TEST

START_TEST(a_compare_after_a_write_is_refused)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_plain(&builder, fixture_id, 0);
    txn_build_delete(&builder, text("a"));
    txn_build_compare(&builder, TXN_ABSENT, text("b"), 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_EINVAL);
    txn_build_once(&builder, fixture_id, 0, text(""));
    txn_build_delete(&builder, text("a"));
    txn_build_compare(&builder, TXN_ABSENT, text("b"), 0);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_EINVAL);
    ck_assert_ptr_null(encoded.base);
}
END_TEST

START_TEST(the_first_failure_is_kept)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_plain(&builder, fixture_id, 0);
    txn_build_put(&builder, span_of(STORE_KEY_SIZE_MAX + 1), text(""), 0);
    txn_build_delete(&builder, text(""));
    txn_build_delete(&builder, text("fine"));
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_ELIMIT);
    ck_assert_ptr_null(encoded.base);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_EINVAL); /* closed */
}
END_TEST

START_TEST(nonsense_is_not_built)
{
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    txn_build_plain(&builder, fixture_id, 0);
    txn_build_delete(&builder, text(""));
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_EINVAL);
    txn_build_plain(&builder, fixture_id, 0);
    txn_build_compare(&builder, TXN_AT_REVISION, text(""), 1);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_EINVAL);
    txn_build_plain(&builder, fixture_id, 0);
    txn_build_compare(&builder, TXN_ABSENT, text("a"), 1);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_EINVAL);
    txn_build_plain(&builder, fixture_id, 0);
    txn_build_compare(&builder, (enum txn_compare_kind)4, text("a"), 1);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_EINVAL);
}
END_TEST

/* A limit of the builder: @size is fine, one more is not. */
#define ASSERT_BUILDER_LIMIT(statement_at, statement_above)               \
    do {                                                                  \
        struct txn_builder builder;                                       \
        struct bytes encoded = {NULL, 0};                                 \
        txn_build_plain(&builder, fixture_id, 0);                         \
        statement_at;                                                     \
        ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);       \
        ck_assert_int_eq(decode_copy(encoded.base, encoded.size), QH_OK); \
        release(encoded);                                                 \
        txn_build_plain(&builder, fixture_id, 0);                         \
        statement_above;                                                  \
        ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_ELIMIT);   \
    } while (0)

static void build_compares(struct txn_builder *builder, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        txn_build_compare(builder, TXN_ABSENT, text("k"), 0);
    }
}

static void build_deletes(struct txn_builder *builder, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        txn_build_delete(builder, text("k"));
    }
}

/* Puts of together @size bytes, with the header. */
static void build_size(struct txn_builder *builder, size_t size)
{
    size_t rest = size - TXN_HEADER_SIZE;

    while (rest > 0) {
        size_t part = rest > STORE_VALUE_SIZE_MAX ? STORE_VALUE_SIZE_MAX : rest;

        if (rest - part > 0 && rest - part < 12) {
            part -= 12;
        }
        txn_build_put(builder, text("k"), span_of(part - 12), 0);
        rest -= part;
    }
}

START_TEST(the_builder_keeps_every_limit)
{
    ASSERT_BUILDER_LIMIT(txn_build_delete(&builder, span_of(STORE_KEY_SIZE_MAX)),
                         txn_build_delete(&builder, span_of(STORE_KEY_SIZE_MAX + 1)));
    ASSERT_BUILDER_LIMIT(
        txn_build_compare(&builder, TXN_FEWER_THAN, span_of(STORE_KEY_SIZE_MAX), 1),
        txn_build_compare(&builder, TXN_FEWER_THAN, span_of(STORE_KEY_SIZE_MAX + 1), 1));
    ASSERT_BUILDER_LIMIT(txn_build_put(&builder, text("k"), span_of(STORE_VALUE_SIZE_MAX), 0),
                         txn_build_put(&builder, text("k"), span_of(STORE_VALUE_SIZE_MAX + 1), 0));
    ASSERT_BUILDER_LIMIT(txn_build_put(&builder, text("k"), text(""), STORE_EXPIRES_AFTER_MAX),
                         txn_build_put(&builder, text("k"), text(""), STORE_EXPIRES_AFTER_MAX + 1));
    ASSERT_BUILDER_LIMIT(build_compares(&builder, STORE_COMPARES_MAX),
                         build_compares(&builder, STORE_COMPARES_MAX + 1));
    ASSERT_BUILDER_LIMIT(build_deletes(&builder, STORE_WRITES_MAX),
                         build_deletes(&builder, STORE_WRITES_MAX + 1));
    ASSERT_BUILDER_LIMIT(build_size(&builder, STORE_TXN_SIZE_MAX),
                         build_size(&builder, STORE_TXN_SIZE_MAX + 1));
}
END_TEST

START_TEST(every_truncation_is_malformed)
{
    struct bytes encoded = build_sample();

    for (size_t size = 0; size < encoded.size; size++) {
        ck_assert_int_eq(decode_copy(encoded.base, size), QH_EMALFORMED);
    }
    release(encoded);
}
END_TEST

START_TEST(nothing_may_follow_the_last_write)
{
    struct bytes encoded = build_sample();
    uint8_t *longer = calloc(1, encoded.size + 1);

    ck_assert_ptr_nonnull(longer);
    memcpy(longer, encoded.base, encoded.size);
    ck_assert_int_eq(decode_copy(longer, encoded.size + 1), QH_EMALFORMED);
    free(longer);
    release(encoded);
}
END_TEST

START_TEST(a_failed_decode_leaves_its_result_untouched)
{
    struct bytes encoded = build_sample();
    struct txn txn, before;

    memset(&txn, 0x5a, sizeof txn);
    memcpy(&before, &txn, sizeof txn);
    encoded.size--;
    ck_assert_int_eq(txn_decode(encoded, &txn), QH_EMALFORMED);
    ck_assert_mem_eq(&txn, &before, sizeof txn);
    release(encoded);
}
END_TEST

struct patch {
    size_t offset; /* in the sample */
    uint8_t byte;
    enum qh_err expected;
};

/* The sample's compares start at 32, 36, 49 and its writes at 60 and 77. */
static const struct patch patches[] = {
    {0, 0, QH_EVERSION},                    /* version */
    {0, 2, QH_EVERSION},                    /* version */
    {1, 1, QH_EMALFORMED},                  /* flags */
    {2, STORE_COMPARES_MAX + 1, QH_ELIMIT}, /* compare count */
    {3, 1, QH_ELIMIT},                      /* compare count */
    {2, 2, QH_EMALFORMED},                  /* compare count: the rest is no write */
    {4, STORE_WRITES_MAX + 1, QH_ELIMIT},   /* write count */
    {4, STORE_WRITES_MAX, QH_EMALFORMED},   /* write count: too few follow */
    {4, 1, QH_EMALFORMED},                  /* write count: something follows */
    {6, 1, QH_EMALFORMED},                  /* zero */
    {7, 1, QH_EMALFORMED},                  /* zero */
    {32, 0, QH_EMALFORMED},                 /* compare kind */
    {32, 4, QH_EMALFORMED},                 /* compare kind */
    {33, 0, QH_EMALFORMED},                 /* an empty key, not a prefix */
    {34, 1, QH_ELIMIT},                     /* key size 257 */
    {60, 0, QH_EMALFORMED},                 /* write kind */
    {60, 3, QH_EMALFORMED},                 /* write kind */
    {61, 0, QH_EMALFORMED},                 /* an empty key */
    {62, 1, QH_ELIMIT},                     /* key size 257 */
    {67, 1, QH_ELIMIT},                     /* expires_after above 2^24 */
    {70, 1, QH_ELIMIT},                     /* value size 65541 */
    {78, 5, QH_EMALFORMED},                 /* key past the end */
};

START_TEST(each_field_is_checked)
{
    const struct patch *patch = &patches[_i];
    struct bytes encoded = build_sample();

    writable(encoded)[patch->offset] = patch->byte;
    ck_assert_int_eq(decode_copy(encoded.base, encoded.size), patch->expected);
    release(encoded);
}
END_TEST

START_TEST(decoding_keeps_the_limits_exactly)
{
    uint8_t *base = calloc(1, STORE_TXN_SIZE_MAX + 1);
    struct txn_builder builder;
    struct bytes encoded = {NULL, 0};

    /* expires_after, little-endian at 12 bytes before the end of a put of "k" */
    txn_build_plain(&builder, fixture_id, 0);
    txn_build_put(&builder, text("k"), text(""), STORE_EXPIRES_AFTER_MAX);
    ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
    ck_assert_int_eq(decode_copy(encoded.base, encoded.size), QH_OK);
    writable(encoded)[encoded.size - 8]++;
    ck_assert_int_eq(decode_copy(encoded.base, encoded.size), QH_ELIMIT);
    release(encoded);

    /* The size is checked before the content, but after the version. */
    ck_assert_ptr_nonnull(base);
    base[0] = TXN_VERSION;
    ck_assert_int_eq(decode_copy(base, STORE_TXN_SIZE_MAX), QH_EMALFORMED);
    ck_assert_int_eq(decode_copy(base, STORE_TXN_SIZE_MAX + 1), QH_ELIMIT);
    base[0]++;
    ck_assert_int_eq(decode_copy(base, STORE_TXN_SIZE_MAX + 1), QH_EVERSION);
    free(base);
}
END_TEST

/* Encode what was decoded; the two must be the same bytes. */
static void assert_canonical(struct bytes encoded, const struct txn *txn)
{
    struct txn_builder builder;
    struct bytes again = {NULL, 0};

    txn_build_plain(&builder, txn->id, txn->valid_until);
    for (unsigned i = 0; i < txn->compare_count; i++) {
        txn_build_compare(&builder, txn->compares[i].kind, txn->compares[i].key,
                          txn->compares[i].argument);
    }
    for (unsigned i = 0; i < txn->write_count; i++) {
        if (txn->writes[i].kind == TXN_PUT) {
            txn_build_put(&builder, txn->writes[i].key, txn->writes[i].value,
                          txn->writes[i].expires_after);
        } else {
            txn_build_delete(&builder, txn->writes[i].key);
        }
    }
    ck_assert_int_eq(txn_build_end(&builder, &again), QH_OK);
    ck_assert_uint_eq(again.size, encoded.size);
    ck_assert_mem_eq(again.base, encoded.base, encoded.size);
    release(again);
}

START_TEST(flipped_bytes_never_crash_and_what_decodes_is_canonical)
{
    struct rng rng = {20260101};
    struct bytes sample = build_sample();
    uint8_t *copy = malloc(sample.size);
    struct bytes flipped = {copy, sample.size};
    unsigned decoded = 0;
    struct txn txn;

    ck_assert_ptr_nonnull(copy);
    for (unsigned i = 0; i < 50000; i++) {
        memcpy(copy, sample.base, sample.size);
        for (unsigned flips = 1 + rng_below(&rng, 4); flips > 0; flips--) {
            copy[rng_below(&rng, (unsigned)sample.size)] ^= (uint8_t)(1u << rng_below(&rng, 8));
        }
        if (txn_decode(flipped, &txn) == QH_OK) {
            assert_canonical(flipped, &txn);
            decoded++;
        }
    }
    ck_assert_uint_gt(decoded, 1000); /* ids and values may flip */
    ck_assert_uint_lt(decoded, 49000);
    free(copy);
    release(sample);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("txn");
    TCase *tcase = tcase_create("txn");

    tcase_add_test(tcase, what_is_built_decodes);
    tcase_add_test(tcase, the_encoding_is_the_documented_one);
    tcase_add_test(tcase, an_empty_transaction_is_a_header);
    tcase_add_test(tcase, once_compares_and_writes_its_answer_first);
    tcase_add_test(tcase, once_refuses_a_revision_without_room_above_it);
    tcase_add_test(tcase, a_compare_after_a_write_is_refused);
    tcase_add_test(tcase, the_first_failure_is_kept);
    tcase_add_test(tcase, nonsense_is_not_built);
    tcase_add_test(tcase, the_builder_keeps_every_limit);
    tcase_add_test(tcase, every_truncation_is_malformed);
    tcase_add_test(tcase, nothing_may_follow_the_last_write);
    tcase_add_test(tcase, a_failed_decode_leaves_its_result_untouched);
    tcase_add_loop_test(tcase, each_field_is_checked, 0, (int)(sizeof patches / sizeof patches[0]));
    tcase_add_test(tcase, decoding_keeps_the_limits_exactly);
    tcase_add_test(tcase, flipped_bytes_never_crash_and_what_decodes_is_canonical);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
