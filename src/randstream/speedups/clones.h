/* Functions that are compiled twice, of which the library takes one when it is loaded. */

#ifndef RANDSTREAM_CLONES_H
#define RANDSTREAM_CLONES_H

#include <string.h> /* says whether this is glibc, whose loader can choose */

/* For any x86-64 processor, and for those with AVX2, as all have that were made for a decade. With all that it calls: a
   function in another place would be compiled for any. The results are the same bits. GCC only: Clang refuses both
   attributes together, and without `flatten` nothing is gained. */
#if defined __x86_64__ && defined __GLIBC__ && !defined __clang__ && !defined NO_CLONES
#define CLONED __attribute__((target_clones("avx2", "default"), flatten))
#else
#define CLONED
#endif

#endif
