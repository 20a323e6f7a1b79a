#define OPENFM_ISA avx512
#include "kernels_body.hpp"
