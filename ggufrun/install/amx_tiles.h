// Included before every C++ file of llama.cpp that ggufrun compiles with GCC.
//
// _tile_loadconfig of GCC before 11.5, 12.4 and 13.3 (https://gcc.gnu.org/PR114098) tells the compiler that it reads
// eight bytes where it reads 64: the stores of the others are dropped, and the first matrix product ends the process.
#if defined(__AMX_TILE__) && !defined(__clang__)
#include <immintrin.h>
#undef _tile_loadconfig
#define _tile_loadconfig(config) __asm__ volatile("ldtilecfg %0" : : "m"(*(const char(*)[64])(config)))
// ggufrun looks for this text in the library before it lets llama.cpp use AMX.
__attribute__((used)) static const char ggufrun_amx_tiles[] = "ggufrun: ldtilecfg reads 64 bytes";
#endif
