/* The raft_io under the guard: libraft's messages travel by our transport and nothing else, and
 * each is called back once, whatever became of the server meanwhile. */
#include "raft-glue/link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "raft-glue/codec.h"
#include "tests/lib/test.h"

#define SERVERS 2u
#define FRAMES_MAX 4096u
#define PATIENCE_MS 20000u

/* A frame that was sent and has not been called back. */
struct frame {
    uint64_t from, to;
    uint8_t *body;
    size_t size;
    transport_sent cb;
    void *data;
};

/* The network of the test, in place of the real transport. */
struct transport {
    uint64_t self;
    enum qh_err refuse; /* what transport_send() answers, QH_OK: takes it */
};

static struct frame frames[FRAMES_MAX];
static unsigned frame_count;
static unsigned sends_seen;

QH_RESULT transport_send(struct transport *transport, enum transport_channel channel, uint64_t peer,
                         struct bytes head, const struct bytes *pieces, unsigned piece_count,
                         transport_sent cb, void *data)
{
    struct bytes_writer writer;
    struct frame *frame;
    size_t size = head.size;

    sends_seen++;
    ck_assert_int_eq(channel, TRANSPORT_RAFT);
    if (transport->refuse != QH_OK) {
        return transport->refuse;
    }
    for (unsigned i = 0; i < piece_count; i++) {
        size += pieces[i].size;
    }
    ck_assert_uint_lt(frame_count, FRAMES_MAX);
    frame = &frames[frame_count++];
    frame->body = malloc(size);
    ck_assert_ptr_nonnull(frame->body);
    bytes_writer_init(&writer, frame->body, size);
    bytes_write_span(&writer, head.base, head.size);
    for (unsigned i = 0; i < piece_count; i++) {
        bytes_write_span(&writer, pieces[i].base, pieces[i].size);
    }
    ck_assert(!writer.failed);
    frame->from = transport->self;
    frame->to = peer;
    frame->size = size;
    frame->cb = cb;
    frame->data = data;
    return QH_OK;
}

/* A server on a link of its own. */
struct server {
    struct raft raft;
    struct raft_fsm fsm;
    struct link link;
    struct transport transport;
    char dir[256];
    unsigned applied;
};

static uv_loop_t loop;
static struct server servers[SERVERS];

static int fsm_apply(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    struct server *server = fsm->data;

    (void)buf;
    server->applied++;
    *result = NULL;
    return 0;
}

static int fsm_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    (void)fsm;
    (void)bufs;
    (void)n_bufs;
    return RAFT_BUSY;
}

static int fsm_restore(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    (void)fsm;
    raft_free(buf->base);
    return 0;
}

static const char *server_name(unsigned index)
{
    return index == 0 ? "alpha" : "beta";
}

static void server_bootstrap(struct server *server, unsigned count)
{
    struct raft_configuration conf;

    raft_configuration_init(&conf);
    for (unsigned i = 0; i < count; i++) {
        ck_assert_int_eq(raft_configuration_add(&conf, i + 1, server_name(i), RAFT_VOTER), 0);
    }
    ck_assert_int_eq(raft_bootstrap(&server->raft, &conf), 0);
    raft_configuration_close(&conf);
}

static void server_init(unsigned index, const char *dir)
{
    struct server *server = &servers[index];

    (void)snprintf(server->dir, sizeof(server->dir), "%s/%u", dir, index);
    (void)mkdir(server->dir, 0700);
    ck_assert_int_eq(link_init(&server->link, &loop, server->dir, LINK_SEGMENT_SIZE_MIN), QH_OK);
    server->transport.self = index + 1;
    link_set_transport(&server->link, &server->transport);
    server->applied = 0;
    server->fsm = (struct raft_fsm){.version = 2,
                                    .data = server,
                                    .apply = fsm_apply,
                                    .snapshot = fsm_snapshot,
                                    .restore = fsm_restore};
    ck_assert_int_eq(
        raft_init(&server->raft, &server->link.io, &server->fsm, index + 1, server_name(index)), 0);
    raft_set_election_timeout(&server->raft, 200);
    raft_set_heartbeat_timeout(&server->raft, 20);
}

static void server_start(unsigned index)
{
    ck_assert_int_eq(raft_start(&servers[index].raft), 0);
}

/* Call one frame back, and deliver it first if @status says that it was sent. */
static void finish_frame(unsigned index, enum qh_err status)
{
    struct frame frame = frames[index];

    memmove(&frames[index], &frames[index + 1], (frame_count - index - 1) * sizeof(frames[0]));
    frame_count--;
    if (status == QH_OK && frame.to <= SERVERS) {
        struct bytes body = {frame.body, frame.size};

        ck_assert_int_eq(link_receive(&servers[frame.to - 1].link, frame.from,
                                      server_name((unsigned)frame.from - 1), body),
                         QH_OK);
    }
    free(frame.body);
    frame.cb(frame.data, status);
}

static void finish_frames(enum qh_err status)
{
    while (frame_count > 0) {
        finish_frame(0, status);
    }
}

typedef bool (*condition)(void);

/* Run the loop, delivering what is sent if @deliver, until @met. */
static void run_until(condition met, bool deliver)
{
    uint64_t deadline = clock_monotonic_ms() + PATIENCE_MS;

    while (!met()) {
        ck_assert_uint_lt(clock_monotonic_ms(), deadline);
        (void)uv_run(&loop, UV_RUN_ONCE);
        if (deliver) {
            finish_frames(QH_OK);
        }
    }
}

/* libraft 0.15 may call back twice when it is closed, and then frees twice. A node ends with its
 * process, and so does a test. */
static void finish(const char *dir)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        servers[i].transport.refuse = QH_ECONN;
    }
    finish_frames(QH_ECANCELED);
    test_remove_dir(dir);
}

static void pair_start(const char *dir)
{
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    for (unsigned i = 0; i < SERVERS; i++) {
        server_init(i, dir);
        server_bootstrap(&servers[i], SERVERS);
        server_start(i);
    }
}

static struct server *leader(void)
{
    for (unsigned i = 0; i < SERVERS; i++) {
        if (raft_state(&servers[i].raft) == RAFT_LEADER) {
            return &servers[i];
        }
    }
    return NULL;
}

static bool has_leader(void)
{
    return leader() != NULL;
}

static unsigned applies_done;
static int applies_status;
static unsigned applies_wanted;

static void apply_done(struct raft_apply *request, int status, void *result)
{
    (void)result;
    applies_done++;
    applies_status = status;
    free(request);
}

static void apply_one(struct server *server, size_t size)
{
    struct raft_apply *request = calloc(1, sizeof(*request));
    struct raft_buffer buf = {.base = raft_malloc(size), .len = size};

    ck_assert_ptr_nonnull(request);
    ck_assert_ptr_nonnull(buf.base);
    memset(buf.base, 0x61, size);
    ck_assert_int_eq(raft_apply(&server->raft, request, &buf, 1, apply_done), 0);
}

static bool all_applied(void)
{
    return servers[0].applied >= applies_wanted && servers[1].applied >= applies_wanted;
}

static bool applies_are_done(void)
{
    return applies_done >= applies_wanted;
}

static bool has_frame_with_data(void)
{
    for (unsigned i = 0; i < frame_count; i++) {
        if (frames[i].size > 1000) {
            return true;
        }
    }
    return false;
}

START_TEST(two_servers_elect_and_replicate_through_links)
{
    char dir[128];

    test_make_dir(dir, sizeof(dir));
    pair_start(dir);
    run_until(has_leader, true);
    for (unsigned i = 0; i < 20; i++) {
        apply_one(leader(), 1024);
    }
    applies_wanted = 20;
    run_until(all_applied, true);
    run_until(applies_are_done, true);
    ck_assert_int_eq(applies_status, 0);
    finish(dir);
}
END_TEST

/* The calls back come when the sender leads no more; libraft then releases the entries and must
 * not touch what it kept as leader. */
START_TEST(calls_back_after_the_leadership_is_lost_are_harmless)
{
    struct raft_message higher = {.type = RAFT_IO_APPEND_ENTRIES_RESULT};
    struct codec_encoded encoded;
    struct server *old;
    char dir[128];

    test_make_dir(dir, sizeof(dir));
    pair_start(dir);
    run_until(has_leader, true);
    old = leader();
    if (old == NULL) {
        ck_abort_msg("no leader");
    }
    apply_one(old, 2048);
    apply_one(old, 2048);
    run_until(has_frame_with_data, false);
    higher.append_entries_result.term = old->raft.current_term + 5;
    ck_assert_int_eq(codec_encode(&higher, &encoded), QH_OK);
    ck_assert_int_eq(link_receive(&old->link, 3 - old->raft.id,
                                  server_name(2 - (unsigned)old->raft.id),
                                  (struct bytes){encoded.head, encoded.head_size}),
                     QH_OK);
    codec_encoded_close(&encoded);
    ck_assert_int_ne(raft_state(&old->raft), RAFT_LEADER);
    finish_frames(QH_ECONN);
    run_until(has_leader, true);
    finish(dir);
}
END_TEST

START_TEST(a_send_that_fails_later_does_not_stop_the_leader)
{
    char dir[128];

    test_make_dir(dir, sizeof(dir));
    pair_start(dir);
    run_until(has_leader, true);
    apply_one(leader(), 2048);
    run_until(has_frame_with_data, false);
    finish_frames(QH_ECONN); /* libraft goes back to probing, and sends again */
    applies_wanted = 1;
    run_until(all_applied, true);
    finish(dir);
}
END_TEST

/* Sending directly, without libraft above. */
static int send_status;
static unsigned send_calls;

static void send_done(struct raft_io_send *request, int status)
{
    (void)request;
    send_status = status;
    send_calls++;
}

static struct raft_message timeout_now(void)
{
    /* To nobody: it is not delivered. */
    struct raft_message message = {.type = RAFT_IO_TIMEOUT_NOW, .server_id = SERVERS + 1};

    message.timeout_now.term = 3;
    message.timeout_now.last_log_index = 2;
    message.timeout_now.last_log_term = 1;
    return message;
}

static void single_init(char *dir, size_t room)
{
    test_make_dir(dir, room);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    server_init(0, dir);
}

START_TEST(the_end_of_a_send_is_told_as_libraft_knows_it)
{
    static const struct {
        enum qh_err err;
        int status;
    } cases[] = {{QH_OK, 0},
                 {QH_ECANCELED, RAFT_CANCELED},
                 {QH_ECONN, RAFT_NOCONNECTION},
                 {QH_ETLS, RAFT_NOCONNECTION}};
    struct raft_message message = timeout_now();
    struct raft_io *io = &servers[0].link.io;
    char dir[128];

    single_init(dir, sizeof(dir));
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct raft_io_send request = {0};

        ck_assert_int_eq(io->send(io, &request, &message, send_done), 0);
        ck_assert_uint_eq(send_calls, i); /* not from inside */
        ck_assert_uint_eq(frame_count, 1);
        finish_frame(0, cases[i].err);
        ck_assert_uint_eq(send_calls, i + 1);
        ck_assert_int_eq(send_status, cases[i].status);
    }
    finish(dir);
}
END_TEST

START_TEST(what_is_not_taken_is_not_called_back)
{
    static const enum qh_err refusals[] = {QH_ECONN, QH_EBUSY, QH_ELIMIT, QH_ENOMEM};
    struct raft_message message = timeout_now();
    struct raft_io *io = &servers[0].link.io;
    struct raft_io_send request = {0};
    char dir[128];

    single_init(dir, sizeof(dir));
    for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        servers[0].transport.refuse = refusals[i];
        ck_assert_int_eq(io->send(io, &request, &message, send_done), RAFT_NOCONNECTION);
    }
    ck_assert_uint_eq(sends_seen, 4);
    message.type = 99; /* does not encode */
    ck_assert_int_eq(io->send(io, &request, &message, send_done), RAFT_NOCONNECTION);
    ck_assert_uint_eq(sends_seen, 4);
    message.type = RAFT_IO_TIMEOUT_NOW;
    link_set_transport(&servers[0].link, NULL);
    ck_assert_int_eq(io->send(io, &request, &message, send_done), RAFT_NOCONNECTION);
    ck_assert_uint_eq(send_calls, 0);
    finish(dir);
}
END_TEST

START_TEST(a_send_without_a_callback_may_outlive_its_request)
{
    struct raft_message message = timeout_now();
    struct raft_io *io = &servers[0].link.io;
    struct raft_io_send *request = calloc(1, sizeof(*request));
    char dir[128];

    ck_assert_ptr_nonnull(request);
    single_init(dir, sizeof(dir));
    ck_assert_int_eq(io->send(io, request, &message, NULL), 0);
    free(request);
    finish_frame(0, QH_OK);
    finish(dir);
}
END_TEST

START_TEST(a_malformed_frame_is_refused_and_an_early_one_dropped)
{
    struct raft_message message = timeout_now();
    struct codec_encoded encoded;
    struct bytes body;
    char dir[128];

    single_init(dir, sizeof(dir));
    ck_assert_int_eq(codec_encode(&message, &encoded), QH_OK);
    body.base = encoded.head;
    body.size = encoded.head_size;
    ck_assert_int_eq(link_receive(&servers[0].link, 2, "beta", body), QH_OK);
    body.size--;
    ck_assert_int_eq(link_receive(&servers[0].link, 2, "beta", body), QH_EMALFORMED);
    codec_encoded_close(&encoded);
    finish(dir);
}
END_TEST

static bool first_leads(void)
{
    return raft_state(&servers[0].raft) == RAFT_LEADER;
}

/* In a process of its own, which ends as a killed node does. */
static void write_and_die(const char *dir)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child > 0) {
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_int_eq(status, 0);
        return;
    }
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    server_init(0, dir);
    server_bootstrap(&servers[0], 1);
    server_start(0);
    run_until(first_leads, false);
    apply_one(&servers[0], 512);
    applies_wanted = 1;
    run_until(applies_are_done, false);
    _exit(applies_status == 0 && sends_seen == 0 ? 0 : 1);
}

START_TEST(the_disk_is_that_of_raft_uv)
{
    char path[400];
    char dir[128];

    test_make_dir(dir, sizeof(dir));
    write_and_die(dir);
    (void)snprintf(path, sizeof(path), "%s/0/%s", dir, "metadata1");
    ck_assert_int_eq(access(path, R_OK), 0);
    (void)snprintf(path, sizeof(path), "%s/0/%s", dir, "open-1");
    ck_assert_int_eq(access(path, R_OK), 0);
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    server_init(0, dir);
    server_start(0);
    run_until(first_leads, false);
    apply_one(&servers[0], 512);
    applies_wanted = 1;
    run_until(applies_are_done, false);
    ck_assert_int_eq(applies_status, 0);
    ck_assert_uint_eq(servers[0].applied, 2);
    finish(dir);
}
END_TEST

START_TEST(async_snapshots_are_announced)
{
    char dir[128];

    single_init(dir, sizeof(dir));
    ck_assert_int_eq(servers[0].link.io.version, 2);
    ck_assert_ptr_nonnull(servers[0].link.io.async_work);
    finish(dir);
}
END_TEST

START_TEST(arguments_are_checked)
{
    static struct link link;
    char path[1100];
    char dir[128];

    test_make_dir(dir, sizeof(dir));
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(link_init(&link, &loop, "/nonexistent/raft", LINK_SEGMENT_SIZE_MIN),
                     QH_ENOTFOUND);
    ck_assert_int_eq(link_init(&link, &loop, "/dev/null", LINK_SEGMENT_SIZE_MIN), QH_EINVAL);
    ck_assert_int_eq(link_init(&link, &loop, dir, LINK_SEGMENT_SIZE_MIN - 4096), QH_EINVAL);
    ck_assert_int_eq(link_init(&link, &loop, dir, LINK_SEGMENT_SIZE_MIN + 1), QH_EINVAL);
    ck_assert_int_eq(link_init(&link, &loop, dir, LINK_SEGMENT_SIZE_MAX + 4096), QH_EINVAL);
    ck_assert_int_eq(link_init(&link, &loop, dir, LINK_SEGMENT_SIZE_MAX), QH_OK);
    link_close(&link);
    memset(path, '/', sizeof(path));
    memcpy(path + 895 - strlen(dir), dir, strlen(dir) + 1);
    ck_assert_int_eq(link_init(&link, &loop, path, LINK_SEGMENT_SIZE_MIN), QH_EINVAL);
    ck_assert_int_eq(link_init(&link, &loop, path + 1, LINK_SEGMENT_SIZE_MIN), QH_OK);
    link_close(&link);
    (void)uv_run(&loop, UV_RUN_DEFAULT); /* the timers close */
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    test_remove_dir(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link");
    TCase *tcase = tcase_create("link");

    tcase_set_timeout(tcase, 60);
    tcase_add_test(tcase, two_servers_elect_and_replicate_through_links);
    tcase_add_test(tcase, calls_back_after_the_leadership_is_lost_are_harmless);
    tcase_add_test(tcase, a_send_that_fails_later_does_not_stop_the_leader);
    tcase_add_test(tcase, the_end_of_a_send_is_told_as_libraft_knows_it);
    tcase_add_test(tcase, what_is_not_taken_is_not_called_back);
    tcase_add_test(tcase, a_send_without_a_callback_may_outlive_its_request);
    tcase_add_test(tcase, a_malformed_frame_is_refused_and_an_early_one_dropped);
    tcase_add_test(tcase, the_disk_is_that_of_raft_uv);
    tcase_add_test(tcase, async_snapshots_are_announced);
    tcase_add_test(tcase, arguments_are_checked);
    suite_add_tcase(suite, tcase);
    return test_main(suite);
}
