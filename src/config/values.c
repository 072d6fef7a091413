/* What the values of a configuration must look like. See values.h. */
#include "config/values.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/parse.h"

/* So much of a value is shown. */
#define SHOWN "\"%.80s\""

void value_number(struct document *document, const char *key, const char *text, unsigned min,
                  unsigned max, unsigned *ret_number)
{
    unsigned long number = 0;

    if (text == NULL) {
        return;
    }
    for (size_t i = 0; text[i] != '\0' && number <= max; i++) {
        if (text[i] < '0' || text[i] > '9') {
            document_complain(document, key, SHOWN " is not a number; write %u to %u, digits alone",
                              text, min, max);
            return;
        }
        number = number * 10 + (unsigned long)(text[i] - '0');
    }
    if (text[0] == '\0' || number < min || number > max) {
        document_complain(document, key, SHOWN " is out of range; write %u to %u", text, min, max);
        return;
    }
    *ret_number = (unsigned)number;
}

void value_bool(struct document *document, const char *key, const char *text, bool *ret_value)
{
    static const char *const names[] = {"false", "true", NULL};
    unsigned index = *ret_value ? 1 : 0;

    value_choice(document, key, text, names, &index);
    *ret_value = index == 1;
}

void value_choice(struct document *document, const char *key, const char *text,
                  const char *const *names, unsigned *ret_index)
{
    char known[PROBLEMS_TEXT_MAX];
    size_t at = 0;

    if (text == NULL) {
        return;
    }
    for (unsigned i = 0; names[i] != NULL; i++) {
        if (strcmp(names[i], text) == 0) {
            *ret_index = i;
            return;
        }
        at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s", at > 0 ? " or " : "",
                               names[i]);
    }
    document_complain(document, key, SHOWN " is none of its values; write %s", text, known);
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

void value_name(struct document *document, const char *key, const char *text, size_t length_max,
                char *ret_name)
{
    size_t length;
    bool valid;

    if (text == NULL) {
        return;
    }
    length = strlen(text);
    valid = length >= 1 && length <= length_max && is_alnum(text[0]) && is_alnum(text[length - 1]);
    for (size_t i = 0; valid && i < length; i++) {
        valid = is_alnum(text[i]) || text[i] == '-' || text[i] == '.';
    }
    if (!valid) {
        document_complain(document, key,
                          SHOWN " is not a name; write 1 to %zu letters, digits, - and ., with a "
                                "letter or digit at both ends",
                          text, length_max);
        return;
    }
    memcpy(ret_name, text, length + 1);
}

void value_address(struct document *document, const char *key, const char *text,
                   struct config_address *ret_address)
{
    if (text != NULL && config_address_parse(text, ret_address) != QH_OK) {
        document_complain(document, key,
                          SHOWN " is not an address; write HOST:PORT, such as 10.0.0.1:7600, "
                                "hsm-a.example:7600 or [2001:db8::1]:7600",
                          text);
    }
}

void value_ip(struct document *document, const char *key, const char *text,
              char ret_host[CONFIG_HOST_LENGTH_MAX + 1])
{
    if (text == NULL) {
        return;
    }
    if (!config_ip_valid(text) || config_host_is_any(text)) {
        document_complain(document, key,
                          SHOWN " is not an address of this machine; write one without a port, "
                                "such as 10.0.0.1 or 2001:db8::1",
                          text);
        return;
    }
    (void)snprintf(ret_host, CONFIG_HOST_LENGTH_MAX + 1, "%s", text);
}

QH_RESULT value_path(struct document *document, const char *key, const char *text,
                     const char *folder, char **ret_path)
{
    bool absolute;
    char *path;

    if (text == NULL) {
        return QH_OK;
    }
    absolute = text[0] == '/';
    if (text[0] == '\0' || strlen(text) >= PATH_MAX || (!absolute && folder == NULL)) {
        document_complain(document, key,
                          SHOWN " is not an absolute path; write one that begins with / , such as "
                                "%s",
                          text, document_example(document, key));
        return QH_OK;
    }
    if (absolute || strcmp(folder, ".") == 0) {
        path = strdup(text);
    } else if (asprintf(&path, "%s/%s", folder, text) < 0) {
        path = NULL;
    }
    if (path == NULL) {
        return QH_ENOMEM;
    }
    *ret_path = path;
    return QH_OK;
}

static QH_RESULT refuse_file(struct problems *problems, int errnum)
{
    problems_add(problems, 0, NULL, "cannot be read: %s%s", strerror(errnum),
                 errnum == ENOENT   ? "; check the name, or make the file (see conf/)"
                 : errnum == EACCES ? "; run as a user who may read it, or change its mode"
                                    : "");
    if (errnum == ENOENT || errnum == ENOTDIR) {
        return QH_ENOTFOUND;
    }
    return errnum == EACCES || errnum == EPERM ? QH_EPERM : QH_EIO;
}

static QH_RESULT read_all(int fd, struct problems *problems, struct value_file *ret_text)
{
    size_t size = 0;
    ssize_t count = 1;
    char *base = malloc(CONFIG_FILE_SIZE_MAX + 1u);

    if (base == NULL) {
        return QH_ENOMEM;
    }
    while (count > 0 && size <= CONFIG_FILE_SIZE_MAX) {
        count = read(fd, base + size, CONFIG_FILE_SIZE_MAX + 1u - size);
        if (count < 0 && errno == EINTR) {
            count = 1;
        } else if (count > 0) {
            size += (size_t)count;
        }
    }
    if (count < 0) {
        int errnum = errno;

        free(base);
        return refuse_file(problems, errnum);
    }
    if (size > CONFIG_FILE_SIZE_MAX) {
        free(base);
        problems_add(problems, 0, NULL, "is larger than %u bytes; is it a configuration?",
                     CONFIG_FILE_SIZE_MAX);
        return QH_ECONFIG;
    }
    *ret_text = (struct value_file){.base = base, .size = size};
    return QH_OK;
}

QH_RESULT value_read_file(const char *path, struct problems *problems, struct value_file *ret_text)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum qh_err err;

    if (fd < 0) {
        return refuse_file(problems, errno);
    }
    err = read_all(fd, problems, ret_text);
    (void)close(fd);
    return err;
}
