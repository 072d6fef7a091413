/* Kinds of requests and answers. */
#include "client/kind.h"

#include "base/bytes.h"
#include "base/cryptoki.h"
#include "client/call.h"

bool call_is_change(const Quadhsm__Request *request)
{
    switch ((int)request->op_case) {
    case QUADHSM__REQUEST__OP_LOGIN: /* a wrong PIN is counted */
    case QUADHSM__REQUEST__OP_CREATE:
    case QUADHSM__REQUEST__OP_GENERATE:
    case QUADHSM__REQUEST__OP_DESTROY:
    case QUADHSM__REQUEST__OP_SET_ATTRIBUTES:
    case QUADHSM__REQUEST__OP_COPY:
    case QUADHSM__REQUEST__OP_UNWRAP:
    case QUADHSM__REQUEST__OP_DERIVE:
    case QUADHSM__REQUEST__OP_ROLE_INIT:
    case QUADHSM__REQUEST__OP_ROLE_PASSWD:
    case QUADHSM__REQUEST__OP_ROLE_UNLOCK:
    case QUADHSM__REQUEST__OP_PARTITION_INIT:
    case QUADHSM__REQUEST__OP_PARTITION_CREATE:
    case QUADHSM__REQUEST__OP_PARTITION_DELETE:
    case QUADHSM__REQUEST__OP_PARTITION_POLICY:
    case QUADHSM__REQUEST__OP_CLIENT_ENROLL:
    case QUADHSM__REQUEST__OP_CLIENT_REVOKE:
    case QUADHSM__REQUEST__OP_TOKEN_CREATE:
        return true;
    default:
        return false;
    }
}

static bool is_rsa(const Quadhsm__Mechanism *mechanism)
{
    if (mechanism == NULL) {
        return false;
    }
    switch (mechanism->type) {
    case CKM_RSA_PKCS_KEY_PAIR_GEN:
    case CKM_RSA_PKCS:
    case CKM_RSA_X_509:
    case CKM_RSA_PKCS_OAEP:
    case CKM_RSA_PKCS_PSS:
    case CKM_SHA1_RSA_PKCS:
    case CKM_SHA1_RSA_PKCS_PSS:
    case CKM_SHA224_RSA_PKCS:
    case CKM_SHA224_RSA_PKCS_PSS:
    case CKM_SHA256_RSA_PKCS:
    case CKM_SHA256_RSA_PKCS_PSS:
    case CKM_SHA384_RSA_PKCS:
    case CKM_SHA384_RSA_PKCS_PSS:
    case CKM_SHA512_RSA_PKCS:
    case CKM_SHA512_RSA_PKCS_PSS:
        return true;
    default:
        return false;
    }
}

bool kind_uses_keys(const Quadhsm__Request *request)
{
    return request->op_case == QUADHSM__REQUEST__OP_USE ||
           request->op_case == QUADHSM__REQUEST__OP_WRAP;
}

enum hedge_kind kind_of(const Quadhsm__Request *request)
{
    switch ((int)request->op_case) {
    case QUADHSM__REQUEST__OP_USE:
        return is_rsa(request->use->mechanism) ? HEDGE_USE_RSA : HEDGE_USE;
    case QUADHSM__REQUEST__OP_LOGIN:
    case QUADHSM__REQUEST__OP_ROLE_INIT:
    case QUADHSM__REQUEST__OP_ROLE_PASSWD:
    case QUADHSM__REQUEST__OP_PARTITION_INIT:
        return HEDGE_LOGIN;
    case QUADHSM__REQUEST__OP_GENERATE:
        return is_rsa(request->generate->mechanism) ? HEDGE_GENERATE : HEDGE_CHANGE;
    default:
        break;
    }
    if (call_is_change(request) || request->level == QUADHSM__LEVEL__LEVEL_LINEARIZABLE) {
        return HEDGE_CHANGE;
    }
    return HEDGE_READ;
}

static unsigned modulus_bits(const Quadhsm__Generate *generate)
{
    for (size_t i = 0; i < generate->n_template_; i++) {
        const Quadhsm__Attribute *attribute = generate->template_[i];
        struct bytes_reader reader;

        if (attribute->type == CKA_MODULUS_BITS) {
            bytes_reader_init(&reader, attribute->value.data, attribute->value.len);
            return (unsigned)bytes_read_u64(&reader);
        }
    }
    return 0;
}

unsigned kind_work_ms(const Quadhsm__Request *request)
{
    /* Primes are found by luck: 4096 bits take 1.6 to 5.3 s of a processor, 8192 up to a minute.
     * On the node that is done at a low priority, one pair after the other: among 16 busy processes
     * on two processors 3072 bits have taken 70 s. */
    static const struct {
        unsigned bits, work_ms;
    } sizes[] = {{2048, 60000}, {3072, 120000}, {4096, 240000}};
    const Quadhsm__Generate *generate = request->generate;
    unsigned bits;

    if (request->op_case != QUADHSM__REQUEST__OP_GENERATE || generate->mechanism == NULL ||
        generate->mechanism->type != CKM_RSA_PKCS_KEY_PAIR_GEN) {
        return 0;
    }
    bits = modulus_bits(generate);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (bits <= sizes[i].bits) {
            return sizes[i].work_ms;
        }
    }
    return KIND_WORK_MAX_MS;
}

Quadhsm__Level kind_level(const Quadhsm__Request *request, Quadhsm__Level level)
{
    if (request->level != QUADHSM__LEVEL__LEVEL_LOCAL) {
        return request->level;
    }
    if (call_is_change(request) || kind_uses_keys(request)) {
        return QUADHSM__LEVEL__LEVEL_SESSION;
    }
    return level;
}

enum kind_verdict kind_verdict(const Quadhsm__Request *request, enum qh_err err)
{
    switch ((int)err) {
    case QH_EUNKNOWN: /* with the request's id it can be asked again */
        return call_is_change(request) ? KIND_ELSEWHERE : KIND_FINAL;
    case QH_ECONN:
    case QH_EBUSY:
    case QH_ECANCELED:
    case QH_ESTALE:
    case QH_ENOQUORUM:
    case QH_ENOTLEADER:
    case QH_ETIMEOUT:
    case QH_EGENERATION:
        return KIND_ELSEWHERE;
    case QH_ELOCKED:
    case QH_EUNINITIALIZED:
    case QH_ENOTENROLLED: /* the node may not have heard of it yet */
    case QH_ETLS:
    case QH_EPEER:
    case QH_EMALFORMED:
    case QH_EVERSION:
    case QH_ENOMEM:
    case QH_ESYSTEM:
    case QH_EIO:
    case QH_ENOSPACE:
    case QH_ECORRUPT:
    case QH_EROLLEDBACK:
        return KIND_HOPELESS;
    default:
        return KIND_FINAL;
    }
}

unsigned kind_rank(enum qh_err err)
{
    /* The further back, the more it says. */
    static const enum qh_err order[] = {
        QH_ECONN, QH_ETIMEOUT, QH_EUNINITIALIZED, QH_ECANCELED, QH_EPEER,      QH_ETLS,
        QH_EBUSY, QH_ESTALE,   QH_ENOTENROLLED,   QH_ELOCKED,   QH_ENOTLEADER, QH_ENOQUORUM,
    };

    if (err == QH_OK) {
        return 0;
    }
    for (unsigned i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (order[i] == err) {
            return i + 1u;
        }
    }
    return 4u; /* a node's trouble of its own: more than silence, less than a clear word */
}
