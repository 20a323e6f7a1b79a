#define OPENFM_ISA avx2
#include "kernels_body.hpp"
