/* `quadhsm key import`: a key from a file of this machine, wrapped here for the cluster. */
#include "cli/keyimport.h"

#include <stdlib.h>
#include <string.h>

#include "base/cryptoki.h"
#include "cli/keyfile.h"
#include "cli/keyfind.h"
#include "cli/keyinfo.h"
#include "cli/keyplan.h"
#include "cli/keyreport.h"
#include "cli/keywrapped.h"
#include "cli/password.h"
#include "cli/progress.h"
#include "cli/transfer.h"

const struct option_spec keyimport_options[] = {
    {.name = "label",
     .kind = OPTION_TEXT,
     .argument = "L",
     .help = "by which applications find it",
     .required = true},
    {.name = "id",
     .kind = OPTION_TEXT,
     .argument = "HEX",
     .help = "CKA_ID (default: SHA-1 of the public key; random for a secret)"},
    {.name = "passphrase-file",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "the passphrase of the file (-: standard input)"},
    {.name = "secret",
     .kind = OPTION_TEXT,
     .argument = "KIND",
     .help = "the file is a secret, as raw bytes: aes or generic"},
    {.name = "wrapped",
     .kind = OPTION_TEXT,
     .argument = "FILE",
     .help = "instead of FILE: a key that was wrapped elsewhere (RSA-AES)"},
    {.name = "wrapping-key",
     .kind = OPTION_TEXT,
     .argument = "LABEL",
     .help = "of --wrapped: what it was wrapped for; see `key wrapping-key`"},
    {.name = "type",
     .kind = OPTION_TEXT,
     .argument = "TYPE",
     .help = "of --wrapped: rsa, ec, ed25519, ed448, x25519, x448, aes or generic"},
    {.name = "oaep-hash",
     .kind = OPTION_TEXT,
     .argument = "HASH",
     .help = "of --wrapped: sha1, sha256 (default), sha384 or sha512"},
    {.name = "extractable", .kind = OPTION_FLAG, .help = "may leave the cluster, wrapped"},
    {.name = "sign-only", .kind = OPTION_FLAG, .help = "an RSA key that does not decrypt"},
    {.name = NULL},
};

struct import {
    struct cli *cli;
    struct quadhsm_token *token;
    struct keyfile file;
    const char *label;
    uint8_t id[KEYPLAN_ID_SIZE_MAX];
    size_t id_size;
    struct keyreport report;
    bool key_is_there, public_is_there;
};

/* ---- the file ---- */

static enum qh_err ask_passphrase(void *argument, struct secret **ret_passphrase,
                                  char ret_detail[KEYFILE_DETAIL_ROOM])
{
    const struct cli *cli = argument;
    struct password_ask ask = {
        .file = options_text(&cli->options, "passphrase-file"),
        .option = "passphrase-file",
        .prompt = "passphrase of the file",
        .size_min = 1,
    };

    return password_get(&ask, ret_passphrase, ret_detail);
}

static int read_kind(struct cli *cli, CK_KEY_TYPE *ret_type)
{
    const char *kind = options_text(&cli->options, "secret");

    if (kind == NULL) {
        *ret_type = CK_UNAVAILABLE_INFORMATION;
        return EXIT_DONE;
    }
    if (strcmp(kind, "aes") != 0 && strcmp(kind, "generic") != 0) {
        return output_misuse(&cli->output, "--secret is aes or generic");
    }
    *ret_type = strcmp(kind, "aes") == 0 ? CKK_AES : CKK_GENERIC_SECRET;
    return EXIT_DONE;
}

static int read_file(struct import *import)
{
    struct cli *cli = import->cli;
    const char *path = options_argument(&cli->options, 0);
    SECRET_SCOPED struct secret *content = NULL;
    char detail[KEYFILE_DETAIL_ROOM] = "";
    CK_KEY_TYPE kind;
    enum qh_err err;
    int status = read_kind(cli, &kind);

    if (status != EXIT_DONE) {
        return status;
    }
    err = keyfile_read(path, &content, detail);
    if (err == QH_OK && kind != CK_UNAVAILABLE_INFORMATION) {
        err = keyfile_secret(content, kind, &import->file, detail);
    } else if (err == QH_OK) {
        err = keyfile_parse(content, ask_passphrase, cli, &import->file, detail);
    }
    if (err == QH_OK) {
        return EXIT_DONE;
    }
    (void)output_fail(&cli->output, err, detail, "reading %s", path);
    return EXIT_FAILED;
}

/* --id, or what every tool can compute from the public key, so that certificates find it. */
static int choose_id(struct import *import)
{
    const char *hex = options_text(&import->cli->options, "id");
    const char *problem = NULL;

    if (hex != NULL) {
        return keyplan_id(hex, import->id, &import->id_size, &problem) == QH_OK
                   ? EXIT_DONE
                   : output_misuse(&import->cli->output, "%s", problem);
    }
    if (import->file.object_class == CKO_SECRET_KEY) {
        keyplan_random_id(import->id, &import->id_size);
    } else {
        memcpy(import->id, import->file.id, KEYFILE_ID_SIZE);
        import->id_size = KEYFILE_ID_SIZE;
    }
    return EXIT_DONE;
}

/* ---- what is there already ---- */

/* What tells one key from another. @check_value is 3 bytes. */
static QH_RESULT identify(const struct keyfile *file, uint8_t *check_value, struct attrlist *list)
{
    enum qh_err err = QH_OK;

    attrlist_add_number(list, CKA_KEY_TYPE, file->key_type);
    if (file->object_class == CKO_SECRET_KEY) {
        struct bytes material = {secret_view(file->material), secret_size(file->material)};

        err = key_check_value(file->key_type, material, check_value);
        attrlist_add_number(list, CKA_VALUE_LEN, material.size);
        attrlist_add(list, CKA_CHECK_VALUE, check_value, 3);
    } else if (file->key_type == CKK_RSA) {
        attrlist_add_bytes(list, CKA_MODULUS, file->public.modulus);
    } else {
        attrlist_add_bytes(list, CKA_EC_POINT, file->public.ec_point);
    }
    return err;
}

/* The id means this key, or none. */
static int look_for(struct import *import, uint64_t object_class, const struct attrlist *identity,
                    bool *ret_there)
{
    struct attrlist query = {.count = 0};
    struct keyfind found;
    bool other = false;
    int status;

    attrlist_add_number(&query, CKA_CLASS, object_class);
    attrlist_add(&query, CKA_ID, import->id, import->id_size);
    status = keyfind_query(import->cli, import->token, &query, "keys with the same id", &found);
    for (size_t i = 0; i < found.count && status == EXIT_DONE; i++) {
        if (!keyfind_agrees(found.objects[i], identity)) {
            other = true;
        } else if (!*ret_there) {
            *ret_there = true;
            keyreport_add(&import->report, found.objects[i], false);
        }
    }
    keyfind_close(&found);
    if (status == EXIT_DONE && other) {
        return output_fail(&import->cli->output, QH_EEXIST,
                           "another key of the partition has this id; give this one a different "
                           "--id, or destroy that one",
                           "importing %s", import->label);
    }
    return status;
}

static int look_for_keys(struct import *import)
{
    struct attrlist identity = {.count = 0};
    uint8_t check_value[3];
    uint64_t object_class = import->file.object_class;
    int status = EXIT_DONE;

    if (object_class == CK_UNAVAILABLE_INFORMATION) {
        return EXIT_DONE;
    }
    if (identify(&import->file, check_value, &identity) != QH_OK) {
        return output_fail(&import->cli->output, QH_ENOMEM, NULL, "importing %s", import->label);
    }
    if (object_class != CKO_PUBLIC_KEY) {
        status = look_for(import, object_class, &identity, &import->key_is_there);
    }
    if (status == EXIT_DONE && object_class != CKO_SECRET_KEY) {
        status = look_for(import, CKO_PUBLIC_KEY, &identity, &import->public_is_there);
    }
    return status;
}

/* ---- making ---- */

static void begin_template(const struct import *import, uint64_t object_class,
                           struct attrlist *template)
{
    attrlist_add_number(template, CKA_CLASS, object_class);
    attrlist_add_number(template, CKA_KEY_TYPE, import->file.key_type);
    attrlist_add_text(template, CKA_LABEL, import->label);
    attrlist_add(template, CKA_ID, import->id, import->id_size);
    keyplan_add_protection(template, object_class,
                           options_flag(&import->cli->options, "extractable"));
    keyplan_add_uses(template, object_class, import->file.key_type,
                     options_flag(&import->cli->options, "sign-only"));
    for (unsigned i = 0; i < import->file.certificate_count; i++) {
        if (import->file.certificates[i].of_key) {
            attrlist_add_bytes(template, CKA_SUBJECT, import->file.certificates[i].subject);
            break;
        }
    }
}

static int import_key(struct import *import)
{
    struct attrlist template = {.count = 0};
    struct transfer *transfer = NULL;
    struct quadhsm_object *object = NULL;
    int status;
    int err;

    if (import->file.material == NULL || import->key_is_there) {
        return EXIT_DONE;
    }
    begin_template(import, import->file.object_class, &template);
    status = transfer_begin(import->cli, import->token, &transfer);
    if (status != EXIT_DONE) {
        return status;
    }
    err = transfer_key(transfer, import->file.material, &template, &object);
    transfer_end(transfer);
    if (err != QUADHSM_OK) {
        return cli_fail(import->cli, err, "importing %s", import->label);
    }
    keyreport_add(&import->report, object, true);
    quadhsm_object_free(object);
    return EXIT_DONE;
}

static int create(struct import *import, const struct attrlist *template, const char *what)
{
    struct quadhsm_object *object = NULL;
    int err = quadhsm_create(import->token, template->list, template->count, &object);

    if (err != QUADHSM_OK) {
        return cli_fail(import->cli, err, "importing the %s of %s", what, import->label);
    }
    keyreport_add(&import->report, object, true);
    quadhsm_object_free(object);
    return EXIT_DONE;
}

static int import_public(struct import *import)
{
    const struct key_public *public = &import->file.public;
    struct attrlist template = {.count = 0};

    if (import->file.object_class == CK_UNAVAILABLE_INFORMATION ||
        import->file.object_class == CKO_SECRET_KEY || import->public_is_there) {
        return EXIT_DONE;
    }
    begin_template(import, CKO_PUBLIC_KEY, &template);
    if (import->file.key_type == CKK_RSA) {
        attrlist_add_bytes(&template, CKA_MODULUS, public->modulus);
        attrlist_add_bytes(&template, CKA_PUBLIC_EXPONENT, public->public_exponent);
    } else {
        attrlist_add_bytes(&template, CKA_EC_PARAMS, public->ec_params);
        attrlist_add_bytes(&template, CKA_EC_POINT, public->ec_point);
    }
    return create(import, &template, "public key");
}

/* The key's own, and one that comes alone, have the label and the id; issuers have their names. */
static int import_certificate(struct import *import, const struct keyfile_certificate *certificate)
{
    bool own = certificate->of_key || import->file.certificate_count == 1;
    bool id_given = options_text(&import->cli->options, "id") != NULL;
    const char *label = own || certificate->name[0] == '\0' ? import->label : certificate->name;
    struct attrlist template = {.count = 0};
    struct attrlist query = {.count = 0};
    struct keyfind found;
    int status;

    attrlist_add_number(&query, CKA_CLASS, CKO_CERTIFICATE);
    attrlist_add_bytes(&query, CKA_VALUE, certificate->value);
    status = keyfind_query(import->cli, import->token, &query, "certificates", &found);
    if (status == EXIT_DONE && found.count > 0) {
        keyreport_add(&import->report, found.objects[0], false);
    }
    if (status != EXIT_DONE || found.count > 0) {
        keyfind_close(&found);
        return status;
    }
    attrlist_add_number(&template, CKA_CLASS, CKO_CERTIFICATE);
    attrlist_add_number(&template, CKA_CERTIFICATE_TYPE, CKC_X_509);
    attrlist_add_text(&template, CKA_LABEL, label);
    if (certificate->of_key || (own && id_given)) {
        attrlist_add(&template, CKA_ID, import->id, import->id_size);
    } else {
        attrlist_add(&template, CKA_ID, certificate->id, sizeof(certificate->id));
    }
    attrlist_add_flag(&template, CKA_TOKEN, true);
    attrlist_add_flag(&template, CKA_PRIVATE, false);
    attrlist_add_bytes(&template, CKA_SUBJECT, certificate->subject);
    attrlist_add_bytes(&template, CKA_ISSUER, certificate->issuer);
    attrlist_add_bytes(&template, CKA_SERIAL_NUMBER, certificate->serial);
    attrlist_add_bytes(&template, CKA_VALUE, certificate->value);
    return create(import, &template, "certificate");
}

static int import_all(struct import *import)
{
    int status = look_for_keys(import);

    if (status == EXIT_DONE) {
        status = import_key(import);
    }
    if (status == EXIT_DONE) {
        status = import_public(import);
    }
    for (unsigned i = 0; i < import->file.certificate_count && status == EXIT_DONE; i++) {
        status = import_certificate(import, &import->file.certificates[i]);
    }
    return status;
}

static int import_file(struct cli *cli)
{
    struct import import = {.cli = cli, .label = options_text(&cli->options, "label")};
    int status = read_file(&import);

    if (status != EXIT_DONE) {
        return status;
    }
    status = choose_id(&import);
    if (status == EXIT_DONE) {
        status = cli_open_logged_in(cli, QUADHSM_CO, &import.token);
    }
    if (status == EXIT_DONE) {
        keyreport_begin(&import.report, cli);
        status = import_all(&import);
        keyreport_end(&import.report, cli, status);
        quadhsm_token_close(import.token);
    }
    keyfile_close(&import.file);
    return status;
}

int keyimport_run(struct cli *cli)
{
    const struct options *options = &cli->options;
    bool wrapped = options_text(options, "wrapped") != NULL;

    if (wrapped == (options_argument(options, 0) != NULL)) {
        return output_misuse(&cli->output, "name one file with a key, or give --wrapped FILE");
    }
    if (!wrapped &&
        (options_text(options, "wrapping-key") != NULL || options_text(options, "type") != NULL ||
         options_text(options, "oaep-hash") != NULL)) {
        return output_misuse(&cli->output,
                             "--wrapping-key, --type and --oaep-hash belong to --wrapped");
    }
    if (wrapped && (options_text(options, "secret") != NULL ||
                    options_text(options, "passphrase-file") != NULL)) {
        return output_misuse(&cli->output,
                             "a wrapped key has no passphrase, and --type says what it is: leave "
                             "--secret and --passphrase-file out");
    }
    return wrapped ? keywrapped_import(cli) : import_file(cli);
}
