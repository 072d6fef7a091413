/* Keys that a thread keeps open: found again, opened anew when they changed, and let go. */
#include "node/keycache.h"
#include "tests/unit/node_rig.h"

#define NOW 1000000u

static struct keycache *cache;
static const struct keyring *keyring;
static const struct directory_partition *partition;

static void begin(void)
{
    uint8_t id[PARTITION_ID_SIZE];

    rig_begin();
    cache = keycache_mine();
    ck_assert_ptr_nonnull(cache);
    memset(id, 7, sizeof id);
    view_enter();
    keyring = view_keyring(rig.node.view);
    partition = directory_partition(view_directory(rig.node.view), id);
    view_leave(); /* no transaction here concerns the directory: it stays */
    ck_assert_ptr_nonnull(partition);
}

static void end(void)
{
    keycache_close();
    rig_end();
}

static struct view_object *stored(uint8_t fill)
{
    const struct view_object *object;
    struct view_object *copy = malloc(sizeof *copy);
    uint8_t id[OBJECT_ID_SIZE];

    memset(id, fill, sizeof id);
    view_enter();
    object = view_object(rig.node.view, partition->id, id);
    ck_assert_ptr_nonnull(object);
    *copy = *object;
    view_leave();
    return copy;
}

START_TEST(a_key_is_opened_once)
{
    struct view_object *object;
    struct key *first = NULL, *second = NULL;

    rig_generate_aes(16, 20);
    object = stored(20);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, object, NOW, &first), QH_OK);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, object, NOW, &second), QH_OK);
    ck_assert_ptr_eq(first, second);
    ck_assert_uint_eq(key_bits(first), 128);
    ck_assert_uint_eq(keycache_count(cache), 1);
    free(object);
}
END_TEST

START_TEST(a_changed_object_is_opened_anew)
{
    struct view_object *object;
    struct key *key = NULL;

    rig_generate_aes(16, 20);
    object = stored(20);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, object, NOW, &key), QH_OK);
    free(object);
    rig_generate_aes(32, 20); /* the same id, another revision */
    object = stored(20);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, object, NOW, &key), QH_OK);
    ck_assert_uint_eq(key_bits(key), 256);
    ck_assert_uint_eq(keycache_count(cache), 1);
    free(object);
}
END_TEST

START_TEST(an_object_that_does_not_open_is_not_kept)
{
    struct view_object *object;
    struct view_object other;
    struct key *key = NULL;

    rig_generate_aes(16, 20);
    object = stored(20);
    other = *object;
    memset(other.id, 21, sizeof other.id); /* sealed for another place */
    ck_assert_int_eq(keycache_get(cache, keyring, partition, &other, NOW, &key), QH_ECORRUPT);
    ck_assert_ptr_null(key);
    ck_assert_uint_eq(keycache_count(cache), 0);
    free(object);
}
END_TEST

START_TEST(what_was_not_used_for_long_is_let_go)
{
    struct view_object *old, *young;
    struct key *key = NULL;

    rig_generate_aes(16, 20);
    rig_generate_aes(16, 30);
    old = stored(20);
    young = stored(30);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, old, NOW, &key), QH_OK);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, young, NOW, &key), QH_OK);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, young, NOW + 1, &key), QH_OK);
    keycache_expire(cache, NOW + KEYCACHE_IDLE_MS - 1);
    ck_assert_uint_eq(keycache_count(cache), 2);
    keycache_expire(cache, NOW + KEYCACHE_IDLE_MS);
    ck_assert_uint_eq(keycache_count(cache), 1);
    keycache_expire(cache, NOW + 1 + KEYCACHE_IDLE_MS);
    ck_assert_uint_eq(keycache_count(cache), 0);
    free(old);
    free(young);
}
END_TEST

START_TEST(the_longest_unused_makes_room)
{
    struct view_object *object, *kept;
    struct key *key = NULL, *again = NULL;
    struct bytes sealed;
    const struct object *session;

    rig_generate_aes(16, 20);
    rig_generate_aes(16, 30);
    object = stored(20);
    kept = stored(30);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, object, NOW, &key), QH_OK);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, kept, NOW, &key), QH_OK);
    for (unsigned i = 0; i < KEYCACHE_ENTRIES - 1; i++) {
        rig_session_aes(16, &sealed);
        ck_assert_int_eq(
            keycache_get_session(cache, keyring, partition, sealed, NOW, &again, &session), QH_OK);
        hsm_free(sealed);
        ck_assert_uint_le(keycache_count(cache), KEYCACHE_ENTRIES);
    }
    ck_assert_uint_eq(keycache_count(cache), KEYCACHE_ENTRIES);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, kept, NOW, &again), QH_OK);
    ck_assert_ptr_eq(again, key); /* the first had to go, this one not */
    free(object);
    free(kept);
}
END_TEST

START_TEST(a_session_object_is_known_by_its_bytes)
{
    struct key *first = NULL, *second = NULL;
    const struct object *object = NULL;
    struct bytes sealed, changed;
    uint8_t *bytes;

    rig_session_aes(24, &sealed);
    ck_assert_int_eq(keycache_get_session(cache, keyring, partition, sealed, NOW, &first, &object),
                     QH_OK);
    ck_assert(object_flag(object, CKA_ENCRYPT));
    ck_assert(!object->token);
    ck_assert_ptr_null(object->material);
    ck_assert_int_eq(keycache_get_session(cache, keyring, partition, sealed, NOW, &second, &object),
                     QH_OK);
    ck_assert_ptr_eq(first, second);
    bytes = malloc(sealed.size);
    memcpy(bytes, sealed.base, sealed.size);
    bytes[sealed.size / 2] ^= 1;
    changed = (struct bytes){bytes, sealed.size};
    ck_assert_int_ne(
        keycache_get_session(cache, keyring, partition, changed, NOW, &second, &object), QH_OK);
    changed.size = 10;
    ck_assert_int_ne(
        keycache_get_session(cache, keyring, partition, changed, NOW, &second, &object), QH_OK);
    ck_assert_uint_eq(keycache_count(cache), 1);
    free(bytes);
    hsm_free(sealed);
}
END_TEST

START_TEST(another_keyring_begins_anew)
{
    struct keyring *other = hsm_keyring(1);
    struct view_object *object;
    struct key *key = NULL;

    rig_generate_aes(16, 20);
    rig_generate_aes(16, 30);
    object = stored(20);
    ck_assert_int_eq(keycache_get(cache, keyring, partition, object, NOW, &key), QH_OK);
    free(object);
    object = stored(30);
    ck_assert_int_eq(keycache_get(cache, other, partition, object, NOW, &key), QH_OK);
    ck_assert_uint_eq(keycache_count(cache), 1);
    keycache_clear(cache);
    ck_assert_uint_eq(keycache_count(cache), 0);
    free(object);
    keyring_free(other);
}
END_TEST

START_TEST(without_memory_for_a_cache_there_is_an_error)
{
    struct view_object *object;
    struct key *key = NULL;

    rig_generate_aes(16, 20);
    object = stored(20);
    ck_assert_int_eq(keycache_get(NULL, keyring, partition, object, NOW, &key), QH_ENOMEM);
    keycache_clear(NULL);
    keycache_expire(NULL, NOW);
    free(object);
}
END_TEST

static Suite *make_suite(void)
{
    Suite *suite = suite_create("keycache");
    TCase *group = tcase_create("keycache");

    tcase_add_checked_fixture(group, begin, end);
    tcase_set_timeout(group, 60);
    tcase_add_test(group, a_key_is_opened_once);
    tcase_add_test(group, a_changed_object_is_opened_anew);
    tcase_add_test(group, an_object_that_does_not_open_is_not_kept);
    tcase_add_test(group, what_was_not_used_for_long_is_let_go);
    tcase_add_test(group, the_longest_unused_makes_room);
    tcase_add_test(group, a_session_object_is_known_by_its_bytes);
    tcase_add_test(group, another_keyring_begins_anew);
    tcase_add_test(group, without_memory_for_a_cache_there_is_an_error);
    suite_add_tcase(suite, group);
    return suite;
}

int main(void)
{
    return test_main(make_suite());
}
