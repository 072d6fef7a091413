/* The folder that a new client gets. See credentials.h. */
#include "cli/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_FILE "client.key"
#define YAML_ROOM 16384u

static const char *const names[] = {"ca.crt", "client.crt", KEY_FILE, "client.yaml"};

static char *path_in(const char *dir, const char *name)
{
    char *path;

    return asprintf(&path, "%s/%s", dir, name) >= 0 ? path : NULL;
}

static int fail_errno(struct cli *cli, const char *doing, const char *dir, const char *name)
{
    int errnum = errno;

    return output_fail(&cli->output, err_from_errno(errnum), strerror(errnum), "%s %s%s%s", doing,
                       dir, name[0] != '\0' ? "/" : "", name);
}

/* All of it reaches the disk, or nothing is there: a key that is lost cannot be made again. */
static int write_file(struct cli *cli, const char *dir, const char *name, mode_t mode,
                      const void *base, size_t size)
{
    char *path = path_in(dir, name);
    const uint8_t *from = base;
    bool written = true;
    int status = EXIT_DONE;
    int fd =
        path != NULL ? open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode) : -1;

    if (fd < 0) {
        status = fail_errno(cli, "making", dir, name);
        free(path);
        return status;
    }
    while (size > 0 && written) {
        ssize_t count = write(fd, from, size);

        if (count >= 0) {
            from += count;
            size -= (size_t)count;
        } else {
            written = errno == EINTR;
        }
    }
    written = written && fchmod(fd, mode) == 0 && fsync(fd) == 0;
    if (!written) {
        status = fail_errno(cli, "writing", dir, name);
        (void)unlink(path);
    }
    (void)close(fd);
    free(path);
    return status;
}

/* Nothing of what will be written may be there. */
static int check_free(struct cli *cli, const char *dir)
{
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char *path = path_in(dir, names[i]);
        bool taken = path != NULL && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;

        free(path);
        if (taken) {
            return output_fail(&cli->output, QH_EEXIST,
                               "nothing is overwritten: name another folder with --out, or move "
                               "that file away",
                               "%s/%s", dir, names[i]);
        }
    }
    return EXIT_DONE;
}

static int make_dir(struct cli *cli, struct credentials *credentials)
{
    if (mkdir(credentials->dir, 0700) == 0) {
        credentials->made_dir = true;
        return EXIT_DONE;
    }
    return errno == EEXIST ? check_free(cli, credentials->dir)
                           : fail_errno(cli, "making the folder", credentials->dir, "");
}

int credentials_begin(struct cli *cli, const char *dir, const char *client_name,
                      struct credentials *ret_credentials)
{
    SECRET_SCOPED struct secret *key = NULL;
    SECRET_SCOPED struct secret *pem = NULL;
    char *common_name = NULL;
    enum qh_err err;
    int status;

    *ret_credentials = (struct credentials){0};
    if (!pki_client_name_valid(client_name)) {
        return output_misuse(&cli->output,
                             "\"%s\" is not a client's name: write 1 to %u letters, digits, -, . "
                             "and _, with a letter or digit at both ends",
                             client_name, CLIENT_NAME_LENGTH_MAX);
    }
    ret_credentials->dir = strdup(dir);
    if (ret_credentials->dir == NULL ||
        asprintf(&common_name, PKI_CLIENT_PREFIX "%s", client_name) < 0) {
        return output_fail(&cli->output, QH_ENOMEM, NULL, "making a key");
    }
    status = make_dir(cli, ret_credentials);
    if (status != EXIT_DONE) {
        free(common_name);
        return status;
    }
    err = pki_request_new(common_name, &key, &ret_credentials->csr);
    free(common_name);
    if (err == QH_OK) {
        err = pki_key_to_pem(key, &pem);
    }
    if (err != QH_OK) {
        return output_fail(&cli->output, err, NULL, "making a key");
    }
    status = write_file(cli, dir, KEY_FILE, 0600, secret_view(pem),
                        strnlen((const char *)secret_view(pem), secret_size(pem)));
    ret_credentials->wrote_key = status == EXIT_DONE;
    return status;
}

static int write_certificate(struct cli *cli, const char *dir, const char *name,
                             const ProtobufCBinaryData *der)
{
    struct pki_der pem = {0};
    enum qh_err err = pki_cert_to_pem((struct bytes){.base = der->data, .size = der->len}, &pem);
    int status;

    if (err != QH_OK) {
        return output_fail(&cli->output, err, NULL, "reading the certificate that the node gave");
    }
    status = write_file(cli, dir, name, 0644, pem.base, pem.size);
    free(pem.base);
    return status;
}

static int write_yaml(struct cli *cli, const char *dir, const char *const *endpoints, size_t count)
{
    char *text = malloc(YAML_ROOM);
    size_t at;
    int status;

    if (text == NULL) {
        return output_fail(&cli->output, QH_ENOMEM, NULL, "writing client.yaml");
    }
    at = (size_t)snprintf(text, YAML_ROOM,
                          "# For the library, the PKCS#11 module and the quadhsm command: "
                          "quadhsm.yaml(5).\nendpoints:\n");
    for (size_t i = 0; i < count && i < CLIENT_CONFIG_ENDPOINTS_MAX && at < YAML_ROOM; i++) {
        at += (size_t)snprintf(text + at, YAML_ROOM - at, "  - \"%s\"\n", endpoints[i]);
    }
    at += at < YAML_ROOM
              ? (size_t)snprintf(text + at, YAML_ROOM - at,
                                 "ca: ca.crt\ncertificate: client.crt\nkey: " KEY_FILE "\n"
                                 "# What the nodes say of where they all are is kept here.\n"
                                 "cache: endpoints.cache\n")
              : 0;
    if (at >= YAML_ROOM) {
        free(text);
        return output_fail(&cli->output, QH_ELIMIT, NULL, "writing client.yaml");
    }
    status = write_file(cli, dir, "client.yaml", 0644, text, at);
    free(text);
    return status;
}

int credentials_finish(struct cli *cli, struct credentials *credentials,
                       const Quadhsm__ClientCertificate *certificate, const char *const *endpoints,
                       size_t count)
{
    int status = write_certificate(cli, credentials->dir, "ca.crt", &certificate->ca);

    if (status == EXIT_DONE) {
        status = write_certificate(cli, credentials->dir, "client.crt", &certificate->certificate);
    }
    if (status == EXIT_DONE) {
        status = write_yaml(cli, credentials->dir, endpoints, count);
    }
    return status;
}

void credentials_close(struct credentials *credentials, bool keep)
{
    if (!keep && credentials->wrote_key) {
        char *path = path_in(credentials->dir, KEY_FILE);

        if (path != NULL) {
            (void)unlink(path);
        }
        free(path);
    }
    if (!keep && credentials->made_dir) {
        (void)rmdir(credentials->dir);
    }
    free(credentials->dir);
    free(credentials->csr.base);
    *credentials = (struct credentials){0};
}

void credentials_endpoint(const char *host, unsigned port, char *ret_text, size_t room)
{
    (void)snprintf(ret_text, room, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host, port);
}
