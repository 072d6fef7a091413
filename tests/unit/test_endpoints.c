/* The set of nodes, and the file that remembers it. */
#include "client/endpoints.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/lib/test.h"
#include "wire/frame.h"

static struct client_config config;
static struct endpoints endpoints;
static char dir[256], path[300];

static void set_up(void)
{
    memset(&config, 0, sizeof config);
    config.endpoint_count = 2;
    (void)snprintf(config.endpoints[0].host, sizeof config.endpoints[0].host, "10.0.0.1");
    config.endpoints[0].port = 7600;
    (void)snprintf(config.endpoints[1].host, sizeof config.endpoints[1].host, "seed.example");
    config.endpoints[1].port = 7600;
    ck_assert_int_eq(endpoints_init(&endpoints, &config, 0), QH_OK);
    test_make_dir(dir, sizeof dir);
    (void)snprintf(path, sizeof path, "%s/endpoints", dir);
}

static void tear_down(void)
{
    endpoints_close(&endpoints);
    test_remove_dir(dir);
}

/* A list with one entry a name; name "x" is at 10.0.0.x's last digit @first + index. */
struct listing {
    Quadhsm__EndpointList list;
    Quadhsm__Endpoint entries[NODES_MAX + 1];
    Quadhsm__Endpoint *pointers[NODES_MAX + 1];
    char hosts[NODES_MAX + 1][32], names[NODES_MAX + 1][32];
    uint8_t cluster[CLUSTER_ID_SIZE];
};

static struct listing *listing_of(uint64_t revision, unsigned first, unsigned count)
{
    static struct listing listing;

    memset(&listing, 0, sizeof listing);
    quadhsm__endpoint_list__init(&listing.list);
    listing.list.endpoints_revision = revision;
    listing.list.cluster_name = listing.names[NODES_MAX];
    (void)snprintf(listing.names[NODES_MAX], 32, "test");
    memset(listing.cluster, 7, sizeof listing.cluster);
    listing.list.cluster =
        (ProtobufCBinaryData){.data = listing.cluster, .len = sizeof listing.cluster};
    for (unsigned i = 0; i < count; i++) {
        quadhsm__endpoint__init(&listing.entries[i]);
        (void)snprintf(listing.hosts[i], 32, "10.0.0.%u", first + i);
        if (i < NODES_MAX) {
            (void)snprintf(listing.names[i], 32, "node-%u", first + i);
        }
        listing.entries[i].node = listing.names[i];
        listing.entries[i].region = (char *)(uintptr_t) "east";
        listing.entries[i].host = listing.hosts[i];
        listing.entries[i].port = 7600;
        listing.pointers[i] = &listing.entries[i];
    }
    listing.list.n_endpoints = count;
    listing.list.endpoints = listing.pointers;
    return &listing;
}

static bool update(struct listing *listing, uint64_t generation)
{
    bool changed = false;

    ck_assert_int_eq(endpoints_check(&listing->list), QH_OK);
    ck_assert_int_eq(endpoints_update(&endpoints, &listing->list, generation, 0, &changed), QH_OK);
    return changed;
}

static bool has(const char *host)
{
    for (size_t i = 0; i < endpoints.count; i++) {
        if (strcmp(endpoints.list[i]->host, host) == 0) {
            return true;
        }
    }
    return false;
}

/* It must be there. */
static const struct endpoint *at(const char *host)
{
    for (size_t i = 0; i < endpoints.count; i++) {
        if (strcmp(endpoints.list[i]->host, host) == 0) {
            return endpoints.list[i];
        }
    }
    ck_abort_msg("no endpoint %s", host);
}

/* ---- the set ---- */

START_TEST(it_begins_with_the_seeds)
{
    char text[ENDPOINT_TEXT_ROOM];

    ck_assert_uint_eq(endpoints.count, 2);
    ck_assert(endpoints.list[0]->seed);
    ck_assert_str_eq(endpoint_node(endpoints.list[0]), "");
    ck_assert_str_eq(endpoint_text(endpoints.list[0], text), "10.0.0.1:7600");
}
END_TEST

START_TEST(an_address_that_is_configured_twice_is_one)
{
    endpoints_close(&endpoints);
    config.endpoints[1] = config.endpoints[0];
    ck_assert_int_eq(endpoints_init(&endpoints, &config, 0), QH_OK);
    ck_assert_uint_eq(endpoints.count, 1);
}
END_TEST

START_TEST(a_list_names_seeds_and_adds_the_rest)
{
    ck_assert(update(listing_of(5, 1, 3), 1));
    ck_assert_uint_eq(endpoints.count, 4);
    ck_assert_uint_eq(endpoints.revision, 5);
    ck_assert_str_eq(at("10.0.0.1")->node, "node-1");
    ck_assert(at("10.0.0.1")->seed && at("10.0.0.1")->listed);
    ck_assert_str_eq(at("10.0.0.3")->region, "east");
    ck_assert(!at("seed.example")->listed);
}
END_TEST

START_TEST(an_older_list_changes_nothing)
{
    ck_assert(update(listing_of(5, 1, 3), 1));
    ck_assert(!update(listing_of(5, 1, 2), 1));
    ck_assert(!update(listing_of(4, 1, 2), 1));
    ck_assert_uint_eq(endpoints.count, 4);
}
END_TEST

START_TEST(a_new_generation_or_another_cluster_is_newer_at_any_revision)
{
    struct listing *other;

    ck_assert(update(listing_of(5, 1, 3), 1));
    ck_assert(update(listing_of(2, 1, 2), 2));
    ck_assert_uint_eq(endpoints.count, 3);
    other = listing_of(1, 1, 1);
    other->cluster[0] ^= 1;
    ck_assert(update(other, 1));
    ck_assert_uint_eq(endpoints.count, 2);
}
END_TEST

START_TEST(a_node_that_has_left_goes_and_a_seed_stays)
{
    struct endpoint *left;

    ck_assert(update(listing_of(5, 1, 3), 1));
    left = endpoint_ref(endpoints.list[3]);
    ck_assert(update(listing_of(6, 8, 1), 1));
    ck_assert_uint_eq(endpoints.count, 3);
    ck_assert(!has("10.0.0.2"));
    ck_assert_str_eq(at("10.0.0.1")->node, "");
    ck_assert(left->retired);
    ck_assert_uint_eq(left->references, 1);
    endpoint_unref(left);
}
END_TEST

START_TEST(what_stays_keeps_its_health)
{
    struct health_pong pong = {.readiness = QUADHSM_READY};

    ck_assert(update(listing_of(5, 1, 3), 1));
    health_pong(&endpoints.list[2]->health, 0, 3.0, &pong, 1000, 0);
    ck_assert(update(listing_of(6, 1, 4), 1));
    ck_assert_double_eq(at(endpoints.list[2]->host)->health.round_trip_ms, 3.0);
}
END_TEST

START_TEST(another_node_at_the_same_address_is_a_stranger)
{
    struct health_pong pong = {.readiness = QUADHSM_READY};
    struct listing *listing;

    ck_assert(update(listing_of(5, 1, 1), 1));
    health_pong(&endpoints.list[0]->health, 0, 3.0, &pong, 1000, 0);
    listing = listing_of(6, 1, 1);
    (void)snprintf(listing->names[0], 32, "newcomer");
    ck_assert(update(listing, 1));
    ck_assert_int_eq(at("10.0.0.1")->health.state, HEALTH_NEW);
}
END_TEST

START_TEST(the_largest_set_fits)
{
    endpoints_close(&endpoints);
    config.endpoint_count = CLIENT_CONFIG_ENDPOINTS_MAX;
    for (unsigned i = 0; i < CLIENT_CONFIG_ENDPOINTS_MAX; i++) {
        (void)snprintf(config.endpoints[i].host, sizeof config.endpoints[i].host, "10.1.0.%u", i);
        config.endpoints[i].port = 7600;
    }
    ck_assert_int_eq(endpoints_init(&endpoints, &config, 0), QH_OK);
    ck_assert(update(listing_of(5, 1, NODES_MAX), 1));
    ck_assert_uint_eq(endpoints.count, ENDPOINTS_MAX);
    ck_assert(update(listing_of(6, 101, NODES_MAX), 1));
    ck_assert_uint_eq(endpoints.count, ENDPOINTS_MAX);
}
END_TEST

START_TEST(two_names_of_one_node_are_not_tried_twice)
{
    struct endpoint *seed = endpoints.list[1];

    ck_assert(update(listing_of(5, 1, 2), 1));
    ck_assert(!endpoints_is_alias(&endpoints, seed));
    (void)snprintf(seed->seen, sizeof seed->seen, "node-2");
    /* The listed address does not answer, so the seed counts. */
    ck_assert(!endpoints_is_alias(&endpoints, seed));
    endpoints.list[2]->health.state = HEALTH_UP;
    ck_assert(endpoints_is_alias(&endpoints, seed));
    ck_assert(!endpoints_is_alias(&endpoints, endpoints.list[2]));
}
END_TEST

START_TEST(of_two_seeds_that_are_one_node_the_first_counts)
{
    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(endpoints.list[i]->seen, sizeof endpoints.list[i]->seen, "alpha");
        endpoints.list[i]->health.state = HEALTH_UP;
    }
    ck_assert(!endpoints_is_alias(&endpoints, endpoints.list[0]));
    ck_assert(endpoints_is_alias(&endpoints, endpoints.list[1]));
}
END_TEST

/* ---- what a list may be ---- */

START_TEST(a_list_has_one_to_sixteen_nodes)
{
    ck_assert_int_eq(endpoints_check(&listing_of(1, 1, 0)->list), QH_EMALFORMED);
    ck_assert_int_eq(endpoints_check(&listing_of(1, 1, 1)->list), QH_OK);
    ck_assert_int_eq(endpoints_check(&listing_of(1, 1, NODES_MAX)->list), QH_OK);
    ck_assert_int_eq(endpoints_check(&listing_of(1, 1, NODES_MAX + 1)->list), QH_EMALFORMED);
}
END_TEST

static enum qh_err check_node(const char *node, const char *region, const char *host, uint32_t port)
{
    struct listing *listing = listing_of(1, 1, 1);

    listing->entries[0].node = (char *)(uintptr_t)node;
    listing->entries[0].region = (char *)(uintptr_t)region;
    listing->entries[0].host = (char *)(uintptr_t)host;
    listing->entries[0].port = port;
    return endpoints_check(&listing->list);
}

START_TEST(names_hosts_and_ports_are_checked)
{
    char long_host[CONFIG_HOST_LENGTH_MAX + 2], name[NODE_NAME_LENGTH_MAX + 2];
    char region[REGION_NAME_LENGTH_MAX + 2];

    ck_assert_int_eq(check_node("a", "", "h", 1), QH_OK);
    ck_assert_int_eq(check_node("a", "r", "h", 65535), QH_OK);
    ck_assert_int_eq(check_node("", "", "h", 1), QH_EMALFORMED);
    ck_assert_int_eq(check_node("client:a", "", "h", 1), QH_EMALFORMED);
    ck_assert_int_eq(check_node("a", "r r", "h", 1), QH_EMALFORMED);
    ck_assert_int_eq(check_node("a", "", "", 1), QH_EMALFORMED);
    ck_assert_int_eq(check_node("a", "", "h h", 1), QH_EMALFORMED);
    ck_assert_int_eq(check_node("a", "", "h\xc3\xa4", 1), QH_EMALFORMED);
    ck_assert_int_eq(check_node("a", "", "h", 0), QH_EMALFORMED);
    ck_assert_int_eq(check_node("a", "", "h", 65536), QH_EMALFORMED);
    memset(long_host, 'h', sizeof long_host);
    memset(name, 'n', sizeof name);
    memset(region, 'r', sizeof region);
    long_host[sizeof long_host - 1] = name[sizeof name - 1] = region[sizeof region - 1] = '\0';
    ck_assert_int_eq(check_node("a", "", long_host, 1), QH_EMALFORMED);
    ck_assert_int_eq(check_node("a", "", long_host + 1, 1), QH_OK);
    ck_assert_int_eq(check_node(name, "", "h", 1), QH_EMALFORMED);
    ck_assert_int_eq(check_node(name + 1, "", "h", 1), QH_OK);
    ck_assert_int_eq(check_node("a", region, "h", 1), QH_EMALFORMED);
    ck_assert_int_eq(check_node("a", region + 1, "h", 1), QH_OK);
}
END_TEST

START_TEST(a_cluster_has_an_id_of_16_bytes)
{
    struct listing *listing = listing_of(1, 1, 1);

    listing->list.cluster.len = 15;
    ck_assert_int_eq(endpoints_check(&listing->list), QH_EMALFORMED);
    listing->list.cluster = (ProtobufCBinaryData){0};
    ck_assert_int_eq(endpoints_check(&listing->list), QH_EMALFORMED);
}
END_TEST

/* ---- the file ---- */

static void overwrite(const void *base, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, base, size), (ssize_t)size);
    (void)close(fd);
}

static size_t read_back(uint8_t *buffer, size_t room)
{
    int fd = open(path, O_RDONLY);
    ssize_t size;

    ck_assert_int_ge(fd, 0);
    size = read(fd, buffer, room);
    (void)close(fd);
    ck_assert_int_gt(size, 0);
    return (size_t)size;
}

START_TEST(what_is_written_is_read)
{
    Quadhsm__EndpointList *list;
    struct stat info;

    ck_assert_int_eq(endpoints_file_write(path, &listing_of(9, 1, 4)->list), QH_OK);
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    ck_assert_int_eq(endpoints_file_read(path, &list), QH_OK);
    ck_assert_uint_eq(list->n_endpoints, 4);
    ck_assert_str_eq(list->endpoints[3]->node, "node-4");
    ck_assert_uint_eq(list->endpoints_revision, 9);
    wire_message_free(&list->base);
}
END_TEST

START_TEST(writing_replaces_and_leaves_nothing_else)
{
    Quadhsm__EndpointList *list;
    char temporary[400];

    ck_assert_int_eq(endpoints_file_write(path, &listing_of(9, 1, 4)->list), QH_OK);
    ck_assert_int_eq(endpoints_file_write(path, &listing_of(10, 1, 2)->list), QH_OK);
    ck_assert_int_eq(endpoints_file_read(path, &list), QH_OK);
    ck_assert_uint_eq(list->endpoints_revision, 10);
    wire_message_free(&list->base);
    (void)snprintf(temporary, sizeof temporary, "%s.%ld", path, (long)getpid());
    ck_assert_int_ne(access(temporary, F_OK), 0);
}
END_TEST

START_TEST(a_missing_folder_is_made)
{
    char deep[400];

    (void)snprintf(deep, sizeof deep, "%s/cache/endpoints", dir);
    ck_assert_int_eq(endpoints_file_write(deep, &listing_of(9, 1, 4)->list), QH_OK);
    ck_assert_int_eq(access(deep, R_OK), 0);
    (void)snprintf(deep, sizeof deep, "%s/no/such/endpoints", dir);
    ck_assert_int_eq(endpoints_file_write(deep, &listing_of(9, 1, 4)->list), QH_EIO);
}
END_TEST

START_TEST(a_missing_file_is_not_found)
{
    Quadhsm__EndpointList *list;

    ck_assert_int_eq(endpoints_file_read(path, &list), QH_ENOTFOUND);
    ck_assert_int_eq(endpoints_file_read(dir, &list), QH_EIO);
}
END_TEST

START_TEST(every_damaged_byte_is_noticed)
{
    uint8_t file[1024];
    size_t size;
    Quadhsm__EndpointList *list;

    ck_assert_int_eq(endpoints_file_write(path, &listing_of(9, 1, 2)->list), QH_OK);
    size = read_back(file, sizeof file);
    for (size_t i = 0; i < size; i++) {
        file[i] ^= 0x20;
        ck_assert_int_eq(endpoints_file_decode((struct bytes){.base = file, .size = size}, &list),
                         QH_EMALFORMED);
        ck_assert_int_eq(endpoints_file_decode((struct bytes){.base = file, .size = i}, &list),
                         QH_EMALFORMED);
        file[i] ^= 0x20;
    }
    ck_assert_int_eq(endpoints_file_decode((struct bytes){.base = file, .size = size}, &list),
                     QH_OK);
    wire_message_free(&list->base);
}
END_TEST

START_TEST(a_file_that_is_too_large_is_refused)
{
    static uint8_t large[ENDPOINTS_FILE_SIZE_MAX + 1];
    Quadhsm__EndpointList *list;

    overwrite(large, sizeof large);
    ck_assert_int_eq(endpoints_file_read(path, &list), QH_EMALFORMED);
    overwrite("", 0);
    ck_assert_int_eq(endpoints_file_read(path, &list), QH_EMALFORMED);
}
END_TEST

/* ---- addresses ---- */

START_TEST(addresses_need_no_name_server)
{
    struct endpoint_address addresses[ENDPOINT_ADDRESSES_MAX];
    unsigned count = 0;

    ck_assert_int_eq(endpoint_resolve("127.0.0.1", 7600, false, addresses, &count), QH_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(addresses[0].address.ss_family, AF_INET);
    ck_assert_int_eq(endpoint_resolve("::1", 7600, false, addresses, &count), QH_OK);
    ck_assert_int_eq(addresses[0].address.ss_family, AF_INET6);
    ck_assert_int_eq(endpoint_resolve("localhost", 7600, false, addresses, &count), QH_ENOTFOUND);
    ck_assert_int_eq(endpoint_resolve("localhost", 7600, true, addresses, &count), QH_OK);
    ck_assert_uint_ge(count, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("endpoints");
    TCase *tcase = tcase_create("endpoints");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, it_begins_with_the_seeds);
    tcase_add_test(tcase, an_address_that_is_configured_twice_is_one);
    tcase_add_test(tcase, a_list_names_seeds_and_adds_the_rest);
    tcase_add_test(tcase, an_older_list_changes_nothing);
    tcase_add_test(tcase, a_new_generation_or_another_cluster_is_newer_at_any_revision);
    tcase_add_test(tcase, a_node_that_has_left_goes_and_a_seed_stays);
    tcase_add_test(tcase, what_stays_keeps_its_health);
    tcase_add_test(tcase, another_node_at_the_same_address_is_a_stranger);
    tcase_add_test(tcase, the_largest_set_fits);
    tcase_add_test(tcase, two_names_of_one_node_are_not_tried_twice);
    tcase_add_test(tcase, of_two_seeds_that_are_one_node_the_first_counts);
    tcase_add_test(tcase, a_list_has_one_to_sixteen_nodes);
    tcase_add_test(tcase, names_hosts_and_ports_are_checked);
    tcase_add_test(tcase, a_cluster_has_an_id_of_16_bytes);
    tcase_add_test(tcase, what_is_written_is_read);
    tcase_add_test(tcase, writing_replaces_and_leaves_nothing_else);
    tcase_add_test(tcase, a_missing_folder_is_made);
    tcase_add_test(tcase, a_missing_file_is_not_found);
    tcase_add_test(tcase, every_damaged_byte_is_noticed);
    tcase_add_test(tcase, a_file_that_is_too_large_is_refused);
    tcase_add_test(tcase, addresses_need_no_name_server);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
