/* A buffer that wipes what leaves it. */
#include "node/conn_buffer.h"

#include <string.h>

#include "tests/lib/test.h"

static void put(struct conn_buffer *buffer, uint8_t fill, size_t size)
{
    uint8_t *room = conn_buffer_reserve(buffer, size);

    ck_assert_ptr_nonnull(room);
    memset(room, fill, size);
    buffer->size += size;
}

static bool holds(const uint8_t *base, uint8_t fill, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (base[i] != fill) {
            return false;
        }
    }
    return true;
}

START_TEST(bytes_come_out_as_they_went_in)
{
    struct conn_buffer buffer = {0};
    uint8_t next_in = 0, next_out = 0;

    for (unsigned round = 0; round < 2000; round++) {
        size_t in = round % 37, out = round % 31;

        for (size_t i = 0; i < in; i++) {
            put(&buffer, next_in++, 1);
        }
        out = out < buffer.size ? out : buffer.size;
        for (size_t i = 0; i < out; i++) {
            ck_assert_uint_eq(conn_buffer_bytes(&buffer).base[i], next_out++);
        }
        conn_buffer_drop(&buffer, out);
    }
    ck_assert_uint_eq((uint8_t)(next_out + buffer.size), next_in);
    conn_buffer_close(&buffer);
    ck_assert_ptr_null(buffer.base);
}
END_TEST

START_TEST(what_has_left_is_wiped)
{
    struct conn_buffer buffer = {0};

    put(&buffer, 0xaa, 100);
    put(&buffer, 0xbb, 100);
    conn_buffer_drop(&buffer, 100);
    ck_assert(holds(buffer.base, 0, 100));
    ck_assert(holds(conn_buffer_bytes(&buffer).base, 0xbb, 100));
    conn_buffer_drop(&buffer, 100);
    ck_assert(holds(buffer.base, 0, 200));
    conn_buffer_close(&buffer);
}
END_TEST

START_TEST(moving_leaves_nothing_behind)
{
    struct conn_buffer buffer = {0};

    put(&buffer, 0xaa, 1024);
    conn_buffer_drop(&buffer, 1000);
    put(&buffer, 0xcc, 500); /* fits once the rest has moved to the front */
    ck_assert_uint_eq(buffer.room, 1024);
    ck_assert(holds(buffer.base, 0xaa, 24));
    ck_assert(holds(buffer.base + 24, 0xcc, 500));
    ck_assert(holds(buffer.base + 524, 0, 500));
    conn_buffer_close(&buffer);
}
END_TEST

START_TEST(an_empty_buffer_keeps_a_little_room_and_returns_much)
{
    struct conn_buffer buffer = {0};

    put(&buffer, 1, CONN_BUFFER_KEPT_SIZE);
    conn_buffer_drop(&buffer, CONN_BUFFER_KEPT_SIZE);
    ck_assert_ptr_nonnull(buffer.base);
    put(&buffer, 1, CONN_BUFFER_KEPT_SIZE + 1);
    conn_buffer_drop(&buffer, CONN_BUFFER_KEPT_SIZE + 1);
    ck_assert_ptr_null(buffer.base);
    ck_assert_uint_eq(conn_buffer_bytes(&buffer).size, 0);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("conn_buffer");
    TCase *group = tcase_create("conn_buffer");

    tcase_add_test(group, bytes_come_out_as_they_went_in);
    tcase_add_test(group, what_has_left_is_wiped);
    tcase_add_test(group, moving_leaves_nothing_behind);
    tcase_add_test(group, an_empty_buffer_keeps_a_little_room_and_returns_much);
    suite_add_tcase(suite, group);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
