/* Lines for the operator: stamped, escaped, one write(2) each. */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Characters of a line, without its stamp and newline. */
#define LOG_LINE_LENGTH_MAX 1024u
/* "2026-01-02T03:04:05.678Z warning " fits, for any year that fits an int. */
#define LOG_STAMP_ROOM 64u

static enum log_level log_level_max = LOG_LEVEL_INFO;
static log_sink log_sink_current;
static void *log_sink_data;

void log_set_level(enum log_level level)
{
    log_level_max = level;
}

void log_set_sink(log_sink sink, void *data)
{
    log_sink_current = sink;
    log_sink_data = data;
}

/* Copy @text into @ret_line (LOG_LINE_LENGTH_MAX characters and a zero), showing every
 * byte that is not printable ASCII as \xNN. An escape that does not fit whole ends the line.
 * Returns the length. */
static size_t escape_line(const char *text, char *ret_line)
{
    static const char digits[] = "0123456789abcdef";
    size_t length = 0;

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        bool plain = byte >= 0x20 && byte < 0x7f;

        if (length + (plain ? 1 : 4) > LOG_LINE_LENGTH_MAX) {
            break;
        }
        if (plain) {
            ret_line[length++] = (char)byte;
        } else {
            ret_line[length++] = '\\';
            ret_line[length++] = 'x';
            ret_line[length++] = digits[byte >> 4];
            ret_line[length++] = digits[byte & 0xf];
        }
    }
    ret_line[length] = '\0';
    return length;
}

static const char *level_word(enum log_level level)
{
    switch (level) {
    case LOG_LEVEL_ERROR:
        return "error";
    case LOG_LEVEL_WARNING:
        return "warning";
    case LOG_LEVEL_INFO:
        return "info";
    case LOG_LEVEL_DEBUG:
        return "debug";
    }
    return "unknown";
}

/* Wall time in UTC, since an operator lays the lines of several nodes side by side. */
static size_t stamp_line(enum log_level level, char *ret_stamp)
{
    struct timespec now = {0, 0};
    struct tm utc = {0};
    int length;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &utc);
    length = snprintf(ret_stamp, LOG_STAMP_ROOM, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ %s ",
                      utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min,
                      utc.tm_sec, now.tv_nsec / 1000000, level_word(level));
    return length < 0 || (size_t)length >= LOG_STAMP_ROOM ? 0 : (size_t)length;
}

static void write_all(const char *base, size_t size)
{
    ssize_t written;

    /* One call for the whole line, so that lines of several threads do not mix. There
     * is nowhere to report that the log itself failed. */
    do {
        written = write(STDERR_FILENO, base, size);
    } while (written < 0 && errno == EINTR);
}

static void log_va(enum log_level level, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

static void log_va(enum log_level level, const char *format, va_list args)
{
    char text[LOG_LINE_LENGTH_MAX + 1];
    char line[LOG_STAMP_ROOM + LOG_LINE_LENGTH_MAX + 2];
    int errnum = errno;
    size_t size;

    if (level > log_level_max) {
        return;
    }
    if (vsnprintf(text, sizeof text, format, args) < 0) {
        text[0] = '\0';
    }
    if (log_sink_current != NULL) {
        (void)escape_line(text, line);
        log_sink_current(log_sink_data, level, line);
    } else {
        size = stamp_line(level, line);
        size += escape_line(text, line + size);
        line[size++] = '\n';
        write_all(line, size);
    }
    errno = errnum;
}

void log_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_va(LOG_LEVEL_ERROR, format, args);
    va_end(args);
}

void log_warning(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_va(LOG_LEVEL_WARNING, format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_va(LOG_LEVEL_INFO, format, args);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_va(LOG_LEVEL_DEBUG, format, args);
    va_end(args);
}
