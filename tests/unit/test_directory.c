/* The directory: everything that was put is found; what is damaged is left out and counted. */
#include "hsm/directory.h"

#include "tests/unit/hsm_fixture.h"

static struct keyring *keyring;
static struct store *store;
static struct directory *directory;

static void setup(void)
{
    keyring = hsm_keyring(1);
    store = hsm_store();
    directory = NULL;
}

static void teardown(void)
{
    directory_free(directory);
    keyring_free(keyring);
    store_free(store);
}

static void build(void)
{
    directory_free(directory);
    directory = hsm_directory(keyring, store);
}

static void put_node(uint64_t raft_id, const char *name)
{
    Qhrec__Node node;
    struct record_key key = record_key_node(raft_id);

    qhrec__node__init(&node);
    node.raft_id = raft_id;
    node.name = (char *)(uintptr_t)name;
    node.region = (char[]){"eu"};
    node.peer_host = (char[]){"10.0.0.1"};
    node.peer_port = 7601;
    node.client_host = (char[]){"node.example"};
    node.client_port = 65535;
    hsm_put(store, keyring, &key, &node.base);
}

static void put_logins(uint8_t fill, uint32_t role, uint32_t failed, size_t client_count)
{
    Qhrec__Logins logins;
    Qhrec__Logins__ByClient clients[65];
    Qhrec__Logins__ByClient *list[65];
    uint8_t id[PARTITION_ID_SIZE], ids[65][CLIENT_ID_SIZE];
    struct record_key key;

    qhrec__logins__init(&logins);
    memset(id, fill, sizeof id);
    key = record_key_logins(id, role);
    for (size_t i = 0; i < client_count; i++) {
        qhrec__logins__by_client__init(&clients[i]);
        clients[i].client = hsm_id(ids[i], CLIENT_ID_SIZE, (uint8_t)i);
        clients[i].failed = (uint32_t)i;
        list[i] = &clients[i];
    }
    logins.failed = failed;
    logins.n_clients = client_count;
    logins.clients = list;
    logins.blocked_until_unix_ms = 77;
    hsm_put(store, keyring, &key, &logins.base);
}

START_TEST(an_empty_store_gives_an_empty_directory)
{
    static const uint8_t id[32];

    build();
    ck_assert_uint_eq(directory->partition_count, 0);
    ck_assert_uint_eq(directory->damaged, 0);
    ck_assert_ptr_null(directory_partition(directory, id));
    ck_assert_ptr_null(directory_partition_by_name(directory, "x"));
    ck_assert_ptr_null(directory_client(directory, id));
    ck_assert_ptr_null(directory_node(directory, 1));
}
END_TEST

START_TEST(settings_are_read)
{
    hsm_put_settings(store, keyring);
    build();
    ck_assert_str_eq(directory->cluster_name, "test");
    ck_assert_uint_eq(directory->partitions_max, 10);
    ck_assert_str_eq(directory->so.verifier, "verifier of so");
    ck_assert_uint_eq(directory->so.epoch, 3);
    ck_assert_uint_eq(directory->revision, store_revision(store));
}
END_TEST

START_TEST(partitions_are_found_by_id_and_name_with_their_keys)
{
    uint8_t id[PARTITION_ID_SIZE];
    const struct directory_partition *partition;

    hsm_put_partition(store, keyring, 9, "third", 1);
    hsm_put_partition(store, keyring, 3, "first", 2);
    hsm_put_partition(store, keyring, 5, "second", 3);
    build();
    ck_assert_uint_eq(directory->partition_count, 3);
    memset(id, 5, sizeof id);
    partition = directory_partition(directory, id);
    ck_assert_ptr_nonnull(partition);
    ck_assert_str_eq(partition->name, "second");
    ck_assert_str_eq(partition->serial, "0123456789abcdef");
    ck_assert_uint_eq(partition->tries, 10);
    ck_assert_uint_eq(partition->tries_total, 100);
    ck_assert_uint_eq(partition->mod_revision, 3);
    ck_assert_uint_eq(secret_size(partition->key), 32);
    ck_assert_str_eq(partition->roles[HSM_ROLE_CO].verifier, "verifier");
    ck_assert_uint_eq(partition->roles[HSM_ROLE_CO].epoch, 3);
    ck_assert_str_eq(partition->roles[HSM_ROLE_CU].verifier, "");
    ck_assert_ptr_eq(directory_partition_by_name(directory, "second"), partition);
    ck_assert_ptr_null(directory_partition_by_name(directory, "fourth"));
    memset(id, 4, sizeof id);
    ck_assert_ptr_null(directory_partition(directory, id));
}
END_TEST

START_TEST(clients_are_found_by_fingerprint)
{
    uint8_t fingerprint[FINGERPRINT_SIZE];
    const struct directory_client *client;

    for (uint8_t fill = 1; fill < 20; fill++) {
        hsm_put_client(store, keyring, fill, "client", 0, fill == 7);
    }
    build();
    ck_assert_uint_eq(directory->client_count, 19);
    for (uint8_t fill = 1; fill < 20; fill++) {
        memset(fingerprint, (uint8_t)~fill, sizeof fingerprint);
        client = directory_client(directory, fingerprint);
        ck_assert_ptr_nonnull(client);
        ck_assert_uint_eq(client->id[0], fill);
        ck_assert_int_eq(client->admin, fill == 7);
        ck_assert_uint_eq(client->enrolled_unix_s, 1234);
    }
    memset(fingerprint, 0, sizeof fingerprint);
    ck_assert_ptr_null(directory_client(directory, fingerprint));
}
END_TEST

START_TEST(a_client_may_use_its_partitions_or_all)
{
    uint8_t id[PARTITION_ID_SIZE], fingerprint[FINGERPRINT_SIZE];

    hsm_put_client(store, keyring, 1, "one", 5, false);
    hsm_put_client(store, keyring, 2, "all", 0, false);
    build();
    memset(fingerprint, (uint8_t)~1u, sizeof fingerprint);
    memset(id, 5, sizeof id);
    ck_assert(directory_client_may(directory_client(directory, fingerprint), id));
    memset(id, 6, sizeof id);
    ck_assert(!directory_client_may(directory_client(directory, fingerprint), id));
    memset(fingerprint, (uint8_t)~2u, sizeof fingerprint);
    ck_assert(directory_client_may(directory_client(directory, fingerprint), id));
}
END_TEST

START_TEST(nodes_are_read_with_and_without_a_key)
{
    put_node(300, "eu-2");
    put_node(2, "eu-1");
    build();
    ck_assert_uint_eq(directory->node_count, 2);
    ck_assert_uint_eq(directory->nodes[0].raft_id, 2);
    ck_assert_str_eq(directory_node(directory, 300)->name, "eu-2");
    ck_assert_str_eq(directory_node(directory, 300)->client_host, "node.example");
    ck_assert_uint_eq(directory_node(directory, 300)->client_port, 65535);
    ck_assert_uint_eq(directory->nodes_revision, 2 + (2ull << 48));
    hsm_put_settings(store, keyring);
    directory_free(directory);
    directory = hsm_directory(NULL, store);
    ck_assert_uint_eq(directory->node_count, 2);
    ck_assert_uint_eq(directory->damaged, 0);
    ck_assert_str_eq(directory->cluster_name, "");
}
END_TEST

START_TEST(failed_logins_stand_at_their_role)
{
    const struct directory_logins *logins;

    hsm_put_partition(store, keyring, 3, "first", 2);
    put_logins(3, HSM_ROLE_CO, 12, 64);
    put_logins(0, HSM_ROLE_SO, 2, 0);
    build();
    ck_assert_uint_eq(directory->damaged, 0);
    logins = &directory->partitions[0].roles[HSM_ROLE_CO].logins;
    ck_assert_uint_eq(logins->failed, 12);
    ck_assert_uint_eq(logins->client_count, 64);
    ck_assert_uint_eq(logins->clients[63].failed, 63);
    ck_assert_uint_eq(logins->clients[63].client[0], 63);
    ck_assert_uint_eq(logins->blocked_until_unix_ms, 77);
    ck_assert_uint_eq(directory->partitions[0].roles[HSM_ROLE_CU].logins.failed, 0);
    ck_assert_uint_eq(directory->so.logins.failed, 2);
}
END_TEST

START_TEST(failed_logins_that_do_not_open_count_as_locked)
{
    uint8_t id[PARTITION_ID_SIZE];
    struct record_key key;

    hsm_put_partition(store, keyring, 3, "first", 2);
    memset(id, 3, sizeof id);
    key = record_key_logins(id, HSM_ROLE_CO);
    hsm_put_value(store, &key, hsm_text("junk"));
    put_logins(3, HSM_ROLE_CU, 1, 65);
    build();
    ck_assert_uint_eq(directory->damaged, 2);
    ck_assert_uint_eq(directory->partitions[0].roles[HSM_ROLE_CO].logins.failed, UINT32_MAX);
    ck_assert_uint_eq(directory->partitions[0].roles[HSM_ROLE_CU].logins.failed, UINT32_MAX);
    ck_assert_uint_eq(directory->partitions[0].roles[HSM_ROLE_PO].logins.failed, 0);
}
END_TEST

START_TEST(what_is_damaged_is_left_out_and_counted)
{
    uint8_t id[PARTITION_ID_SIZE];
    struct record_key key, moved, node_key = record_key_node(9);
    struct store_record record;
    Qhrec__Settings settings;

    qhrec__settings__init(&settings);
    hsm_put_partition(store, keyring, 3, "first", 2);
    hsm_put_client(store, keyring, 1, "one", 5, false);
    put_node(1, "eu-1");
    /* A partition's value below another's key, one that is junk, a node whose signature is wrong,
     * settings without a role. */
    memset(id, 3, sizeof id);
    key = record_key_partition(id);
    ck_assert(store_get(store, record_key_bytes(&key), &record));
    memset(id, 4, sizeof id);
    moved = record_key_partition(id);
    hsm_put_value(store, &moved, record.value);
    moved = record_key_client(id);
    hsm_put_value(store, &moved, hsm_text("junk"));
    hsm_put_value(store, &node_key, hsm_text("0123456789abcdef0123456789abcdef\1"));
    moved = record_key_settings();
    hsm_put(store, keyring, &moved, &settings.base);
    build();
    ck_assert_uint_eq(directory->damaged, 4);
    ck_assert_uint_eq(directory->partition_count, 1);
    ck_assert_uint_eq(directory->client_count, 1);
    ck_assert_uint_eq(directory->node_count, 1);
    ck_assert_uint_eq(directory->partitions_max, 0);
}
END_TEST

START_TEST(a_record_that_names_another_id_is_damaged)
{
    struct record_key key;
    uint8_t id[CLIENT_ID_SIZE], fingerprint[FINGERPRINT_SIZE];
    Qhrec__Client client;

    qhrec__client__init(&client);
    client.id = hsm_id(id, sizeof id, 1);
    client.fingerprint = hsm_id(fingerprint, sizeof fingerprint, 1);
    client.name = (char[]){"x"};
    key = record_key_client(id);
    key.base[5] ^= 1;
    hsm_put(store, keyring, &key, &client.base);
    build();
    ck_assert_uint_eq(directory->damaged, 1);
    ck_assert_uint_eq(directory->client_count, 0);
}
END_TEST

START_TEST(texts_have_limits_on_both_sides)
{
    char name[PARTITION_NAME_LENGTH_MAX + 2];

    memset(name, 'x', sizeof name);
    name[PARTITION_NAME_LENGTH_MAX + 1] = '\0';
    hsm_put_partition(store, keyring, 3, name, 1);
    build();
    ck_assert_uint_eq(directory->damaged, 1);
    name[PARTITION_NAME_LENGTH_MAX] = '\0';
    hsm_put_partition(store, keyring, 3, name, 1);
    build();
    ck_assert_uint_eq(directory->damaged, 0);
    ck_assert_str_eq(directory->partitions[0].name, name);
}
END_TEST

START_TEST(the_records_that_concern_it_are_known)
{
    struct record_key key = record_key_settings();

    ck_assert(directory_concerns(record_key_bytes(&key)));
    ck_assert(directory_concerns(hsm_text("n/x")));
    ck_assert(directory_concerns(hsm_text("a/x")));
    ck_assert(directory_concerns(hsm_text("p/x")));
    ck_assert(directory_concerns(hsm_text("l/x")));
    ck_assert(!directory_concerns(hsm_text("o/x")));
    ck_assert(!directory_concerns(hsm_text("r/x")));
    ck_assert(!directory_concerns(hsm_text("c/t/x")));
    ck_assert(!directory_concerns(hsm_text("c/ca")));
    ck_assert(!directory_concerns(hsm_text("p")));
    ck_assert(!directory_concerns(hsm_text("px")));
    ck_assert(!directory_concerns((struct bytes){NULL, 0}));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("directory");
    TCase *tcase = tcase_create("directory");

    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, an_empty_store_gives_an_empty_directory);
    tcase_add_test(tcase, settings_are_read);
    tcase_add_test(tcase, partitions_are_found_by_id_and_name_with_their_keys);
    tcase_add_test(tcase, clients_are_found_by_fingerprint);
    tcase_add_test(tcase, a_client_may_use_its_partitions_or_all);
    tcase_add_test(tcase, nodes_are_read_with_and_without_a_key);
    tcase_add_test(tcase, failed_logins_stand_at_their_role);
    tcase_add_test(tcase, failed_logins_that_do_not_open_count_as_locked);
    tcase_add_test(tcase, what_is_damaged_is_left_out_and_counted);
    tcase_add_test(tcase, a_record_that_names_another_id_is_damaged);
    tcase_add_test(tcase, texts_have_limits_on_both_sides);
    tcase_add_test(tcase, the_records_that_concern_it_are_known);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
