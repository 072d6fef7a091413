/* The delay proxy with real sockets on both sides of a real process, and its map. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/drill/delay.h"
#include "tests/drill/delay_rig.h"
#include "tests/lib/test.h"
#include "tests/torture/process.h"

#define DELAY_MS 20u
#define SLACK_MS 400u /* of a busy machine */
#define NS_PER_MS 1000000u
#define MESSAGES 5000u
#define HELD_MS 100 /* nothing may arrive for so long */

static struct delay_rig rig;
static int near_fd, far_fd;

static void open_rig(void)
{
    rig_open(&rig, DELAY_MS);
    near_fd = rig_connect(&rig, RIG_EAST);
    far_fd = rig_accept(&rig, RIG_WAIT_MS);
    ck_assert_int_ge(far_fd, 0);
}

static void close_rig(void)
{
    (void)close(near_fd);
    (void)close(far_fd);
    rig_close(&rig);
}

static uint64_t passed_ms(uint64_t since_ns)
{
    return (clock_monotonic_ns() - since_ns) / NS_PER_MS;
}

/* Make sure that the first bytes, which wait for the handshake, are not what is measured. */
static void warm_up(void)
{
    char byte = 'w';

    rig_send(near_fd, &byte, 1);
    ck_assert(rig_receive(far_fd, &byte, 1));
    rig_send(far_fd, &byte, 1);
    ck_assert(rig_receive(near_fd, &byte, 1));
}

/* The error of reading, 0 for an end. */
static int read_error(int fd)
{
    char byte;
    ssize_t count;

    ck_assert(rig_readable(fd, RIG_WAIT_MS));
    count = recv(fd, &byte, 1, 0);
    ck_assert_int_le(count, 0);
    return count == 0 ? 0 : errno;
}

/* ---- The map. */

static struct delay_map map_of_two(void)
{
    struct delay_map map = {0};

    ck_assert_int_eq(delay_map_add_region(&map, "east=10.0.0.0/16,10.9.9.9"), QH_OK);
    ck_assert_int_eq(delay_map_add_region(&map, "west=10.1.0.1"), QH_OK);
    return map;
}

static uint32_t region_of(const struct delay_map *map, uint32_t host)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(host)}};

    return delay_map_region_of(map, &address);
}

START_TEST(addresses_and_networks_tell_the_region)
{
    struct delay_map map = map_of_two();

    ck_assert_uint_eq(region_of(&map, 0x0a000000), 0);
    ck_assert_uint_eq(region_of(&map, 0x0a00ffff), 0);
    ck_assert_uint_eq(region_of(&map, 0x0a090909), 0);
    ck_assert_uint_eq(region_of(&map, 0x0a010001), 1);
    ck_assert_uint_eq(region_of(&map, 0x0a010002), DELAY_UNKNOWN);
}
END_TEST

START_TEST(a_delay_holds_both_ways_and_is_bounded)
{
    struct delay_map map = map_of_two();

    ck_assert_int_eq(delay_map_set(&map, "east:west=8"), QH_OK);
    ck_assert_uint_eq(delay_map_delay_ns(&map, 0, 1), 8 * NS_PER_MS);
    ck_assert_uint_eq(delay_map_delay_ns(&map, 1, 0), 8 * NS_PER_MS);
    ck_assert_uint_eq(delay_map_delay_ns(&map, 0, 0), 0);
    ck_assert_int_eq(delay_map_set(&map, "east:west=10000"), QH_OK);
    ck_assert_int_eq(delay_map_set(&map, "east:west=10001"), QH_ELIMIT);
    ck_assert_int_eq(delay_map_set(&map, "east:north=8"), QH_ENOTFOUND);
    ck_assert_int_eq(delay_map_set(&map, "east:west"), QH_EINVAL);
    ck_assert_int_eq(delay_map_set(&map, "east:west=-1"), QH_EINVAL);
    ck_assert_int_eq(delay_map_set(&map, "east:west=8x"), QH_EINVAL);
}
END_TEST

START_TEST(a_region_that_is_cut_off_still_reaches_itself)
{
    struct delay_map map = map_of_two();

    ck_assert_int_eq(delay_map_cut(&map, "nowhere"), QH_ENOTFOUND);
    ck_assert_int_eq(delay_map_cut(&map, "west"), QH_OK);
    ck_assert(delay_map_is_cut(&map, 0, 1));
    ck_assert(delay_map_is_cut(&map, 1, 0));
    ck_assert(!delay_map_is_cut(&map, 1, 1));
    ck_assert(!delay_map_is_cut(&map, 0, 0));
    delay_map_heal(&map);
    ck_assert(!delay_map_is_cut(&map, 0, 1));
}
END_TEST

START_TEST(wrong_regions_are_refused_and_change_nothing)
{
    static const char *const wrong[] = {
        "", "east", "=10.0.0.1", "a=", "a=10.0.0", "a=10.0.0.1/33", "a=10.0.0.1/", "a=10.0.0.1,"};
    struct delay_map map = {0};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(delay_map_add_region(&map, wrong[i]), QH_EINVAL);
    }
    ck_assert_uint_eq(map.region_count, 0);
    ck_assert_uint_eq(map.network_count, 0);
    ck_assert_int_eq(delay_map_add_region(&map, "a=10.0.0.1"), QH_OK);
    ck_assert_int_eq(delay_map_add_region(&map, "a=10.0.0.2"), QH_EEXIST);
}
END_TEST

START_TEST(regions_and_listening_addresses_have_a_limit)
{
    struct delay_map map = {0};
    char text[64];

    for (unsigned i = 0; i < DELAY_REGIONS_MAX; i++) {
        (void)snprintf(text, sizeof text, "r%u=10.0.0.%u", i, i);
        ck_assert_int_eq(delay_map_add_region(&map, text), QH_OK);
    }
    ck_assert_int_eq(delay_map_add_region(&map, "more=10.0.1.1"), QH_ELIMIT);
    for (unsigned i = 0; i < DELAY_LISTENS_MAX; i++) {
        ck_assert_int_eq(delay_map_add_listen(&map, "127.0.0.1:1=127.0.0.2:2@r1"), QH_OK);
    }
    ck_assert_int_eq(delay_map_add_listen(&map, "127.0.0.1:1=127.0.0.2:2@r1"), QH_ELIMIT);
}
END_TEST

START_TEST(wrong_listening_addresses_are_refused)
{
    static const char *const wrong[] = {"127.0.0.1:1",
                                        "127.0.0.1:1=127.0.0.2:2",
                                        "127.0.0.1=127.0.0.2:2@east",
                                        "127.0.0.1:1=127.0.0.2@east",
                                        "127.0.0.1:65536=127.0.0.2:2@east",
                                        "x:1=127.0.0.2:2@east"};
    struct delay_map map = map_of_two();

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_int_eq(delay_map_add_listen(&map, wrong[i]), QH_EINVAL);
    }
    ck_assert_int_eq(delay_map_add_listen(&map, "127.0.0.1:1=127.0.0.2:2@south"), QH_ENOTFOUND);
    ck_assert_uint_eq(map.listen_count, 0);
}
END_TEST

/* ---- Time and order. */

START_TEST(bytes_arrive_after_the_delay_both_ways)
{
    char byte = 'a';
    uint64_t best_ms = UINT64_MAX;

    warm_up();
    for (unsigned i = 0; i < 10; i++) {
        uint64_t start_ns = clock_monotonic_ns();
        uint64_t elapsed_ms;

        rig_send(near_fd, &byte, 1);
        ck_assert(rig_receive(far_fd, &byte, 1));
        ck_assert_uint_ge(passed_ms(start_ns), DELAY_MS);
        rig_send(far_fd, &byte, 1);
        ck_assert(rig_receive(near_fd, &byte, 1));
        elapsed_ms = passed_ms(start_ns);
        ck_assert_uint_ge(elapsed_ms, 2 * DELAY_MS);
        best_ms = elapsed_ms < best_ms ? elapsed_ms : best_ms;
    }
    /* The best of ten is not hidden by a busy machine. */
    ck_assert_uint_le(best_ms, 2 * DELAY_MS + 10);
}
END_TEST

START_TEST(a_handshake_takes_as_long_as_over_the_distance)
{
    uint64_t start_ns = clock_monotonic_ns();
    int origin = rig_connect(&rig, RIG_EAST);
    int target;
    char byte = 'a';

    rig_send(origin, &byte, 1);
    target = rig_accept(&rig, RIG_WAIT_MS);
    ck_assert_uint_ge(passed_ms(start_ns), DELAY_MS);
    ck_assert(rig_receive(target, &byte, 1));
    ck_assert_uint_ge(passed_ms(start_ns), 3 * DELAY_MS);
    ck_assert_uint_le(passed_ms(start_ns), 3 * DELAY_MS + SLACK_MS);
    (void)close(origin);
    (void)close(target);
}
END_TEST

START_TEST(within_a_region_nothing_is_delayed)
{
    int origin = rig_connect(&rig, "127.0.92.9");
    int target = rig_accept(&rig, RIG_WAIT_MS);
    uint64_t best_ns = UINT64_MAX;
    char byte = 'a';

    for (unsigned i = 0; i < 50; i++) {
        uint64_t start_ns = clock_monotonic_ns();

        rig_send(origin, &byte, 1);
        ck_assert(rig_receive(target, &byte, 1));
        best_ns =
            clock_monotonic_ns() - start_ns < best_ns ? clock_monotonic_ns() - start_ns : best_ns;
    }
    ck_assert_uint_lt(best_ns, DELAY_MS * NS_PER_MS / 4);
    (void)close(origin);
    (void)close(target);
}
END_TEST

START_TEST(the_delay_can_be_changed_and_order_is_kept)
{
    uint64_t start_ns;
    char bytes[2];

    warm_up();
    start_ns = clock_monotonic_ns();
    ck_assert(rig_ok(&rig, "delay east west 100"));
    rig_send(near_fd, "1", 1);
    /* The proxy has it, so what follows is behind it. */
    for (char answer[65536]; strstr(answer, "held=0") != NULL || passed_ms(start_ns) == 0;) {
        rig_command(&rig, "stats", answer, sizeof answer);
        ck_assert_uint_lt(passed_ms(start_ns), 100);
    }
    ck_assert(rig_ok(&rig, "delay east west 0"));
    rig_send(near_fd, "2", 1);
    ck_assert(rig_receive(far_fd, bytes, 2));
    ck_assert_uint_ge(passed_ms(start_ns), 100);
    ck_assert_mem_eq(bytes, "12", 2);
}
END_TEST

/* Writes and reads at once; the messages carry their number. */
static void exchange_messages(void)
{
    uint32_t sent = 0, received = 0;

    while (received < MESSAGES) {
        struct pollfd fds[2] = {{.fd = near_fd, .events = sent < MESSAGES ? POLLOUT : 0},
                                {.fd = far_fd, .events = POLLIN}};

        ck_assert_int_gt(poll(fds, 2, RIG_WAIT_MS), 0);
        if ((fds[0].revents & POLLOUT) != 0) {
            rig_send(near_fd, &sent, sizeof sent);
            sent++;
        }
        if ((fds[1].revents & POLLIN) != 0) {
            uint32_t number;

            ck_assert(rig_receive(far_fd, &number, sizeof number));
            ck_assert_uint_eq(number, received);
            received++;
        }
    }
}

START_TEST(thousands_of_small_messages_arrive_in_order)
{
    uint64_t start_ns = clock_monotonic_ns();

    exchange_messages();
    /* They wait side by side, not one after the other. */
    ck_assert_uint_lt(passed_ms(start_ns), MESSAGES * DELAY_MS / 10);
}
END_TEST

/* ---- Ends. */

START_TEST(a_half_closed_connection_still_answers)
{
    char bytes[8];

    rig_send(near_fd, "question", 8);
    ck_assert_int_eq(shutdown(near_fd, SHUT_WR), 0);
    ck_assert(rig_receive(far_fd, bytes, 8));
    ck_assert_int_eq(read_error(far_fd), 0);
    rig_send(far_fd, "answer", 6);
    (void)close(far_fd);
    ck_assert(rig_receive(near_fd, bytes, 6));
    ck_assert_int_eq(read_error(near_fd), 0);
    far_fd = -1;
}
END_TEST

static void close_hard(int *fd)
{
    struct linger linger = {.l_onoff = 1};

    ck_assert_int_eq(setsockopt(*fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    ck_assert_int_eq(close(*fd), 0);
    *fd = -1;
}

START_TEST(a_reset_arrives_as_a_reset_after_the_delay)
{
    uint64_t start_ns;

    warm_up();
    start_ns = clock_monotonic_ns();
    close_hard(&far_fd);
    ck_assert_int_eq(read_error(near_fd), ECONNRESET);
    ck_assert_uint_ge(passed_ms(start_ns), DELAY_MS);
}
END_TEST

START_TEST(a_target_that_is_not_there_resets_the_origin)
{
    uint64_t start_ns;
    int origin;

    (void)close(rig.target);
    rig.target = -1;
    start_ns = clock_monotonic_ns();
    origin = rig_connect(&rig, RIG_EAST);
    ck_assert_int_eq(read_error(origin), ECONNRESET);
    ck_assert_uint_ge(passed_ms(start_ns), 2 * DELAY_MS);
    (void)close(origin);
}
END_TEST

START_TEST(who_comes_from_no_region_is_refused)
{
    int origin = rig_connect(&rig, RIG_NOWHERE);

    ck_assert_int_eq(read_error(origin), ECONNRESET);
    (void)close(origin);
}
END_TEST

/* ---- Cut off. */

START_TEST(a_cut_holds_bytes_and_closes_nothing)
{
    char byte = 'a';

    warm_up();
    ck_assert(rig_ok(&rig, "cut west"));
    rig_send(near_fd, &byte, 1);
    rig_send(far_fd, &byte, 1);
    ck_assert(!rig_readable(far_fd, HELD_MS));
    ck_assert(!rig_readable(near_fd, HELD_MS));
}
END_TEST

START_TEST(bytes_under_way_do_not_arrive_behind_a_cut)
{
    char byte = 'a';

    warm_up();
    ck_assert(rig_ok(&rig, "delay east west 200"));
    rig_send(near_fd, &byte, 1);
    ck_assert(rig_ok(&rig, "cut west"));
    ck_assert(!rig_readable(far_fd, 200 + HELD_MS));
}
END_TEST

START_TEST(an_end_does_not_cross_a_cut_either)
{
    warm_up();
    ck_assert(rig_ok(&rig, "cut east"));
    close_hard(&far_fd);
    ck_assert(!rig_readable(near_fd, HELD_MS));
}
END_TEST

START_TEST(a_new_connection_hangs_in_a_cut)
{
    int origin;

    ck_assert(rig_ok(&rig, "cut west"));
    origin = rig_connect(&rig, RIG_EAST);
    rig_send(origin, "hello", 5);
    ck_assert_int_eq(rig_accept(&rig, HELD_MS), -1);
    ck_assert(!rig_readable(origin, 0));
    (void)close(origin);
}
END_TEST

START_TEST(within_a_cut_off_region_all_goes_on)
{
    int origin, target;
    char byte = 'a';

    ck_assert(rig_ok(&rig, "cut west"));
    origin = rig_connect(&rig, "127.0.92.9");
    target = rig_accept(&rig, RIG_WAIT_MS);
    ck_assert_int_ge(target, 0);
    rig_send(origin, &byte, 1);
    ck_assert(rig_receive(target, &byte, 1));
    (void)close(origin);
    (void)close(target);
}
END_TEST

START_TEST(healing_resets_what_was_held_and_lets_new_connections_pass)
{
    int waiting;

    warm_up();
    ck_assert(rig_ok(&rig, "cut west"));
    waiting = rig_connect(&rig, RIG_EAST);
    rig_send(near_fd, "lost", 4);
    ck_assert(rig_ok(&rig, "heal"));
    ck_assert_int_eq(read_error(near_fd), ECONNRESET);
    ck_assert_int_eq(read_error(far_fd), ECONNRESET);
    ck_assert_int_eq(read_error(waiting), ECONNRESET);
    (void)close(waiting);
    (void)close(near_fd);
    (void)close(far_fd);
    near_fd = rig_connect(&rig, RIG_EAST);
    far_fd = rig_accept(&rig, RIG_WAIT_MS);
    warm_up();
}
END_TEST

static void wait_for_no_pairs(void)
{
    char answer[65536];

    do {
        rig_command(&rig, "stats", answer, sizeof answer);
    } while (strstr(answer, "pairs=0 ") == NULL);
}

START_TEST(who_gives_up_during_a_cut_is_forgotten)
{
    (void)close(near_fd);
    near_fd = -1;
    ck_assert_int_eq(read_error(far_fd), 0);
    (void)close(far_fd);
    far_fd = -1;
    wait_for_no_pairs();
    ck_assert(rig_ok(&rig, "cut west"));
    for (unsigned i = 0; i < 20; i++) {
        int origin = rig_connect(&rig, RIG_EAST);

        (void)close(origin);
    }
    wait_for_no_pairs();
}
END_TEST

/* ---- Memory. */

/* Write until no more is taken for a while; returns how much was. */
static size_t fill(int fd)
{
    static const char bytes[65536];
    struct pollfd poll_fd = {.fd = fd, .events = POLLOUT};
    size_t sent = 0;

    while (poll(&poll_fd, 1, 300) == 1) {
        ssize_t count = send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (count < 0) {
            ck_assert_int_eq(errno, EAGAIN);
            continue;
        }
        sent += (size_t)count;
        ck_assert_uint_lt(sent, 256u << 20);
    }
    return sent;
}

static void set_buffers(int fd)
{
    int size = 65536;

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
}

static size_t held_of(const char *answer)
{
    const char *found = strstr(answer, "held=");

    ck_assert_ptr_nonnull(found);
    return (size_t)strtoull(found + strlen("held="), NULL, 10);
}

START_TEST(a_reader_that_does_not_read_stops_the_writer_and_nothing_is_lost)
{
    char bytes[65536], answer[65536];
    size_t left;

    set_buffers(near_fd);
    set_buffers(far_fd);
    left = fill(near_fd);
    rig_command(&rig, "stats", answer, sizeof answer);
    ck_assert_uint_ge(held_of(answer), DELAY_FLOW_SIZE_MAX / 2);
    ck_assert_uint_lt(held_of(answer), DELAY_FLOW_SIZE_MAX + 2 * 65536);
    while (left > 0) {
        size_t size = left < sizeof bytes ? left : sizeof bytes;

        ck_assert(rig_receive(far_fd, bytes, size));
        left -= size;
    }
    warm_up();
}
END_TEST

START_TEST(a_cut_holds_no_more_than_its_limit)
{
    char answer[65536];

    set_buffers(near_fd);
    ck_assert(rig_ok(&rig, "cut east"));
    (void)fill(near_fd);
    rig_command(&rig, "stats", answer, sizeof answer);
    ck_assert_uint_ge(held_of(answer), DELAY_FLOW_SIZE_MAX);
    ck_assert_uint_lt(held_of(answer), DELAY_FLOW_SIZE_MAX + 2 * 65536);
}
END_TEST

/* ---- The control socket. */

START_TEST(wrong_commands_are_told_so)
{
    static const char *const wrong[] = {"",
                                        "cut",
                                        "cut nowhere",
                                        "heal all",
                                        "delay east",
                                        "delay east west",
                                        "delay east west x",
                                        "delay east west 10001",
                                        "stop",
                                        "a b c d e f"};

    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        ck_assert_msg(!rig_ok(&rig, wrong[i]), "%s", wrong[i]);
    }
    ck_assert(rig_ok(&rig, "stats"));
}
END_TEST

START_TEST(statistics_name_who_talked_to_whom)
{
    char answer[65536], expected[128];

    warm_up();
    rig_command(&rig, "stats", answer, sizeof answer);
    (void)snprintf(expected, sizeof expected,
                   "127.0.92.101:%u " RIG_EAST " connections=1 open=1 out=1 back=1 held=0\n",
                   ntohs(rig.at.sin_port));
    ck_assert_ptr_nonnull(strstr(answer, expected));
}
END_TEST

/* By the program itself, as from a shell. */
static int tell(const char *first, const char *second)
{
    char option[] = "--tell", output[1024];
    char *program = process_path("", "qh-delay");
    char *words[2] = {process_format("%s", first), process_format("%s", second)};
    int status = process_run((char *[]){program, option, rig.socket_path, words[0], words[1], NULL},
                             output, sizeof output);

    free(program);
    free(words[0]);
    free(words[1]);
    return status;
}

START_TEST(the_program_tells_a_proxy_a_command)
{
    char byte = 'a';

    warm_up();
    ck_assert_int_eq(tell("cut", "nowhere"), 1);
    ck_assert_int_eq(tell("cut", "west"), 0);
    rig_send(near_fd, &byte, 1);
    ck_assert(!rig_readable(far_fd, HELD_MS));
    rig.socket_path[0] = 'x';
    ck_assert_int_eq(tell("cut", "west"), 1);
}
END_TEST

static TCase *map_case(void)
{
    TCase *tcase = tcase_create("map");

    tcase_add_test(tcase, addresses_and_networks_tell_the_region);
    tcase_add_test(tcase, a_delay_holds_both_ways_and_is_bounded);
    tcase_add_test(tcase, a_region_that_is_cut_off_still_reaches_itself);
    tcase_add_test(tcase, wrong_regions_are_refused_and_change_nothing);
    tcase_add_test(tcase, regions_and_listening_addresses_have_a_limit);
    tcase_add_test(tcase, wrong_listening_addresses_are_refused);
    return tcase;
}

static TCase *time_case(void)
{
    TCase *tcase = tcase_create("time");

    tcase_add_checked_fixture(tcase, open_rig, close_rig);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, bytes_arrive_after_the_delay_both_ways);
    tcase_add_test(tcase, a_handshake_takes_as_long_as_over_the_distance);
    tcase_add_test(tcase, within_a_region_nothing_is_delayed);
    tcase_add_test(tcase, the_delay_can_be_changed_and_order_is_kept);
    tcase_add_test(tcase, thousands_of_small_messages_arrive_in_order);
    tcase_add_test(tcase, a_half_closed_connection_still_answers);
    tcase_add_test(tcase, a_reset_arrives_as_a_reset_after_the_delay);
    tcase_add_test(tcase, a_target_that_is_not_there_resets_the_origin);
    tcase_add_test(tcase, who_comes_from_no_region_is_refused);
    tcase_add_test(tcase, a_reader_that_does_not_read_stops_the_writer_and_nothing_is_lost);
    tcase_add_test(tcase, wrong_commands_are_told_so);
    tcase_add_test(tcase, the_program_tells_a_proxy_a_command);
    tcase_add_test(tcase, statistics_name_who_talked_to_whom);
    return tcase;
}

static TCase *cut_case(void)
{
    TCase *tcase = tcase_create("cut");

    tcase_add_checked_fixture(tcase, open_rig, close_rig);
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, a_cut_holds_bytes_and_closes_nothing);
    tcase_add_test(tcase, bytes_under_way_do_not_arrive_behind_a_cut);
    tcase_add_test(tcase, an_end_does_not_cross_a_cut_either);
    tcase_add_test(tcase, a_new_connection_hangs_in_a_cut);
    tcase_add_test(tcase, within_a_cut_off_region_all_goes_on);
    tcase_add_test(tcase, healing_resets_what_was_held_and_lets_new_connections_pass);
    tcase_add_test(tcase, who_gives_up_during_a_cut_is_forgotten);
    tcase_add_test(tcase, a_cut_holds_no_more_than_its_limit);
    return tcase;
}

int main(void)
{
    Suite *suite = suite_create("delay");

    suite_add_tcase(suite, map_case());
    suite_add_tcase(suite, time_case());
    suite_add_tcase(suite, cut_case());
    return test_main(suite);
}
