/* The control socket of the delay proxy: a command a line, an answer each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "tests/drill/delay.h"

#define LINE_LENGTH_MAX 255u
#define WORDS_MAX 4u
#define SESSIONS_MAX 16u
#define BACKLOG 16

struct session {
    struct delay_control *control;
    uv_pipe_t pipe;
    size_t length;
    char line[LINE_LENGTH_MAX + 1];
};

struct delay_control {
    struct delay *delay;
    uv_pipe_t pipe;
    unsigned session_count;
    struct session *sessions[SESSIONS_MAX];
};

struct answer {
    uv_write_t write;
    char text[DELAY_REPORT_SIZE_MAX + 64];
};

static void on_session_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_session(struct session *session)
{
    struct delay_control *control = session->control;

    if (uv_is_closing((uv_handle_t *)&session->pipe) != 0) {
        return;
    }
    for (unsigned i = 0; i < control->session_count; i++) {
        if (control->sessions[i] == session) {
            control->sessions[i] = control->sessions[--control->session_count];
            break;
        }
    }
    uv_close((uv_handle_t *)&session->pipe, on_session_closed);
}

static void on_answered(uv_write_t *write, int status)
{
    (void)status; /* who does not listen is not told */
    free(write->data);
}

static unsigned split_words(char *line, char *ret_words[WORDS_MAX])
{
    unsigned count = 0;
    char *next = line;

    while (*next != '\0') {
        while (*next == ' ') {
            *next++ = '\0';
        }
        if (*next != '\0') {
            if (count == WORDS_MAX) {
                return WORDS_MAX + 1;
            }
            ret_words[count++] = next;
            next += strcspn(next, " ");
        }
    }
    return count;
}

static enum qh_err set_delay(struct delay *delay, char *const words[WORDS_MAX])
{
    char *end;
    unsigned long delay_ms = strtoul(words[3], &end, 10);

    if (*words[3] < '0' || *words[3] > '9' || *end != '\0' || delay_ms > DELAY_MS_MAX) {
        return QH_EINVAL;
    }
    return delay_set(delay, words[1], words[2], (uint32_t)delay_ms);
}

static enum qh_err run_command(struct delay *delay, char *line, char *ret_text, size_t room)
{
    char *words[WORDS_MAX];
    unsigned count = split_words(line, words);

    ret_text[0] = '\0';
    if (count == 2 && strcmp(words[0], "cut") == 0) {
        return delay_cut(delay, words[1]);
    }
    if (count == 1 && strcmp(words[0], "heal") == 0) {
        delay_heal(delay);
        return QH_OK;
    }
    if (count == 4 && strcmp(words[0], "delay") == 0) {
        return set_delay(delay, words);
    }
    if (count == 1 && strcmp(words[0], "stats") == 0) {
        (void)delay_report(delay, ret_text, room);
        return QH_OK;
    }
    return QH_EINVAL;
}

static void answer_line(struct session *session)
{
    struct answer *answer = malloc(sizeof *answer);
    uv_buf_t buf;
    enum qh_err err;
    size_t used;

    if (answer == NULL) {
        close_session(session);
        return;
    }
    session->line[session->length] = '\0';
    err = run_command(session->control->delay, session->line, answer->text, DELAY_REPORT_SIZE_MAX);
    used = strlen(answer->text);
    (void)snprintf(answer->text + used, sizeof answer->text - used, "%s%s\n",
                   err == QH_OK ? "ok" : "error ", err == QH_OK ? "" : err_message(err));
    answer->write.data = answer;
    buf = uv_buf_init(answer->text, (unsigned)strlen(answer->text));
    if (uv_write(&answer->write, (uv_stream_t *)&session->pipe, &buf, 1, on_answered) != 0) {
        free(answer);
        close_session(session);
    }
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    static char room[LINE_LENGTH_MAX]; /* read and used up by the same thread at once */

    (void)handle;
    (void)suggested;
    *ret_buf = uv_buf_init(room, sizeof room);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buf)
{
    struct session *session = stream->data;

    if (count < 0) {
        close_session(session);
        return;
    }
    for (ssize_t i = 0; i < count && uv_is_closing((uv_handle_t *)stream) == 0; i++) {
        if (buf->base[i] == '\n') {
            answer_line(session);
            session->length = 0;
        } else if (session->length == LINE_LENGTH_MAX) {
            close_session(session);
        } else {
            session->line[session->length++] = buf->base[i];
        }
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct delay_control *control = stream->data;
    struct session *session;

    if (status != 0) {
        return;
    }
    session = calloc(1, sizeof *session);
    if (session == NULL) {
        return;
    }
    session->control = control;
    QH_ASSERT(uv_pipe_init(stream->loop, &session->pipe, 0) == 0);
    session->pipe.data = session;
    if (uv_accept(stream, (uv_stream_t *)&session->pipe) != 0 ||
        control->session_count == SESSIONS_MAX ||
        uv_read_start((uv_stream_t *)&session->pipe, on_alloc, on_read) != 0) {
        uv_close((uv_handle_t *)&session->pipe, on_session_closed);
        return;
    }
    control->sessions[control->session_count++] = session;
}

static void on_control_closed(uv_handle_t *handle)
{
    free(handle->data);
}

enum qh_err delay_control_new(struct delay *delay, uv_loop_t *loop, const char *path,
                              struct delay_control **ret_control)
{
    struct delay_control *control = calloc(1, sizeof *control);

    if (control == NULL) {
        return QH_ENOMEM;
    }
    control->delay = delay;
    QH_ASSERT(uv_pipe_init(loop, &control->pipe, 0) == 0);
    control->pipe.data = control;
    (void)unlink(path); /* of a proxy that was killed */
    if (uv_pipe_bind(&control->pipe, path) != 0 ||
        uv_listen((uv_stream_t *)&control->pipe, BACKLOG, on_connection) != 0) {
        uv_close((uv_handle_t *)&control->pipe, on_control_closed);
        return QH_ESYSTEM;
    }
    *ret_control = control;
    return QH_OK;
}

void delay_control_close(struct delay_control *control)
{
    while (control->session_count > 0) {
        close_session(control->sessions[0]);
    }
    uv_close((uv_handle_t *)&control->pipe, on_control_closed);
}
