/* What one client has made, another one reads at another node, at the level linearizable, at once.
 *
 *   qh-levels --partition NAME --pin-file FILE CONFIG-A CONFIG-B
 *
 * A makes a key, B looks for it; and so 100 times. Prints how often it was there at each level;
 * exit status 0 if always at linearizable, and if both asked different nodes. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cryptoki.h"
#include "client/quadhsm.h"

#define ROUNDS 100u

struct side {
    struct quadhsm *handle;
    struct quadhsm_token *token;
    char node[64]; /* that answered last */
};

static void need(int error, const char *what)
{
    if (error != QUADHSM_OK) {
        (void)fprintf(stderr, "qh-levels: %s: %s: %s\n", what, quadhsm_error_message(error),
                      quadhsm_error_detail());
        exit(1);
    }
}

static void note_node(struct side *side)
{
    (void)snprintf(side->node, sizeof side->node, "%s", quadhsm_last_node());
}

static void open_side(struct side *side, const char *config, const char *partition, const char *pin,
                      size_t pin_size)
{
    need(quadhsm_open(config, &side->handle), config);
    need(quadhsm_token_open_name(side->handle, partition, &side->token), partition);
    need(quadhsm_login(side->token, QUADHSM_CO, pin, pin_size), "login");
}

static void make_key(struct side *side, unsigned number)
{
    static const uint8_t yes = 1;
    static const uint8_t size[8] = {16};
    const struct quadhsm_attribute attributes[] = {
        {CKA_TOKEN, &yes, 1}, {CKA_VALUE_LEN, size, sizeof size}, {CKA_ID, &number, sizeof number}};
    const struct quadhsm_mechanism mechanism = {.type = CKM_AES_KEY_GEN};
    struct quadhsm_object *key = NULL;

    need(quadhsm_generate(side->token, &mechanism, attributes, 3, &key), "generate");
    note_node(side);
    quadhsm_object_free(key);
}

static size_t find_key(struct side *side, unsigned number, enum quadhsm_level level)
{
    const struct quadhsm_attribute attribute = {CKA_ID, &number, sizeof number};
    struct quadhsm_object **list = NULL;
    size_t count = 0;

    quadhsm_set_level(side->handle, level);
    need(quadhsm_find(side->token, &attribute, 1, 0, &list, &count), "find");
    note_node(side);
    quadhsm_objects_free(list, count);
    return count;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"partition", required_argument, NULL, 'p'},
                                            {"pin-file", required_argument, NULL, 'f'},
                                            {NULL, 0, NULL, 0}};
    const char *partition = NULL;
    unsigned seen_local = 0;
    unsigned seen = 0;
    struct side a = {0};
    struct side b = {0};
    char pin[256];
    size_t size = 0;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'p') {
            partition = optarg;
        } else if (option == 'f') {
            FILE *file = fopen(optarg, "re");

            size = file != NULL ? fread(pin, 1, sizeof pin, file) : 0;
            size -= size > 0 && pin[size - 1] == '\n';
        }
    }
    if (partition == NULL || size == 0 || argc - optind != 2) {
        (void)fprintf(stderr, "usage: qh-levels --partition NAME --pin-file FILE CONFIG CONFIG\n");
        return 2;
    }
    open_side(&a, argv[optind], partition, pin, size);
    open_side(&b, argv[optind + 1], partition, pin, size);
    for (unsigned i = 0; i < ROUNDS; i++) {
        make_key(&a, i);
        seen_local += find_key(&b, i, QUADHSM_LOCAL) == 1;
        seen += find_key(&b, i, QUADHSM_LINEARIZABLE) == 1;
    }
    (void)printf("made at %s, read at %s: local %u of %u, linearizable %u of %u\n", a.node, b.node,
                 seen_local, ROUNDS, seen, ROUNDS);
    return seen == ROUNDS && strcmp(a.node, b.node) != 0 ? 0 : 1;
}
