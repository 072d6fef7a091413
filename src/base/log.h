/* The daemon's log: one line an event, to stderr. Libraries never log. Error
 * means that an operator must act. */
#ifndef QH_BASE_LOG_H
#define QH_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Where lines go instead of stderr (tests, the simulator); NULL restores stderr.
 * @line has no newline, stamp or level and is valid during the call. */
typedef void (*log_sink)(void *data, enum log_level level, const char *line);

/* Set once at start, before threads are made. The level is INFO at first. */
void log_set_level(enum log_level level);
void log_set_sink(log_sink sink, void *data);

/* "what happened: reason key=value". A line is cut at 1,024 characters (the
 * stamp and level before it on stderr not counted), and bytes that are not printable
 * ASCII are shown as \xNN, so that text from outside cannot forge lines. errno
 * survives. Thread: any. */
void log_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *format, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
