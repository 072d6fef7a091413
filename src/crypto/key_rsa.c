/* RSA's numbers, checked and completed. All of them on OpenSSL's secure heap, if there is one. */
#include "crypto/key_rsa.h"

#include <openssl/bn.h>

#include "crypto/material.h"

/* For a key that is right, each try fails once in two or less often. */
#define FACTOR_TRIES_MAX 48u

struct numbers {
    BN_CTX *ctx;
    BIGNUM *list[MATERIAL_RSA_PARTS]; /* n e d p q dp dq qinv */
    BIGNUM *p1, *q1, *a, *b;          /* p-1, q-1, and two to calculate with */
};

static BIGNUM *take(BN_CTX *ctx)
{
    BIGNUM *number = BN_CTX_get(ctx);

    if (number != NULL) {
        BN_set_flags(number, BN_FLG_CONSTTIME);
    }
    return number;
}

static enum qh_err numbers_init(struct numbers *numbers, const struct key_rsa_parts *parts)
{
    struct bytes list[MATERIAL_RSA_PARTS];

    *numbers = (struct numbers){.ctx = BN_CTX_secure_new()};
    if (numbers->ctx == NULL) {
        return material_error(QH_ENOMEM);
    }
    BN_CTX_start(numbers->ctx);
    material_list_rsa(parts, list);
    for (size_t i = 0; i < MATERIAL_RSA_PARTS; i++) {
        numbers->list[i] = take(numbers->ctx);
        if (numbers->list[i] == NULL ||
            (list[i].size > 0 &&
             BN_bin2bn(list[i].base, (int)list[i].size, numbers->list[i]) == NULL)) {
            return material_error(QH_ENOMEM);
        }
    }
    numbers->p1 = take(numbers->ctx);
    numbers->q1 = take(numbers->ctx);
    numbers->a = take(numbers->ctx);
    numbers->b = take(numbers->ctx); /* after the first that fails, all fail */
    return numbers->b == NULL ? material_error(QH_ENOMEM) : QH_OK;
}

static void numbers_close(struct numbers *numbers)
{
    if (numbers->ctx != NULL) {
        BN_CTX_end(numbers->ctx);
        BN_CTX_free(numbers->ctx); /* wipes */
    }
}

/* left * right = 1 (mod modulus) */
static bool are_inverse(struct numbers *numbers, const BIGNUM *left, const BIGNUM *right,
                        const BIGNUM *modulus)
{
    return BN_mod_mul(numbers->a, left, right, modulus, numbers->ctx) == 1 && BN_is_one(numbers->a);
}

/* number = whole (mod modulus) */
static bool is_rest(struct numbers *numbers, const BIGNUM *number, const BIGNUM *whole,
                    const BIGNUM *modulus)
{
    return BN_nnmod(numbers->a, whole, modulus, numbers->ctx) == 1 &&
           BN_cmp(numbers->a, number) == 0;
}

static bool take_one_off(struct numbers *numbers)
{
    return BN_sub(numbers->p1, numbers->list[3], BN_value_one()) == 1 &&
           BN_sub(numbers->q1, numbers->list[4], BN_value_one()) == 1;
}

static bool belong_together(struct numbers *numbers)
{
    BIGNUM **list = numbers->list;

    return BN_is_odd(list[3]) && BN_is_odd(list[4]) && !BN_is_one(list[3]) && !BN_is_one(list[4]) &&
           take_one_off(numbers) && BN_mul(numbers->a, list[3], list[4], numbers->ctx) == 1 &&
           BN_cmp(numbers->a, list[0]) == 0 &&
           are_inverse(numbers, list[1], list[2], numbers->p1) &&
           are_inverse(numbers, list[1], list[2], numbers->q1) &&
           is_rest(numbers, list[5], list[2], numbers->p1) &&
           is_rest(numbers, list[6], list[2], numbers->q1) &&
           are_inverse(numbers, list[7], list[4], list[3]) && BN_cmp(list[7], list[3]) < 0;
}

QH_RESULT key_rsa_check(const struct key_rsa_parts *parts)
{
    struct numbers numbers;
    enum qh_err err = numbers_init(&numbers, parts);

    if (err == QH_OK && !belong_together(&numbers)) {
        err = material_error(QH_EATTRVALUE);
    }
    numbers_close(&numbers);
    return err;
}

/* With ed - 1 = 2^shift * odd: square base^odd up to base^(ed-1) = 1. What stands before the
 * first 1, if it is not n-1, is a root of 1 that shares a factor with n when 1 is taken off. */
static bool try_base(struct numbers *numbers, BN_ULONG base, const BIGNUM *odd, int shift,
                     bool *ret_hopeless)
{
    BIGNUM *n = numbers->list[0], *root = numbers->a, *square = numbers->b;

    if (BN_set_word(square, base) != 1 || BN_mod_exp(root, square, odd, n, numbers->ctx) != 1) {
        *ret_hopeless = true;
        return false;
    }
    if (BN_is_one(root)) {
        return false;
    }
    for (int i = 0; i < shift; i++) {
        if (BN_mod_sqr(square, root, n, numbers->ctx) != 1) {
            break;
        }
        if (BN_is_one(square)) {
            return BN_sub_word(root, 1) == 1 &&
                   BN_gcd(numbers->list[3], root, n, numbers->ctx) == 1 &&
                   !BN_is_one(numbers->list[3]) && BN_cmp(numbers->list[3], n) != 0;
        }
        if (BN_copy(root, square) == NULL) {
            break;
        }
    }
    *ret_hopeless = true; /* base^(ed-1) is not 1: d does not belong to e and n */
    return false;
}

/* NIST SP 800-56B, appendix C, with small bases in place of random ones. */
static bool find_factor(struct numbers *numbers)
{
    BIGNUM *odd = take(numbers->ctx);
    bool hopeless = false;
    int shift = 0;

    if (odd == NULL || BN_mul(odd, numbers->list[1], numbers->list[2], numbers->ctx) != 1 ||
        BN_sub_word(odd, 1) != 1 || BN_is_zero(odd) || BN_is_negative(odd)) {
        return false;
    }
    while (BN_is_bit_set(odd, shift) == 0) {
        shift++;
    }
    if (shift == 0 || BN_rshift(odd, odd, shift) != 1) {
        return false;
    }
    for (BN_ULONG i = 0; i < FACTOR_TRIES_MAX && !hopeless; i++) {
        if (try_base(numbers, i + 2, odd, shift, &hopeless)) {
            return true;
        }
    }
    return false;
}

/* The larger factor first, as all other programs have it. */
static bool complete(struct numbers *numbers)
{
    BIGNUM **list = numbers->list;

    if (!find_factor(numbers) || BN_div(list[4], NULL, list[0], list[3], numbers->ctx) != 1) {
        return false;
    }
    if (BN_cmp(list[3], list[4]) < 0) {
        BN_swap(list[3], list[4]);
    }
    return take_one_off(numbers) && BN_nnmod(list[5], list[2], numbers->p1, numbers->ctx) == 1 &&
           BN_nnmod(list[6], list[2], numbers->q1, numbers->ctx) == 1 &&
           BN_mod_inverse(list[7], list[4], list[3], numbers->ctx) != NULL &&
           belong_together(numbers);
}

QH_RESULT key_rsa_complete(struct key_rsa_parts *parts, uint8_t *room)
{
    struct bytes list[MATERIAL_RSA_PARTS];
    struct numbers numbers;
    enum qh_err err = numbers_init(&numbers, parts);

    if (err == QH_OK && !complete(&numbers)) {
        err = material_error(QH_EATTRVALUE);
    }
    material_list_rsa(parts, list);
    for (size_t i = 3; err == QH_OK && i < MATERIAL_RSA_PARTS; i++) {
        uint8_t *number = room + (i - 3) * MATERIAL_RSA_SIZE_MAX;

        list[i] = (struct bytes){number, (size_t)BN_bn2bin(numbers.list[i], number)};
    }
    if (err == QH_OK) {
        *parts = material_unlist_rsa(list);
    }
    numbers_close(&numbers);
    return err;
}
