/* Keys that come wrapped. See keywrapped.h. */
#include "cli/keywrapped.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cryptoki.h"
#include "cli/keyfile.h"
#include "cli/keyfind.h"
#include "cli/keyplan.h"
#include "cli/keyreport.h"
#include "cli/progress.h"
#include "cli/transfer.h"

#define DEFAULT_LABEL "wrapping-key"
#define DEFAULT_BITS 3072u

const struct option_spec keywrapped_options[] = {
    {.name = "out",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "gets the public key, as PEM; must not be there yet",
     .required = true},
    {.name = "label",
     .kind = OPTION_TEXT,
     .argument = "L",
     .help = "of the pair (default: " DEFAULT_LABEL ")"},
    {.name = "bits",
     .kind = OPTION_NUMBER,
     .argument = "N",
     .help = "of a new pair (default: 3072)",
     .min = 2048,
     .max = 8192},
    {.name = NULL},
};

int keywrapped_hash(struct cli *cli, uint64_t *ret_hash)
{
    static const struct {
        const char *name;
        uint64_t hash;
    } hashes[] = {{"sha256", CKM_SHA256},
                  {"sha1", CKM_SHA_1},
                  {"sha384", CKM_SHA384},
                  {"sha512", CKM_SHA512}};
    const char *name = options_text(&cli->options, "oaep-hash");

    for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
        if (name == NULL || strcasecmp(name, hashes[i].name) == 0) {
            *ret_hash = hashes[i].hash;
            return EXIT_DONE;
        }
    }
    return output_misuse(&cli->output, "--oaep-hash is sha1, sha256, sha384 or sha512");
}

int keywrapped_write(struct cli *cli, struct bytes content, unsigned mode)
{
    const char *path = options_text(&cli->options, "out");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, (mode_t)mode);
    size_t size = 0;
    int errnum;

    if (fd < 0) {
        return output_fail(&cli->output, err_from_errno(errno),
                           errno == EEXIST ? "nothing is overwritten: name another file with --out"
                                           : strerror(errno),
                           "making %s", path);
    }
    while (size < content.size) {
        ssize_t count = write(fd, content.base + size, content.size - size);

        if (count < 0 && errno != EINTR) {
            break;
        }
        size += count > 0 ? (size_t)count : 0;
    }
    errnum = size < content.size || fsync(fd) != 0 ? errno : 0;
    (void)close(fd);
    if (errnum == 0) {
        return EXIT_DONE;
    }
    (void)unlink(path);
    return output_fail(&cli->output, err_from_errno(errnum), strerror(errnum), "writing %s", path);
}

/* ---- the wrapping key ---- */

static int make_pair(struct cli *cli, struct quadhsm_token *token, const char *label,
                     struct quadhsm_object **ret_public)
{
    static const uint8_t exponent[] = {0x01, 0x00, 0x01};
    static const uint64_t no_public[] = {CKA_VERIFY, CKA_ENCRYPT};
    static const uint64_t no_private[] = {CKA_SIGN, CKA_DECRYPT};
    const struct quadhsm_mechanism mechanism = {.type = CKM_RSA_PKCS_KEY_PAIR_GEN};
    struct attrlist public = {.count = 0};
    struct attrlist private = {.count = 0};
    struct quadhsm_object *made = NULL;
    struct progress *progress;
    uint8_t id[KEYPLAN_ID_SIZE_MAX];
    size_t size;
    int err;

    keyplan_random_id(id, &size);
    attrlist_add_text(&public, CKA_LABEL, label);
    attrlist_add(&public, CKA_ID, id, size);
    attrlist_add_text(&private, CKA_LABEL, label);
    attrlist_add(&private, CKA_ID, id, size);
    keyplan_add_protection(&public, CKO_PUBLIC_KEY, false);
    keyplan_add_protection(&private, CKO_PRIVATE_KEY, false);
    attrlist_add_number(&public, CKA_MODULUS_BITS,
                        options_number(&cli->options, "bits", DEFAULT_BITS) / 8u * 8u);
    attrlist_add(&public, CKA_PUBLIC_EXPONENT, exponent, sizeof(exponent));
    attrlist_add_flag(&public, CKA_WRAP, true);
    attrlist_add_flag(&private, CKA_UNWRAP, true);
    for (unsigned i = 0; i < 2; i++) {
        attrlist_add_flag(&public, no_public[i], false);
        attrlist_add_flag(&private, no_private[i], false);
    }
    progress = progress_begin(&cli->output, false, "making a pair of keys to wrap with");
    err = quadhsm_generate_pair(token, &mechanism, public.list, public.count, private.list,
                                private.count, ret_public, &made);
    progress_end(progress);
    quadhsm_object_free(made);
    return err == QUADHSM_OK ? EXIT_DONE : cli_fail(cli, err, "making the wrapping key %s", label);
}

/* The private half has all of the public numbers, too. */
static int find_pair(struct cli *cli, struct quadhsm_token *token, const char *label,
                     struct keyfind *ret_found)
{
    struct attrlist query = {.count = 0};

    attrlist_add_number(&query, CKA_CLASS, CKO_PRIVATE_KEY);
    attrlist_add_text(&query, CKA_LABEL, label);
    return keyfind_query(cli, token, &query, "the wrapping key", ret_found);
}

static int write_public(struct cli *cli, const struct quadhsm_object *object, bool made)
{
    const char *label = options_text(&cli->options, "label");
    struct key_public public = {.block = NULL};
    BIO *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    long size = 0;
    enum qh_err err =
        bio == NULL
            ? QH_ENOMEM
            : key_import_rsa_public(attrlist_bytes_of(object, CKA_MODULUS),
                                    attrlist_bytes_of(object, CKA_PUBLIC_EXPONENT), &public);
    int status;

    label = label != NULL ? label : DEFAULT_LABEL;
    if (err == QH_OK &&
        PEM_write_bio(bio, "PUBLIC KEY", "", public.spki.base, (long)public.spki.size) > 0) {
        size = BIO_get_mem_data(bio, &text);
    }
    if (size > 0) {
        status = keywrapped_write(cli, (struct bytes){(const uint8_t *)text, (size_t)size}, 0644);
    } else {
        status = output_fail(&cli->output, err != QH_OK ? err : QH_ENOMEM, NULL,
                             "writing the public key");
    }
    free(public.block);
    (void)BIO_free(bio);
    if (status == EXIT_DONE && cli->output.json) {
        output_json(&cli->output,
                    json_pack("{s:o, s:b, s:o}", "label", cli_json_text(label), "made", (int)made,
                              "public_key", cli_json_text(options_text(&cli->options, "out"))));
    } else if (status == EXIT_DONE) {
        output_say(&cli->output, "wrapping key %s %s; its public half is in %s", label,
                   made ? "is made" : "was there already", options_text(&cli->options, "out"));
    }
    return status;
}

static int use_pair(struct cli *cli, struct quadhsm_token *token, const char *label)
{
    struct quadhsm_object *public = NULL;
    struct keyfind found;
    int status = find_pair(cli, token, label, &found);

    if (status == EXIT_DONE && found.count > 1) {
        status = output_fail(&cli->output, QH_EINVAL, "name another with --label",
                             "several private keys are called %s", label);
    } else if (status == EXIT_DONE && found.count == 1) {
        const struct quadhsm_object *pair = found.objects[0];

        status = attrlist_flag_of(pair, CKA_UNWRAP) && attrlist_bytes_of(pair, CKA_MODULUS).size > 0
                     ? write_public(cli, pair, false)
                     : output_fail(&cli->output, QH_EKEYUSE,
                                   "it is no RSA key that unwraps; name another with --label",
                                   "key %s", label);
    } else if (status == EXIT_DONE) {
        status = make_pair(cli, token, label, &public);
        if (status == EXIT_DONE) {
            status = write_public(cli, public, true);
        }
    }
    quadhsm_object_free(public);
    keyfind_close(&found);
    return status;
}

int keywrapped_run(struct cli *cli)
{
    const char *label = options_text(&cli->options, "label");
    const char *path = options_text(&cli->options, "out");
    struct quadhsm_token *token = NULL;
    int status;

    if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return output_fail(&cli->output, QH_EEXIST,
                           "nothing is overwritten: name another file with --out", "%s", path);
    }
    status = cli_open_logged_in(cli, QUADHSM_CO, &token);
    if (status == EXIT_DONE) {
        status = use_pair(cli, token, label != NULL ? label : DEFAULT_LABEL);
        quadhsm_token_close(token);
    }
    return status;
}

/* ---- import ---- */

static const struct wrapped_type {
    const char *name;
    CK_OBJECT_CLASS object_class;
    CK_KEY_TYPE key_type;
} types[] = {
    {"rsa", CKO_PRIVATE_KEY, CKK_RSA},
    {"ec", CKO_PRIVATE_KEY, CKK_EC},
    {"ed25519", CKO_PRIVATE_KEY, CKK_EC_EDWARDS},
    {"ed448", CKO_PRIVATE_KEY, CKK_EC_EDWARDS},
    {"x25519", CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY},
    {"x448", CKO_PRIVATE_KEY, CKK_EC_MONTGOMERY},
    {"aes", CKO_SECRET_KEY, CKK_AES},
    {"generic", CKO_SECRET_KEY, CKK_GENERIC_SECRET},
};

static const struct wrapped_type *read_type(struct cli *cli)
{
    const char *name = options_text(&cli->options, "type");

    for (size_t i = 0; name != NULL && i < sizeof(types) / sizeof(types[0]); i++) {
        if (strcasecmp(name, types[i].name) == 0) {
            return &types[i];
        }
    }
    (void)output_misuse(&cli->output, "--type says what is wrapped: rsa, ec, ed25519, ed448, "
                                      "x25519, x448, aes or generic");
    return NULL;
}

/* From the private half that was just unwrapped. */
static int create_public(struct cli *cli, struct quadhsm_token *token,
                         const struct quadhsm_object *private, struct keyreport *report)
{
    static const uint64_t same[] = {CKA_KEY_TYPE,        CKA_LABEL,     CKA_ID,      CKA_MODULUS,
                                    CKA_PUBLIC_EXPONENT, CKA_EC_PARAMS, CKA_EC_POINT};
    struct attrlist template = {.count = 0};
    struct quadhsm_object *object = NULL;
    uint64_t key_type = CK_UNAVAILABLE_INFORMATION;
    int err;

    (void)attrlist_number_of(private, CKA_KEY_TYPE, &key_type);
    attrlist_add_number(&template, CKA_CLASS, CKO_PUBLIC_KEY);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct bytes value = attrlist_bytes_of(private, same[i]);

        if (value.size > 0) {
            attrlist_add_bytes(&template, same[i], value);
        }
    }
    keyplan_add_protection(&template, CKO_PUBLIC_KEY, false);
    keyplan_add_uses(&template, CKO_PUBLIC_KEY, key_type, options_flag(&cli->options, "sign-only"));
    err = quadhsm_create(token, template.list, template.count, &object);
    if (err != QUADHSM_OK) {
        return cli_fail(cli, err, "the key is imported; making its public key");
    }
    keyreport_add(report, object, true);
    quadhsm_object_free(object);
    return EXIT_DONE;
}

struct incoming {
    struct bytes content;
    const struct wrapped_type *type;
    uint64_t hash;
    uint8_t id[KEYPLAN_ID_SIZE_MAX];
    size_t id_size;
};

/* With an id that was given: once. */
static int check_free(struct cli *cli, struct quadhsm_token *token, const struct incoming *incoming)
{
    struct attrlist query = {.count = 0};
    struct keyfind found;
    int status;

    attrlist_add_number(&query, CKA_CLASS, incoming->type->object_class);
    attrlist_add(&query, CKA_ID, incoming->id, incoming->id_size);
    status = keyfind_query(cli, token, &query, "keys with the same id", &found);
    if (status == EXIT_DONE && found.count > 0) {
        status = output_fail(&cli->output, QH_EEXIST,
                             "a key of the partition has this id; give another --id, or destroy "
                             "that one",
                             "importing %s", options_text(&cli->options, "label"));
    }
    keyfind_close(&found);
    return status;
}

static int fail_unwrap(struct cli *cli, int err)
{
    const char *hint =
        err == QUADHSM_EWRAPPED || err == QUADHSM_EWRAPPEDSIZE
            ? "was it wrapped for this key, with RSA-OAEP and the hash of --oaep-hash, and with an "
              "AES key of 256 bits? A private key has to be PKCS#8 in DER inside, of the type that "
              "--type says: `openssl pkcs8 -topk8 -nocrypt -outform DER`"
        : err == QUADHSM_EKEYUSE ? "`quadhsm key wrapping-key` makes a key that may unwrap"
                                 : quadhsm_error_detail();

    return output_fail(&cli->output, (enum qh_err)err, hint, "importing %s",
                       options_text(&cli->options, "label"));
}

static int unwrap(struct cli *cli, struct quadhsm_token *token,
                  const struct quadhsm_object *wrapping, const struct incoming *incoming)
{
    const struct quadhsm_mechanism mechanism = transfer_mechanism(incoming->hash);
    struct attrlist template = {.count = 0};
    struct quadhsm_object *object = NULL;
    struct keyreport report;
    int status = EXIT_DONE;
    int err;

    attrlist_add_number(&template, CKA_CLASS, incoming->type->object_class);
    attrlist_add_number(&template, CKA_KEY_TYPE, incoming->type->key_type);
    attrlist_add_text(&template, CKA_LABEL, options_text(&cli->options, "label"));
    attrlist_add(&template, CKA_ID, incoming->id, incoming->id_size);
    keyplan_add_protection(&template, incoming->type->object_class,
                           options_flag(&cli->options, "extractable"));
    keyplan_add_uses(&template, incoming->type->object_class, incoming->type->key_type,
                     options_flag(&cli->options, "sign-only"));
    err = quadhsm_unwrap(token, wrapping, &mechanism, incoming->content.base,
                         incoming->content.size, template.list, template.count, &object);
    if (err != QUADHSM_OK) {
        return fail_unwrap(cli, err);
    }
    keyreport_begin(&report, cli);
    keyreport_add(&report, object, true);
    if (incoming->type->object_class == CKO_PRIVATE_KEY) {
        status = create_public(cli, token, object, &report);
    }
    keyreport_end(&report, cli, status);
    quadhsm_object_free(object);
    return status;
}

static int find_and_unwrap(struct cli *cli, struct quadhsm_token *token,
                           const struct incoming *incoming)
{
    const char *name = options_text(&cli->options, "wrapping-key");
    const struct quadhsm_object *wrapping;
    struct keyfind found;
    int status = check_free(cli, token, incoming);

    if (status != EXIT_DONE) {
        return status;
    }
    status = keyfind_open(cli, token, name, &found);
    if (status == EXIT_DONE) {
        wrapping = keyfind_only(cli, &found, KEYFIND_PRIVATE, name);
        status = wrapping != NULL ? unwrap(cli, token, wrapping, incoming) : EXIT_FAILED;
    }
    keyfind_close(&found);
    return status;
}

int keywrapped_import(struct cli *cli)
{
    const char *path = options_text(&cli->options, "wrapped");
    const char *hex = options_text(&cli->options, "id");
    SECRET_SCOPED struct secret *content = NULL;
    char detail[KEYFILE_DETAIL_ROOM] = "";
    struct incoming incoming = {.type = read_type(cli)};
    struct quadhsm_token *token = NULL;
    const char *problem = NULL;
    enum qh_err err;
    int status;

    if (incoming.type == NULL) {
        return EXIT_USAGE;
    }
    if (options_text(&cli->options, "wrapping-key") == NULL) {
        return output_misuse(&cli->output, "--wrapping-key LABEL is missing: what was it wrapped "
                                           "for?");
    }
    keyplan_random_id(incoming.id, &incoming.id_size);
    if (hex != NULL && keyplan_id(hex, incoming.id, &incoming.id_size, &problem) != QH_OK) {
        return output_misuse(&cli->output, "%s", problem);
    }
    status = keywrapped_hash(cli, &incoming.hash);
    if (status != EXIT_DONE) {
        return status;
    }
    err = keyfile_read(path, &content, detail);
    if (err != QH_OK) {
        return output_fail(&cli->output, err, detail, "reading %s", path);
    }
    incoming.content = (struct bytes){secret_view(content), secret_size(content)};
    status = cli_open_logged_in(cli, QUADHSM_CO, &token);
    if (status == EXIT_DONE) {
        status = find_and_unwrap(cli, token, &incoming);
        quadhsm_token_close(token);
    }
    return status;
}
