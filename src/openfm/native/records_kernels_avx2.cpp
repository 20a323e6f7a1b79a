#define OPENFM_ISA avx2
#include "records_kernels_body.hpp"
