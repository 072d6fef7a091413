/* Signs a message with a P-256 key of a Quadhsm cluster, found by its label.
 *
 *   cc -o sign sign.c $(pkg-config --cflags --libs quadhsm)
 *   QUADHSM_PIN=... ./sign PARTITION LABEL MESSAGE
 *
 * The PIN is taken from the environment to keep the example short. */
#include <quadhsm.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CKA_CLASS 0x0u /* PKCS#11's numbers */
#define CKA_LABEL 0x3u
#define CKM_ECDSA_SHA256 0x1044u

static int complain(const char *what, int error)
{
    fprintf(stderr, "%s: %s. %s\n", what, quadhsm_error_message(error), quadhsm_error_detail());
    return EXIT_FAILURE;
}

static int sign(struct quadhsm_token *token, const char *label, const char *message)
{
    static const uint8_t private_key[8] = {3}; /* CKO_PRIVATE_KEY, 8 bytes little-endian */
    const struct quadhsm_attribute wanted[] = {
        {.type = CKA_CLASS, .value = private_key, .size = sizeof private_key},
        {.type = CKA_LABEL, .value = label, .size = strlen(label)},
    };
    const struct quadhsm_mechanism ecdsa = {.type = CKM_ECDSA_SHA256};
    struct quadhsm_object **keys;
    uint8_t signature[132];
    size_t count, size;
    int error = quadhsm_find(token, wanted, 2, 1, &keys, &count);

    if (error == QUADHSM_OK && count == 0) {
        error = QUADHSM_ENOTFOUND;
        free(keys);
    }
    if (error != QUADHSM_OK) {
        return complain("finding the key", error);
    }
    error = quadhsm_sign(token, keys[0], &ecdsa, message, strlen(message), signature,
                         sizeof signature, &size);
    quadhsm_objects_free(keys, count);
    if (error != QUADHSM_OK) {
        return complain("signing", error);
    }
    for (size_t i = 0; i < size; i++) {
        printf("%02x", signature[i]);
    }
    printf("\nby node %s\n", quadhsm_last_node());
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    const char *pin = getenv("QUADHSM_PIN");
    struct quadhsm_token *token = NULL;
    struct quadhsm *handle = NULL;
    int error, status = EXIT_FAILURE;

    if (argc != 4 || pin == NULL) {
        fprintf(stderr, "usage: QUADHSM_PIN=... %s PARTITION LABEL MESSAGE\n", argv[0]);
        return EXIT_FAILURE;
    }
    error = quadhsm_open(NULL, &handle);
    if (error == QUADHSM_OK) {
        error = quadhsm_token_open_name(handle, argv[1], &token);
    }
    if (error == QUADHSM_OK) {
        error = quadhsm_login(token, QUADHSM_CU, pin, strlen(pin));
    }
    status = error == QUADHSM_OK ? sign(token, argv[2], argv[3]) : complain("opening", error);
    quadhsm_token_close(token);
    quadhsm_close(handle);
    return status;
}
