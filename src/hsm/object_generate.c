/* C_GenerateKey and C_GenerateKeyPair. */
#include "hsm/object_private.h"

#include <stdlib.h>

static const struct generator {
    CK_MECHANISM_TYPE mechanism;
    CK_KEY_TYPE key_type;
    bool pair;
} generators[] = {
    {CKM_RSA_PKCS_KEY_PAIR_GEN, CKK_RSA, true},
    {CKM_EC_KEY_PAIR_GEN, CKK_EC, true},
    {CKM_EC_EDWARDS_KEY_PAIR_GEN, CKK_EC_EDWARDS, true},
    {CKM_EC_MONTGOMERY_KEY_PAIR_GEN, CKK_EC_MONTGOMERY, true},
    {CKM_AES_KEY_GEN, CKK_AES, false},
    {CKM_GENERIC_SECRET_KEY_GEN, CKK_GENERIC_SECRET, false},
    {CKM_HKDF_KEY_GEN, CKK_HKDF, false},
};

static const struct generator *find_generator(CK_MECHANISM_TYPE mechanism)
{
    for (unsigned i = 0; i < sizeof generators / sizeof generators[0]; i++) {
        if (generators[i].mechanism == mechanism) {
            return &generators[i];
        }
    }
    return NULL;
}

static void put_origin(struct draft *draft, CK_MECHANISM_TYPE mechanism)
{
    draft_put_flag(draft, CKA_LOCAL, true);
    draft_put_ulong(draft, CKA_KEY_GEN_MECHANISM, mechanism);
    if (draft->object_class != CKO_PUBLIC_KEY) {
        /* Both were left at their defaults, or named: true and false. */
        bool sensitive =
            draft_find(draft, CKA_SENSITIVE) == NULL || draft_flag(draft, CKA_SENSITIVE);

        draft_put_flag(draft, CKA_ALWAYS_SENSITIVE, sensitive);
        draft_put_flag(draft, CKA_NEVER_EXTRACTABLE, !draft_flag(draft, CKA_EXTRACTABLE));
    }
}

static QH_RESULT generate_secret(struct draft *draft, struct attributes template)
{
    CK_ULONG size;
    enum qh_err err = template_ulong(template, CKA_VALUE_LEN, &size);

    if (err != QH_OK) {
        return err;
    }
    if (size == 0 || size > KEY_SECRET_SIZE_MAX) {
        return QH_EKEYSIZE;
    }
    err = key_generate_secret(draft->key_type, size, &draft->material);
    if (err != QH_OK) {
        return err;
    }
    return draft_put_secret(draft, (struct bytes){secret_view(draft->material), size});
}

static QH_RESULT generate_one(const struct generator *generator, struct attributes template,
                              struct object **ret_object)
{
    struct draft draft;
    enum qh_err err;

    draft_init(&draft, CKO_SECRET_KEY, generator->key_type);
    err = draft_take(&draft, template, MAKING_GENERATED, false);
    if (err == QH_OK) {
        err = generate_secret(&draft, template);
    }
    if (err == QH_OK) {
        put_origin(&draft, generator->mechanism);
        err = draft_finish(&draft, ret_object);
    }
    draft_close(&draft);
    return err;
}

static QH_RESULT generate_rsa(struct attributes template, struct secret **ret_private,
                              struct key_public *ret_public)
{
    static const uint8_t f4[] = {0x01, 0x00, 0x01};
    const struct attribute *exponent = template_find(template, CKA_PUBLIC_EXPONENT);
    struct bytes value = {f4, sizeof f4};
    CK_ULONG bits;
    enum qh_err err = template_ulong(template, CKA_MODULUS_BITS, &bits);

    if (err != QH_OK) {
        return err;
    }
    if (bits < KEY_RSA_BITS_MIN || bits > KEY_RSA_BITS_MAX) {
        return QH_EKEYSIZE;
    }
    if (exponent != NULL) {
        value = exponent->value;
    }
    return key_generate_rsa((unsigned)bits, value, ret_private, ret_public);
}

/* What stands in both halves. EC_PARAMS are as they were asked for. */
static QH_RESULT put_public(struct draft *draft, struct attributes template,
                            const struct key_public *public)
{
    if (draft->key_type != CKK_RSA) {
        draft_put(draft, CKA_EC_PARAMS, template_bytes(template, CKA_EC_PARAMS));
    }
    return draft_put_public(draft, public);
}

static QH_RESULT generate_material(struct draft *public, struct draft *private,
                                   struct attributes template, struct key_public *ret_parts)
{
    enum qh_err err;

    if (public->key_type == CKK_RSA) {
        err = generate_rsa(template, &private->material, ret_parts);
    } else {
        err = key_generate_ec(public->key_type, template_bytes(template, CKA_EC_PARAMS),
                              &private->material, ret_parts);
    }
    if (err == QH_OK) {
        err = put_public(public, template, ret_parts);
    }
    if (err == QH_OK) {
        err = put_public(private, template, ret_parts);
    }
    if (err == QH_OK) {
        err = secret_from(ret_parts->spki.base, ret_parts->spki.size, &public->material);
    }
    return err;
}

static QH_RESULT generate_pair(const struct generator *generator, struct attributes template,
                               struct attributes private_template, struct object **ret_public,
                               struct object **ret_private)
{
    struct draft public, private;
    struct key_public parts = {0};
    struct object *public_object = NULL;
    enum qh_err err;

    draft_init(&public, CKO_PUBLIC_KEY, generator->key_type);
    draft_init(&private, CKO_PRIVATE_KEY, generator->key_type);
    err = draft_take(&public, template, MAKING_GENERATED, false);
    if (err == QH_OK) {
        err = draft_take(&private, private_template, MAKING_GENERATED, false);
    }
    if (err == QH_OK) {
        err = generate_material(&public, &private, template, &parts);
    }
    if (err != QH_OK) {
        goto out;
    }
    put_origin(&public, generator->mechanism);
    put_origin(&private, generator->mechanism);
    err = draft_finish(&public, &public_object);
    if (err == QH_OK) {
        err = draft_finish(&private, ret_private);
    }
    if (err == QH_OK) {
        *ret_public = public_object;
        public_object = NULL;
    }
out:
    object_free(public_object);
    draft_close(&public);
    draft_close(&private);
    free(parts.block);
    return err;
}

QH_RESULT object_generate(const struct mech_params *mechanism, struct attributes template,
                          struct attributes private_template, struct object **ret_object,
                          struct object **ret_private)
{
    const struct generator *generator = find_generator(mechanism->type);
    enum qh_err err;

    if (generator == NULL) {
        return QH_EMECHANISM;
    }
    if (mechanism->iv.size > 0 || mechanism->aad.size > 0 || mechanism->label.size > 0 ||
        mechanism->hash != 0 || mechanism->mgf != 0) {
        return QH_EPARAMETER;
    }
    err = template_check(template);
    if (err == QH_OK) {
        err = template_check(private_template);
    }
    if (err != QH_OK) {
        return err;
    }
    if (generator->pair) {
        return generate_pair(generator, template, private_template, ret_object, ret_private);
    }
    if (private_template.count > 0) {
        return QH_ETEMPLATE;
    }
    return generate_one(generator, template, ret_object);
}
