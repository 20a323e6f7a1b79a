#define OPENFM_ISA avx512
#include "records_kernels_body.hpp"
