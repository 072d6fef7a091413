/* Objects that are made: who may do it, what comes back, what is in the store afterwards, and what
 * happens when somebody else is faster. */
#include "tests/unit/object_rig.h"

START_TEST(token_objects_are_made_by_the_crypto_officer)
{
    struct template template;
    uint8_t id[OBJECT_ID_SIZE];

    begin_token_key(&template, "label", false);
    run_create(HSM_ROLE_NONE, &template, QH_ENOLOGIN);
    run_create(HSM_ROLE_CU, &template, QH_EPERM);
    run_create(HSM_ROLE_PO, &template, QH_EPERM);
    ck_assert_uint_eq(stored(), 0);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    ck_assert_uint_eq(stored(), 1);
    ck_assert_uint_eq(object_count(), 1);
    ck_assert_uint_eq(answer_object(0)->ref->id.len, OBJECT_ID_SIZE);
    ck_assert(object_unique_id(answer_value(0, CKA_UNIQUE_ID), id));
    ck_assert_mem_eq(id, answer_object(0)->ref->id.data, sizeof id);
    ck_assert_ptr_null(answer_attribute(0, CKA_VALUE));
    memcpy(id, answer_object(0)->ref->id.data, sizeof id);
    view_enter();
    ck_assert_ptr_nonnull(view_object(view, partition, id));
    view_leave();
}
END_TEST

START_TEST(a_login_to_another_partition_is_none)
{
    struct template template;

    begin_token_key(&template, "label", false);
    foreign_login = true;
    run_create(HSM_ROLE_CO, &template, QH_ENOLOGIN);
    ck_assert_uint_eq(stored(), 0);
    foreign_login = false;
    run_create(HSM_ROLE_CO, &template, QH_OK);
    ck_assert_uint_eq(stored(), 1);
}
END_TEST

START_TEST(public_session_objects_need_no_login_and_private_ones_any_user)
{
    struct template template;

    begin_data(&template, "label");
    run_create(HSM_ROLE_NONE, &template, QH_OK);
    ck_assert_uint_gt(answer_object(0)->ref->session.len, 0);
    ck_assert_uint_eq(answer_object(0)->ref->id.len, 0);
    ck_assert_uint_eq(change_count, 0);
    begin_aes(&template);
    run_create(HSM_ROLE_NONE, &template, QH_ENOLOGIN);
    run_create(HSM_ROLE_PO, &template, QH_EPERM);
    run_create(HSM_ROLE_CU, &template, QH_OK);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    ck_assert_uint_eq(change_count, 0);
    ck_assert_uint_eq(stored(), 0);
}
END_TEST

START_TEST(a_bad_template_makes_nothing)
{
    struct template template;

    begin_token_key(&template, "label", false);
    with_text(&template, CKA_LABEL, "another");
    run_create(HSM_ROLE_CO, &template, QH_ETEMPLATE);
    begin_token_key(&template, "label", false);
    while (template.count < ATTRIBUTES_MAX + 1) {
        with_text(&template, CKA_VENDOR_DEFINED + template.count, "");
    }
    run_create(HSM_ROLE_CO, &template, QH_ELIMIT);
    ck_assert_uint_eq(stored(), 0);
}
END_TEST

static void begin_pair(struct template *template, struct template *private_template)
{
    *template = *private_template = empty;
    with(template, CKA_EC_PARAMS, span(p256_params, sizeof p256_params));
    with_flag(template, CKA_TOKEN, true);
    with_flag(private_template, CKA_TOKEN, true);
}

START_TEST(a_pair_is_generated_and_stored)
{
    struct template template, private_template;

    begin_pair(&template, &private_template);
    run_generate(HSM_ROLE_CO, CKM_EC_KEY_PAIR_GEN, &template, &private_template, QH_OK);
    ck_assert_int_eq(place, REQUEST_WORKER);
    ck_assert_uint_eq(object_count(), 2);
    ck_assert_uint_eq(answer_value(0, CKA_CLASS).base[0], CKO_PUBLIC_KEY);
    ck_assert_uint_eq(answer_value(1, CKA_CLASS).base[0], CKO_PRIVATE_KEY);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_EC_POINT), answer_value(1, CKA_EC_POINT)),
                     0);
    ck_assert_uint_eq(stored(), 2);
    ck_assert_uint_eq(view_object_count(view, partition), 2);
}
END_TEST

START_TEST(one_half_of_a_pair_can_be_a_session_object)
{
    struct template template, private_template;

    begin_pair(&template, &private_template);
    without(&template, CKA_TOKEN);
    run_generate(HSM_ROLE_CO, CKM_EC_KEY_PAIR_GEN, &template, &private_template, QH_OK);
    ck_assert_uint_gt(answer_object(0)->ref->session.len, 0);
    ck_assert_uint_eq(answer_object(1)->ref->id.len, OBJECT_ID_SIZE);
    ck_assert_uint_eq(stored(), 1);
}
END_TEST

START_TEST(keys_are_made_where_they_disturb_nobody)
{
    struct template template = empty;

    with_ulong(&template, CKA_VALUE_LEN, 32);
    run_generate(HSM_ROLE_CU, CKM_AES_KEY_GEN, &template, &empty, QH_OK);
    ck_assert_int_eq(place, REQUEST_SERVICE);
    template = empty;
    with_ulong(&template, CKA_MODULUS_BITS, KEY_RSA_BITS_MIN);
    run_generate(HSM_ROLE_CU, CKM_RSA_PKCS_KEY_PAIR_GEN, &template, &empty, QH_OK);
    ck_assert_int_eq(place, REQUEST_PRIMES);
    ck_assert_uint_eq(object_count(), 2);
}
END_TEST

START_TEST(what_cannot_end_well_costs_no_key)
{
    struct template template = empty, private_template = empty;

    with_ulong(&template, CKA_MODULUS_BITS, KEY_RSA_BITS_MIN);
    run_generate(HSM_ROLE_NONE, CKM_RSA_PKCS_KEY_PAIR_GEN, &template, &empty, QH_ENOLOGIN);
    ck_assert_int_eq(place, REQUEST_SERVICE);
    with_flag(&private_template, CKA_TOKEN, true);
    run_generate(HSM_ROLE_CU, CKM_RSA_PKCS_KEY_PAIR_GEN, &template, &private_template, QH_EPERM);
    ck_assert_int_eq(place, REQUEST_SERVICE);
    run_generate(HSM_ROLE_CO, CKM_DES3_KEY_GEN, &template, &empty, QH_EMECHANISM);
    run_generate(HSM_ROLE_CO, CKM_AES_GCM, &template, &empty, QH_EMECHANISM);
}
END_TEST

/* Somebody rewrites the partition's record, as a login does with others. */
static void touch_partition(void)
{
    struct record_key key = record_key_partition(partition);
    struct store_record record;
    struct txn_builder builder;

    ck_assert(store_get(store, record_key_bytes(&key), &record));
    txn_build_plain(&builder, partition, 0);
    txn_build_put(&builder, record_key_bytes(&key), record.value, 0);
    ck_assert_int_eq(apply(&builder), STORE_APPLIED);
}

static void delete_partition(void)
{
    struct record_key key = record_key_partition(partition);
    struct txn_builder builder;

    txn_build_plain(&builder, partition, 0);
    txn_build_delete(&builder, record_key_bytes(&key));
    ck_assert_int_eq(apply(&builder), STORE_APPLIED);
}

START_TEST(a_change_that_was_overtaken_is_computed_again_and_done_once)
{
    struct template template;

    begin_token_key(&template, "label", false);
    before_proposal = touch_partition;
    run_create(HSM_ROLE_CO, &template, QH_OK);
    ck_assert_uint_eq(attempts, 2);
    ck_assert_uint_eq(object_count(), 1);
    ck_assert_uint_eq(stored(), 1);
}
END_TEST

START_TEST(nothing_is_put_into_a_partition_that_is_gone)
{
    struct template template;

    begin_token_key(&template, "label", false);
    before_proposal = delete_partition;
    run_create(HSM_ROLE_CO, &template, QH_ENOTFOUND);
    ck_assert_uint_eq(stored(), 0);
    run_create(HSM_ROLE_CO, &template, QH_ENOTFOUND);
}
END_TEST

/* Empty records, which the view is not told of. */
static void fill_partition(uint64_t count)
{
    uint64_t made = stored();

    while (made < count) {
        struct txn_builder builder;
        struct bytes encoded;

        txn_build_plain(&builder, partition, 0);
        for (unsigned i = 0; i < STORE_WRITES_MAX && made < count; i++, made++) {
            uint8_t id[OBJECT_ID_SIZE] = {0};
            struct record_key key;

            memcpy(id, &made, sizeof made);
            key = record_key_object(partition, id);
            txn_build_put(&builder, record_key_bytes(&key), none, 0);
        }
        ck_assert_int_eq(txn_build_end(&builder, &encoded), QH_OK);
        ck_assert_int_eq(store_apply(store, encoded).status, STORE_APPLIED);
        hsm_free(encoded);
    }
}

START_TEST(a_partition_holds_so_many_objects_and_no_more)
{
    struct template template, private_template;

    fill_partition(OBJECTS_MAX - 1);
    begin_pair(&template, &private_template);
    run_generate(HSM_ROLE_CO, CKM_EC_KEY_PAIR_GEN, &template, &private_template, QH_ELIMIT);
    begin_token_key(&template, "label", false);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    ck_assert_uint_eq(stored(), OBJECTS_MAX);
    run_create(HSM_ROLE_CO, &template, QH_ELIMIT);
    ck_assert_uint_eq(stored(), OBJECTS_MAX);
}
END_TEST

START_TEST(copies_go_from_token_to_session_and_back)
{
    struct template template = empty;
    struct kept kept;
    struct bytes id = make_token_key(&kept, "label", false), session;

    with_flag(&template, CKA_TOKEN, false);
    with_text(&template, CKA_LABEL, "copy");
    run_copy(HSM_ROLE_NONE, id, none, &template, QH_ENOLOGIN);
    run_copy(HSM_ROLE_CU, id, none, &template, QH_OK);
    ck_assert_uint_eq(stored(), 1);
    session = keep_session(&kept);
    template = empty;
    with_flag(&template, CKA_TOKEN, true);
    run_copy(HSM_ROLE_CU, none, session, &template, QH_EPERM);
    run_copy(HSM_ROLE_CO, none, session, &template, QH_OK);
    ck_assert_uint_eq(stored(), 2);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_LABEL), text_span("copy")), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle_make");
    TCase *make = tcase_create("make");

    tcase_add_checked_fixture(make, setup, teardown);
    tcase_set_timeout(make, 120);
    tcase_add_test(make, token_objects_are_made_by_the_crypto_officer);
    tcase_add_test(make, a_login_to_another_partition_is_none);
    tcase_add_test(make, public_session_objects_need_no_login_and_private_ones_any_user);
    tcase_add_test(make, a_bad_template_makes_nothing);
    tcase_add_test(make, a_pair_is_generated_and_stored);
    tcase_add_test(make, one_half_of_a_pair_can_be_a_session_object);
    tcase_add_test(make, keys_are_made_where_they_disturb_nobody);
    tcase_add_test(make, what_cannot_end_well_costs_no_key);
    tcase_add_test(make, a_change_that_was_overtaken_is_computed_again_and_done_once);
    tcase_add_test(make, nothing_is_put_into_a_partition_that_is_gone);
    tcase_add_test(make, a_partition_holds_so_many_objects_and_no_more);
    tcase_add_test(make, copies_go_from_token_to_session_and_back);
    suite_add_tcase(suite, make);
    return test_main(suite);
}
