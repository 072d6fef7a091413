/* The module from outside: finding, reading, changing, making and destroying objects. */
#include <unistd.h>

#include "tests/unit/pkcs11_fixture.h"

static bool is_profile(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object)
{
    CK_OBJECT_CLASS object_class = 0;
    CK_ATTRIBUTE attribute = {CKA_CLASS, &object_class, sizeof object_class};

    return C_GetAttributeValue(handle, object, &attribute, 1) == CKR_OK &&
           object_class == CKO_PROFILE;
}

/* How many there are with @list, without the profiles that every token has; the first goes to
 * *ret_first. */
static CK_ULONG find(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *list, CK_ULONG count,
                     CK_OBJECT_HANDLE *ret_first)
{
    CK_OBJECT_HANDLE found[64];
    CK_ULONG total = 0;
    CK_ULONG part = 0;

    OK(C_FindObjectsInit(handle, list, count));
    do {
        /* In pieces, as clients do. */
        ck_assert_uint_lt(total + 3, 64);
        OK(C_FindObjects(handle, found + total, 3, &part));
        total += part;
    } while (part > 0);
    OK(C_FindObjectsFinal(handle));
    while (total > 0 && is_profile(handle, found[total - 1])) {
        total--;
    }
    if (total > 0 && ret_first != NULL) {
        *ret_first = found[0];
    }
    return total;
}

static CK_OBJECT_HANDLE make_data(CK_BBOOL token, CK_BBOOL private, const char *label)
{
    CK_OBJECT_CLASS object_class = CKO_DATA;
    CK_BYTE name[32];
    CK_BYTE value[] = {1, 2, 3};
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &object_class, sizeof object_class},
                           {CKA_TOKEN, &token, 1},
                           {CKA_PRIVATE, &private, 1},
                           {CKA_LABEL, name, strlen(label)},
                           {CKA_VALUE, value, sizeof value}};
    CK_OBJECT_HANDLE object = 0;

    memcpy(name, label, strlen(label));
    OK(C_CreateObject(session, list, 5, &object));
    ck_assert_uint_ne(object, 0);
    return object;
}

static CK_RV get_label(CK_OBJECT_HANDLE object, char *ret_label, CK_ULONG room)
{
    CK_ATTRIBUTE attribute = {CKA_LABEL, ret_label, room - 1};
    CK_RV rv = C_GetAttributeValue(session, object, &attribute, 1);

    if (rv == CKR_OK) {
        ret_label[attribute.ulValueLen] = '\0';
    }
    return rv;
}

static CK_RV set_label(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object, const char *label)
{
    CK_BYTE name[32];
    CK_ATTRIBUTE attribute = {CKA_LABEL, name, strlen(label)};

    memcpy(name, label, strlen(label));
    return C_SetAttributeValue(handle, object, &attribute, 1);
}

/* ---- finding ---- */

START_TEST(an_empty_template_finds_everything_in_the_order_it_was_made)
{
    CK_OBJECT_HANDLE first = 0;
    struct key_pair pair;

    fixture_log_in();
    ck_assert_uint_eq(find(session, NULL, 0, NULL), 0);
    pair = make_ec(CK_TRUE, "key");
    make_data(CK_TRUE, CK_FALSE, "data");
    make_data(CK_FALSE, CK_FALSE, "session");
    ck_assert_uint_eq(find(session, NULL, 0, &first), 4);
    ck_assert_uint_eq(first, pair.public);
    fixture_stop();
}
END_TEST

START_TEST(objects_are_found_by_class_and_label_and_keep_their_handles)
{
    CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
    CK_BYTE label[] = "two";
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &object_class, sizeof object_class}, {CKA_LABEL, label, 3}};
    CK_OBJECT_HANDLE found = 0;
    struct key_pair pair;

    fixture_log_in();
    make_ec(CK_TRUE, "one");
    pair = make_ec(CK_TRUE, "two");
    ck_assert_uint_eq(find(session, list, 2, &found), 1);
    ck_assert_uint_eq(found, pair.private);
    ck_assert_uint_eq(find(open_session(0), list, 2, &found), 1);
    ck_assert_uint_eq(found, pair.private);
    label[0] = 'T';
    ck_assert_uint_eq(find(session, list, 2, NULL), 0);
    fixture_stop();
}
END_TEST

START_TEST(duplicate_labels_are_legal)
{
    CK_BYTE label[] = "same";
    CK_ATTRIBUTE attribute = {CKA_LABEL, label, 4};

    fixture_log_in();
    make_data(CK_TRUE, CK_FALSE, "same");
    make_data(CK_TRUE, CK_FALSE, "same");
    ck_assert_uint_eq(find(session, &attribute, 1, NULL), 2);
    fixture_stop();
}
END_TEST

START_TEST(session_objects_alone_are_found_without_a_node)
{
    CK_BBOOL token = CK_FALSE;
    CK_ATTRIBUTE attribute = {CKA_TOKEN, &token, 1};
    CK_OBJECT_HANDLE found = 0;
    CK_OBJECT_HANDLE object;
    unsigned calls;

    fixture_log_in();
    make_data(CK_TRUE, CK_FALSE, "token");
    object = make_data(CK_FALSE, CK_FALSE, "session");
    calls = pocket_calls();
    ck_assert_uint_eq(find(open_session(0), &attribute, 1, &found), 1);
    ck_assert_uint_eq(found, object);
    ck_assert_uint_eq(pocket_calls(), calls);
    token = CK_TRUE;
    ck_assert_uint_eq(find(session, &attribute, 1, &found), 1);
    ck_assert_uint_ne(found, object);
    fixture_stop();
}
END_TEST

START_TEST(profiles_are_found_without_a_node_and_never_change)
{
    CK_OBJECT_CLASS object_class = CKO_PROFILE;
    CK_PROFILE_ID id = 0;
    CK_UTF8CHAR name[] = "name";
    CK_ATTRIBUTE attribute = {CKA_CLASS, &object_class, sizeof object_class};
    CK_ATTRIBUTE read = {CKA_PROFILE_ID, &id, sizeof id};
    CK_ATTRIBUTE label = {CKA_LABEL, name, 4};
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_OBJECT_HANDLE found[3], copy = 0;
    CK_ULONG count = 0;
    unsigned calls;

    fixture_start();
    session = open_session(CKF_RW_SESSION);
    calls = pocket_calls();
    OK(C_FindObjectsInit(session, &attribute, 1));
    OK(C_FindObjects(session, found, 3, &count));
    OK(C_FindObjectsFinal(session));
    ck_assert_uint_eq(count, 2);
    OK(C_GetAttributeValue(session, found[0], &read, 1));
    ck_assert_uint_eq(id, CKP_BASELINE_PROVIDER);
    OK(C_GetAttributeValue(session, found[1], &read, 1));
    ck_assert_uint_eq(id, CKP_EXTENDED_PROVIDER);
    id = CKP_AUTHENTICATION_TOKEN;
    OK(C_FindObjectsInit(session, &read, 1));
    OK(C_FindObjects(session, found, 3, &count));
    OK(C_FindObjectsFinal(session));
    ck_assert_uint_eq(count, 0);
    ck_assert_uint_eq(pocket_calls(), calls + 1);
    GIVES(CKR_ACTION_PROHIBITED, C_SetAttributeValue(session, found[0], &label, 1));
    GIVES(CKR_ACTION_PROHIBITED, C_CopyObject(session, found[0], NULL, 0, &copy));
    GIVES(CKR_ACTION_PROHIBITED, C_DestroyObject(session, found[0]));
    GIVES(CKR_SESSION_READ_ONLY, C_DestroyObject(open_session(0), found[0]));
    GIVES(CKR_KEY_HANDLE_INVALID, C_VerifyInit(session, &mechanism, found[0]));
    OK(C_GetObjectSize(session, found[0], &count));
    fixture_stop();
}
END_TEST

START_TEST(a_search_is_begun_once_and_ended_once)
{
    CK_OBJECT_HANDLE found;
    CK_ULONG count;

    fixture_log_in();
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_FindObjects(session, &found, 1, &count));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_FindObjectsFinal(session));
    OK(C_FindObjectsInit(session, NULL, 0));
    GIVES(CKR_OPERATION_ACTIVE, C_FindObjectsInit(session, NULL, 0));
    GIVES(CKR_ARGUMENTS_BAD, C_FindObjects(session, NULL, 1, &count));
    GIVES(CKR_ARGUMENTS_BAD, C_FindObjects(session, &found, 1, NULL));
    OK(C_FindObjects(session, &found, 1, &count));
    OK(C_SessionCancel(session, CKF_FIND_OBJECTS));
    GIVES(CKR_OPERATION_NOT_INITIALIZED, C_FindObjectsFinal(session));
    pocket_fail(QUADHSM_ECONN, 1);
    GIVES(CKR_DEVICE_ERROR, C_FindObjectsInit(session, NULL, 0));
    OK(C_FindObjectsInit(session, NULL, 0));
    fixture_stop();
}
END_TEST

START_TEST(private_objects_are_not_seen_after_a_logout)
{
    CK_OBJECT_HANDLE private_token;
    CK_OBJECT_HANDLE private_session;
    CK_OBJECT_HANDLE public_token;
    char label[32];

    fixture_log_in();
    private_token = make_data(CK_TRUE, CK_TRUE, "a");
    private_session = make_data(CK_FALSE, CK_TRUE, "b");
    public_token = make_data(CK_TRUE, CK_FALSE, "c");
    OK(C_Logout(session));
    ck_assert_uint_eq(find(session, NULL, 0, NULL), 1);
    GIVES(CKR_OBJECT_HANDLE_INVALID, get_label(private_token, label, sizeof label));
    GIVES(CKR_OBJECT_HANDLE_INVALID, get_label(private_session, label, sizeof label));
    OK(get_label(public_token, label, sizeof label));
    OK(log_in(session, CKU_USER, POCKET_CO_PIN));
    ck_assert_uint_eq(find(session, NULL, 0, NULL), 2);
    fixture_stop();
}
END_TEST

/* ---- long searches ---- */

/* One handle. */
static CK_OBJECT_HANDLE next_found(void)
{
    CK_OBJECT_HANDLE found = 0;
    CK_ULONG count = 0;

    OK(C_FindObjects(session, &found, 1, &count));
    return count == 1 ? found : 0;
}

/* For data, so that profiles are left out. */
static void begin_search(void)
{
    CK_OBJECT_CLASS object_class = CKO_DATA;
    CK_ATTRIBUTE attribute = {CKA_CLASS, &object_class, sizeof object_class};

    OK(C_FindObjectsInit(session, &attribute, 1));
}

static void make_many(unsigned count, CK_OBJECT_HANDLE *ret_handles)
{
    for (unsigned i = 0; i < count; i++) {
        ret_handles[i] = make_data(CK_TRUE, i % 2 == 1, "many");
    }
}

START_TEST(pages_are_asked_for_as_they_are_wanted)
{
    CK_OBJECT_HANDLE objects[10], found[20], local;
    CK_ULONG count = 0;
    unsigned asked;

    fixture_log_in();
    make_many(10, objects);
    local = make_data(CK_FALSE, CK_FALSE, "many");
    pocket_set_page(4);
    asked = pocket_finds();
    begin_search();
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(next_found(), objects[i]);
    }
    ck_assert_uint_eq(pocket_finds(), asked + 1);
    ck_assert_uint_eq(next_found(), objects[4]);
    ck_assert_uint_eq(pocket_finds(), asked + 2);
    OK(C_FindObjects(session, found, 0, &count));
    ck_assert_uint_eq(count, 0);
    /* As many as there is room for, whatever pages they are in. */
    OK(C_FindObjects(session, found, 20, &count));
    ck_assert_uint_eq(count, 6);
    ck_assert_mem_eq(found, objects + 5, 5 * sizeof found[0]);
    ck_assert_uint_eq(found[5], local);
    ck_assert_uint_eq(pocket_finds(), asked + 3);
    OK(C_FindObjects(session, found, 20, &count));
    ck_assert_uint_eq(count, 0);
    OK(C_FindObjectsFinal(session));
    ck_assert_uint_eq(pocket_finds(), asked + 3);
    fixture_stop();
}
END_TEST

START_TEST(a_search_survives_a_time_without_nodes)
{
    CK_OBJECT_HANDLE objects[10], found[20];
    CK_ULONG count = 99;

    fixture_log_in();
    make_many(10, objects);
    pocket_set_page(4);
    begin_search();
    ck_assert_uint_eq(next_found(), objects[0]);
    pocket_fail(QUADHSM_ECONN, 1);
    GIVES(CKR_DEVICE_ERROR, C_FindObjects(session, found, 20, &count));
    ck_assert_uint_eq(count, 99);
    /* What that call had found already is given again. */
    ck_assert_uint_eq(next_found(), objects[1]);
    OK(C_FindObjects(session, found, 20, &count));
    ck_assert_uint_eq(count, 8);
    ck_assert_mem_eq(found, objects + 2, 8 * sizeof found[0]);
    OK(C_FindObjectsFinal(session));
    fixture_stop();
}
END_TEST

START_TEST(a_search_goes_on_without_private_objects_after_a_logout)
{
    CK_OBJECT_HANDLE objects[10], found[20];
    CK_ULONG count = 0;

    fixture_log_in();
    make_many(10, objects);
    pocket_set_page(4);
    begin_search();
    ck_assert_uint_eq(next_found(), objects[0]);
    OK(C_Logout(session));
    OK(C_FindObjects(session, found, 20, &count));
    ck_assert_uint_eq(count, 4);
    for (unsigned i = 0; i < 4; i++) {
        ck_assert_uint_eq(found[i], objects[2 + 2 * i]);
    }
    OK(C_FindObjectsFinal(session));
    /* A login does not show them to a search that was begun without it. */
    begin_search();
    ck_assert_uint_eq(next_found(), objects[0]);
    OK(log_in(session, CKU_USER, POCKET_CO_PIN));
    OK(C_FindObjects(session, found, 20, &count));
    ck_assert_uint_eq(count, 4);
    OK(C_FindObjectsFinal(session));
    ck_assert_uint_eq(find(session, NULL, 0, NULL), 10);
    fixture_stop();
}
END_TEST

START_TEST(objects_that_go_during_a_search_are_left_out)
{
    CK_OBJECT_HANDLE objects[10], found[20];
    CK_ULONG count = 0;

    fixture_log_in();
    make_many(10, objects);
    pocket_set_page(4);
    begin_search();
    ck_assert_uint_eq(next_found(), objects[0]);
    OK(C_DestroyObject(session, objects[3])); /* the page's last */
    OK(C_DestroyObject(session, objects[4]));
    OK(C_FindObjects(session, found, 20, &count));
    ck_assert_uint_eq(count, 7);
    ck_assert_uint_eq(found[2], objects[5]);
    OK(C_FindObjectsFinal(session));
    fixture_stop();
}
END_TEST

START_TEST(a_list_is_read_with_few_questions)
{
    CK_OBJECT_HANDLE objects[60];
    char label[32];
    unsigned calls;

    fixture_log_in();
    make_many(60, objects);
    usleep(3100 * 1000); /* what is known is old */
    calls = pocket_calls();
    /* The first alone, then 8, 16 and 32. */
    for (unsigned i = 0; i < 57; i++) {
        OK(get_label(objects[i], label, sizeof label));
        ck_assert_str_eq(label, "many");
    }
    ck_assert_uint_eq(pocket_calls(), calls + 4);
    pocket_destroy_all();
    for (unsigned i = 57; i < 60; i++) {
        GIVES(CKR_OBJECT_HANDLE_INVALID, get_label(objects[i], label, sizeof label));
    }
    fixture_stop();
}
END_TEST

/* ---- searches answered from before ---- */

/* How many there are with @label, and how many pages were asked for. */
static CK_ULONG find_label(const char *label, unsigned *ret_asked)
{
    CK_BYTE name[32];
    CK_ATTRIBUTE attribute = {CKA_LABEL, name, strlen(label)};
    unsigned before = pocket_finds();
    CK_ULONG count;

    memcpy(name, label, strlen(label));
    count = find(session, &attribute, 1, NULL);
    *ret_asked = pocket_finds() - before;
    return count;
}

static void assert_finds(const char *label, CK_ULONG count, unsigned asked)
{
    unsigned really;

    ck_assert_uint_eq(find_label(label, &really), count);
    ck_assert_uint_eq(really, asked);
}

static void start_caching(unsigned milliseconds)
{
    fixture_search_cache_ms = milliseconds;
    fixture_log_in();
}

START_TEST(the_same_search_is_answered_again_without_asking)
{
    CK_OBJECT_CLASS object_class = CKO_DATA;
    CK_ATTRIBUTE by_class = {CKA_CLASS, &object_class, sizeof object_class};
    unsigned asked;

    start_caching(60000);
    make_data(CK_TRUE, CK_TRUE, "a");
    make_data(CK_TRUE, CK_TRUE, "b");
    assert_finds("a", 1, 1);
    assert_finds("a", 1, 0);
    assert_finds("b", 1, 1);
    assert_finds("a", 1, 0);
    make_data(CK_FALSE, CK_FALSE, "a"); /* a session's is none of the cluster's */
    assert_finds("a", 2, 1);
    assert_finds("a", 2, 0);
    asked = pocket_finds();
    ck_assert_uint_eq(find(session, &by_class, 1, NULL), 3);
    ck_assert_uint_eq(find(session, &by_class, 1, NULL), 3);
    ck_assert_uint_eq(pocket_finds(), asked + 1);
    fixture_stop();
}
END_TEST

START_TEST(what_was_not_found_is_asked_for_each_time)
{
    start_caching(60000);
    assert_finds("a", 0, 1);
    assert_finds("a", 0, 1);
    fixture_stop();
}
END_TEST

START_TEST(a_change_of_this_process_ends_what_is_kept)
{
    CK_OBJECT_HANDLE object;

    start_caching(60000);
    object = make_data(CK_TRUE, CK_FALSE, "a");
    assert_finds("a", 1, 1);
    make_data(CK_TRUE, CK_FALSE, "a");
    assert_finds("a", 2, 1);
    OK(set_label(session, object, "b"));
    assert_finds("a", 1, 1);
    assert_finds("b", 1, 1);
    OK(C_DestroyObject(session, object));
    assert_finds("a", 1, 1);
    assert_finds("a", 1, 0);
    /* Nobody knows what became of this one. */
    object = make_data(CK_TRUE, CK_FALSE, "c");
    assert_finds("a", 1, 1);
    pocket_fail(QUADHSM_EUNKNOWN, 1);
    GIVES(CKR_DEVICE_ERROR, C_DestroyObject(session, object));
    assert_finds("a", 1, 1);
    fixture_stop();
}
END_TEST

START_TEST(what_others_change_is_seen_with_the_next_answer)
{
    CK_BYTE random[8];

    start_caching(60000);
    make_data(CK_TRUE, CK_FALSE, "a");
    assert_finds("a", 1, 1);
    pocket_destroy_all();
    assert_finds("a", 1, 0); /* for as long as that may be */
    OK(C_GenerateRandom(session, random, sizeof random));
    assert_finds("a", 0, 1);
    fixture_stop();
}
END_TEST

START_TEST(a_search_of_another_login_is_no_answer)
{
    start_caching(60000);
    make_data(CK_TRUE, CK_TRUE, "a");
    make_data(CK_TRUE, CK_FALSE, "a");
    assert_finds("a", 2, 1);
    OK(C_Logout(session));
    assert_finds("a", 1, 1);
    assert_finds("a", 1, 0);
    OK(log_in(session, CKU_USER, POCKET_CO_PIN));
    assert_finds("a", 2, 1);
    fixture_stop();
}
END_TEST

START_TEST(what_is_kept_grows_old)
{
    start_caching(100);
    make_data(CK_TRUE, CK_FALSE, "a");
    assert_finds("a", 1, 1);
    usleep(110 * 1000);
    assert_finds("a", 1, 1);
    fixture_stop();
}
END_TEST

START_TEST(nothing_is_kept_if_nobody_wants_it)
{
    start_caching(0);
    make_data(CK_TRUE, CK_FALSE, "a");
    assert_finds("a", 1, 1);
    assert_finds("a", 1, 1);
    fixture_stop();
}
END_TEST

START_TEST(long_searches_are_not_kept)
{
    CK_OBJECT_HANDLE objects[5];

    start_caching(60000);
    make_many(5, objects);
    pocket_set_page(4);
    assert_finds("many", 5, 2);
    assert_finds("many", 5, 2);
    pocket_set_page(5);
    assert_finds("many", 5, 1);
    assert_finds("many", 5, 0);
    fixture_stop();
}
END_TEST

/* ---- reading and changing ---- */

START_TEST(attributes_are_read_from_what_is_known_and_again_when_it_is_old)
{
    CK_OBJECT_HANDLE object;
    char label[32];
    unsigned calls;

    fixture_log_in();
    object = make_data(CK_TRUE, CK_FALSE, "label");
    calls = pocket_calls();
    OK(get_label(object, label, sizeof label));
    ck_assert_str_eq(label, "label");
    ck_assert_uint_eq(pocket_calls(), calls);
    usleep(3100 * 1000);
    OK(get_label(object, label, sizeof label));
    ck_assert_uint_eq(pocket_calls(), calls + 1);
    fixture_stop();
}
END_TEST

START_TEST(a_changed_attribute_is_read_back_at_once)
{
    CK_OBJECT_HANDLE object;
    CK_BBOOL token = CK_FALSE;
    CK_ATTRIBUTE fixed = {CKA_TOKEN, &token, 1};
    char label[32];

    fixture_log_in();
    object = make_data(CK_TRUE, CK_FALSE, "old");
    OK(set_label(session, object, "new"));
    OK(get_label(object, label, sizeof label));
    ck_assert_str_eq(label, "new");
    GIVES(CKR_ATTRIBUTE_READ_ONLY, C_SetAttributeValue(session, object, &fixed, 1));
    GIVES(CKR_SESSION_READ_ONLY, set_label(open_session(0), object, "newer"));
    object = make_data(CK_FALSE, CK_FALSE, "old");
    OK(set_label(session, object, "new"));
    OK(get_label(object, label, sizeof label));
    ck_assert_str_eq(label, "new");
    fixture_stop();
}
END_TEST

static CK_OBJECT_HANDLE renamed;

static void rename_it(void)
{
    OK(set_label(session, renamed, "new"));
}

START_TEST(what_was_read_before_a_change_does_not_hide_it)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_BYTE data[64] = {1};
    CK_ULONG size = sizeof data;
    struct key_pair pair;
    char label[32];

    fixture_log_in();
    pair = make_ec(CK_TRUE, "old");
    renamed = pair.private;
    pocket_before_answer(rename_it);
    ck_assert_uint_eq(find(session, NULL, 0, NULL), 2);
    OK(get_label(renamed, label, sizeof label));
    ck_assert_str_eq(label, "new");
    OK(set_label(session, renamed, "old"));
    /* What is known of it is let go of. */
    OK(C_SignInit(session, &mechanism, renamed));
    pocket_fail(QUADHSM_EKEYUSE, 1);
    GIVES(CKR_KEY_FUNCTION_NOT_PERMITTED, C_Sign(session, data, 32, data, &size));
    pocket_before_answer(rename_it);
    OK(get_label(renamed, label, sizeof label));
    OK(get_label(renamed, label, sizeof label));
    ck_assert_str_eq(label, "new");
    fixture_stop();
}
END_TEST

START_TEST(without_a_majority_nothing_changes_and_everything_is_still_read)
{
    CK_OBJECT_HANDLE object;
    char label[32];

    fixture_log_in();
    object = make_data(CK_TRUE, CK_FALSE, "old");
    pocket_fail(QUADHSM_ENOQUORUM, 1);
    GIVES(CKR_FUNCTION_FAILED, set_label(session, object, "new"));
    OK(get_label(object, label, sizeof label));
    ck_assert_str_eq(label, "old");
    fixture_stop();
}
END_TEST

START_TEST(an_rsa_private_key_tells_its_public_half_and_nothing_more)
{
    CK_BYTE modulus[256];
    CK_BYTE exponent[8];
    CK_BYTE secret[512];
    CK_ATTRIBUTE list[] = {{CKA_MODULUS, modulus, sizeof modulus},
                           {CKA_PUBLIC_EXPONENT, exponent, sizeof exponent},
                           {CKA_PRIVATE_EXPONENT, secret, sizeof secret}};
    struct key_pair pair;

    fixture_log_in();
    pair = make_rsa();
    OK(C_GetAttributeValue(session, pair.private, list, 2));
    ck_assert_uint_eq(list[0].ulValueLen, 256);
    ck_assert_uint_eq(list[1].ulValueLen, 3);
    GIVES(CKR_ATTRIBUTE_SENSITIVE, C_GetAttributeValue(session, pair.private, list, 3));
    ck_assert_uint_eq(list[2].ulValueLen, CK_UNAVAILABLE_INFORMATION);
    GIVES(CKR_ATTRIBUTE_TYPE_INVALID, C_GetAttributeValue(session, pair.public, list + 2, 1));
    fixture_stop();
}
END_TEST

START_TEST(the_size_of_an_object_is_told)
{
    CK_ULONG size = 0;

    fixture_log_in();
    OK(C_GetObjectSize(session, make_data(CK_TRUE, CK_FALSE, "x"), &size));
    ck_assert_uint_gt(size, 0);
    GIVES(CKR_OBJECT_HANDLE_INVALID, C_GetObjectSize(session, 9999, &size));
    GIVES(CKR_ARGUMENTS_BAD, C_GetObjectSize(session, 1, NULL));
    fixture_stop();
}
END_TEST

/* ---- making and destroying ---- */

START_TEST(a_reading_session_makes_session_objects_alone)
{
    CK_SESSION_HANDLE writer;
    CK_OBJECT_CLASS object_class = CKO_DATA;
    CK_BBOOL token = CK_TRUE;
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &object_class, sizeof object_class}, {CKA_TOKEN, &token, 1}};
    CK_OBJECT_HANDLE object;

    fixture_log_in();
    writer = session;
    session = open_session(0);
    GIVES(CKR_SESSION_READ_ONLY, C_CreateObject(session, list, 2, &object));
    token = CK_FALSE;
    OK(C_CreateObject(session, list, 2, &object));
    GIVES(CKR_ARGUMENTS_BAD, C_CreateObject(session, list, 2, NULL));
    object = make_data(CK_FALSE, CK_FALSE, "x");
    OK(C_CloseSession(session));
    session = writer;
    GIVES(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(session, object));
    fixture_stop();
}
END_TEST

START_TEST(a_copy_is_an_object_of_its_own)
{
    CK_BBOOL token = CK_FALSE;
    CK_ATTRIBUTE attribute = {CKA_TOKEN, &token, 1};
    CK_OBJECT_HANDLE original;
    CK_OBJECT_HANDLE copy = 0;
    char label[32];

    fixture_log_in();
    original = make_data(CK_TRUE, CK_FALSE, "label");
    OK(C_CopyObject(session, original, &attribute, 1, &copy));
    ck_assert_uint_ne(copy, original);
    OK(C_DestroyObject(session, original));
    OK(get_label(copy, label, sizeof label));
    ck_assert_str_eq(label, "label");
    GIVES(CKR_SESSION_READ_ONLY,
          C_CopyObject(open_session(0), make_data(CK_TRUE, CK_FALSE, "x"), NULL, 0, &copy));
    fixture_stop();
}
END_TEST

START_TEST(a_destroyed_object_has_no_handle_any_more)
{
    CK_OBJECT_HANDLE object;
    char label[32];

    fixture_log_in();
    object = make_data(CK_TRUE, CK_FALSE, "x");
    GIVES(CKR_SESSION_READ_ONLY, C_DestroyObject(open_session(0), object));
    OK(C_DestroyObject(session, object));
    ck_assert_uint_eq(pocket_object_count(), 0);
    GIVES(CKR_OBJECT_HANDLE_INVALID, get_label(object, label, sizeof label));
    GIVES(CKR_OBJECT_HANDLE_INVALID, C_DestroyObject(session, object));
    fixture_stop();
}
END_TEST

START_TEST(what_somebody_else_destroyed_is_noticed_when_it_is_used)
{
    CK_MECHANISM mechanism = {CKM_ECDSA, NULL, 0};
    CK_BYTE data[64] = {1};
    CK_ULONG size = sizeof data;
    CK_OBJECT_HANDLE object;
    struct key_pair pair;
    char label[32];

    fixture_log_in();
    pair = make_ec(CK_TRUE, "x");
    object = make_data(CK_TRUE, CK_FALSE, "x");
    pocket_destroy_all();
    OK(C_SignInit(session, &mechanism, pair.private));
    GIVES(CKR_KEY_HANDLE_INVALID, C_Sign(session, data, 32, data, &size));
    GIVES(CKR_KEY_HANDLE_INVALID, C_SignInit(session, &mechanism, pair.private));
    GIVES(CKR_OBJECT_HANDLE_INVALID, set_label(session, object, "y"));
    GIVES(CKR_OBJECT_HANDLE_INVALID, get_label(object, label, sizeof label));
    ck_assert_uint_eq(find(session, NULL, 0, NULL), 0);
    fixture_stop();
}
END_TEST

START_TEST(templates_that_make_no_sense_are_refused_with_the_standards_words)
{
    CK_OBJECT_CLASS object_class = CKO_SECRET_KEY;
    CK_KEY_TYPE type = CKK_AES;
    CK_BYTE value[5] = {0};
    CK_ATTRIBUTE list[] = {{CKA_CLASS, &object_class, sizeof object_class},
                           {CKA_KEY_TYPE, &type, sizeof type},
                           {CKA_VALUE, value, sizeof value}};
    CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
    CK_OBJECT_HANDLE object;

    fixture_log_in();
    GIVES(CKR_TEMPLATE_INCOMPLETE, C_CreateObject(session, list, 2, &object));
    GIVES(CKR_TEMPLATE_INCOMPLETE, C_GenerateKey(session, &mechanism, NULL, 0, &object));
    mechanism.mechanism = CKM_AES_CBC;
    GIVES(CKR_MECHANISM_INVALID, C_GenerateKey(session, &mechanism, NULL, 0, &object));
    mechanism.mechanism = CKM_RSA_PKCS_KEY_PAIR_GEN;
    GIVES(CKR_MECHANISM_INVALID, C_GenerateKey(session, &mechanism, NULL, 0, &object));
    GIVES(CKR_ARGUMENTS_BAD, C_GenerateKeyPair(session, &mechanism, NULL, 0, NULL, 0, NULL, NULL));
    GIVES(CKR_ARGUMENTS_BAD, C_GenerateKey(session, NULL, NULL, 0, &object));
    fixture_stop();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pkcs11_object");
    TCase *tcase = tcase_create("object");
    TCase *search = tcase_create("search");

    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, an_empty_template_finds_everything_in_the_order_it_was_made);
    tcase_add_test(tcase, objects_are_found_by_class_and_label_and_keep_their_handles);
    tcase_add_test(tcase, duplicate_labels_are_legal);
    tcase_add_test(tcase, session_objects_alone_are_found_without_a_node);
    tcase_add_test(tcase, a_search_is_begun_once_and_ended_once);
    tcase_add_test(tcase, profiles_are_found_without_a_node_and_never_change);
    tcase_add_test(tcase, private_objects_are_not_seen_after_a_logout);
    tcase_add_test(tcase, attributes_are_read_from_what_is_known_and_again_when_it_is_old);
    tcase_add_test(tcase, a_changed_attribute_is_read_back_at_once);
    tcase_add_test(tcase, what_was_read_before_a_change_does_not_hide_it);
    tcase_add_test(tcase, without_a_majority_nothing_changes_and_everything_is_still_read);
    tcase_add_test(tcase, an_rsa_private_key_tells_its_public_half_and_nothing_more);
    tcase_add_test(tcase, the_size_of_an_object_is_told);
    tcase_add_test(tcase, a_reading_session_makes_session_objects_alone);
    tcase_add_test(tcase, a_copy_is_an_object_of_its_own);
    tcase_add_test(tcase, a_destroyed_object_has_no_handle_any_more);
    tcase_add_test(tcase, what_somebody_else_destroyed_is_noticed_when_it_is_used);
    tcase_add_test(tcase, templates_that_make_no_sense_are_refused_with_the_standards_words);
    suite_add_tcase(suite, tcase);
    tcase_set_timeout(search, 60);
    tcase_add_test(search, pages_are_asked_for_as_they_are_wanted);
    tcase_add_test(search, a_search_survives_a_time_without_nodes);
    tcase_add_test(search, a_search_goes_on_without_private_objects_after_a_logout);
    tcase_add_test(search, objects_that_go_during_a_search_are_left_out);
    tcase_add_test(search, a_list_is_read_with_few_questions);
    tcase_add_test(search, the_same_search_is_answered_again_without_asking);
    tcase_add_test(search, what_was_not_found_is_asked_for_each_time);
    tcase_add_test(search, a_change_of_this_process_ends_what_is_kept);
    tcase_add_test(search, what_others_change_is_seen_with_the_next_answer);
    tcase_add_test(search, a_search_of_another_login_is_no_answer);
    tcase_add_test(search, what_is_kept_grows_old);
    tcase_add_test(search, nothing_is_kept_if_nobody_wants_it);
    tcase_add_test(search, long_searches_are_not_kept);
    suite_add_tcase(suite, search);
    return test_main(suite);
}
