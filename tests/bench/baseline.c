/* qh-baseline: what the benchmark compares with. Bare libraft as an application would take it:
 * raft_uv_tcp, no TLS, no guard, one raft_apply for each command, a state machine that only
 * counts. It speaks qh-node's control protocol, as far as the benchmark asks:
 *
 *   status, load SECONDS OUTSTANDING SIZE, put ID KEY SIZE TIMEOUT_MS
 *
 * Nothing forwards to the leader here: a put waits until this node leads. */
#include <raft.h>
#include <raft/uv.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"

#define LATENCIES_MAX 4000000u
#define LINE_SIZE_MAX 4096u
#define POLL_MS 1u /* libraft 0.15 does not tell when the role changes */
#define SNAPSHOT_THRESHOLD 8192u

struct session {
    uv_pipe_t pipe;
    char line[LINE_SIZE_MAX];
    size_t line_size;
    char read_buffer[65536];
    bool closed; /* the memory stays: a put may still answer */
};

/* A put that waits for leadership, or for its commit. */
struct put {
    TAILQ_ENTRY(put) link;
    struct raft_apply apply;
    struct session *session;
    char id[33];
    unsigned size;
    uint64_t deadline_ms;
};
TAILQ_HEAD(put_list, put);

/* A command of the load. */
struct command {
    struct raft_apply apply; /* first: libraft's callback gets it */
    uint64_t begin_ns;
};

static uv_loop_t loop;
static struct raft raft;
static struct raft_io io;
static struct raft_uv_transport tcp;
static struct put_list waiting = TAILQ_HEAD_INITIALIZER(waiting);

static struct {
    struct session *session; /* NULL: no load */
    uv_timer_t end;
    unsigned outstanding, size, under_way;
    bool ended;
    uint64_t begin_ns, end_ns, failed;
    uint32_t *latencies_us;
    size_t latency_count;
} load;

static int apply_entry(struct raft_fsm *fsm, const struct raft_buffer *buf, void **result)
{
    (void)fsm;
    (void)buf;
    *result = NULL;
    return 0;
}

static int take_snapshot(struct raft_fsm *fsm, struct raft_buffer *bufs[], unsigned *n_bufs)
{
    (void)fsm;
    *bufs = raft_malloc(sizeof **bufs);
    if (*bufs == NULL) {
        return RAFT_NOMEM;
    }
    (*bufs)[0].len = 4096;
    (*bufs)[0].base = raft_calloc(1, (*bufs)[0].len);
    *n_bufs = 1;
    return (*bufs)[0].base != NULL ? 0 : RAFT_NOMEM;
}

static int restore_snapshot(struct raft_fsm *fsm, struct raft_buffer *buf)
{
    (void)fsm;
    raft_free(buf->base);
    return 0;
}

struct output {
    uv_write_t write;
    char text[];
};

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void answer(struct session *session, const char *text)
{
    size_t size = strlen(text) + 2;
    struct output *output;
    uv_buf_t buf;

    if (session->closed) {
        return;
    }
    output = malloc(sizeof *output + size);
    if (output == NULL) {
        abort();
    }
    (void)snprintf(output->text, size, "%s\n", text);
    buf = uv_buf_init(output->text, (unsigned)(size - 1));
    if (uv_write(&output->write, (uv_stream_t *)&session->pipe, &buf, 1, on_written) != 0) {
        free(output);
    }
}

/* Errors: libraft's. */
static int submit(struct raft_apply *apply, unsigned size, raft_apply_cb cb)
{
    struct raft_buffer buffer = {.len = size};
    int rv;

    buffer.base = raft_malloc(buffer.len);
    if (buffer.base == NULL) {
        return RAFT_NOMEM;
    }
    memset(buffer.base, 7, buffer.len);
    rv = raft_apply(&raft, apply, &buffer, 1, cb);
    if (rv != 0) {
        raft_free(buffer.base);
    }
    return rv;
}

static int compare_u32(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left;
    uint32_t b = *(const uint32_t *)right;

    return a < b ? -1 : a > b;
}

static uint32_t percentile(unsigned per_mille)
{
    if (load.latency_count == 0) {
        return 0;
    }
    return load.latencies_us[(load.latency_count - 1) * per_mille / 1000];
}

static void report_load(void)
{
    double seconds = (double)(load.end_ns - load.begin_ns) / 1e9;
    char line[256];

    qsort(load.latencies_us, load.latency_count, sizeof *load.latencies_us, compare_u32);
    (void)snprintf(line, sizeof line,
                   "load commits=%zu seconds=%.3f rate=%.0f p50_us=%u p99_us=%u max_us=%u "
                   "failed=%llu",
                   load.latency_count, seconds, (double)load.latency_count / seconds,
                   percentile(500), percentile(990), percentile(1000),
                   (unsigned long long)load.failed);
    answer(load.session, line);
    free(load.latencies_us);
    load.session = NULL;
}

static void submit_more(void);

static void on_command(struct raft_apply *apply, int status, void *result)
{
    struct command *command = (struct command *)apply;
    uint64_t now_ns = clock_monotonic_ns();

    (void)result;
    load.under_way--;
    if (status != 0) {
        load.failed++;
        free(command);
        return; /* libraft must not be called from here */
    }
    if (load.latency_count < LATENCIES_MAX) {
        load.latencies_us[load.latency_count++] = (uint32_t)((now_ns - command->begin_ns) / 1000);
    }
    free(command);
    submit_more();
}

static void submit_more(void)
{
    while (!load.ended && load.under_way < load.outstanding) {
        struct command *command = calloc(1, sizeof *command);

        if (command == NULL) {
            abort();
        }
        command->begin_ns = clock_monotonic_ns();
        if (submit(&command->apply, load.size, on_command) != 0) {
            free(command);
            return;
        }
        load.under_way++;
    }
    if (load.ended && load.under_way == 0) {
        report_load();
    }
}

static void on_load_end(uv_timer_t *timer)
{
    (void)timer;
    load.ended = true;
    load.end_ns = clock_monotonic_ns();
    submit_more();
}

static void do_load(struct session *session, char **words)
{
    if (words[3] == NULL || load.session != NULL) {
        answer(session, "error load");
        return;
    }
    load.session = session;
    load.outstanding = (unsigned)strtoul(words[2], NULL, 10);
    load.size = (unsigned)strtoul(words[3], NULL, 10);
    load.under_way = 0;
    load.ended = false;
    load.failed = 0;
    load.latency_count = 0;
    load.latencies_us = calloc(LATENCIES_MAX, sizeof *load.latencies_us);
    if (load.latencies_us == NULL) {
        abort();
    }
    load.begin_ns = clock_monotonic_ns();
    (void)uv_timer_start(&load.end, on_load_end, strtoul(words[1], NULL, 10) * 1000, 0);
    submit_more();
}

static void finish_put(struct put *put, const char *outcome)
{
    char line[64];

    (void)snprintf(line, sizeof line, "%s %s", put->id, outcome);
    answer(put->session, line);
    free(put);
}

static void on_put(struct raft_apply *apply, int status, void *result)
{
    (void)result;
    finish_put(apply->data, status == 0 ? "applied" : "failed");
}

static void submit_waiting(void)
{
    struct put *put;

    while ((put = TAILQ_FIRST(&waiting)) != NULL && raft_state(&raft) == RAFT_LEADER) {
        put->apply.data = put;
        if (submit(&put->apply, put->size, on_put) != 0) {
            return;
        }
        TAILQ_REMOVE(&waiting, put, link);
    }
}

static void do_put(struct session *session, char **words)
{
    struct put *put = calloc(1, sizeof *put);

    if (put == NULL || words[4] == NULL) {
        abort();
    }
    put->session = session;
    (void)snprintf(put->id, sizeof put->id, "%s", words[1]);
    put->size = (unsigned)strtoul(words[3], NULL, 10);
    put->deadline_ms = clock_monotonic_ms() + strtoul(words[4], NULL, 10);
    TAILQ_INSERT_TAIL(&waiting, put, link);
    submit_waiting();
}

static void on_poll(uv_timer_t *timer)
{
    struct put *put;
    uint64_t now_ms = clock_monotonic_ms();

    (void)timer;
    submit_waiting();
    while ((put = TAILQ_FIRST(&waiting)) != NULL && now_ms >= put->deadline_ms) {
        TAILQ_REMOVE(&waiting, put, link);
        finish_put(put, "failed");
    }
    if (raft_state(&raft) == RAFT_UNAVAILABLE) {
        (void)fprintf(stderr, "libraft gave up: %s\n", raft_errmsg(&raft));
        _exit(1);
    }
}

static void do_status(struct session *session)
{
    char line[256];

    (void)snprintf(line, sizeof line, "status ready=%d term=%llu last=%llu applied=%llu",
                   raft_state(&raft) == RAFT_LEADER, raft.current_term, raft_last_index(&raft),
                   raft_last_applied(&raft));
    answer(session, line);
}

static void do_line(struct session *session, char *line)
{
    char *words[6] = {NULL};
    char *rest = line;
    unsigned count = 0;

    while (count < 5 && (words[count] = strsep(&rest, " ")) != NULL) {
        count++;
    }
    if (strcmp(words[0], "put") == 0) {
        do_put(session, words);
    } else if (strcmp(words[0], "load") == 0) {
        do_load(session, words);
    } else {
        do_status(session);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct session *session = handle->data;

    (void)suggested;
    *buf = uv_buf_init(session->read_buffer, sizeof session->read_buffer);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct session *session = stream->data;

    if (count < 0 && !session->closed) {
        session->closed = true;
        uv_close((uv_handle_t *)stream, NULL);
    }
    for (ssize_t i = 0; i < count; i++) {
        if (buf->base[i] == '\n') {
            session->line[session->line_size] = '\0';
            session->line_size = 0;
            do_line(session, session->line);
        } else if (session->line_size < LINE_SIZE_MAX - 1) {
            session->line[session->line_size++] = buf->base[i];
        }
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct session *session = calloc(1, sizeof *session);

    if (session == NULL || status != 0 || uv_pipe_init(&loop, &session->pipe, 0) != 0) {
        abort();
    }
    session->pipe.data = session;
    if (uv_accept(stream, (uv_stream_t *)&session->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&session->pipe, on_alloc, on_read) != 0) {
        abort();
    }
}

static int check(int rv, const char *what)
{
    if (rv != 0) {
        (void)fprintf(stderr, "%s: %s\n", what, raft_errmsg(&raft));
        exit(1);
    }
    return rv;
}

static void bootstrap(int count, char **addresses)
{
    struct raft_configuration configuration;
    int rv;

    raft_configuration_init(&configuration);
    for (int i = 0; i < count; i++) {
        (void)check(
            raft_configuration_add(&configuration, (raft_id)i + 1, addresses[i], RAFT_VOTER),
            "raft_configuration_add");
    }
    rv = raft_bootstrap(&raft, &configuration);
    raft_configuration_close(&configuration);
    if (rv != RAFT_CANTBOOTSTRAP) { /* that is a restart */
        (void)check(rv, "raft_bootstrap");
    }
}

/* The time-outs of the node's presets; everything else as the library has it, but for
 * pre-vote and a snapshot threshold that keeps short runs free of snapshots. */
static void start_raft(const char *dir, raft_id id, bool cross, int count, char **addresses)
{
    static struct raft_fsm fsm = {
        .version = 1, .apply = apply_entry, .snapshot = take_snapshot, .restore = restore_snapshot};

    (void)check(raft_uv_tcp_init(&tcp, &loop), "raft_uv_tcp_init");
    (void)check(raft_uv_init(&io, &loop, dir, &tcp), "raft_uv_init");
    (void)check(raft_init(&raft, &io, &fsm, id, addresses[id - 1]), "raft_init");
    raft_set_election_timeout(&raft, cross ? 1200 : 500);
    raft_set_heartbeat_timeout(&raft, cross ? 120 : 50);
    raft_set_pre_vote(&raft, true);
    raft_set_snapshot_threshold(&raft, SNAPSHOT_THRESHOLD);
    raft_set_snapshot_trailing(&raft, SNAPSHOT_THRESHOLD);
    bootstrap(count, addresses);
    (void)check(raft_start(&raft), "raft_start");
}

int main(int argc, char **argv)
{
    uv_timer_t poll;
    uv_pipe_t control;
    raft_id id;

    if (argc < 6) {
        (void)fputs("usage: qh-baseline DIR ID CONTROL region|cross ADDRESS...\n", stderr);
        return 2;
    }
    id = strtoull(argv[2], NULL, 10);
    if (id < 1 || id > (raft_id)(argc - 5)) {
        (void)fputs("qh-baseline: ID is the place of its address, from 1\n", stderr);
        return 2;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    (void)mkdir(argv[1], 0700);
    (void)uv_loop_init(&loop);
    start_raft(argv[1], id, strcmp(argv[4], "cross") == 0, argc - 5, argv + 5);
    (void)uv_timer_init(&loop, &load.end);
    (void)uv_timer_init(&loop, &poll);
    (void)uv_timer_start(&poll, on_poll, POLL_MS, POLL_MS);
    (void)uv_pipe_init(&loop, &control, 0);
    if (uv_pipe_bind(&control, argv[3]) != 0 ||
        uv_listen((uv_stream_t *)&control, 16, on_connection) != 0) {
        (void)fprintf(stderr, "qh-baseline: cannot listen on %s\n", argv[3]);
        return 1;
    }
    return uv_run(&loop, UV_RUN_DEFAULT);
}
