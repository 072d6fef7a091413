/* make-certs DIR NAME...: a throw-away authority in DIR, unless there is one, and a
 * certificate and key for each node NAME. For tests that run real processes. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/lib/certs.h"

int main(int argc, char **argv)
{
    char path[4096];

    if (argc < 3) {
        (void)fprintf(stderr, "usage: make-certs DIR NAME...\n");
        return EXIT_FAILURE;
    }
    certs_path(path, sizeof path, argv[1], "ca", "key");
    if (access(path, F_OK) != 0) {
        certs_make_ca(argv[1]);
    }
    for (int i = 2; i < argc; i++) {
        certs_make_node(argv[1], argv[i]);
    }
    return EXIT_SUCCESS;
}
