/* Functions that are compiled twice; the library picks one version of each when it is loaded. */

#ifndef RANDSTREAM_CLONES_H
#define RANDSTREAM_CLONES_H

#include <string.h> /* says whether this is glibc, whose loader can choose */

/* For any x86-64 processor, and for those with AVX2, which nearly all made in the last decade have. With all that it
   calls: a function elsewhere would be compiled for any processor. The results are the same bits. GCC only: Clang refuses
   both attributes together, and without `flatten` nothing is gained. */
#if defined __x86_64__ && defined __GLIBC__ && !defined __clang__ && !defined NO_CLONES
#define CLONED __attribute__((target_clones("avx2", "default"), flatten))
#else
#define CLONED
#endif

#endif
