/* Objects that are found, changed and destroyed: by whom, and what happens when somebody else is
 * faster. */
#include <sodium.h>

#include "crypto/seal.h"
#include "tests/unit/object_rig.h"

START_TEST(objects_are_destroyed_by_the_crypto_officer)
{
    struct kept kept;
    struct bytes id = make_token_key(&kept, "label", false);

    run_destroy(HSM_ROLE_NONE, id.base, id.size, QH_ENOLOGIN);
    run_destroy(HSM_ROLE_CU, id.base, id.size, QH_EPERM);
    run_destroy(HSM_ROLE_CO, id.base, id.size - 1, QH_EINVAL);
    run_destroy(HSM_ROLE_CO, partition, OBJECT_ID_SIZE, QH_ENOTFOUND);
    ck_assert_uint_eq(stored(), 1);
    run_destroy(HSM_ROLE_CO, id.base, id.size, QH_OK);
    ck_assert_uint_eq(stored(), 0);
    ck_assert_uint_eq(view_object_count(view, partition), 0);
    run_destroy(HSM_ROLE_CO, id.base, id.size, QH_ENOTFOUND);
}
END_TEST

START_TEST(the_partition_officer_destroys_what_is_public)
{
    struct template template;
    struct kept kept;
    struct bytes id = make_token_key(&kept, "label", false);

    run_destroy(HSM_ROLE_PO, id.base, id.size, QH_EPERM);
    ck_assert_uint_eq(stored(), 1);
    begin_data(&template, "public");
    with_flag(&template, CKA_TOKEN, true);
    run_create(HSM_ROLE_PO, &template, QH_OK);
    id = keep_id(&kept);
    run_destroy(HSM_ROLE_PO, id.base, id.size, QH_OK);
    ck_assert_uint_eq(stored(), 1);
}
END_TEST

START_TEST(what_is_not_destroyable_stays)
{
    struct template template;
    struct kept kept;
    struct bytes id;

    begin_token_key(&template, "label", false);
    with_flag(&template, CKA_DESTROYABLE, false);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    id = keep_id(&kept);
    run_destroy(HSM_ROLE_CO, id.base, id.size, QH_EREADONLY);
    ck_assert_uint_eq(stored(), 1);
}
END_TEST

START_TEST(what_is_damaged_may_be_destroyed)
{
    struct kept kept;
    struct bytes id = make_token_key(&kept, "label", false);
    struct record_key key = record_key_object(partition, id.base);
    struct txn_builder builder;
    uint8_t damaged[100] = {1};

    txn_build_plain(&builder, partition, 0);
    txn_build_put(&builder, record_key_bytes(&key), span(damaged, sizeof damaged), 0);
    ck_assert_int_eq(apply(&builder), STORE_APPLIED);
    run_destroy(HSM_ROLE_PO, id.base, id.size, QH_EPERM);
    run_destroy(HSM_ROLE_CO, id.base, id.size, QH_OK);
    ck_assert_uint_eq(stored(), 0);
}
END_TEST

START_TEST(attributes_are_set_and_the_material_stays)
{
    struct template template = empty;
    struct object *object = NULL;
    struct kept kept;
    struct bytes id = make_token_key(&kept, "label", false);
    const struct view_object *stored_object;
    uint64_t counter;

    with_text(&template, CKA_LABEL, "another");
    run_set(HSM_ROLE_NONE, id, none, &template, QH_ENOLOGIN);
    run_set(HSM_ROLE_CU, id, none, &template, QH_EPERM);
    run_set(HSM_ROLE_CO, id, none, &template, QH_OK);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_LABEL), text_span("another")), 0);
    ck_assert_uint_eq(stored(), 1);
    view_enter();
    stored_object = view_object(view, partition, id.base);
    ck_assert_ptr_nonnull(stored_object);
    assert_value(stored_object->object, CKA_LABEL, text_span("another"));
    ck_assert_uint_gt(stored_object->mod_revision, stored_object->create_revision);
    ck_assert_int_eq(seal_counter(stored_object->sealed, &counter), QH_OK);
    ck_assert_uint_eq(counter, 1);
    ck_assert_int_eq(object_open(directory_partition(view_directory(view), partition)->key,
                                 keyring_cluster(keyring), partition, id.base,
                                 stored_object->sealed, true, &object),
                     QH_OK);
    ck_assert_uint_eq(secret_size(object->material), 32);
    ck_assert_uint_eq(secret_view(object->material)[0], 1);
    object_free(object);
    view_leave();
}
END_TEST

static struct bytes overtaken_id;

static void relabel_it(void)
{
    struct template template = empty;
    struct record_key key = record_key_object(partition, overtaken_id.base);
    struct object *object = NULL, *changed = NULL;
    struct store_record record;
    struct txn_builder builder;
    struct bytes sealed;
    const struct secret *secret = directory_partition(view_directory(view), partition)->key;

    with_text(&template, CKA_ID, "theirs");
    ck_assert(store_get(store, record_key_bytes(&key), &record));
    ck_assert_int_eq(
        object_open(secret, hsm_cluster, partition, overtaken_id.base, record.value, true, &object),
        QH_OK);
    ck_assert_int_eq(object_change(object, all_of(&template), &changed), QH_OK);
    ck_assert_int_eq(
        object_seal(secret, hsm_cluster, partition, overtaken_id.base, 1, changed, &sealed), QH_OK);
    txn_build_plain(&builder, partition, 0);
    txn_build_put(&builder, record_key_bytes(&key), sealed, 0);
    ck_assert_int_eq(apply(&builder), STORE_APPLIED);
    hsm_free(sealed);
    object_free(object);
    object_free(changed);
}

static void destroy_it(void)
{
    struct record_key key = record_key_object(partition, overtaken_id.base);
    struct txn_builder builder;

    txn_build_plain(&builder, partition, 0);
    txn_build_delete(&builder, record_key_bytes(&key));
    ck_assert_int_eq(apply(&builder), STORE_APPLIED);
}

START_TEST(two_who_set_different_attributes_both_get_their_way)
{
    struct template template = empty;
    struct kept kept;

    overtaken_id = make_token_key(&kept, "label", false);
    with_text(&template, CKA_LABEL, "mine");
    before_proposal = relabel_it;
    run_set(HSM_ROLE_CO, overtaken_id, none, &template, QH_OK);
    ck_assert_uint_eq(attempts, 2);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_LABEL), text_span("mine")), 0);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_ID), text_span("theirs")), 0);
}
END_TEST

START_TEST(an_object_destroyed_meanwhile_is_not_brought_back)
{
    struct template template = empty;
    struct kept kept;

    overtaken_id = make_token_key(&kept, "label", false);
    with_text(&template, CKA_LABEL, "mine");
    before_proposal = destroy_it;
    run_set(HSM_ROLE_CO, overtaken_id, none, &template, QH_ENOTFOUND);
    ck_assert_uint_eq(stored(), 0);
    overtaken_id = make_token_key(&kept, "label", false);
    before_proposal = destroy_it;
    template = empty;
    run_copy(HSM_ROLE_CO, overtaken_id, none, &template, QH_ENOTFOUND);
    ck_assert_uint_eq(stored(), 0);
    overtaken_id = make_token_key(&kept, "label", false);
    before_proposal = relabel_it;
    run_copy(HSM_ROLE_CO, overtaken_id, none, &template, QH_ECONFLICT);
    ck_assert_uint_eq(stored(), 1);
}
END_TEST

START_TEST(a_session_object_is_changed_by_sending_it)
{
    struct template template;
    struct kept kept;
    struct bytes session;

    begin_aes(&template);
    run_create(HSM_ROLE_CU, &template, QH_OK);
    session = keep_session(&kept);
    template = empty;
    with_text(&template, CKA_LABEL, "label");
    run_set(HSM_ROLE_NONE, none, session, &template, QH_ENOLOGIN);
    run_set(HSM_ROLE_CU, none, session, &template, QH_OK);
    ck_assert_uint_eq(change_count, 0);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_LABEL), text_span("label")), 0);
    session = keep_session(&kept);
    run_set(HSM_ROLE_CU, none, session, &empty, QH_OK);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_LABEL), text_span("label")), 0);
    kept.base[kept.size - 1] ^= 1;
    run_set(HSM_ROLE_CU, none, session, &template, QH_ENOTFOUND);
}
END_TEST

START_TEST(a_reference_is_an_id_or_a_session_object)
{
    struct template template = empty;
    uint8_t id[OBJECT_ID_SIZE] = {1};

    run_set(HSM_ROLE_CO, none, none, &template, QH_EINVAL);
    run_set(HSM_ROLE_CO, span(id, sizeof id), span(id, sizeof id), &template, QH_EINVAL);
    run_set(HSM_ROLE_CO, span(id, sizeof id - 1), none, &template, QH_EINVAL);
    run_set(HSM_ROLE_CO, span(id, sizeof id), none, &template, QH_ENOTFOUND);
    run_copy(HSM_ROLE_CO, none, none, &template, QH_EINVAL);
    run_copy(HSM_ROLE_CO, span(id, sizeof id), none, &template, QH_ENOTFOUND);
}
END_TEST

START_TEST(private_objects_are_found_after_a_login)
{
    struct template template = empty;
    struct kept kept;

    (void)make_token_key(&kept, "label", false);
    begin_data(&template, "label");
    with_flag(&template, CKA_TOKEN, true);
    run_create(HSM_ROLE_CO, &template, QH_OK);
    template = empty;
    with_text(&template, CKA_LABEL, "label");
    run_find(HSM_ROLE_NONE, &template, none, 0, QH_OK);
    ck_assert_uint_eq(object_count(), 1);
    run_find(HSM_ROLE_PO, &template, none, 0, QH_OK);
    ck_assert_uint_eq(object_count(), 1);
    run_find(HSM_ROLE_CU, &template, none, 0, QH_OK);
    ck_assert_uint_eq(object_count(), 2);
    ck_assert(!asked.response->objects->more);
    ck_assert_uint_gt(answer_object(0)->revision, 0);
    run_find(HSM_ROLE_CO, &empty, none, 0, QH_OK);
    ck_assert_uint_eq(object_count(), 2);
}
END_TEST

START_TEST(an_object_is_read_again_by_its_unique_id)
{
    struct template template = empty;
    struct bytes id, unique;
    char text[2 * OBJECT_ID_SIZE + 1];
    struct kept kept;

    (void)make_token_key(&kept, "one", false);
    id = make_token_key(&kept, "two", false);
    sodium_bin2hex(text, sizeof text, id.base, id.size);
    unique = text_span(text);
    with(&template, CKA_UNIQUE_ID, unique);
    run_find(HSM_ROLE_CU, &template, none, 1, QH_OK);
    ck_assert_uint_eq(object_count(), 1);
    ck_assert(!asked.response->objects->more);
    ck_assert_int_eq(bytes_compare(answer_value(0, CKA_LABEL), text_span("two")), 0);
    run_find(HSM_ROLE_CU, &template, id, 1, QH_OK);
    ck_assert_uint_eq(object_count(), 0);
    run_find(HSM_ROLE_NONE, &template, none, 1, QH_OK);
    ck_assert_uint_eq(object_count(), 0);
    with_text(&template, CKA_LABEL, "one");
    run_find(HSM_ROLE_CU, &template, none, 1, QH_OK);
    ck_assert_uint_eq(object_count(), 0);
    template = empty;
    with_text(&template, CKA_UNIQUE_ID, "no such id");
    run_find(HSM_ROLE_CU, &template, none, 1, QH_OK);
    ck_assert_uint_eq(object_count(), 0);
}
END_TEST

START_TEST(a_value_is_shown_of_a_key_that_allows_it)
{
    struct template template = empty;
    struct kept kept;

    set_export(OBJECT_EXPORT_CLEAR);
    (void)make_token_key(&kept, "open", true);
    ck_assert_uint_eq(answer_value(0, CKA_VALUE).size, 32);
    (void)make_token_key(&kept, "closed", false);
    ck_assert_ptr_null(answer_attribute(0, CKA_VALUE));
    with_text(&template, CKA_LABEL, "open");
    run_find(HSM_ROLE_CU, &template, none, 0, QH_OK);
    ck_assert_uint_eq(answer_value(0, CKA_VALUE).size, 32);
    template = empty;
    with_text(&template, CKA_LABEL, "closed");
    run_find(HSM_ROLE_CU, &template, none, 0, QH_OK);
    ck_assert_ptr_null(answer_attribute(0, CKA_VALUE));
}
END_TEST

START_TEST(a_find_has_limits)
{
    struct kept kept;
    struct bytes id;

    (void)make_token_key(&kept, "a", false);
    (void)make_token_key(&kept, "b", false);
    run_find(HSM_ROLE_CO, &empty, none, 1001, QH_EINVAL);
    run_find(HSM_ROLE_CO, &empty, none, 1000, QH_OK);
    ck_assert_uint_eq(object_count(), 2);
    run_find(HSM_ROLE_CO, &empty, span(partition, OBJECT_ID_SIZE - 1), 0, QH_EINVAL);
    run_find(HSM_ROLE_CO, &empty, none, 1, QH_OK);
    ck_assert_uint_eq(object_count(), 1);
    ck_assert(asked.response->objects->more);
    id = keep_id(&kept);
    run_find(HSM_ROLE_CO, &empty, id, 1, QH_OK);
    ck_assert_uint_eq(object_count(), 1);
    ck_assert(!asked.response->objects->more);
    id = keep_id(&kept);
    run_find(HSM_ROLE_CO, &empty, id, 1, QH_OK);
    ck_assert_uint_eq(object_count(), 0);
}
END_TEST

START_TEST(a_page_goes_on_behind_an_object_that_nobody_remembers)
{
    uint8_t unknown[OBJECT_ID_SIZE];
    struct kept kept;
    uint64_t created;

    (void)make_token_key(&kept, "a", false);
    (void)make_token_key(&kept, "b", false);
    run_find(HSM_ROLE_CO, &empty, none, 0, QH_OK);
    created = answer_object(0)->created;
    ck_assert_uint_gt(created, 0);
    ck_assert_uint_gt(answer_object(1)->created, created);
    memset(unknown, 0xff, sizeof unknown);
    find_after_created = created;
    run_find(HSM_ROLE_CO, &empty, span(unknown, sizeof unknown), 0, QH_OK);
    ck_assert_uint_eq(object_count(), 1);
    find_after_created = 0;
    run_find(HSM_ROLE_CO, &empty, span(unknown, sizeof unknown), 0, QH_OK);
    ck_assert_uint_eq(object_count(), 2);
}
END_TEST

START_TEST(a_page_fits_into_a_frame)
{
    static uint8_t big[ATTRIBUTE_SIZE_MAX];
    struct template template;
    unsigned total = 0, pages = 0;
    struct bytes after = none;
    struct kept kept;
    bool more = true;

    for (unsigned i = 0; i < 100; i++) {
        begin_certificate(&template);
        without(&template, CKA_VALUE);
        with(&template, CKA_VALUE, span(big, sizeof big));
        with_flag(&template, CKA_TOKEN, true);
        run_create(HSM_ROLE_CO, &template, QH_OK);
    }
    while (more) {
        run_find(HSM_ROLE_NONE, &empty, after, 0, QH_OK);
        ck_assert_uint_gt(object_count(), 0);
        ck_assert_uint_le(protobuf_c_message_get_packed_size(&asked.response->base),
                          WIRE_FRAME_SIZE_MAX);
        more = asked.response->objects->more;
        total += (unsigned)object_count();
        pages++;
        after = keep(&kept, answer_object((unsigned)object_count() - 1)->ref->id);
    }
    ck_assert_uint_eq(total, 100);
    ck_assert_uint_eq(pages, 15); /* of 256 KiB: 7 of these in each */
}
END_TEST

static void make_data(unsigned count, const char *label)
{
    struct template template;

    begin_data(&template, label);
    with_flag(&template, CKA_TOKEN, true);
    with_flag(&template, CKA_PRIVATE, false);
    for (unsigned i = 0; i < count; i++) {
        run_create(HSM_ROLE_CO, &template, QH_OK);
    }
}

START_TEST(a_long_search_is_the_workers)
{
    struct template template = empty;

    make_data(32, "a");
    run_find(HSM_ROLE_NONE, &empty, none, 0, QH_OK);
    ck_assert_uint_eq(object_count(), 32);
    ck_assert_uint_eq(run_count, 0);
    make_data(1, "b");
    run_find(HSM_ROLE_NONE, &empty, none, 0, QH_OK);
    ck_assert_uint_eq(object_count(), 33);
    ck_assert(!asked.response->objects->more);
    ck_assert_uint_eq(run_count, 1);
    ck_assert_int_eq(place, REQUEST_WORKER);
    run_find(HSM_ROLE_NONE, &empty, none, 32, QH_OK);
    ck_assert_uint_eq(object_count(), 32);
    ck_assert(asked.response->objects->more);
    ck_assert_uint_eq(run_count, 0);
    /* One that looks at many, and finds few. */
    make_data(95, "a");
    with_text(&template, CKA_APPLICATION, "");
    with_text(&template, CKA_LABEL, "b");
    run_find(HSM_ROLE_NONE, &template, none, 0, QH_OK);
    ck_assert_uint_eq(run_count, 0);
    template = empty;
    with_text(&template, CKA_VALUE, "nothing has this");
    run_find(HSM_ROLE_NONE, &template, none, 0, QH_OK);
    ck_assert_uint_eq(object_count(), 0);
    ck_assert_uint_eq(run_count, 0);
    make_data(1, "a");
    run_find(HSM_ROLE_NONE, &template, none, 0, QH_OK);
    ck_assert_uint_eq(object_count(), 0);
    ck_assert_uint_eq(run_count, 1);
}
END_TEST

static void destroy_object(const struct view_object *object)
{
    struct record_key key = record_key_object(partition, object->id);
    struct txn_builder builder;

    txn_build_plain(&builder, partition, 0);
    txn_build_delete(&builder, record_key_bytes(&key));
    ck_assert_int_eq(apply(&builder), STORE_APPLIED);
}

/* The object that the page has come to, and the one after it. */
static void destroy_two(void)
{
    struct view_query query = {
        .partition = partition, .with_private = true, .limit = 33, .steps = 33};
    struct view_page page;

    before_run = NULL;
    view_enter();
    ck_assert_int_eq(view_find(view, &query, &page), QH_OK);
    ck_assert_uint_eq(page.count, 33);
    destroy_object(page.list[31]);
    destroy_object(page.list[32]);
    free(page.list);
    view_leave();
}

START_TEST(a_list_goes_on_though_objects_go_in_between)
{
    make_data(40, "a");
    before_run = destroy_two;
    run_find(HSM_ROLE_NONE, &empty, none, 0, QH_OK);
    /* 32 that were there, and 8 without the one that went. */
    ck_assert_uint_eq(object_count(), 39);
    ck_assert(!asked.response->objects->more);
}
END_TEST

static void lock_node(void)
{
    ck_assert_int_eq(view_load(view, NULL, store), QH_OK);
    before_run = NULL;
}

START_TEST(a_node_that_is_locked_in_the_middle_of_a_list_says_so)
{
    make_data(33, "a");
    before_run = lock_node;
    run_find(HSM_ROLE_NONE, &empty, none, 0, QH_ELOCKED);
}
END_TEST

START_TEST(a_locked_node_says_so)
{
    struct template template;

    ck_assert_int_eq(view_load(view, NULL, store), QH_OK);
    run_find(HSM_ROLE_CO, &empty, none, 0, QH_ELOCKED);
    begin_token_key(&template, "label", false);
    run_create(HSM_ROLE_CO, &template, QH_ELOCKED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("handle_object");
    TCase *change = tcase_create("change");
    TCase *find = tcase_create("find");

    tcase_add_checked_fixture(change, setup, teardown);
    tcase_set_timeout(change, 60);
    tcase_add_test(change, objects_are_destroyed_by_the_crypto_officer);
    tcase_add_test(change, the_partition_officer_destroys_what_is_public);
    tcase_add_test(change, what_is_not_destroyable_stays);
    tcase_add_test(change, what_is_damaged_may_be_destroyed);
    tcase_add_test(change, attributes_are_set_and_the_material_stays);
    tcase_add_test(change, two_who_set_different_attributes_both_get_their_way);
    tcase_add_test(change, an_object_destroyed_meanwhile_is_not_brought_back);
    tcase_add_test(change, a_session_object_is_changed_by_sending_it);
    tcase_add_test(change, a_reference_is_an_id_or_a_session_object);
    suite_add_tcase(suite, change);
    tcase_add_checked_fixture(find, setup, teardown);
    tcase_set_timeout(find, 60);
    tcase_add_test(find, private_objects_are_found_after_a_login);
    tcase_add_test(find, an_object_is_read_again_by_its_unique_id);
    tcase_add_test(find, a_value_is_shown_of_a_key_that_allows_it);
    tcase_add_test(find, a_find_has_limits);
    tcase_add_test(find, a_page_goes_on_behind_an_object_that_nobody_remembers);
    tcase_add_test(find, a_page_fits_into_a_frame);
    tcase_add_test(find, a_long_search_is_the_workers);
    tcase_add_test(find, a_list_goes_on_though_objects_go_in_between);
    tcase_add_test(find, a_node_that_is_locked_in_the_middle_of_a_list_says_so);
    tcase_add_test(find, a_locked_node_says_so);
    suite_add_tcase(suite, find);
    return test_main(suite);
}
