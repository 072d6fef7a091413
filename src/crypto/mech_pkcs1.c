/* Taking PKCS#1 v1.5's padding off in constant time. */
#include "crypto/mech_pkcs1.h"

/* Hide from the compiler what a mask is made of, so that it makes no branch of it. */
static uint32_t opaque(uint32_t value)
{
    __asm__("" : "+r"(value));
    return value;
}

/* All ones if so, else zero. */
static uint32_t mask_is_zero(uint32_t value)
{
    return opaque(0u - ((~value & (value - 1)) >> 31));
}

static uint32_t mask_is_less(uint32_t left, uint32_t right)
{
    return opaque(0u - ((left ^ ((left ^ right) | ((left - right) ^ right))) >> 31));
}

static uint8_t pick(uint32_t mask, uint8_t yes, uint8_t no)
{
    return (uint8_t)((mask & yes) | (~mask & no));
}

/* Move what stands @shift bytes behind the start of @bytes there, in steps of powers of two, so
 * that memory is touched alike for every @shift. */
static void shift_down(uint8_t *bytes, uint32_t size, uint32_t shift)
{
    for (uint32_t step = 1; step < size; step <<= 1) {
        uint32_t mask = ~mask_is_zero(shift & step);

        for (uint32_t i = 0; i + step < size; i++) {
            bytes[i] = pick(mask, bytes[i + step], bytes[i]);
        }
    }
}

/* Put the message at @encoded + MECH_PKCS1_OVERHEAD. Returns all ones if the padding is right, and
 * its size, which else is 0. */
static uint32_t find_message(uint8_t *encoded, uint32_t encoded_size, uint32_t *ret_size)
{
    uint32_t found = 0, zero_index = 0;
    uint32_t good = mask_is_zero(encoded[0]) & mask_is_zero(encoded[1] ^ 2u);

    for (uint32_t i = 2; i < encoded_size; i++) {
        uint32_t is_zero = mask_is_zero(encoded[i]);

        zero_index |= is_zero & ~found & i;
        found |= is_zero;
    }
    good &= found & ~mask_is_less(zero_index, MECH_PKCS1_OVERHEAD - 1);
    shift_down(encoded + MECH_PKCS1_OVERHEAD, encoded_size - MECH_PKCS1_OVERHEAD,
               good & (zero_index + 1 - MECH_PKCS1_OVERHEAD));
    *ret_size = good & (encoded_size - 1 - zero_index);
    return good;
}

QH_RESULT mech_pkcs1_unpad(uint8_t *encoded, uint32_t encoded_size, uint8_t *out, size_t room,
                           size_t *ret_size)
{
    uint32_t message_max = encoded_size - MECH_PKCS1_OVERHEAD;
    uint32_t size, fits, good = find_message(encoded, encoded_size, &size);

    fits = ~mask_is_less((uint32_t)(room < message_max ? room : message_max), size);
    for (uint32_t i = 0; i < message_max && i < room; i++) {
        out[i] =
            pick(good & fits & mask_is_less(i, size), encoded[MECH_PKCS1_OVERHEAD + i], out[i]);
    }
    /* From here on the result code tells. */
    if (good == 0) {
        return QH_ECIPHERTEXT;
    }
    if (fits == 0) {
        return QH_EROOM;
    }
    *ret_size = size;
    return QH_OK;
}

size_t mech_pkcs1_unpad_or(uint8_t *encoded, uint32_t encoded_size, const uint8_t *substitute,
                           uint32_t substitute_size, uint8_t *ret_message)
{
    uint32_t size, good = find_message(encoded, encoded_size, &size);

    good &= ~mask_is_zero(size);
    for (uint32_t i = 0; i < encoded_size - MECH_PKCS1_OVERHEAD; i++) {
        ret_message[i] = pick(good, encoded[MECH_PKCS1_OVERHEAD + i], substitute[i]);
    }
    return (good & size) | (~good & substitute_size);
}
