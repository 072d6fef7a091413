/* `quadhsm key export --wrapped`. See keyexport.h. */
#include "cli/keyexport.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cryptoki.h"
#include "base/limits.h"
#include "cli/keyfile.h"
#include "cli/keyfind.h"
#include "cli/keywrapped.h"
#include "cli/transfer.h"

const struct option_spec keyexport_options[] = {
    {.name = "wrapped",
     .kind = OPTION_FLAG,
     .help = "wrapped by --wrapping-key; must be given, there is no other way"},
    {.name = "label",
     .kind = OPTION_TEXT,
     .argument = "L",
     .help = "the key's label, or its id",
     .required = true},
    {.name = "wrapping-key",
     .kind = OPTION_TEXT,
     .argument = "FILE|LABEL",
     .help = "an RSA public key in a PEM file, or an AES or RSA key of the partition",
     .required = true},
    {.name = "oaep-hash",
     .kind = OPTION_TEXT,
     .argument = "HASH",
     .help = "with RSA: sha1, sha256 (default), sha384 or sha512"},
    {.name = "out",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "gets the wrapped key; must not be there yet",
     .required = true},
    {.name = NULL},
};

/* No private key is read here; a file that needs a passphrase has one. */
static enum qh_err refuse_passphrase(void *argument, struct secret **ret_passphrase,
                                     char ret_detail[KEYFILE_DETAIL_ROOM])
{
    (void)argument;
    (void)ret_passphrase;
    (void)snprintf(ret_detail, KEYFILE_DETAIL_ROOM,
                   "it is locked by a passphrase; a file with the public key alone is needed");
    return QH_EMALFORMED;
}

static int read_public(struct cli *cli, const char *path, struct keyfile *ret_file)
{
    SECRET_SCOPED struct secret *content = NULL;
    char detail[KEYFILE_DETAIL_ROOM] = "";
    enum qh_err err = keyfile_read(path, &content, detail);

    *ret_file = (struct keyfile){.object_class = CK_UNAVAILABLE_INFORMATION};
    if (err == QH_OK) {
        err = keyfile_parse(content, refuse_passphrase, NULL, ret_file, detail);
    }
    if (err != QH_OK) {
        (void)output_fail(&cli->output, err, detail, "reading %s", path);
        return EXIT_FAILED;
    }
    if (ret_file->object_class != CKO_PUBLIC_KEY || ret_file->key_type != CKK_RSA) {
        keyfile_close(ret_file);
        return output_fail(&cli->output, QH_EKEYTYPE,
                           "it has to be an RSA public key: `openssl pkey -in KEY -pubout` makes "
                           "the file of one",
                           "reading %s", path);
    }
    return EXIT_DONE;
}

/* A session object: it is gone with this command. */
static int make_public(struct cli *cli, struct quadhsm_token *token, const char *path,
                       struct quadhsm_object **ret_wrapping)
{
    struct attrlist template = {.count = 0};
    struct keyfile file;
    int status = read_public(cli, path, &file);
    int err;

    if (status != EXIT_DONE) {
        return status;
    }
    attrlist_add_number(&template, CKA_CLASS, CKO_PUBLIC_KEY);
    attrlist_add_number(&template, CKA_KEY_TYPE, CKK_RSA);
    attrlist_add_flag(&template, CKA_TOKEN, false);
    attrlist_add_flag(&template, CKA_WRAP, true);
    attrlist_add_bytes(&template, CKA_MODULUS, file.public.modulus);
    attrlist_add_bytes(&template, CKA_PUBLIC_EXPONENT, file.public.public_exponent);
    err = quadhsm_create(token, template.list, template.count, ret_wrapping);
    keyfile_close(&file);
    return err == QUADHSM_OK ? EXIT_DONE : cli_fail(cli, err, "taking the key of %s", path);
}

static const char *reason(int err)
{
    switch (err) {
    case QUADHSM_EUNEXTRACTABLE:
        return "it was made or imported without --extractable, and nothing changes that";
    case QUADHSM_EPOLICY:
        return "the partition's policy is that no key leaves it: `quadhsm partition policy`";
    case QUADHSM_ENOTWRAPPABLE:
        return "its CKA_WRAP_WITH_TRUSTED asks for a wrapping key that is CKA_TRUSTED";
    case QUADHSM_EKEYUSE:
        return "the wrapping key's CKA_WRAP is false: name another";
    default:
        return quadhsm_error_detail();
    }
}

static int wrap(struct cli *cli, struct quadhsm_token *token, const struct quadhsm_object *key,
                const struct quadhsm_object *wrapping, uint64_t hash)
{
    struct quadhsm_mechanism mechanism = transfer_mechanism(hash);
    const char *path = options_text(&cli->options, "out");
    uint8_t *wrapped = malloc(WRAPPED_SIZE_MAX);
    uint64_t type = CK_UNAVAILABLE_INFORMATION;
    size_t size = 0;
    int status;
    int err = QUADHSM_ENOMEM;

    (void)attrlist_number_of(wrapping, CKA_KEY_TYPE, &type);
    if (type == CKK_AES) {
        mechanism = (struct quadhsm_mechanism){.type = CKM_AES_KEY_WRAP_KWP};
    }
    if (wrapped != NULL) {
        err = quadhsm_wrap(token, wrapping, &mechanism, key, wrapped, WRAPPED_SIZE_MAX, &size);
    }
    if (err != QUADHSM_OK) {
        status = output_fail(&cli->output, (enum qh_err)err, reason(err), "exporting %s",
                             options_text(&cli->options, "label"));
    } else {
        status = keywrapped_write(cli, (struct bytes){wrapped, size}, 0600);
    }
    free(wrapped);
    if (status == EXIT_DONE && cli->output.json) {
        output_json(&cli->output,
                    json_pack("{s:o, s:s, s:I}", "exported", cli_json_text(path), "mechanism",
                              type == CKK_AES ? "CKM_AES_KEY_WRAP_KWP" : "CKM_RSA_AES_KEY_WRAP",
                              "size", (json_int_t)size));
    } else if (status == EXIT_DONE) {
        output_say(&cli->output, "%s has the key, wrapped: %zu bytes of %s", path, size,
                   type == CKK_AES ? "CKM_AES_KEY_WRAP_KWP" : "CKM_RSA_AES_KEY_WRAP");
    }
    return status;
}

static int export(struct cli *cli, struct quadhsm_token *token, const struct keyfind *keys,
                  uint64_t hash)
{
    const char *label = options_text(&cli->options, "label");
    const char *name = options_text(&cli->options, "wrapping-key");
    const struct quadhsm_object *key =
        keyfind_only(cli, keys, KEYFIND_PRIVATE | KEYFIND_SECRET, label);
    struct quadhsm_object *made = NULL;
    const struct quadhsm_object *wrapping;
    struct keyfind found = {.count = 0};
    int status;

    if (key == NULL) {
        return EXIT_FAILED;
    }
    if (access(name, F_OK) == 0) {
        status = make_public(cli, token, name, &made);
        wrapping = made;
    } else {
        status = keyfind_open(cli, token, name, &found);
        wrapping = NULL;
        if (status == EXIT_DONE) {
            wrapping = keyfind_only(cli, &found, KEYFIND_PUBLIC | KEYFIND_SECRET, name);
            status = wrapping != NULL ? EXIT_DONE : EXIT_FAILED;
        }
    }
    if (status == EXIT_DONE) {
        status = wrap(cli, token, key, wrapping, hash);
    }
    quadhsm_object_free(made);
    keyfind_close(&found);
    return status;
}

int keyexport_run(struct cli *cli)
{
    const char *path = options_text(&cli->options, "out");
    struct quadhsm_token *token = NULL;
    struct keyfind keys;
    uint64_t hash;
    int status;

    if (!options_flag(&cli->options, "wrapped")) {
        return output_misuse(&cli->output, "keys leave wrapped, or not at all: give --wrapped");
    }
    status = keywrapped_hash(cli, &hash);
    if (status != EXIT_DONE) {
        return status;
    }
    if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        return output_fail(&cli->output, QH_EEXIST,
                           "nothing is overwritten: name another file with --out", "%s", path);
    }
    status = cli_open_logged_in(cli, QUADHSM_CO, &token);
    if (status != EXIT_DONE) {
        return status;
    }
    status = keyfind_open(cli, token, options_text(&cli->options, "label"), &keys);
    if (status == EXIT_DONE) {
        status = export(cli, token, &keys, hash);
    }
    keyfind_close(&keys);
    quadhsm_token_close(token);
    return status;
}
