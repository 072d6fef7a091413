/* The folder that a new client gets: ca.crt, client.crt, client.key, client.yaml. The key is made
 * here and never leaves; nothing is ever overwritten. Thread: one. */
#ifndef QH_CLI_CREDENTIALS_H
#define QH_CLI_CREDENTIALS_H

#include "cli/cli.h"
#include "config/client_config.h"
#include "crypto/pki.h"

struct credentials {
    char *dir;
    bool made_dir;
    bool wrote_key;
    struct pki_der csr;
};

/* Make the folder if it is missing, the key, and the request; write client.key. Returns an exit
 * status. Owns: credentials_close(), whatever was returned. */
int credentials_begin(struct cli *cli, const char *dir, const char *client_name,
                      struct credentials *ret_credentials);
/* Write the rest. @endpoints are HOST:PORT texts. */
int credentials_finish(struct cli *cli, struct credentials *credentials,
                       const Quadhsm__ClientCertificate *certificate, const char *const *endpoints,
                       size_t count);
/* Without @keep the key, and a folder made for it, are removed again. */
void credentials_close(struct credentials *credentials, bool keep);

/* HOST:PORT, with brackets around IPv6. */
void credentials_endpoint(const char *host, unsigned port, char *ret_text, size_t room);

#endif
