/* PKCS#8 and SubjectPublicKeyInfo, both ways. */
#include "crypto/material.h"

#include <openssl/err.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/der.h"

/* OBJECT IDENTIFIERs of the key types, without tag and length. */
static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};

enum qh_err material_error(enum qh_err otherwise)
{
    enum qh_err err = otherwise;
    unsigned long code;

    while ((code = ERR_get_error()) != 0) {
        if (ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE) {
            err = QH_ENOMEM;
        } else if (ERR_FATAL_ERROR(code) && err == otherwise) {
            err = QH_ESYSTEM;
        }
    }
    return err;
}

void material_list_rsa(const struct key_rsa_parts *rsa, struct bytes ret_list[MATERIAL_RSA_PARTS])
{
    ret_list[0] = rsa->n;
    ret_list[1] = rsa->e;
    ret_list[2] = rsa->d;
    ret_list[3] = rsa->p;
    ret_list[4] = rsa->q;
    ret_list[5] = rsa->dp;
    ret_list[6] = rsa->dq;
    ret_list[7] = rsa->qinv;
}

struct key_rsa_parts material_unlist_rsa(const struct bytes list[MATERIAL_RSA_PARTS])
{
    return (struct key_rsa_parts){
        .n = list[0],
        .e = list[1],
        .d = list[2],
        .p = list[3],
        .q = list[4],
        .dp = list[5],
        .dq = list[6],
        .qinv = list[7],
    };
}

unsigned material_bits(struct bytes number)
{
    number = der_trim(number);
    if (number.size == 0) {
        return 0;
    }
    return (unsigned)(8 * number.size) - (unsigned)(__builtin_clz(number.base[0]) - 24);
}

static bool is_odd(struct bytes number)
{
    return number.size > 0 && (number.base[number.size - 1] & 1) != 0;
}

QH_RESULT material_check_rsa(const struct key_rsa_parts *rsa, unsigned bits_min)
{
    struct bytes list[MATERIAL_RSA_PARTS];
    unsigned bits = material_bits(rsa->n);

    if (bits < bits_min || bits > KEY_RSA_BITS_MAX) {
        return QH_EKEYSIZE;
    }
    if (!is_odd(rsa->n) || !is_odd(rsa->e) || material_bits(rsa->e) < 2 ||
        material_bits(rsa->e) > 8 * MATERIAL_EXPONENT_SIZE_MAX) {
        return QH_EATTRVALUE;
    }
    material_list_rsa(rsa, list);
    for (size_t i = 2; i < MATERIAL_RSA_PARTS; i++) {
        if (material_bits(list[i]) > bits) {
            return QH_EATTRVALUE;
        }
    }
    return QH_OK;
}

/* Of a key type: what stands in its place for curves that PKCS#8 names directly is NULL. */
static struct bytes oid_of(CK_KEY_TYPE type)
{
    if (type == CKK_RSA) {
        return (struct bytes){oid_rsa, sizeof oid_rsa};
    }
    return (struct bytes){oid_ec, sizeof oid_ec};
}

/* An AlgorithmIdentifier: what is the key, and on which curve. */
static enum qh_err parse_algorithm(CK_KEY_TYPE type, struct bytes_reader *outer,
                                   struct material *material)
{
    struct bytes_reader reader;
    struct bytes start, oid;
    enum qh_err err = QH_OK;

    der_enter(outer, DER_SEQUENCE, &reader);
    start.base = reader.next;
    start.size = reader.left;
    oid = der_read(&reader, DER_OID);
    if (reader.failed) {
        return QH_EMALFORMED;
    }
    if (type != CKK_RSA && type != CKK_EC) {
        err = curve_find(type, start, &material->curve);
        return err == QH_OK ? err : QH_EKEYTYPE;
    }
    if (bytes_compare(oid, oid_of(type)) != 0) {
        return QH_EKEYTYPE;
    }
    if (type == CKK_RSA) {
        if (der_read(&reader, DER_NULL).size != 0 || !der_done(&reader)) {
            err = QH_EMALFORMED;
        }
        return err;
    }
    start.base = reader.next;
    start.size = reader.left;
    return curve_find(type, start, &material->curve);
}

static enum qh_err parse_rsa_private(struct bytes_reader *reader, struct material *material)
{
    struct bytes list[MATERIAL_RSA_PARTS];
    struct bytes_reader inner;
    struct bytes version;

    der_enter(reader, DER_SEQUENCE, &inner);
    version = der_read_uint(&inner);
    for (size_t i = 0; i < MATERIAL_RSA_PARTS; i++) {
        list[i] = der_read_uint(&inner);
    }
    if (!der_done(&inner) || !der_done(reader) || version.size != 1 || version.base[0] != 0) {
        return QH_EMALFORMED;
    }
    material->rsa = material_unlist_rsa(list);
    return QH_OK;
}

/* RFC 5915. Curve and point are optional in it; a curve named twice must be the same one. */
static enum qh_err parse_ec_private(struct bytes_reader *reader, struct material *material)
{
    struct bytes_reader inner, tagged;
    struct bytes version, named;

    der_enter(reader, DER_SEQUENCE, &inner);
    version = der_read_uint(&inner);
    material->value = der_read(&inner, DER_OCTET_STRING);
    if (der_next_is(&inner, DER_CONTEXT + 0)) {
        named = der_read(&inner, DER_CONTEXT + 0);
        if (bytes_compare(named, material->curve->names[0]) != 0) {
            return QH_EMALFORMED;
        }
    }
    if (der_next_is(&inner, DER_CONTEXT + 1)) {
        der_enter(&inner, DER_CONTEXT + 1, &tagged);
        material->point = der_read_bits(&tagged);
        if (!der_done(&tagged) || material->point.size != material->curve->point_size) {
            return QH_EMALFORMED;
        }
    }
    if (!der_done(&inner) || !der_done(reader) || version.size != 1 || version.base[0] != 1 ||
        material->value.size == 0 || material->value.size > material->curve->size) {
        return QH_EMALFORMED;
    }
    return QH_OK;
}

QH_RESULT material_parse_private(CK_KEY_TYPE type, struct bytes pkcs8,
                                 struct material *ret_material)
{
    struct material material = {.type = type};
    struct bytes_reader reader, outer, inner;
    struct bytes version;
    enum qh_err err;

    bytes_reader_init(&reader, pkcs8.base, pkcs8.size);
    der_enter(&reader, DER_SEQUENCE, &outer);
    version = der_read_uint(&outer);
    if (outer.failed || !der_done(&reader) || version.size != 1 || version.base[0] > 1) {
        return QH_EMALFORMED;
    }
    err = parse_algorithm(type, &outer, &material);
    if (err != QH_OK) {
        return err;
    }
    der_enter(&outer, DER_OCTET_STRING, &inner);
    if (type == CKK_RSA) {
        err = parse_rsa_private(&inner, &material);
    } else if (type == CKK_EC) {
        err = parse_ec_private(&inner, &material);
    } else {
        material.value = der_read(&inner, DER_OCTET_STRING);
        err =
            der_done(&inner) && material.value.size == material.curve->size ? QH_OK : QH_EMALFORMED;
    }
    if (err != QH_OK) {
        return err;
    }
    /* Attributes, and the public key of version 1: other programs' additions. */
    if (der_next_is(&outer, DER_CONTEXT + 0)) {
        (void)der_read(&outer, DER_CONTEXT + 0);
    }
    if (version.base[0] == 1 && der_next_is(&outer, 0x81)) {
        (void)der_read(&outer, 0x81);
    }
    if (!der_done(&outer)) {
        return QH_EMALFORMED;
    }
    *ret_material = material;
    return QH_OK;
}

/* Uncompressed, compressed, or the one form of an Edwards or Montgomery curve. */
static bool is_point_size(const struct curve *curve, size_t size)
{
    return size == curve->point_size || (curve->type == CKK_EC && size == 1 + curve->size);
}

/* Programs pass a point raw, or as OCTET STRING, or as BIT STRING. Sizes tell: none of the
 * wrapped forms is as long as a raw one. */
struct bytes material_unwrap_point(const struct curve *curve, struct bytes point)
{
    struct bytes_reader reader;
    struct bytes inner;

    if (is_point_size(curve, point.size)) {
        return point;
    }
    bytes_reader_init(&reader, point.base, point.size);
    if (der_next_is(&reader, DER_BIT_STRING)) {
        inner = der_read_bits(&reader);
    } else {
        inner = der_read(&reader, DER_OCTET_STRING);
    }
    if (!der_done(&reader) || !is_point_size(curve, inner.size)) {
        return (struct bytes){NULL, 0};
    }
    return inner;
}

QH_RESULT material_parse_public(CK_KEY_TYPE type, struct bytes spki, struct material *ret_material)
{
    struct material material = {.type = type};
    struct bytes_reader reader, outer, inner;
    struct bytes bits;
    enum qh_err err;

    bytes_reader_init(&reader, spki.base, spki.size);
    der_enter(&reader, DER_SEQUENCE, &outer);
    err = parse_algorithm(type, &outer, &material);
    if (err != QH_OK) {
        return err;
    }
    bits = der_read_bits(&outer);
    if (!der_done(&outer) || !der_done(&reader)) {
        return QH_EMALFORMED;
    }
    if (type == CKK_RSA) {
        bytes_reader_init(&reader, bits.base, bits.size);
        der_enter(&reader, DER_SEQUENCE, &inner);
        material.rsa.n = der_read_uint(&inner);
        material.rsa.e = der_read_uint(&inner);
        err = der_done(&inner) && der_done(&reader) ? QH_OK : QH_EMALFORMED;
    } else {
        material.point = bits;
        err = bits.size == material.curve->point_size ? QH_OK : QH_EMALFORMED;
    }
    if (err == QH_OK) {
        *ret_material = material;
    }
    return err;
}

static void write_algorithm(struct der_writer *writer, const struct material *material)
{
    size_t mark = der_mark(writer);

    if (material->type != CKK_RSA && material->type != CKK_EC) {
        der_write_raw(writer, material->curve->names[0]);
    } else {
        if (material->type == CKK_RSA) {
            der_write(writer, DER_NULL, (struct bytes){NULL, 0});
        } else {
            der_write_raw(writer, material->curve->names[0]);
        }
        der_write(writer, DER_OID, oid_of(material->type));
    }
    der_wrap(writer, DER_SEQUENCE, mark);
}

static void write_rsa_private(struct der_writer *writer, const struct material *material)
{
    static const uint8_t version = 0;
    struct bytes list[MATERIAL_RSA_PARTS];
    size_t mark = der_mark(writer);

    material_list_rsa(&material->rsa, list);
    for (size_t i = MATERIAL_RSA_PARTS; i > 0; i--) {
        der_write_uint(writer, list[i - 1]);
    }
    der_write_uint(writer, (struct bytes){&version, 1});
    der_wrap(writer, DER_SEQUENCE, mark);
}

/* The value as long as the curve says, as RFC 5915 wants it. */
static void write_ec_private(struct der_writer *writer, const struct material *material)
{
    static const uint8_t zeroes[CURVE_FIELD_SIZE_MAX];
    static const uint8_t version = 1;
    struct bytes value = der_trim(material->value);
    size_t mark = der_mark(writer), value_mark;

    if (material->point.size > 0) {
        der_write_bits(writer, material->point);
        der_wrap(writer, DER_CONTEXT + 1, mark);
    }
    value_mark = der_mark(writer);
    der_write_raw(writer, value);
    der_write_raw(writer, (struct bytes){zeroes, material->curve->size - value.size});
    der_wrap(writer, DER_OCTET_STRING, value_mark);
    der_write_uint(writer, (struct bytes){&version, 1});
    der_wrap(writer, DER_SEQUENCE, mark);
}

QH_RESULT material_write_private(const struct material *material, struct secret **ret_private)
{
    static const uint8_t version = 0;
    SECRET_SCOPED struct secret *room = NULL;
    struct der_writer writer;
    struct bytes written;
    enum qh_err err = secret_new((MATERIAL_RSA_PARTS + 1) * MATERIAL_RSA_SIZE_MAX, &room);

    if (err != QH_OK) {
        return err;
    }
    der_writer_init(&writer, secret_bytes(room), secret_size(room));
    if (material->type == CKK_RSA) {
        write_rsa_private(&writer, material);
    } else if (material->type == CKK_EC) {
        write_ec_private(&writer, material);
    } else {
        der_write(&writer, DER_OCTET_STRING, material->value);
    }
    der_wrap(&writer, DER_OCTET_STRING, writer.room);
    write_algorithm(&writer, material);
    der_write_uint(&writer, (struct bytes){&version, 1});
    der_wrap(&writer, DER_SEQUENCE, writer.room);
    if (writer.failed) {
        return QH_ESYSTEM;
    }
    written = der_written(&writer);
    return secret_from(written.base, written.size, ret_private);
}

static void write_spki(struct der_writer *writer, const struct material *material)
{
    size_t mark = der_mark(writer);

    if (material->type == CKK_RSA) {
        der_write_uint(writer, material->rsa.e);
        der_write_uint(writer, material->rsa.n);
        der_wrap(writer, DER_SEQUENCE, mark);
        /* The count of unused bits stands before it. */
        der_write_raw(writer, (struct bytes){(const uint8_t *)"", 1});
        der_wrap(writer, DER_BIT_STRING, mark);
    } else {
        der_write_bits(writer, material->point);
    }
    write_algorithm(writer, material);
    der_wrap(writer, DER_SEQUENCE, mark);
}

/* Append @bytes to the block that grows at *next. */
static struct bytes append(uint8_t **next, struct bytes bytes)
{
    struct bytes copy = {*next, bytes.size};

    if (bytes.size == 0) {
        return (struct bytes){NULL, 0};
    }
    memcpy(*next, bytes.base, bytes.size);
    *next += bytes.size;
    return copy;
}

QH_RESULT material_write_public(const struct material *material, struct bytes ec_params,
                                struct key_public *ret_public)
{
    uint8_t spki_room[MATERIAL_RSA_SIZE_MAX + 128], point_room[CURVE_POINT_SIZE_MAX + 4];
    struct bytes n = der_trim(material->rsa.n), e = der_trim(material->rsa.e);
    struct der_writer spki, point;
    struct key_public public;
    uint8_t *next;

    der_writer_init(&spki, spki_room, sizeof spki_room);
    write_spki(&spki, material);
    der_writer_init(&point, point_room, sizeof point_room);
    if (material->type != CKK_RSA) {
        der_write(&point, DER_OCTET_STRING, material->point);
    }
    if (spki.failed || point.failed) {
        return QH_ESYSTEM;
    }
    next = malloc(sizeof spki_room + sizeof point_room + n.size + e.size + ec_params.size);
    if (next == NULL) {
        return QH_ENOMEM;
    }
    public.block = next;
    public.spki = append(&next, der_written(&spki));
    public.modulus = append(&next, n);
    public.public_exponent = append(&next, e);
    public.ec_params = append(&next, ec_params);
    public.ec_point = append(&next, der_written(&point));
    *ret_public = public;
    return QH_OK;
}

QH_RESULT material_write_pair(const struct material *material, struct bytes ec_params,
                              struct secret **ret_private, struct key_public *ret_public)
{
    struct secret *private = NULL;
    enum qh_err err = material_write_private(material, &private);

    if (err != QH_OK) {
        return err;
    }
    err = material_write_public(material, ec_params, ret_public);
    if (err != QH_OK) {
        secret_free(private);
        return err;
    }
    *ret_private = private;
    return QH_OK;
}
