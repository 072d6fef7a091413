/* The control socket of qh-node: lines in, lines out. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sodium.h>

#include "store/txn.h"
#include "tests/torture/node.h"

#define LINE_SIZE_MAX 4096u

struct session {
    struct node *node;
    uv_pipe_t pipe;
    char line[LINE_SIZE_MAX];
    size_t line_size;
    char read_buffer[65536];
    unsigned references; /* requests under way, and the open pipe */
    bool closed;
};

/* One request whose answer comes later. */
struct request {
    struct session *session;
    char label[160]; /* how the answer begins */
};

struct output {
    uv_write_t write;
    char text[];
};

static void drop_session(struct session *session)
{
    if (--session->references == 0) {
        free(session);
    }
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write);
}

static void answer(struct session *session, const char *label, const char *text)
{
    size_t size = strlen(label) + strlen(text) + 3;
    struct output *output;
    uv_buf_t buf;

    if (session->closed) {
        return;
    }
    output = malloc(sizeof *output + size);
    if (output == NULL) {
        abort();
    }
    (void)snprintf(output->text, size, "%s%s%s\n", label, label[0] != '\0' ? " " : "", text);
    buf = uv_buf_init(output->text, (unsigned)strlen(output->text));
    if (uv_write(&output->write, (uv_stream_t *)&session->pipe, &buf, 1, on_written) != 0) {
        free(output);
    }
}

static struct request *new_request(struct session *session, const char *label)
{
    struct request *request = calloc(1, sizeof *request);

    if (request == NULL) {
        abort();
    }
    request->session = session;
    (void)snprintf(request->label, sizeof request->label, "%s", label);
    session->references++;
    return request;
}

static void end_request(struct request *request, const char *text)
{
    answer(request->session, request->label, text);
    drop_session(request->session);
    free(request);
}

static void on_proposed(void *data, const struct propose_result *result)
{
    char text[96];

    switch (result->outcome) {
    case PROPOSE_APPLIED:
        (void)snprintf(text, sizeof text, "applied %" PRIu64, result->answer.revision);
        break;
    case PROPOSE_DUPLICATE:
        (void)snprintf(text, sizeof text, "duplicate");
        break;
    case PROPOSE_REFUSED:
        (void)snprintf(text, sizeof text, "refused %u", result->answer.compare_index);
        break;
    case PROPOSE_FAILED:
        (void)snprintf(text, sizeof text, "failed %s", err_name(result->err));
        break;
    }
    end_request(data, text);
}

static bool parse_hex(const char *text, uint8_t *ret_bytes, size_t room, size_t *ret_size)
{
    return text != NULL &&
           sodium_hex2bin(ret_bytes, room, text, strlen(text), NULL, ret_size, NULL) == 0;
}

static void do_put(struct session *session, char **words)
{
    uint8_t id[ONCE_ID_SIZE];
    uint8_t key[STORE_KEY_SIZE_MAX];
    size_t id_size;
    size_t key_size;
    struct bytes encoded;
    struct request *request;
    enum qh_err err;

    if (!parse_hex(words[1], id, sizeof id, &id_size) || id_size != sizeof id ||
        !parse_hex(words[2], key, sizeof key, &key_size) || words[3] == NULL || words[4] == NULL) {
        answer(session, "error", "put ID KEY SIZE TIMEOUT_MS");
        return;
    }
    request = new_request(session, words[1]);
    err = node_build_put(session->node, id, (struct bytes){.base = key, .size = key_size},
                         strtoul(words[3], NULL, 10), &encoded);
    if (err == QH_OK) {
        err = replica_propose(session->node->replica, encoded,
                              (unsigned)strtoul(words[4], NULL, 10), on_proposed, request);
        free((void *)(uintptr_t)encoded.base);
    }
    if (err != QH_OK) {
        char text[64];

        (void)snprintf(text, sizeof text, "failed %s", err_name(err));
        end_request(request, text);
    }
}

static void do_get(struct session *session, char **words)
{
    uint8_t key[STORE_KEY_SIZE_MAX];
    size_t key_size;
    struct store_record record;
    char label[16 + 2 * STORE_KEY_SIZE_MAX];
    char text[64];

    if (!parse_hex(words[1], key, sizeof key, &key_size)) {
        answer(session, "error", "get KEY");
        return;
    }
    (void)snprintf(label, sizeof label, "get %.512s", words[1]);
    if (store_get(replica_store(session->node->replica),
                  (struct bytes){.base = key, .size = key_size}, &record)) {
        (void)snprintf(text, sizeof text, "%" PRIu64 " %zu", record.mod_revision,
                       record.value.size);
        answer(session, label, text);
    } else {
        answer(session, label, "absent");
    }
}

static void do_status(struct session *session)
{
    struct replica_status status;
    char text[2048];
    int used;

    replica_status(session->node->replica, &status);
    used = snprintf(text, sizeof text,
                    "id=%" PRIu64 " leader=%" PRIu64 " leading=%d ready=%d term=%" PRIu64
                    " generation=%" PRIu64 " last=%" PRIu64 " commit=%" PRIu64 " applied=%" PRIu64
                    " revision=%" PRIu64 " records=%" PRIu64 " data=%" PRIu64 " snapshots=%" PRIu64
                    " snapshotting=%d members=%u",
                    status.id, status.leading ? status.id : status.leader, status.leading,
                    status.ready, status.term, status.generation, status.last_index,
                    status.commit_index, status.applied_index, status.revision, status.record_count,
                    status.data_size, status.snapshots, status.snapshotting, status.peer_count);
    for (unsigned i = 0; i < status.peer_count && used > 0 && (size_t)used < sizeof text; i++) {
        used += snprintf(text + used, sizeof text - (size_t)used, " %s:%s:%s:%" PRIu64,
                         status.peers[i].name, status.peers[i].voter ? "voter" : "spare",
                         status.peers[i].connected ? "up" : "down", status.peers[i].match_index);
    }
    answer(session, "status", text);
}

static void on_changed(void *data, enum qh_err status)
{
    end_request(data, err_name(status));
}

static void do_member(struct session *session, char **words)
{
    struct replica *replica = session->node->replica;
    uint64_t id = words[1] != NULL ? strtoull(words[1], NULL, 10) : 0;
    struct request *request;
    char label[64];
    enum qh_err err;

    (void)snprintf(label, sizeof label, "%s %" PRIu64, words[0], id);
    request = new_request(session, label);
    if (strcmp(words[0], "add") == 0 && words[2] != NULL) {
        err = replica_add(replica, id, words[2], on_changed, request);
    } else if (strcmp(words[0], "remove") == 0) {
        err = replica_remove(replica, id, on_changed, request);
    } else if (strcmp(words[0], "transfer") == 0) {
        err = replica_transfer(replica, id, on_changed, request);
    } else {
        err = QH_EINVAL;
    }
    if (err != QH_OK) {
        end_request(request, err_name(err));
    }
}

static void do_address(struct session *session, char **words)
{
    struct replica_node node = {.role = REPLICA_DATA};
    enum qh_err err = QH_EINVAL;

    if (words[1] != NULL && words[2] != NULL && words[3] != NULL) {
        (void)snprintf(node.name, sizeof node.name, "%.63s", words[1]);
        (void)snprintf(node.host, sizeof node.host, "%.255s", words[2]);
        node.port = (uint16_t)strtoul(words[3], NULL, 10);
        err = replica_set_address(session->node->replica, &node);
    }
    answer(session, "address", err_name(err));
}

static void on_loaded(void *data, const char *line)
{
    end_request(data, line);
}

static void do_load(struct session *session, char **words)
{
    struct node_load_options options;

    if (words[1] == NULL || words[2] == NULL || words[3] == NULL) {
        answer(session, "error", "load SECONDS OUTSTANDING SIZE, or fill COUNT OUTSTANDING SIZE");
        return;
    }
    options = (struct node_load_options){.outstanding = (unsigned)strtoul(words[2], NULL, 10),
                                         .size = (unsigned)strtoul(words[3], NULL, 10)};
    if (strcmp(words[0], "fill") == 0) {
        options.fill_count = strtoull(words[1], NULL, 10);
    } else {
        options.seconds = (unsigned)strtoul(words[1], NULL, 10);
    }
    node_load_start(session->node, options, on_loaded, new_request(session, words[0]));
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
    } else if (strcmp(words[0], "get") == 0) {
        do_get(session, words);
    } else if (strcmp(words[0], "status") == 0) {
        do_status(session);
    } else if (strcmp(words[0], "load") == 0 || strcmp(words[0], "fill") == 0) {
        do_load(session, words);
    } else if (strcmp(words[0], "address") == 0) {
        do_address(session, words);
    } else if (strcmp(words[0], "stop") == 0) {
        node_stop(session->node);
    } else {
        do_member(session, words);
    }
}

static void on_closed(uv_handle_t *handle)
{
    drop_session(handle->data);
}

static void close_session(struct session *session)
{
    if (!session->closed) {
        session->closed = true;
        uv_close((uv_handle_t *)&session->pipe, on_closed);
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

    if (count < 0) {
        close_session(session);
        return;
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
    struct node *node = stream->data;
    struct session *session;

    if (status != 0) {
        return;
    }
    session = calloc(1, sizeof *session);
    if (session == NULL) {
        abort();
    }
    session->node = node;
    session->references = 1;
    (void)uv_pipe_init(&node->loop, &session->pipe, 0);
    session->pipe.data = session;
    if (uv_accept(stream, (uv_stream_t *)&session->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&session->pipe, on_alloc, on_read) != 0) {
        close_session(session);
    }
}

int node_control_listen(struct node *node)
{
    (void)unlink(node->control_path);
    (void)uv_pipe_init(&node->loop, &node->control, 0);
    node->control.data = node;
    if (uv_pipe_bind(&node->control, node->control_path) != 0) {
        return -1;
    }
    return uv_listen((uv_stream_t *)&node->control, 16, on_connection);
}
