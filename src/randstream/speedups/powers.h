/* The powers of ten as 128-bit numbers, which reading and writing floats need. `powers.c` makes them when the library is
   loaded. */

#ifndef RANDSTREAM_POWERS_H
#define RANDSTREAM_POWERS_H

#include <stdint.h>

enum { LEAST_POWER = -342, GREATEST_POWER = 324 };

typedef unsigned __int128 Wide;

/* powers[e - LEAST_POWER] is 10^e * 2^(127 - floor_log2_of_power(e)), rounded down: its first bit is set. */
extern Wide powers[GREATEST_POWER - LEAST_POWER + 1];

/* Runs when the library is loaded. Whatever else runs then and needs the powers calls it first: not every system defines the
   order of constructors (a Mach-O library ignores their priorities). */
void make_powers(void);

/* floor(log2(10^e)), for every power here, as `tests/speedups/test_float_lines.py` shows. */
static inline int floor_log2_of_power(int e) { return e * 217706 >> 16; }

#endif
