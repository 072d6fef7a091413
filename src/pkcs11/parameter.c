/* The parameters of mechanisms, out of the application's memory. */
#include "pkcs11/parameter.h"

#include <stddef.h>
#include <string.h>

#include "base/limits.h"

static CKR_RESULT copy_params(const CK_MECHANISM *from, void *to, size_t size)
{
    if (from->pParameter == NULL || from->ulParameterLen != size) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    memcpy(to, from->pParameter, size);
    return CKR_OK;
}

static CKR_RESULT parse_iv(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    if (from->pParameter == NULL || from->ulParameterLen != MECHANISM_BLOCK_SIZE) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->iv = from->pParameter;
    params->iv_size = from->ulParameterLen;
    return CKR_OK;
}

static CKR_RESULT parse_ctr(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    CK_AES_CTR_PARAMS ctr;
    CK_RV rv = copy_params(from, &ctr, sizeof ctr);

    if (rv != CKR_OK) {
        return rv;
    }
    if (ctr.ulCounterBits == 0 || ctr.ulCounterBits > 8 * sizeof ctr.cb) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->counter_bits = (uint32_t)ctr.ulCounterBits;
    params->iv = (const uint8_t *)from->pParameter + offsetof(CK_AES_CTR_PARAMS, cb);
    params->iv_size = sizeof ctr.cb;
    return CKR_OK;
}

/* The two shapes are told apart by their size; ulIvBits says nothing that ulIvLen does not. */
static CKR_RESULT parse_gcm(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    CK_GCM_PARAMS_V3 gcm;
    CK_NSS_GCM_PARAMS without_bits;
    CK_RV rv;

    if (from->ulParameterLen == sizeof without_bits) {
        rv = copy_params(from, &without_bits, sizeof without_bits);
        if (rv != CKR_OK) {
            return rv;
        }
        gcm.pIv = without_bits.pIv;
        gcm.ulIvLen = without_bits.ulIvLen;
        gcm.pAAD = without_bits.pAAD;
        gcm.ulAADLen = without_bits.ulAADLen;
        gcm.ulTagBits = without_bits.ulTagBits;
    } else {
        rv = copy_params(from, &gcm, sizeof gcm);
        if (rv != CKR_OK) {
            return rv;
        }
    }
    if (gcm.ulIvLen == 0 || gcm.ulTagBits > MECHANISM_TAG_BITS_MAX || gcm.ulTagBits % 8 != 0) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->iv = gcm.pIv;
    params->iv_size = gcm.ulIvLen;
    params->aad = gcm.pAAD;
    params->aad_size = gcm.ulAADLen;
    params->tag_bits = (uint32_t)gcm.ulTagBits;
    return CKR_OK;
}

static CKR_RESULT parse_pss(const CK_MECHANISM *from, const struct mech_info *info,
                            struct quadhsm_mechanism *params)
{
    CK_RSA_PKCS_PSS_PARAMS pss;
    CK_RV rv = copy_params(from, &pss, sizeof pss);

    if (rv != CKR_OK) {
        return rv;
    }
    if (pss.sLen > KEY_RSA_BITS_MAX / 8 || mech_digest_size(pss.hashAlg) == 0 ||
        !mech_is_mgf(pss.mgf) ||
        (info->digest != CK_UNAVAILABLE_INFORMATION && info->digest != pss.hashAlg)) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->hash = pss.hashAlg;
    params->mgf = pss.mgf;
    params->salt_size = (uint32_t)pss.sLen;
    return CKR_OK;
}

/* No source at all is what some clients say for "no label". */
static CKR_RESULT take_oaep(const CK_RSA_PKCS_OAEP_PARAMS *oaep, struct quadhsm_mechanism *params)
{
    if (mech_digest_size(oaep->hashAlg) == 0 || !mech_is_mgf(oaep->mgf) ||
        (oaep->source != CKZ_DATA_SPECIFIED && (oaep->source != 0 || oaep->ulSourceDataLen != 0))) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->hash = oaep->hashAlg;
    params->mgf = oaep->mgf;
    params->label = oaep->pSourceData;
    params->label_size = oaep->ulSourceDataLen;
    return CKR_OK;
}

static CKR_RESULT parse_oaep(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    CK_RV rv = copy_params(from, &oaep, sizeof oaep);

    return rv == CKR_OK ? take_oaep(&oaep, params) : rv;
}

/* An AES key of this size, under OAEP, and the key to wrap under that. */
static CKR_RESULT parse_rsa_aes(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    CK_RSA_AES_KEY_WRAP_PARAMS wrap;
    CK_RSA_PKCS_OAEP_PARAMS oaep;
    CK_RV rv = copy_params(from, &wrap, sizeof wrap);

    if (rv != CKR_OK) {
        return rv;
    }
    if (wrap.pOAEPParams == NULL ||
        (wrap.ulAESKeyBits != 128 && wrap.ulAESKeyBits != 192 && wrap.ulAESKeyBits != 256)) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    memcpy(&oaep, (const void *)wrap.pOAEPParams, sizeof oaep);
    params->key_bits = (uint32_t)wrap.ulAESKeyBits;
    return take_oaep(&oaep, params);
}

/* None is the standard's own; KW has 8 bytes (RFC 3394), KWP 4 (RFC 5649). */
static CKR_RESULT parse_kw(const CK_MECHANISM *from, size_t size, struct quadhsm_mechanism *params)
{
    if (from->ulParameterLen == 0) {
        return CKR_OK;
    }
    if (from->pParameter == NULL || from->ulParameterLen != size) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->iv = from->pParameter;
    params->iv_size = from->ulParameterLen;
    return CKR_OK;
}

static bool is_kdf(CK_EC_KDF_TYPE kdf)
{
    switch (kdf) {
    case CKD_NULL:
    case CKD_SHA1_KDF:
    case CKD_SHA224_KDF:
    case CKD_SHA256_KDF:
    case CKD_SHA384_KDF:
    case CKD_SHA512_KDF:
    case CKD_SHA1_KDF_SP800:
    case CKD_SHA224_KDF_SP800:
    case CKD_SHA256_KDF_SP800:
    case CKD_SHA384_KDF_SP800:
    case CKD_SHA512_KDF_SP800:
        return true;
    default:
        return false;
    }
}

static CKR_RESULT parse_ecdh(const CK_MECHANISM *from, struct quadhsm_mechanism *params)
{
    CK_ECDH1_DERIVE_PARAMS ecdh;
    CK_RV rv = copy_params(from, &ecdh, sizeof ecdh);

    if (rv != CKR_OK) {
        return rv;
    }
    if (!is_kdf(ecdh.kdf) || ecdh.ulPublicDataLen == 0 ||
        (ecdh.kdf == CKD_NULL && ecdh.ulSharedDataLen > 0)) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->kdf = ecdh.kdf;
    params->public_data = ecdh.pPublicData;
    params->public_data_size = ecdh.ulPublicDataLen;
    params->shared_data = ecdh.pSharedData;
    params->shared_data_size = ecdh.ulSharedDataLen;
    return CKR_OK;
}

static CKR_RESULT take_salt(const CK_HKDF_PARAMS *hkdf, struct quadhsm_mechanism *params,
                            CK_OBJECT_HANDLE *ret_salt_key)
{
    switch (hkdf->ulSaltType) {
    case CKF_HKDF_SALT_DATA:
        params->hkdf_salt = hkdf->pSalt;
        params->hkdf_salt_size = hkdf->ulSaltLen;
        return CKR_OK;
    case CKF_HKDF_SALT_KEY:
        if (hkdf->bExtract == CK_FALSE) {
            return CKR_MECHANISM_PARAM_INVALID;
        }
        *ret_salt_key = hkdf->hSaltKey;
        return hkdf->hSaltKey != CK_INVALID_HANDLE ? CKR_OK : CKR_KEY_HANDLE_INVALID;
    case CKF_HKDF_SALT_NULL:
        return CKR_OK;
    default:
        /* Without extraction there is no salt, whatever its type. */
        return hkdf->bExtract != CK_FALSE ? CKR_MECHANISM_PARAM_INVALID : CKR_OK;
    }
}

static CKR_RESULT parse_hkdf(const CK_MECHANISM *from, struct quadhsm_mechanism *params,
                             CK_OBJECT_HANDLE *ret_salt_key)
{
    CK_HKDF_PARAMS hkdf;
    CK_RV rv = copy_params(from, &hkdf, sizeof hkdf);

    if (rv != CKR_OK) {
        return rv;
    }
    params->extract = hkdf.bExtract != CK_FALSE;
    params->expand = hkdf.bExpand != CK_FALSE;
    if ((!params->extract && !params->expand) || mech_digest_size(hkdf.prfHashMechanism) == 0) {
        return CKR_MECHANISM_PARAM_INVALID;
    }
    params->hash = hkdf.prfHashMechanism;
    if (params->expand) {
        params->info = hkdf.pInfo;
        params->info_size = hkdf.ulInfoLen;
    }
    return take_salt(&hkdf, params, ret_salt_key);
}

/* Pure EdDSA, said with no parameter or with one that says just that. */
static CKR_RESULT parse_eddsa(const CK_MECHANISM *from)
{
    CK_EDDSA_PARAMS eddsa;
    CK_RV rv;

    if (from->ulParameterLen == 0) {
        return CKR_OK;
    }
    rv = copy_params(from, &eddsa, sizeof eddsa);
    if (rv != CKR_OK) {
        return rv;
    }
    return eddsa.phFlag == CK_FALSE && eddsa.ulContextDataLen == 0 ? CKR_OK
                                                                   : CKR_MECHANISM_PARAM_INVALID;
}

bool parameter_is_pss(CK_MECHANISM_TYPE type)
{
    switch (type) {
    case CKM_RSA_PKCS_PSS:
    case CKM_SHA1_RSA_PKCS_PSS:
    case CKM_SHA224_RSA_PKCS_PSS:
    case CKM_SHA256_RSA_PKCS_PSS:
    case CKM_SHA384_RSA_PKCS_PSS:
    case CKM_SHA512_RSA_PKCS_PSS:
        return true;
    default:
        return false;
    }
}

CK_RV parameter_parse(const CK_MECHANISM *from, const struct mech_info *info,
                      struct quadhsm_mechanism *ret_params, CK_OBJECT_HANDLE *ret_salt_key)
{
    if (parameter_is_pss(from->mechanism)) {
        return parse_pss(from, info, ret_params);
    }
    switch (from->mechanism) {
    case CKM_AES_CBC:
    case CKM_AES_CBC_PAD:
        return parse_iv(from, ret_params);
    case CKM_AES_CTR:
        return parse_ctr(from, ret_params);
    case CKM_AES_GCM:
        return parse_gcm(from, ret_params);
    case CKM_AES_KEY_WRAP:
    case CKM_AES_KEY_WRAP_PAD:
        return parse_kw(from, 8, ret_params);
    case CKM_AES_KEY_WRAP_KWP:
        return parse_kw(from, 4, ret_params);
    case CKM_RSA_PKCS_OAEP:
        return parse_oaep(from, ret_params);
    case CKM_RSA_AES_KEY_WRAP:
        return parse_rsa_aes(from, ret_params);
    case CKM_EDDSA:
        return parse_eddsa(from);
    case CKM_ECDH1_DERIVE:
    case CKM_ECDH1_COFACTOR_DERIVE:
        return parse_ecdh(from, ret_params);
    case CKM_HKDF_DERIVE:
        return parse_hkdf(from, ret_params, ret_salt_key);
    default:
        /* Some clients pass a pointer and no size, or the other way round. */
        return from->ulParameterLen == 0 || from->pParameter == NULL ? CKR_OK
                                                                     : CKR_MECHANISM_PARAM_INVALID;
    }
}

/* ---- messages ---- */

CK_RV parameter_gcm_message(const void *parameter, CK_ULONG size, CK_GCM_MESSAGE_PARAMS *ret_params)
{
    CK_GCM_MESSAGE_PARAMS params;

    if (parameter == NULL || size != sizeof params) {
        return CKR_ARGUMENTS_BAD;
    }
    memcpy(&params, parameter, sizeof params);
    if (params.pIv == NULL || params.ulIvLen == 0 || params.ulIvLen > MECH_IV_SIZE_MAX ||
        params.ulIvFixedBits > 8 * params.ulIvLen || params.pTag == NULL || params.ulTagBits == 0 ||
        params.ulTagBits > MECHANISM_TAG_BITS_MAX || params.ulTagBits % 8 != 0) {
        return CKR_ARGUMENTS_BAD;
    }
    *ret_params = params;
    return CKR_OK;
}

CK_RV parameter_parse_message(const CK_MECHANISM *from)
{
    return from->ulParameterLen == 0 || from->pParameter == NULL ||
                   from->ulParameterLen == sizeof(CK_GCM_MESSAGE_PARAMS)
               ? CKR_OK
               : CKR_MECHANISM_PARAM_INVALID;
}
