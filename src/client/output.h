/* The bytes that a response brings: signatures, ciphertexts, wrapped keys, random numbers. */
#ifndef QH_CLIENT_OUTPUT_H
#define QH_CLIENT_OUTPUT_H

#include <stddef.h>

#include "base/err.h"
#include "proto/quadhsm.pb-c.h"

/* Where they go. */
struct output {
    void *base;
    size_t room;
    size_t *ret_size; /* NULL: exactly @room bytes are wanted */
};

/* Errors: QH_EMALFORMED, QH_EROOM (*ret_size says how much is needed). */
QH_RESULT output_take(const Quadhsm__Response *response, const struct output *output);

#endif
