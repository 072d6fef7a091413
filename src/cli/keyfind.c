/* Objects by the name that a command was given. See keyfind.h. */
#include "cli/keyfind.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/cryptoki.h"
#include "cli/keyplan.h"

/* Each object once. Takes it over. */
static void take(struct keyfind *found, struct quadhsm_object *object)
{
    for (size_t i = 0; i < found->count; i++) {
        if (memcmp(found->objects[i]->id, object->id, QUADHSM_OBJECT_ID_SIZE) == 0) {
            quadhsm_object_free(object);
            return;
        }
    }
    if (found->count == KEYFIND_MAX) {
        found->more = true;
        quadhsm_object_free(object);
        return;
    }
    found->objects[found->count++] = object;
}

static int add_all(struct cli *cli, struct quadhsm_token *token, const struct attrlist *query,
                   const char *name, struct keyfind *found)
{
    struct quadhsm_object **list = NULL;
    size_t count = 0;
    int err = quadhsm_find(token, query->list, query->count, KEYFIND_MAX + 1, &list, &count);

    if (err != QUADHSM_OK) {
        return cli_fail(cli, err, "looking for %s", name);
    }
    for (size_t i = 0; i < count; i++) {
        take(found, list[i]);
    }
    free(list);
    return EXIT_DONE;
}

int keyfind_query(struct cli *cli, struct quadhsm_token *token, const struct attrlist *query,
                  const char *name, struct keyfind *ret_found)
{
    *ret_found = (struct keyfind){.count = 0};
    return add_all(cli, token, query, name, ret_found);
}

static int find_by(struct cli *cli, struct quadhsm_token *token, uint64_t type, struct bytes value,
                   const char *name, struct keyfind *found)
{
    struct attrlist query = {.count = 0};

    attrlist_add_bytes(&query, type, value);
    return add_all(cli, token, &query, name, found);
}

/* An object's own id. */
static int find_object(struct cli *cli, struct quadhsm_token *token, const uint8_t *id,
                       const char *name, struct keyfind *found)
{
    struct quadhsm_object *object = NULL;
    int err = quadhsm_read(token, id, &object);

    if (err == QUADHSM_OK) {
        take(found, object);
    }
    return err == QUADHSM_OK || err == QUADHSM_ENOTFOUND
               ? EXIT_DONE
               : cli_fail(cli, err, "looking for %s", name);
}

int keyfind_open(struct cli *cli, struct quadhsm_token *token, const char *name,
                 struct keyfind *ret_found)
{
    struct bytes label = {(const uint8_t *)name, strlen(name)};
    uint8_t id[KEYPLAN_ID_SIZE_MAX];
    const char *problem;
    size_t size = 0;
    int status = EXIT_DONE;

    *ret_found = (struct keyfind){.count = 0};
    if (label.size == 0) {
        return EXIT_DONE;
    }
    status = find_by(cli, token, CKA_LABEL, label, name, ret_found);
    if (keyplan_id(name, id, &size, &problem) != QH_OK) {
        return status;
    }
    if (status == EXIT_DONE) {
        status = find_by(cli, token, CKA_ID, (struct bytes){id, size}, name, ret_found);
    }
    if (status == EXIT_DONE && size == QUADHSM_OBJECT_ID_SIZE) {
        status = find_object(cli, token, id, name, ret_found);
    }
    return status;
}

void keyfind_close(struct keyfind *found)
{
    for (size_t i = 0; i < found->count; i++) {
        quadhsm_object_free(found->objects[i]);
    }
    *found = (struct keyfind){.count = 0};
}

bool keyfind_agrees(const struct quadhsm_object *object, const struct attrlist *wanted)
{
    for (size_t i = 0; i < wanted->count; i++) {
        const struct quadhsm_attribute *has =
            quadhsm_object_attribute(object, wanted->list[i].type);

        if (has != NULL && (has->size != wanted->list[i].size ||
                            memcmp(has->value, wanted->list[i].value, has->size) != 0)) {
            return false;
        }
    }
    return true;
}

static bool is_of(const struct quadhsm_object *object, unsigned classes)
{
    uint64_t object_class = CK_UNAVAILABLE_INFORMATION;

    (void)attrlist_number_of(object, CKA_CLASS, &object_class);
    return (object_class == CKO_PUBLIC_KEY && (classes & KEYFIND_PUBLIC) != 0) ||
           (object_class == CKO_PRIVATE_KEY && (classes & KEYFIND_PRIVATE) != 0) ||
           (object_class == CKO_SECRET_KEY && (classes & KEYFIND_SECRET) != 0);
}

struct quadhsm_object *keyfind_only(struct cli *cli, const struct keyfind *found, unsigned classes,
                                    const char *name)
{
    struct quadhsm_object *only = NULL;
    unsigned count = 0;

    for (size_t i = 0; i < found->count; i++) {
        if (is_of(found->objects[i], classes)) {
            only = found->objects[i];
            count++;
        }
    }
    if (count == 0 && !found->more) {
        (void)output_fail(&cli->output, QH_ENOTFOUND,
                          "`quadhsm key list` names those there are; write a label or an id",
                          "key %s", name);
        return NULL;
    }
    if (count != 1 || found->more) {
        (void)output_fail(&cli->output, QH_EINVAL,
                          "this name means several keys; write an object's id from "
                          "`quadhsm key list --json`",
                          "key %s", name);
        return NULL;
    }
    return only;
}
