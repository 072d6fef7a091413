/* Objects by the name that a command was given: a label, a CKA_ID in hexadecimal, or an object's
 * own id. Each costs a question to the cluster's index, whatever the number of objects. */
#ifndef QH_CLI_KEYFIND_H
#define QH_CLI_KEYFIND_H

#include "cli/attrlist.h"
#include "cli/cli.h"

#define KEYFIND_MAX 64u

struct keyfind {
    struct quadhsm_object *objects[KEYFIND_MAX];
    size_t count;
    bool more; /* there are more than KEYFIND_MAX */
};

/* Those that @name means, of any class; none is no error. Returns an exit status.
 * Owns: keyfind_close(), whatever was returned. */
int keyfind_open(struct cli *cli, struct quadhsm_token *token, const char *name,
                 struct keyfind *ret_found);
/* Those with all these attributes. @name for the error. */
int keyfind_query(struct cli *cli, struct quadhsm_token *token, const struct attrlist *query,
                  const char *name, struct keyfind *ret_found);
void keyfind_close(struct keyfind *found);

/* Has the object no other value for any of these? What it has not is not compared. */
bool keyfind_agrees(const struct quadhsm_object *object, const struct attrlist *wanted);

/* The only one of these classes (a set of KEYFIND_...). Says what is wrong if there is none or
 * several. NULL then. */
#define KEYFIND_PUBLIC 1u
#define KEYFIND_PRIVATE 2u
#define KEYFIND_SECRET 4u
struct quadhsm_object *keyfind_only(struct cli *cli, const struct keyfind *found, unsigned classes,
                                    const char *name);

#endif
