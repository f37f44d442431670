/* Words to float64 numbers. */

#ifndef RANDSTREAM_FLOATS_H
#define RANDSTREAM_FLOATS_H

#include <stddef.h>
#include <stdint.h>

enum { UNIFORM, EXPONENTIAL, NORMAL }; /* families */

/* See `floats.c`. */
size_t draw_floats_within(
    uint64_t key0, uint64_t key1, uint64_t offset, size_t count, uint64_t family, double location, double scale,
    double *numbers, size_t size);

#endif
