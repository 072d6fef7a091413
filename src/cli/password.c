/* PINs, passwords and passphrases. See password.h. */
#include "cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/limits.h"

/* With a newline, and one byte by which too much is noticed. */
#define BUFFER_SIZE (PIN_SIZE_MAX + 2u)

static volatile sig_atomic_t caught;

static void on_signal(int number)
{
    caught = number;
}

static enum qh_err say(char *ret_detail, enum qh_err err, const struct password_ask *ask,
                       const char *text)
{
    (void)snprintf(ret_detail, PASSWORD_DETAIL_ROOM, "%s: %s", ask->prompt, text);
    return err;
}

static enum qh_err say_range(char *ret_detail, const struct password_ask *ask)
{
    (void)snprintf(ret_detail, PASSWORD_DETAIL_ROOM, "%s: %zu to %u bytes are needed", ask->prompt,
                   ask->size_min, PIN_SIZE_MAX);
    return QH_EPINRANGE;
}

/* A secret of exactly the bytes that were read into @buffer. */
static QH_RESULT take(const struct password_ask *ask, const struct secret *buffer, size_t size,
                      struct secret **ret_password, char *ret_detail)
{
    if (size < ask->size_min || size > PIN_SIZE_MAX) {
        return say_range(ret_detail, ask);
    }
    return secret_from(secret_view(buffer), size, ret_password);
}

/* Up to a newline or the end; *ret_size without it. More than BUFFER_SIZE is cut there. */
static QH_RESULT read_line(int fd, struct secret *buffer, size_t *ret_size)
{
    size_t size = 0;

    while (size < BUFFER_SIZE) {
        ssize_t count = read(fd, secret_bytes(buffer) + size, 1);

        if (count < 0 && errno == EINTR && caught == 0) {
            continue;
        }
        if (count < 0) {
            return errno == EINTR ? QH_ECANCELED : QH_EIO;
        }
        if (count == 0 || secret_view(buffer)[size] == '\n') {
            break;
        }
        size++;
    }
    *ret_size = size;
    return QH_OK;
}

QH_RESULT password_read_line(int fd, const struct password_ask *ask, struct secret **ret_password,
                             char ret_detail[PASSWORD_DETAIL_ROOM])
{
    SECRET_SCOPED struct secret *buffer = NULL;
    size_t size = 0;
    enum qh_err err = secret_new(BUFFER_SIZE, &buffer);

    if (err != QH_OK) {
        return say(ret_detail, err, ask,
                   "no locked memory; raise the limit: `ulimit -l unlimited`");
    }
    err = read_line(fd, buffer, &size);
    if (err != QH_OK) {
        return say(ret_detail, QH_EIO, ask, "standard input cannot be read");
    }
    return take(ask, buffer, size, ret_password, ret_detail);
}

/* ---- the terminal ---- */

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};
#define SIGNALS (sizeof(signals) / sizeof(signals[0]))

struct quiet {
    struct termios before;
    struct sigaction actions[SIGNALS];
};

/* Echo off; signals must not leave the terminal like that. */
static QH_RESULT quiet_begin(int terminal, struct quiet *quiet)
{
    struct sigaction action = {.sa_handler = on_signal};
    struct termios now;

    if (tcgetattr(terminal, &quiet->before) != 0) {
        return QH_EINVAL;
    }
    caught = 0;
    for (size_t i = 0; i < SIGNALS; i++) {
        (void)sigaction(signals[i], &action, &quiet->actions[i]);
    }
    now = quiet->before;
    now.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
    (void)tcsetattr(terminal, TCSAFLUSH, &now);
    return QH_OK;
}

/* A signal that came meanwhile does now what it would have done. */
static void quiet_end(int terminal, const struct quiet *quiet)
{
    (void)tcsetattr(terminal, TCSAFLUSH, &quiet->before);
    for (size_t i = 0; i < SIGNALS; i++) {
        (void)sigaction(signals[i], &quiet->actions[i], NULL);
    }
    if (caught != 0) {
        (void)raise(caught);
    }
}

static void write_text(int terminal, const char *text)
{
    ssize_t count = write(terminal, text, strlen(text));

    (void)count; /* without the prompt one can type all the same */
}

static QH_RESULT ask_once(int terminal, const struct password_ask *ask, const char *again,
                          struct secret *buffer, size_t *ret_size)
{
    struct quiet quiet;
    enum qh_err err = quiet_begin(terminal, &quiet);

    if (err != QH_OK) {
        return err;
    }
    write_text(terminal, ask->prompt);
    write_text(terminal, again);
    write_text(terminal, ": ");
    err = read_line(terminal, buffer, ret_size);
    write_text(terminal, "\n");
    quiet_end(terminal, &quiet);
    return err;
}

QH_RESULT password_prompt(int terminal, const struct password_ask *ask,
                          struct secret **ret_password, char ret_detail[PASSWORD_DETAIL_ROOM])
{
    SECRET_SCOPED struct secret *buffer = NULL;
    SECRET_SCOPED struct secret *first = NULL;
    SECRET_SCOPED struct secret *second = NULL;
    size_t size = 0;
    enum qh_err err = secret_new(BUFFER_SIZE, &buffer);

    if (err != QH_OK) {
        return say(ret_detail, err, ask,
                   "no locked memory; raise the limit: `ulimit -l unlimited`");
    }
    if (ask_once(terminal, ask, "", buffer, &size) != QH_OK) {
        return say(ret_detail, QH_EINVAL, ask, "nothing was typed");
    }
    err = take(ask, buffer, size, &first, ret_detail);
    if (err != QH_OK) {
        return err;
    }
    if (ask->fresh) {
        if (ask_once(terminal, ask, " again", buffer, &size) != QH_OK) {
            return say(ret_detail, QH_EINVAL, ask, "nothing was typed");
        }
        if (take(ask, buffer, size, &second, ret_detail) != QH_OK || !secret_equal(first, second)) {
            return say(ret_detail, QH_EINVAL, ask, "typed differently the second time; try again");
        }
    }
    *ret_password = first;
    first = NULL;
    return QH_OK;
}

/* ---- files ---- */

static QH_RESULT read_file(int fd, struct secret *buffer, size_t *ret_size)
{
    size_t size = 0;

    while (size < BUFFER_SIZE) {
        ssize_t count = read(fd, secret_bytes(buffer) + size, BUFFER_SIZE - size);

        if (count < 0 && errno == EINTR) {
            continue;
        }
        if (count < 0) {
            return QH_EIO;
        }
        if (count == 0) {
            break;
        }
        size += (size_t)count;
    }
    if (size > 0 && secret_view(buffer)[size - 1] == '\n') {
        size--;
    }
    *ret_size = size;
    return QH_OK;
}

static QH_RESULT from_file(const struct password_ask *ask, struct secret **ret_password,
                           char *ret_detail)
{
    SECRET_SCOPED struct secret *buffer = NULL;
    size_t size = 0;
    enum qh_err err = secret_new(BUFFER_SIZE, &buffer);
    int fd;

    if (err != QH_OK) {
        return say(ret_detail, err, ask,
                   "no locked memory; raise the limit: `ulimit -l unlimited`");
    }
    fd = open(ask->file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    err = fd >= 0 ? read_file(fd, buffer, &size) : err_from_errno(errno);
    if (err != QH_OK) {
        (void)snprintf(ret_detail, PASSWORD_DETAIL_ROOM,
                       "%s: the file of --%s cannot be read: %.100s: %s", ask->prompt, ask->option,
                       ask->file, strerror(errno));
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return err == QH_OK ? take(ask, buffer, size, ret_password, ret_detail) : err;
}

QH_RESULT password_get(const struct password_ask *ask, struct secret **ret_password,
                       char ret_detail[PASSWORD_DETAIL_ROOM])
{
    enum qh_err err;
    int terminal;

    ret_detail[0] = '\0';
    if (ask->file != NULL && strcmp(ask->file, "-") == 0) {
        return password_read_line(STDIN_FILENO, ask, ret_password, ret_detail);
    }
    if (ask->file != NULL) {
        return from_file(ask, ret_password, ret_detail);
    }
    terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) {
        (void)snprintf(ret_detail, PASSWORD_DETAIL_ROOM,
                       "%s: there is no terminal to ask on; give --%s FILE, or --%s - for standard "
                       "input",
                       ask->prompt, ask->option, ask->option);
        return QH_EINVAL;
    }
    err = password_prompt(terminal, ask, ret_password, ret_detail);
    (void)close(terminal);
    return err;
}
