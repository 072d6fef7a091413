/* One object of another module, copied into a partition. See migrate_copy.h. */
#include "cli/migrate_copy.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "cli/keyfind.h"
#include "cli/keyplan.h"

#define DATA 0x01u
#define CERTIFICATE 0x02u
#define PUBLIC 0x04u
#define PRIVATE 0x08u
#define SECRET 0x10u
#define PAIR (PUBLIC | PRIVATE)
#define KEYS (PAIR | SECRET)

enum kind { BYTES, MUST, FLAG, NUMBER };

/* What a copy keeps. MUST is there even if it is empty. What protects a key is not kept but set. */
static const struct {
    CK_ATTRIBUTE_TYPE type;
    enum kind kind;
    unsigned classes;
} kept[] = {
    {CKA_LABEL, MUST, DATA | CERTIFICATE | KEYS},
    {CKA_ID, MUST, CERTIFICATE | KEYS},
    {CKA_SUBJECT, MUST, CERTIFICATE},
    {CKA_SUBJECT, BYTES, PAIR},
    {CKA_START_DATE, BYTES, CERTIFICATE | KEYS},
    {CKA_END_DATE, BYTES, CERTIFICATE | KEYS},
    {CKA_PRIVATE, FLAG, DATA | CERTIFICATE | PUBLIC},
    {CKA_CERTIFICATE_TYPE, NUMBER, CERTIFICATE},
    {CKA_CERTIFICATE_CATEGORY, NUMBER, CERTIFICATE},
    {CKA_ISSUER, BYTES, CERTIFICATE},
    {CKA_SERIAL_NUMBER, BYTES, CERTIFICATE},
    {CKA_APPLICATION, BYTES, DATA},
    {CKA_OBJECT_ID, BYTES, DATA},
    {CKA_VALUE, MUST, DATA | CERTIFICATE},
    {CKA_DERIVE, FLAG, KEYS},
    {CKA_ENCRYPT, FLAG, PUBLIC | SECRET},
    {CKA_VERIFY, FLAG, PUBLIC | SECRET},
    {CKA_WRAP, FLAG, PUBLIC | SECRET},
    {CKA_VERIFY_RECOVER, FLAG, PUBLIC},
    {CKA_DECRYPT, FLAG, PRIVATE | SECRET},
    {CKA_SIGN, FLAG, PRIVATE | SECRET},
    {CKA_UNWRAP, FLAG, PRIVATE | SECRET},
    {CKA_SIGN_RECOVER, FLAG, PRIVATE},
    {CKA_ALWAYS_AUTHENTICATE, FLAG, PRIVATE},
    {CKA_WRAP_WITH_TRUSTED, FLAG, PRIVATE | SECRET},
    {CKA_MODULUS, BYTES, PUBLIC},
    {CKA_PUBLIC_EXPONENT, BYTES, PUBLIC},
    {CKA_EC_PARAMS, BYTES, PUBLIC},
    {CKA_EC_POINT, BYTES, PUBLIC},
};
#define KEPT (sizeof(kept) / sizeof(kept[0]))
#define IDENTITY_MAX 4u

struct copy {
    struct migration *migration;
    const struct source *source;
    CK_OBJECT_HANDLE object;
    struct migrate_item *item;
    unsigned set; /* of one class */
    struct attrlist template, identity;
    struct secret *values[KEPT + IDENTITY_MAX]; /* what these borrow */
    size_t value_count;
};

static void decide(struct copy *copy, enum migrate_fate fate, const char *why)
{
    copy->item->fate = fate;
    (void)snprintf(copy->item->why, sizeof(copy->item->why), "%s", why);
}

static unsigned set_of(CK_OBJECT_CLASS object_class)
{
    switch (object_class) {
    case CKO_DATA:
        return DATA;
    case CKO_CERTIFICATE:
        return CERTIFICATE;
    case CKO_PUBLIC_KEY:
        return PUBLIC;
    case CKO_PRIVATE_KEY:
        return PRIVATE;
    case CKO_SECRET_KEY:
        return SECRET;
    default:
        return 0;
    }
}

static bool type_is_kept(unsigned set, CK_KEY_TYPE key_type)
{
    switch (key_type) {
    case CKK_RSA:
    case CKK_EC:
    case CKK_EC_EDWARDS:
    case CKK_EC_MONTGOMERY:
        return (set & PAIR) != 0;
    case CKK_AES:
    case CKK_GENERIC_SECRET:
    case CKK_SHA_1_HMAC:
    case CKK_SHA224_HMAC:
    case CKK_SHA256_HMAC:
    case CKK_SHA384_HMAC:
    case CKK_SHA512_HMAC:
        return (set & SECRET) != 0;
    default:
        return (set & KEYS) == 0;
    }
}

/* ---- reading ---- */

/* The copy owns the value. Without one: nothing, or with @must the empty one. */
static enum qh_err read_bytes(struct copy *copy, CK_ATTRIBUTE_TYPE type, bool must,
                              struct attrlist *list)
{
    struct secret *value = NULL;
    enum qh_err err = source_read(copy->source, copy->object, type, &value);

    if (err == QH_OK && value != NULL) {
        copy->values[copy->value_count++] = value;
        attrlist_add(list, type, secret_view(value), secret_size(value));
    } else if (must && (err == QH_OK || err == QH_ENOTFOUND)) {
        attrlist_add(list, type, NULL, 0);
    }
    return err == QH_ENOTFOUND ? QH_OK : err;
}

static enum qh_err read_kept(struct copy *copy)
{
    enum qh_err err = QH_OK;

    attrlist_add_number(&copy->template, CKA_CLASS, copy->item->object_class);
    attrlist_add_flag(&copy->template, CKA_TOKEN, true);
    if ((copy->set & KEYS) != 0) {
        attrlist_add_number(&copy->template, CKA_KEY_TYPE, copy->item->key_type);
    }
    if ((copy->set & (PRIVATE | SECRET)) != 0) {
        attrlist_add_flag(&copy->template, CKA_PRIVATE, true);
        attrlist_add_flag(&copy->template, CKA_SENSITIVE, true);
        attrlist_add_flag(&copy->template, CKA_EXTRACTABLE, copy->migration->extractable);
    }
    for (size_t i = 0; i < KEPT && err == QH_OK; i++) {
        CK_ATTRIBUTE_TYPE type = kept[i].type;

        if ((kept[i].classes & copy->set) == 0) {
            continue;
        }
        if (kept[i].kind == FLAG) {
            attrlist_add_flag(&copy->template, type,
                              source_flag(copy->source, copy->object, type, false));
        } else if (kept[i].kind == NUMBER) {
            attrlist_add_number(&copy->template, type,
                                source_number(copy->source, copy->object, type, 0));
        } else {
            err = read_bytes(copy, type, kept[i].kind == MUST, &copy->template);
        }
    }
    return err;
}

static void add_same(struct copy *copy, CK_ATTRIBUTE_TYPE type)
{
    const struct quadhsm_attribute *attribute = attrlist_find(&copy->template, type);

    if (attribute != NULL) {
        attrlist_add(&copy->identity, type, attribute->value, attribute->size);
    }
}

/* What two objects of one label and id differ in. */
static enum qh_err read_identity(struct copy *copy)
{
    enum qh_err err = QH_OK;
    CK_ULONG size;

    add_same(copy, CKA_KEY_TYPE);
    switch (copy->set) {
    case PUBLIC:
        add_same(copy, CKA_MODULUS);
        add_same(copy, CKA_EC_POINT);
        break;
    case PRIVATE:
        err = read_bytes(copy, CKA_MODULUS, false, &copy->identity);
        break;
    case SECRET:
        size = source_number(copy->source, copy->object, CKA_VALUE_LEN, 0);
        if (size > 0) {
            attrlist_add_number(&copy->identity, CKA_VALUE_LEN, size);
        }
        err = read_bytes(copy, CKA_CHECK_VALUE, false, &copy->identity);
        break;
    default:
        add_same(copy, CKA_VALUE);
        add_same(copy, CKA_APPLICATION);
        break;
    }
    return err;
}

static void describe(struct copy *copy)
{
    const struct quadhsm_attribute *label = attrlist_find(&copy->template, CKA_LABEL);
    const struct quadhsm_attribute *id = attrlist_find(&copy->template, CKA_ID);

    if (label != NULL && label->size > 0) {
        output_safe(label->value, label->size, copy->item->label, sizeof(copy->item->label));
    }
    if (id != NULL && id->size > 0) {
        size_t most = (sizeof(copy->item->id) - 1) / 2;

        (void)sodium_bin2hex(copy->item->id, sizeof(copy->item->id), id->value,
                             id->size > most ? most : id->size);
    }
}

/* ---- what is there already ---- */

static bool is_claimed(const struct migration *migration, const struct quadhsm_object *object)
{
    for (size_t i = 0; i < migration->claimed_count; i++) {
        if (memcmp(migration->claimed[i], object->id, QUADHSM_OBJECT_ID_SIZE) == 0) {
            return true;
        }
    }
    return false;
}

/* One object of the partition stands for one of the source, so that twins are copied both. */
static bool claim(struct migration *migration, const struct quadhsm_object *object)
{
    uint8_t(*more)[QUADHSM_OBJECT_ID_SIZE] = migration->claimed;

    if ((migration->claimed_count & (migration->claimed_count - 1)) == 0) {
        size_t room = migration->claimed_count > 0 ? 2 * migration->claimed_count : 1;

        more = realloc(migration->claimed, room * sizeof(*more));
        if (more == NULL) {
            return false;
        }
        migration->claimed = more;
    }
    memcpy(more[migration->claimed_count++], object->id, QUADHSM_OBJECT_ID_SIZE);
    return true;
}

/* A curve may be named in several ways. */
static bool same_curve(const struct copy *copy, const struct quadhsm_object *object)
{
    SECRET_SCOPED struct secret *params = NULL;
    const char *here = keyplan_curve_name(attrlist_bytes_of(object, CKA_EC_PARAMS));
    const char *there = NULL;

    if (here == NULL) {
        return true;
    }
    if (source_read(copy->source, copy->object, CKA_EC_PARAMS, &params) != QH_OK ||
        params == NULL) {
        return true;
    }
    there = keyplan_curve_name((struct bytes){secret_view(params), secret_size(params)});
    return there != NULL && strcmp(here, there) == 0;
}

static int look(struct copy *copy)
{
    static const CK_ATTRIBUTE_TYPE asked[] = {CKA_CLASS, CKA_LABEL, CKA_ID};
    struct quadhsm_object **list = NULL;
    struct attrlist query = {.count = 0};
    size_t count = 0;
    bool room = true;
    int err;

    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        const struct quadhsm_attribute *attribute = attrlist_find(&copy->template, asked[i]);

        if (attribute != NULL) {
            attrlist_add(&query, asked[i], attribute->value, attribute->size);
        }
    }
    err = quadhsm_find(copy->migration->token, query.list, query.count, 0, &list, &count);
    if (err != QUADHSM_OK) {
        return cli_fail(copy->migration->cli, err, "looking for %s", copy->item->label);
    }
    for (size_t i = 0; i < count && copy->item->fate != MIGRATE_THERE; i++) {
        if (keyfind_agrees(list[i], &copy->identity) && same_curve(copy, list[i]) &&
            !is_claimed(copy->migration, list[i])) {
            decide(copy, MIGRATE_THERE, "");
            room = claim(copy->migration, list[i]);
        }
    }
    quadhsm_objects_free(list, count);
    return room ? EXIT_DONE
                : output_fail(&copy->migration->cli->output, QH_ENOMEM, NULL, "copying %s",
                              copy->item->label);
}

/* ---- copying ---- */

/* Whoever asks next would get the same answer. */
static bool is_fatal(int err)
{
    switch ((int)output_exit_status((enum qh_err)err)) {
    case EXIT_UNREACHABLE:
    case EXIT_LOGIN:
    case EXIT_NO_QUORUM:
        return true;
    default:
        return err == QUADHSM_ENOMEM || err == QUADHSM_EUNKNOWN || err == QUADHSM_ELIMIT;
    }
}

/* What the cluster does not take, it will never take. */
static int settle(struct copy *copy, int err, struct quadhsm_object *object)
{
    const char *detail = err != QUADHSM_OK ? quadhsm_error_detail() : "";
    bool never = err == QUADHSM_EKEYSIZE || err == QUADHSM_ECURVE || err == QUADHSM_EKEYTYPE;
    int status = EXIT_DONE;

    if (err == QUADHSM_OK) {
        decide(copy, MIGRATE_COPIED, "");
        if (!claim(copy->migration, object)) {
            status = output_fail(&copy->migration->cli->output, QH_ENOMEM, NULL, "copying %s",
                                 copy->item->label);
        }
        quadhsm_object_free(object);
    } else if (is_fatal(err)) {
        status = cli_fail(copy->migration->cli, err, "copying %s", copy->item->label);
    } else {
        decide(copy, never ? MIGRATE_LEFT : MIGRATE_FAILED,
               detail[0] != '\0' ? detail : quadhsm_error_message(err));
    }
    return status;
}

static int copy_plain(struct copy *copy)
{
    struct quadhsm_object *object = NULL;
    int err =
        quadhsm_create(copy->migration->token, copy->template.list, copy->template.count, &object);

    return settle(copy, err, object);
}

/* Read in clear into locked memory, and wrapped at once: where the source cannot wrap, or wraps in
 * a way that the cluster does not read. */
static int copy_read(struct copy *copy)
{
    SECRET_SCOPED struct secret *material = NULL;
    struct quadhsm_object *object = NULL;
    enum qh_err err = source_material(copy->source, copy->object, copy->item->object_class,
                                      copy->item->key_type, &material);

    if (err == QH_EKEYSIZE || err == QH_ECURVE) {
        decide(copy, MIGRATE_LEFT, err_message(err));
        return EXIT_DONE;
    }
    if (err != QH_OK) {
        decide(copy, MIGRATE_FAILED,
               err == QH_EPERM ? "the other module does not let its value be read"
                               : err_message(err));
        return EXIT_DONE;
    }
    return settle(copy, transfer_key(copy->migration->transfer, material, &copy->template, &object),
                  object);
}

static int copy_key(struct copy *copy)
{
    bool readable = !source_flag(copy->source, copy->object, CKA_SENSITIVE, true);
    struct quadhsm_object *object = NULL;
    struct bytes wrapped = {NULL, 0};
    char why[SOURCE_WHY_ROOM];
    uint64_t hash = 0;
    enum qh_err err;
    int answer;

    err = source_wrap(copy->source, copy->object, &wrapped, &hash, why);
    if (err != QH_OK && readable) {
        return copy_read(copy);
    }
    if (err != QH_OK) {
        decide(copy, MIGRATE_LEFT,
               copy->migration->no_wrapping[0] != '\0' ? copy->migration->no_wrapping : why);
        return EXIT_DONE;
    }
    answer = transfer_wrapped(copy->migration->transfer, wrapped, hash, &copy->template, &object);
    free((void *)(uintptr_t)wrapped.base);
    if ((answer == QUADHSM_EWRAPPED || answer == QUADHSM_EWRAPPEDSIZE) && readable) {
        return copy_read(copy);
    }
    copy->item->wrapped = answer == QUADHSM_OK;
    return settle(copy, answer, object);
}

static int copy_object(struct copy *copy)
{
    bool hidden = (copy->set & (PRIVATE | SECRET)) != 0;

    if (hidden && !source_flag(copy->source, copy->object, CKA_EXTRACTABLE, false)) {
        decide(copy, MIGRATE_LEFT,
               source_flag(copy->source, copy->object, CKA_SENSITIVE, true)
                   ? "sensitive and not extractable"
                   : "not extractable");
        return EXIT_DONE;
    }
    if (copy->migration->dry_run) {
        decide(copy, MIGRATE_COPIED, "");
        return EXIT_DONE;
    }
    return hidden ? copy_key(copy) : copy_plain(copy);
}

static bool is_kept(struct copy *copy)
{
    if (copy->set == 0) {
        decide(copy, MIGRATE_LEFT, "objects of this class are not kept here");
        return false;
    }
    if (!type_is_kept(copy->set, copy->item->key_type)) {
        decide(copy, MIGRATE_LEFT, "keys of this type are not kept here");
        return false;
    }
    if (copy->set == CERTIFICATE &&
        source_number(copy->source, copy->object, CKA_CERTIFICATE_TYPE, CKC_X_509) != CKC_X_509) {
        decide(copy, MIGRATE_LEFT, "certificates other than X.509 are not kept here");
        return false;
    }
    return true;
}

static int consider(struct copy *copy)
{
    bool kept_here = is_kept(copy);
    enum qh_err err = read_kept(copy);
    int status;

    describe(copy);
    if (!kept_here) {
        return EXIT_DONE;
    }
    if (err == QH_OK) {
        err = read_identity(copy);
    }
    if (err != QH_OK) {
        decide(copy, err == QH_ELIMIT ? MIGRATE_LEFT : MIGRATE_FAILED,
               err == QH_ELIMIT ? "an attribute has more than 32,768 bytes"
                                : "the other module does not tell its attributes");
        return EXIT_DONE;
    }
    status = look(copy);
    return status == EXIT_DONE && copy->item->fate != MIGRATE_THERE ? copy_object(copy) : status;
}

int migrate_copy(struct migration *migration, CK_OBJECT_HANDLE object,
                 struct migrate_item *ret_item)
{
    struct copy *copy = calloc(1, sizeof(*copy));
    int status;

    *ret_item = (struct migrate_item){
        .object_class =
            source_number(&migration->source, object, CKA_CLASS, CK_UNAVAILABLE_INFORMATION),
        .key_type =
            source_number(&migration->source, object, CKA_KEY_TYPE, CK_UNAVAILABLE_INFORMATION),
        .fate = MIGRATE_FAILED,
    };
    if (copy == NULL) {
        return output_fail(&migration->cli->output, QH_ENOMEM, NULL, "copying");
    }
    copy->migration = migration;
    copy->source = &migration->source;
    copy->object = object;
    copy->item = ret_item;
    copy->set = set_of(ret_item->object_class);
    status = consider(copy);
    for (size_t i = 0; i < copy->value_count; i++) {
        secret_free(copy->values[i]);
    }
    free(copy);
    return status;
}
