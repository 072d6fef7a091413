/* The queue of one connection: limits, chunks, callbacks. */
#include "raft-glue/sendq.h"

#include <stdlib.h>
#include <string.h>

#include "raft-glue/frame.h"
#include "tests/lib/test.h"

static struct sendq queue;
static struct sendq_done done;
static uint8_t chunk[SENDQ_CHUNK_SIZE];
static unsigned calls;
static enum qh_err last_status;

static void on_sent(void *data, enum qh_err status)
{
    ck_assert_ptr_eq(data, &queue);
    calls++;
    last_status = status;
}

static void open_queue(void)
{
    sendq_init(&queue);
    sendq_done_init(&done);
    calls = 0;
}

static void close_queue(void)
{
    (void)sendq_fail(&queue, QH_ECANCELED, &done);
    sendq_done_run(&done);
    ck_assert_uint_eq(queue.size, 0);
    ck_assert_uint_eq(queue.count, 0);
    ck_assert_ptr_null(queue.next);
}

/* The piece is never read unless it is taken. */
static enum qh_err push(size_t head_size, size_t piece_size)
{
    static const uint8_t byte = 7;
    struct bytes piece = {.base = &byte, .size = piece_size};
    uint8_t head[16] = {0};

    return sendq_push(&queue, (struct bytes){.base = head, .size = head_size}, &piece,
                      piece_size > 0 ? 1 : 0, on_sent, &queue);
}

START_TEST(the_queue_takes_up_to_its_size_and_no_byte_more)
{
    ck_assert_int_eq(push(1, 0), QH_OK);
    ck_assert_int_eq(push(1, TRANSPORT_QUEUE_SIZE_MAX - 5 - 5 + 1), QH_EBUSY);
    ck_assert_int_eq(push(1, TRANSPORT_QUEUE_SIZE_MAX - 5 - 5), QH_OK);
    ck_assert_uint_eq(queue.size, TRANSPORT_QUEUE_SIZE_MAX);
    ck_assert_int_eq(push(1, 0), QH_EBUSY);
}
END_TEST

START_TEST(an_empty_queue_takes_a_frame_of_any_size)
{
    ck_assert_int_eq(push(1, TRANSPORT_RAFT_FRAME_MAX - 1), QH_OK);
    ck_assert_int_eq(push(1, 0), QH_EBUSY);
}
END_TEST

START_TEST(the_queue_takes_so_many_frames_and_not_one_more)
{
    for (unsigned i = 0; i < TRANSPORT_QUEUE_FRAMES_MAX; i++) {
        ck_assert_int_eq(push(1, 0), QH_OK);
    }
    ck_assert_int_eq(push(1, 0), QH_EBUSY);
    ck_assert_uint_eq(queue.count, TRANSPORT_QUEUE_FRAMES_MAX);
}
END_TEST

START_TEST(small_frames_share_a_chunk)
{
    struct bytes taken;

    ck_assert_int_eq(push(8, 0), QH_OK);
    ck_assert_int_eq(push(3, 1), QH_OK);
    taken = sendq_take(&queue, chunk);
    ck_assert_ptr_eq(taken.base, chunk);
    ck_assert_uint_eq(taken.size, 4 + 8 + 4 + 4);
    ck_assert_mem_eq(chunk, "\10\0\0\0\0\0\0\0\0\0\0\0\4\0\0\0\0\0\0\7", 20);
    ck_assert(!sendq_waiting(&queue));
}
END_TEST

START_TEST(a_large_piece_is_taken_where_it_stands)
{
    static uint8_t piece[3 * SENDQ_CHUNK_SIZE];
    const struct bytes pieces[] = {{.base = NULL, .size = 0},
                                   {.base = piece, .size = sizeof piece}};
    struct bytes taken;

    ck_assert_int_eq(sendq_push(&queue, (struct bytes){0}, pieces, 2, on_sent, &queue), QH_OK);
    taken = sendq_take(&queue, chunk); /* the length, and as much as fits beside it */
    ck_assert_ptr_eq(taken.base, chunk);
    ck_assert_uint_eq(taken.size, SENDQ_CHUNK_SIZE);
    for (unsigned i = 1; i <= 2; i++) {
        taken = sendq_take(&queue, chunk);
        ck_assert_ptr_eq(taken.base, piece + i * SENDQ_CHUNK_SIZE - FRAME_HEAD_SIZE);
        ck_assert_uint_eq(taken.size, SENDQ_CHUNK_SIZE);
    }
    ck_assert(sendq_waiting(&queue));
    taken = sendq_take(&queue, chunk);
    ck_assert_ptr_eq(taken.base, chunk);
    ck_assert_uint_eq(taken.size, FRAME_HEAD_SIZE);
    ck_assert(!sendq_waiting(&queue));
}
END_TEST

START_TEST(a_piece_that_ends_with_its_chunk_leaves_nothing_to_take)
{
    static uint8_t piece[2 * SENDQ_CHUNK_SIZE - FRAME_HEAD_SIZE];
    const struct bytes pieces[] = {{.base = piece, .size = sizeof piece}, {0}};

    ck_assert_int_eq(sendq_push(&queue, (struct bytes){0}, pieces, 2, on_sent, &queue), QH_OK);
    ck_assert_uint_eq(sendq_take(&queue, chunk).size, SENDQ_CHUNK_SIZE);
    ck_assert(sendq_waiting(&queue));
    ck_assert_uint_eq(sendq_take(&queue, chunk).size, SENDQ_CHUNK_SIZE);
    ck_assert(!sendq_waiting(&queue));
    sendq_seal(&queue, 10);
    ck_assert_uint_eq(sendq_written(&queue, 10, &done), 1);
}
END_TEST

START_TEST(a_frame_is_over_when_its_last_byte_is_written)
{
    ck_assert_int_eq(push(8, 0), QH_OK);
    ck_assert_uint_eq(sendq_written(&queue, 1000, &done), 0); /* not taken yet */
    (void)sendq_take(&queue, chunk);
    ck_assert_uint_eq(sendq_written(&queue, 1000, &done), 0); /* not sealed */
    sendq_seal(&queue, 1034);
    ck_assert_int_eq(push(8, 0), QH_OK);
    (void)sendq_take(&queue, chunk);
    sendq_seal(&queue, 1068);
    ck_assert_uint_eq(sendq_written(&queue, 1033, &done), 0);
    ck_assert_uint_eq(sendq_written(&queue, 1067, &done), 1);
    ck_assert_uint_eq(queue.count, 1);
    ck_assert_uint_eq(calls, 0); /* before it is run */
    sendq_done_run(&done);
    ck_assert_uint_eq(calls, 1);
    ck_assert_int_eq(last_status, QH_OK);
    ck_assert_uint_eq(sendq_fail(&queue, QH_ECONN, &done), 1);
    sendq_done_run(&done);
    ck_assert_uint_eq(calls, 2);
    ck_assert_int_eq(last_status, QH_ECONN);
}
END_TEST

static void push_again(void *data, enum qh_err status)
{
    ck_assert_int_eq(status, QH_ECONN);
    calls++;
    if (calls < 5) {
        uint8_t head = 1;

        ck_assert_int_eq(
            sendq_push(&queue, (struct bytes){.base = &head, .size = 1}, NULL, 0, push_again, data),
            QH_OK);
        ck_assert_uint_eq(sendq_fail(&queue, QH_ECONN, &done), 1);
    }
}

START_TEST(what_a_callback_adds_waits_for_the_next_run)
{
    uint8_t head = 1;

    ck_assert_int_eq(
        sendq_push(&queue, (struct bytes){.base = &head, .size = 1}, NULL, 0, push_again, NULL),
        QH_OK);
    ck_assert_uint_eq(sendq_fail(&queue, QH_ECONN, &done), 1);
    for (unsigned i = 1; i <= 5; i++) {
        sendq_done_run(&done);
        ck_assert_uint_eq(calls, i);
    }
    ck_assert_ptr_null(done.first);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("sendq");
    TCase *tcase = tcase_create("sendq");

    tcase_add_checked_fixture(tcase, open_queue, close_queue);
    tcase_add_test(tcase, the_queue_takes_up_to_its_size_and_no_byte_more);
    tcase_add_test(tcase, an_empty_queue_takes_a_frame_of_any_size);
    tcase_add_test(tcase, the_queue_takes_so_many_frames_and_not_one_more);
    tcase_add_test(tcase, small_frames_share_a_chunk);
    tcase_add_test(tcase, a_large_piece_is_taken_where_it_stands);
    tcase_add_test(tcase, a_piece_that_ends_with_its_chunk_leaves_nothing_to_take);
    tcase_add_test(tcase, a_frame_is_over_when_its_last_byte_is_written);
    tcase_add_test(tcase, what_a_callback_adds_waits_for_the_next_run);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
