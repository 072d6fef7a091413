/* Tests of src/wire/frame.c. */
#include "wire/frame.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/quadhsm.pb-c.h"
#include "tests/lib/test.h"

/* Both ways to unpack, by the number of the loop. */
static bool in_few_blocks;

static QH_RESULT unpack_request(const uint8_t *base, size_t size, ProtobufCMessage **ret_message)
{
    struct bytes body = {base, size};

    return in_few_blocks ? wire_unpack_whole(&quadhsm__request__descriptor, body, ret_message)
                         : wire_unpack(&quadhsm__request__descriptor, body, ret_message);
}

START_TEST(a_message_comes_back_as_it_was_sent)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Login login = QUADHSM__LOGIN__INIT;
    ProtobufCMessage *message = NULL;
    uint8_t *frame = NULL;
    size_t size = 0;
    size_t body_size = 0;

    request.id = 77;
    request.op_case = QUADHSM__REQUEST__OP_LOGIN;
    request.login = &login;
    login.role = QUADHSM__ROLE__ROLE_CO;
    in_few_blocks = _i == 1;
    login.pin = (ProtobufCBinaryData){.data = (uint8_t[]){'1', '2', '3', '4'}, .len = 4};
    ck_assert_int_eq(wire_pack(&request.base, &frame, &size), QH_OK);
    ck_assert_int_eq(wire_header_read(frame, WIRE_FRAME_SIZE_MAX, &body_size), QH_OK);
    ck_assert_uint_eq(body_size + FRAME_HEADER_SIZE, size);
    ck_assert_int_eq(unpack_request(frame + FRAME_HEADER_SIZE, body_size, &message), QH_OK);
    ck_assert_uint_eq(((Quadhsm__Request *)message)->id, 77);
    ck_assert_uint_eq(((Quadhsm__Request *)message)->login->pin.len, 4);
    ck_assert_mem_eq(((Quadhsm__Request *)message)->login->pin.data, "1234", 4);
    wire_message_free(message);
    wire_free(frame, size);
}
END_TEST

START_TEST(a_header_says_no_more_than_the_limit)
{
    uint8_t header[FRAME_HEADER_SIZE] = {0x00, 0x01, 0x00, 0x00};
    size_t size = 9;

    ck_assert_int_eq(wire_header_read(header, 256, &size), QH_OK);
    ck_assert_uint_eq(size, 256);
    size = 9;
    ck_assert_int_eq(wire_header_read(header, 255, &size), QH_ELIMIT);
    memset(header, 0, sizeof header);
    ck_assert_int_eq(wire_header_read(header, 256, &size), QH_ELIMIT);
    ck_assert_uint_eq(size, 9);
}
END_TEST

/* Random data of just so many bytes. */
static enum qh_err pack_of_size(size_t data_size)
{
    Quadhsm__Output output = QUADHSM__OUTPUT__INIT;
    uint8_t *frame = NULL;
    size_t size = 0;
    enum qh_err err;

    output.data = (ProtobufCBinaryData){.data = calloc(1, data_size), .len = data_size};
    err = wire_pack(&output.base, &frame, &size);
    free(output.data.data);
    if (err == QH_OK) {
        wire_free(frame, size);
    }
    return err;
}

START_TEST(a_message_above_the_largest_frame_is_not_packed)
{
    const size_t overhead = 1 + 3; /* the tag, and a length below 2^21 */

    ck_assert_int_eq(pack_of_size(WIRE_FRAME_SIZE_MAX - overhead), QH_OK);
    ck_assert_int_eq(pack_of_size(WIRE_FRAME_SIZE_MAX - overhead + 1), QH_ELIMIT);
}
END_TEST

START_TEST(an_empty_message_is_not_packed)
{
    Quadhsm__Output output = QUADHSM__OUTPUT__INIT;
    uint8_t *frame = NULL;
    size_t size = 0;

    ck_assert_int_eq(wire_pack(&output.base, &frame, &size), QH_ELIMIT);
    ck_assert_ptr_null(frame);
}
END_TEST

START_TEST(a_body_that_is_cut_anywhere_is_malformed_or_another_message)
{
    Quadhsm__Request request = QUADHSM__REQUEST__INIT;
    Quadhsm__Random random = QUADHSM__RANDOM__INIT;
    uint8_t *frame = NULL;
    size_t size = 0;
    unsigned refused = 0;

    in_few_blocks = _i == 1;
    request.id = 5;
    request.op_case = QUADHSM__REQUEST__OP_RANDOM;
    request.random = &random;
    random.size = 4096;
    ck_assert_int_eq(wire_pack(&request.base, &frame, &size), QH_OK);
    for (size_t cut = FRAME_HEADER_SIZE; cut < size; cut++) {
        ProtobufCMessage *message = NULL;

        if (unpack_request(frame + FRAME_HEADER_SIZE, cut - FRAME_HEADER_SIZE, &message) == QH_OK) {
            wire_message_free(message);
        } else {
            ck_assert_ptr_null(message);
            refused++;
        }
    }
    ck_assert_uint_gt(refused, 0);
    wire_free(frame, size);
}
END_TEST

/* @count empty attributes, two bytes each, in a Find. */
static enum qh_err unpack_attributes(size_t count)
{
    size_t list_size = 2 * count;
    uint8_t *body = malloc(list_size + 16);
    size_t size = 0;
    ProtobufCMessage *message = NULL;
    enum qh_err err;

    body[size++] = (24 << 3 & 0x7f) | 0x80 | 2; /* Request.find, by length */
    body[size++] = 24 >> 4;
    for (size_t rest = list_size; true; rest >>= 7) {
        body[size++] = (uint8_t)((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
        if (rest <= 0x7f) {
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        body[size++] = 1 << 3 | 2; /* Find.template, by length */
        body[size++] = 0;
    }
    err = unpack_request(body, size, &message);
    if (err == QH_OK) {
        ck_assert_uint_eq(((Quadhsm__Request *)message)->find->n_template_, count);
        wire_message_free(message);
    }
    free(body);
    return err;
}

START_TEST(a_frame_of_empty_fields_takes_no_more_memory_than_its_share)
{
    in_few_blocks = _i == 1;
    ck_assert_int_eq(unpack_attributes(0), QH_OK);
    for (size_t count = 1; count <= 512; count *= 2) {
        ck_assert_int_eq(unpack_attributes(count), QH_OK);
    }
    ck_assert_int_eq(unpack_attributes(100000), QH_EMALFORMED);
}
END_TEST

START_TEST(copies_for_messages_hold_what_they_were_given)
{
    ProtobufCBinaryData none = wire_bytes((struct bytes){NULL, 0});
    ProtobufCBinaryData some = wire_bytes((struct bytes){(const uint8_t *)"abc", 3});
    char *text = wire_string("text");

    ck_assert_ptr_null(none.data);
    ck_assert_uint_eq(none.len, 0);
    ck_assert_mem_eq(some.data, "abc", 3);
    ck_assert_str_eq(text, "text");
    ck_assert_ptr_eq(wire_borrow(text), text);
    wire_allocator.free(wire_allocator.allocator_data, some.data);
    wire_allocator.free(wire_allocator.allocator_data, text);
    wire_message_free(NULL);
    wire_free(NULL, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("wire_frame");
    TCase *tcase = tcase_create("frame");

    tcase_add_loop_test(tcase, a_message_comes_back_as_it_was_sent, 0, 2);
    tcase_add_test(tcase, a_header_says_no_more_than_the_limit);
    tcase_add_test(tcase, a_message_above_the_largest_frame_is_not_packed);
    tcase_add_test(tcase, an_empty_message_is_not_packed);
    tcase_add_loop_test(tcase, a_body_that_is_cut_anywhere_is_malformed_or_another_message, 0, 2);
    tcase_add_loop_test(tcase, a_frame_of_empty_fields_takes_no_more_memory_than_its_share, 0, 2);
    tcase_add_test(tcase, copies_for_messages_hold_what_they_were_given);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
